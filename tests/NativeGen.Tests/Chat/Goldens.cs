// Answers as real chat templates write them: what a template renders for an assistant's message, cut out of the prompt.
using System.Globalization;
using System.Text.Json;
using NativeGen.Chat;
using NativeGen.Templates;

namespace NativeGen.Tests.Chat;

/// <summary>An assistant's message and its text between the prompt before it and the token that ends it.</summary>
internal sealed record GoldenAnswer(string Template, string Case, string Prompt, string Output, ToolSet Tools, JsonElement Message);

internal static class Goldens
{
    private static readonly string[] _ends =
    [
        "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "</s>", "<|end_of_text|>", "<｜end▁of▁sentence｜>", "<seed:eos>", "<|END_OF_TURN_TOKEN|>", "<|message_sep|>", "<end_of_sentence>", "[e~[", "<turn|>",
        "<end_of_turn>", "<SPECIAL_12>", "<|end|>", "<|eot|>", "<|role_end|>", "</assistant>", "<｜hy_eos:opensource｜>", "<|end_of_msg|>", "<|assistant_end|>", "<sep>", "<|EOT|>", "<|endoftext|>", "<|return|>", "<|call|>",
        "<｜Assistant｜>", "<|assistant|>", "<|end_of_turn|>", "<|start_header_id|>assistant<|end_header_id|>",
    ];

    public static IEnumerable<string> Templates(string folder) => Directory.EnumerateFiles(folder, "*.json").Order(StringComparer.Ordinal);

    public static IEnumerable<GoldenAnswer> Answers(string path)
    {
        JsonElement root = JsonDocument.Parse(File.ReadAllBytes(path)).RootElement;
        JinjaTemplate template = JinjaTemplate.Parse(File.ReadAllText(Path.ChangeExtension(path, ".jinja")));
        DateTimeOffset now = new(DateTime.Parse(root.GetProperty("now").GetString()!, CultureInfo.InvariantCulture), TimeSpan.Zero);
        foreach (JsonElement item in root.GetProperty("cases").EnumerateArray())
        {
            if (item.TryGetProperty("continue_final_message", out _))
                continue;
            JsonElement[] messages = [.. item.GetProperty("messages").EnumerateArray()];
            for (int i = 0; i < messages.Length; i++)
            {
                if (messages[i].GetProperty("role").GetString() != "assistant")
                    continue;
                string prompt, whole;
                try
                {
                    prompt = Render(i, true);
                    whole = Render(i + 1, false);
                }
                catch (JinjaException)
                {
                    continue;
                }

                // A prompt may open or close the reasoning otherwise than the message's own text does: cut in front of that, never inside of a marker.
                int common = prompt.AsSpan().CommonPrefixLength(whole);
                if (common < prompt.Length && whole.AsSpan(0, common).LastIndexOfAny('<', '>') is >= 0 and var mark && whole[mark] == '<')
                    common = mark;
                yield return new(Path.GetFileNameWithoutExtension(path), item.GetProperty("name").GetString()!, prompt[..common], Ended(whole[common..]), ToolsOf(item), messages[i]);

                string Render(int count, bool add) => ChatInput.Render(template, [.. messages.Take(count).Select(message => TemplateValues.Of(message, content: true))],
                    item.TryGetProperty("tools", out JsonElement tools) ? TemplateValues.Of(tools) : null, add, false,
                    item.TryGetProperty("extra", out JsonElement extra) ? extra.EnumerateObject().Select(member => KeyValuePair.Create(member.Name, TemplateValues.Of(member.Value))) : [], now).Text;
            }
        }
    }

    private static ToolSet ToolsOf(JsonElement item)
    {
        if (!item.TryGetProperty("tools", out JsonElement tools) || tools.ValueKind != JsonValueKind.Array)
            return ToolSet.None;
        return new(tools.EnumerateArray().Select(tool => tool.TryGetProperty("function", out JsonElement function) ? function : tool)
            .Select(function => new ToolSpec(function.GetProperty("name").GetString()!, null, function.TryGetProperty("parameters", out JsonElement schema) ? schema : default)));
    }

    private static string Ended(string text)
    {
        text = text.TrimEnd();
        foreach (string end in _ends)
        {
            if (text.EndsWith(end, StringComparison.Ordinal))
                return Ended(text[..^end.Length]);
        }

        return text;
    }
}
