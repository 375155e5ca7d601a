// What the host does around a chat template, as transformers does it: variables, reasoning under both its names, a final message to be continued.
namespace NativeGen.Templates;

internal static class ChatInput
{
    private const string ContinueTag = "CONTINUE_FINAL_MESSAGE_TAG ";

    /// <summary>Renders messages. They are not changed.</summary>
    /// <param name="template">The template.</param>
    /// <param name="messages">Each a mapping with role, content and what else there is.</param>
    /// <param name="tools">JSON schema objects of functions, or null.</param>
    /// <param name="addGenerationPrompt">Whether the answer's beginning is written, too.</param>
    /// <param name="continueFinal">Whether the last message is to be continued instead.</param>
    /// <param name="extra">Further variables.</param>
    /// <param name="now">The clock.</param>
    /// <param name="limits">What it may cost.</param>
    /// <exception cref="JinjaException">The template fails, or the last message cannot be continued.</exception>
    internal static JinjaString Render(JinjaTemplate template, List<object?> messages, object? tools, bool addGenerationPrompt, bool continueFinal,
        IEnumerable<KeyValuePair<string, object?>> extra, DateTimeOffset now, JinjaLimits? limits = null)
    {
        List<object?> prepared = [.. messages.Select(message => message is JinjaDict dict ? WithReasoning(dict) : message)];
        string final = "";
        if (continueFinal)
        {
            if (prepared is not [.., JinjaDict last])
                throw new JinjaException(JinjaError.Type, "there is no last message to continue");
            prepared[^1] = Tagged(last, out final);
        }

        Dictionary<string, object?> variables = new(StringComparer.Ordinal)
        {
            ["messages"] = prepared, ["tools"] = tools, ["documents"] = null, ["add_generation_prompt"] = addGenerationPrompt,
        };
        foreach ((string name, object? value) in extra)
            variables[name] = value;
        JinjaString text = template.Render(variables, now, limits);
        if (!continueFinal)
            return text;
        int tag = text.Text.LastIndexOf(ContinueTag.TrimEnd(), StringComparison.Ordinal);
        if (tag < 0 || !text.Text.Contains(final.Trim(), StringComparison.Ordinal))
            throw new JinjaException(JinjaError.Type, "the template does not write the last message as it is, so it cannot be continued");
        JinjaString cut = text.Part(0, tag);
        return text.Text.AsSpan(tag).StartsWith(ContinueTag, StringComparison.Ordinal) ? cut : cut.Trimmed(Python.IsSpace, left: false, right: true);
    }

    // The first of reasoning_content, thinking and reasoning that is there goes by both of the names that templates ask for.
    private static JinjaDict WithReasoning(JinjaDict message)
    {
        object? reasoning = null;
        foreach (string name in (ReadOnlySpan<string>)["reasoning_content", "thinking", "reasoning"])
            reasoning ??= message.TryGet(name, out object? value) ? value : null;
        if (reasoning is null)
            return message;
        JinjaDict with = new();
        if (!message.TryGet("thinking", out _))
            with["thinking"] = reasoning;
        foreach ((object? key, object? value) in message.Items)
            with[key] = value;
        if (message.TryGet("thinking", out object? thinking) && thinking is null)
            with["thinking"] = reasoning;
        with["reasoning_content"] = reasoning;
        return with;
    }

    private static JinjaDict Tagged(JinjaDict message, out string final)
    {
        JinjaDict tagged = Access.Copy(message);
        message.TryGet("content", out object? content);
        final = "";
        if (content is JinjaString text)
        {
            final = text.Text;
            tagged["content"] = WithTag(text);
        }
        else if (content is List<object?> parts)
        {
            List<object?> copy = [.. parts];
            for (int i = copy.Count - 1; i >= 0; i--)
            {
                if (copy[i] is JinjaDict part && part.TryGet("text", out object? found) && found is JinjaString last)
                {
                    final = last.Text;
                    JinjaDict changed = Access.Copy(part);
                    changed["text"] = WithTag(last);
                    copy[i] = changed;
                    break;
                }
            }

            tagged["content"] = copy;
        }
        else
            throw new JinjaException(JinjaError.Type, "the last message has no text to continue");

        return tagged;

        static JinjaString WithTag(JinjaString text)
        {
            JinjaString.Builder builder = new();
            builder.Append(text);
            builder.Append(ContinueTag);
            return builder.ToJinja();
        }
    }
}
