// What is asked: a prompt and how to continue it.
using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.AI;

namespace NativeGen;

/// <summary>A prompt: a text, the messages of a chat, or token ids. Converts from each of them. Immutable.</summary>
public sealed class GenerationPrompt
{
    private GenerationPrompt()
    {
    }

    /// <summary>The text, if the prompt is one.</summary>
    public string? Text { get; private init; }

    /// <summary>The messages, if the prompt is a chat.</summary>
    public IReadOnlyList<ChatMessage>? Messages { get; private init; }

    /// <summary>The token ids, if the prompt is made of them.</summary>
    public ReadOnlyMemory<int>? Tokens { get; private init; }

    /// <summary>A prompt of text.</summary>
    public static GenerationPrompt FromText(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return new() { Text = text };
    }

    /// <summary>A prompt of chat messages, oldest first.</summary>
    public static GenerationPrompt FromMessages(IEnumerable<ChatMessage> messages)
    {
        ArgumentNullException.ThrowIfNull(messages);
        ChatMessage[] list = [.. messages];
        return list.Length > 0 ? new() { Messages = list } : throw new ArgumentException("A chat needs at least one message.", nameof(messages));
    }

    /// <summary>A prompt of token ids, used as they are: no token is added at the beginning.</summary>
    public static GenerationPrompt FromTokens(ReadOnlyMemory<int> tokens) =>
        tokens.IsEmpty ? throw new ArgumentException("A prompt needs at least one token.", nameof(tokens)) : new() { Tokens = tokens };

    /// <summary>A prompt of text.</summary>
    public static implicit operator GenerationPrompt(string text) => FromText(text);

    /// <summary>A prompt of chat messages.</summary>
    public static implicit operator GenerationPrompt(ChatMessage[] messages) => FromMessages(messages);

    /// <summary>A prompt of chat messages.</summary>
    public static implicit operator GenerationPrompt(List<ChatMessage> messages) => FromMessages(messages);

    /// <summary>A prompt of token ids.</summary>
    public static implicit operator GenerationPrompt(int[] tokens) => FromTokens(tokens);
}

/// <summary>One request to an <see cref="ITextGenerator"/>. Immutable; may be used again.</summary>
public sealed record GenerationRequest
{
    /// <summary>An empty request; <see cref="Prompt"/> must be set.</summary>
    public GenerationRequest()
    {
    }

    /// <summary>A request to continue a prompt.</summary>
    [SetsRequiredMembers]
    public GenerationRequest(GenerationPrompt prompt, GenerationOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        Prompt = prompt;
        Options = options;
    }

    /// <summary>What to continue: a text, chat messages or token ids.</summary>
    public required GenerationPrompt Prompt { get; init; }

    /// <summary>
    /// How the prompt becomes tokens. Messages go through the model's own chat template, and so does a text with <see cref="PromptFormat.Chat"/>, as the
    /// user's one message; what messages contain never becomes a control token. Any other text is raw in this build, and special tokens written in it are
    /// recognized.
    /// </summary>
    public PromptFormat PromptFormat { get; init; }

    /// <summary>How to generate; null leaves everything to the model's settings and the defaults.</summary>
    public GenerationOptions? Options { get; init; }

    /// <summary>Who goes first when requests compete.</summary>
    public GenerationPriority Priority { get; init; }

    /// <summary>
    /// Functions the model may ask to be called (<see cref="AIFunctionDeclaration"/>, so any <see cref="AIFunction"/>); nothing calls them here. The prompt is a
    /// chat then. Where the model's template does not tell of tools, a system message does.
    /// </summary>
    public IReadOnlyList<AITool>? Tools { get; init; }

    /// <summary>
    /// Whether the model may call tools (<see cref="ChatToolMode.Auto"/>, the default), must, must call a certain one, or may not. Calls keep to the tools'
    /// schemas: where a call has begun, only what the schema allows can come.
    /// </summary>
    public ChatToolMode? ToolChoice { get; init; }

    /// <summary>Whether one answer may have several calls. Default true.</summary>
    public bool AllowMultipleToolCalls { get; init; } = true;

    /// <summary>Throws for what cannot be done whatever the model.</summary>
    internal static void Validate(GenerationRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (request.Prompt is null)
        {
            throw new ArgumentException("The request has no prompt.", nameof(Prompt));
        }

        if (request.Prompt.Messages is not null && request.PromptFormat == PromptFormat.Raw)
        {
            throw new ArgumentException("Chat messages have no raw form: give the prompt as text, or leave PromptFormat at Auto.", nameof(PromptFormat));
        }

        if (request.Prompt.Tokens is not null && request.PromptFormat == PromptFormat.Chat)
        {
            throw new ArgumentException("Token ids are used as they are: a chat needs messages or text.", nameof(PromptFormat));
        }

        if (!Enum.IsDefined(request.PromptFormat))
        {
            throw new ArgumentException($"PromptFormat {request.PromptFormat} does not exist.", nameof(PromptFormat));
        }

        if (!Enum.IsDefined(request.Priority))
        {
            throw new ArgumentException($"Priority {request.Priority} does not exist.", nameof(Priority));
        }

        ToolUse.Validate(request);
        if (request.Options is not null)
        {
            OptionCheck.Validate(request.Options);
        }
    }
}
