// A model's chat template over Microsoft.Extensions.AI's messages.
using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace NativeGen.Templates;

/// <summary>Parsed once per model. Immutable and thread safe.</summary>
internal sealed class ChatTemplate
{
    private readonly JinjaTemplate _template;
    private readonly KeyValuePair<string, object?>[] _tokens;

    /// <param name="text">The template, as the model file has it.</param>
    /// <param name="begin">Text of the token that begins a text, or null.</param>
    /// <param name="end">Text of the token that ends one, or null.</param>
    /// <exception cref="JinjaException">The text is no template.</exception>
    internal ChatTemplate(string text, string? begin, string? end)
    {
        _template = JinjaTemplate.Parse(text);
        Begin = begin;
        _tokens = [KeyValuePair.Create("bos_token", (object?)new JinjaString(begin ?? "")), KeyValuePair.Create("eos_token", (object?)new JinjaString(end ?? ""))];
    }

    /// <summary>Text of the token that begins a text: a template may write it itself.</summary>
    internal string? Begin { get; }

    /// <summary>The prompt of a chat, up to where the assistant's answer begins.</summary>
    /// <exception cref="JinjaException">The template fails on these messages.</exception>
    internal JinjaString Render(IEnumerable<ChatMessage> messages, DateTimeOffset now, List<object?>? tools = null) =>
        ChatInput.Render(_template, [.. messages.SelectMany(Of)], tools, addGenerationPrompt: true, continueFinal: false, _tokens, now);

    // As transformers' templates expect them; each tool's result is a message of its own.
    private static IEnumerable<object?> Of(ChatMessage message)
    {
        FunctionResultContent[] results = [.. message.Contents.OfType<FunctionResultContent>()];
        foreach (FunctionResultContent result in results)
        {
            yield return new JinjaDict
            {
                ["role"] = new JinjaString("tool"),
                ["content"] = JinjaString.Content(TextOf(result.Result)),
                ["tool_call_id"] = JinjaString.Content(result.CallId),
            };
        }

        if (results.Length > 0 && results.Length == message.Contents.Count)
            yield break;
        JinjaDict mapped = new() { ["role"] = new JinjaString(message.Role.Value), ["content"] = JinjaString.Content(message.Text) };
        if (message.AuthorName is { } name)
            mapped["name"] = JinjaString.Content(name);
        string reasoning = string.Concat(message.Contents.OfType<TextReasoningContent>().Select(content => content.Text));
        if (reasoning.Length > 0)
            mapped["reasoning_content"] = JinjaString.Content(reasoning);
        List<object?> calls = [.. message.Contents.OfType<FunctionCallContent>().Select(Call)];
        if (calls.Count > 0)
            mapped["tool_calls"] = calls;
        yield return mapped;
    }

    private static JinjaDict Call(FunctionCallContent call)
    {
        JinjaDict arguments = new();
        foreach ((string name, object? value) in call.Arguments ?? new Dictionary<string, object?>())
            arguments[JinjaString.Content(name)] = Value(value);
        return new()
        {
            ["id"] = JinjaString.Content(call.CallId),
            ["type"] = new JinjaString("function"),
            ["function"] = new JinjaDict { ["name"] = JinjaString.Content(call.Name), ["arguments"] = arguments },
        };
    }

    private static object? Value(object? value) => value switch
    {
        null or bool or double => value,
        JsonElement json => TemplateValues.Of(json, content: true),
        int or long or short or byte => Convert.ToInt64(value, CultureInfo.InvariantCulture),
        float f => (double)f,
        _ => JinjaString.Content(Convert.ToString(value, CultureInfo.InvariantCulture) ?? ""),
    };

    private static string TextOf(object? result) => result switch
    {
        JsonElement { ValueKind: JsonValueKind.String } json => json.GetString()!,
        JsonElement json => json.GetRawText(),
        _ => Convert.ToString(result, CultureInfo.InvariantCulture) ?? "",
    };
}
