// jinja/cases.json and templates/NAME.json: every character as jinja2 and transformers write it; errors of the right kind.
using System.Globalization;
using System.Text.Json;
using NativeGen.Templates;

namespace NativeGen.Cli.Verify;

internal static class JinjaSuite
{
    public static bool Reads(JsonElement root) => root.ValueKind == JsonValueKind.Object && root.TryGetProperty("environment", out _) && root.TryGetProperty("data", out _);

    public static void Run(FileReport report, JsonElement root)
    {
        var now = TemplateCase.Now(root);
        var number = 0;
        foreach (var item in root.GetProperty("cases").EnumerateArray())
        {
            var name = $"{number++} {item.GetProperty("category").GetString()}";
            var variables = root.GetProperty("data").EnumerateObject().Select(member => KeyValuePair.Create(member.Name, TemplateValues.Of(member.Value)));
            report.Case(name, c => TemplateCase.Check(c, item, () => JinjaTemplate.Parse(item.GetProperty("template").GetString()!).Render(variables, now).Text, lenient: false));
        }
    }
}

internal static class TemplateSuite
{
    public static bool Reads(JsonElement root) => root.ValueKind == JsonValueKind.Object && root.TryGetProperty("template", out _) && root.TryGetProperty("cases", out _);

    public static void Run(FileReport report, JsonElement root)
    {
        var now = TemplateCase.Now(root);
        var text = File.ReadAllText(Golden.Beside(report.Path, Path.GetFileName(root.GetProperty("template").GetString()!)));
        JinjaTemplate? template = null;
        foreach (var item in root.GetProperty("cases").EnumerateArray())
        {
            report.Case(item.GetProperty("name").GetString()!, c => TemplateCase.Check(c, item, () => Render(template ??= JinjaTemplate.Parse(text), item, now), lenient: true));
        }
    }

    private static string Render(JinjaTemplate template, JsonElement item, DateTimeOffset now) => ChatInput.Render(template,
        [.. item.GetProperty("messages").EnumerateArray().Select(message => TemplateValues.Of(message, content: true))],
        item.TryGetProperty("tools", out var tools) ? TemplateValues.Of(tools, content: true) : null,
        item.TryGetProperty("add_generation_prompt", out var add) && add.GetBoolean(),
        item.TryGetProperty("continue_final_message", out var goOn) && goOn.GetBoolean(),
        item.TryGetProperty("extra", out var extra) ? extra.EnumerateObject().Select(member => KeyValuePair.Create(member.Name, TemplateValues.Of(member.Value))) : [], now).Text;
}

internal static class TemplateCase
{
    public static DateTimeOffset Now(JsonElement root) =>
        root.TryGetProperty("now", out var now) && now.ValueKind == JsonValueKind.String
            ? new DateTimeOffset(DateTime.Parse(now.GetString()!, CultureInfo.InvariantCulture, DateTimeStyles.None), TimeSpan.Zero) : new DateTimeOffset(2024, 7, 26, 12, 34, 56, TimeSpan.Zero);

    public static void Check(CaseBuilder c, JsonElement item, Func<string> render, bool lenient)
    {
        if (item.TryGetProperty("expected", out var expected))
        {
            c.Same("text", expected.GetString()!, render());
            return;
        }

        var error = item.GetProperty("error");
        var kind = error.GetProperty("kind").GetString();
        try
        {
            var text = render();
            c.That(lenient && kind is "type" or "security", () => $"rendered '{text}' instead of a {kind} error");
            if (item.TryGetProperty("expected_if_mutable", out var mutable) || error.TryGetProperty("expected_if_mutable", out mutable))
                c.Same("text", mutable.GetString()!, text);
        }
        catch (JinjaException e)
        {
            c.That(e.Kind != JinjaError.Limit || kind == "recursion", () => $"a limit instead of a {kind} error: {e.Message}");
            if (kind == "raise_exception")
                c.Same("message", error.GetProperty("message").GetString()!, e.Plain);
        }
    }
}
