// Chat messages to tokens: the model's template writes the text, the tokenizer leaves what came from messages free of control tokens.
using Microsoft.Extensions.AI;
using NativeGen.Chat;
using NativeGen.Templates;
using NativeGen.Tokenization;

namespace NativeGen;

/// <summary>Of one model. Thread safe; the template is parsed when first needed.</summary>
/// <param name="tokenizer">The model's.</param>
/// <param name="template">The model file's chat template, or null.</param>
/// <param name="time">The clock that templates may ask for.</param>
internal sealed class ChatPrompt(Tokenizer tokenizer, string? template, TimeProvider time)
{
    private readonly Lazy<ChatTemplate> _template = new(() => new ChatTemplate(template!, NameOf(tokenizer, tokenizer.BosId), NameOf(tokenizer, tokenizer.EosId)));

    /// <exception cref="ArgumentException">The model has no chat template, or it refuses the messages.</exception>
    /// <exception cref="NativeGenException">InvalidModel: the template itself is wrong.</exception>
    public int[] Tokens(IReadOnlyList<ChatMessage> messages) => Write(messages, null).Tokens;

    /// <summary>The prompt of a chat with tools (as <see cref="ToolSet.ForTemplate"/> has them), and the part of its text behind all message content.</summary>
    /// <inheritdoc cref="Tokens"/>
    public (int[] Tokens, string End) Write(IReadOnlyList<ChatMessage> messages, List<object?>? tools)
    {
        if (template is null)
        {
            throw new ArgumentException("The model has no chat template: give the prompt as text, in the form the model was trained on.", nameof(GenerationRequest.Prompt));
        }

        JinjaString text;
        try
        {
            text = _template.Value.Render(messages, time.GetLocalNow(), tools);
        }
        catch (JinjaException e) when (e.Kind == JinjaError.Raised)
        {
            throw new ArgumentException($"The model's chat template refuses these messages: {e.Plain}", nameof(GenerationRequest.Prompt), e);
        }
        catch (JinjaException e)
        {
            throw new NativeGenException(NativeGenErrorCode.InvalidModel, $"The model's chat template fails: {e.Message}. Give the prompt as text instead.", e);
        }

        var begins = _template.Value.Begin is { Length: > 0 } begin && text.Text.StartsWith(begin, StringComparison.Ordinal);
        var tokens = tokenizer.Encode(text.Text, [.. (text.Literal ?? []).Select(range => range.Start..range.End)], addSpecial: !begins);
        return (tokens, text.Text[(text.Literal is [.., var last] ? last.End : 0)..]);
    }

    private static string? NameOf(Tokenizer tokenizer, int? id) => id is { } token ? System.Text.Encoding.UTF8.GetString(tokenizer.Piece(token)) : null;
}
