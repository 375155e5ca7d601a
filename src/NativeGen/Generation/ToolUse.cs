// A request's tools: how its prompt tells of them, how its answers are read, and what keeps calls to their schemas.
using Microsoft.Extensions.AI;
using NativeGen.Chat;
using NativeGen.Constraints;
using NativeGen.Sampling;
using NativeGen.Tokenization;

namespace NativeGen;

/// <summary>Of one model. Thread safe.</summary>
/// <param name="tokenizer">The model's.</param>
/// <param name="template">Its chat template, or null.</param>
internal sealed class ToolUse(Tokenizer tokenizer, string? template)
{
    private readonly Lazy<ChatFormat> _format = new(() => template is null ? new ChatFormat(ToolFormats.Generic, ReasoningFormat.None, Explains: false)
        : ToolFormats.Detect(template, name => tokenizer.Encode(name, addSpecial: false, parseSpecial: true) is [_]));

    private readonly Lazy<TokenVocabulary> _vocabulary = new(() => TokenVocabulary.Of(tokenizer));

    /// <summary>Throws for what cannot be done whatever the model.</summary>
    /// <exception cref="ArgumentException">Names the property.</exception>
    public static void Validate(GenerationRequest request)
    {
        if (request.Tools is not { Count: > 0 } tools)
        {
            if (request.ToolChoice is RequiredChatToolMode)
            {
                throw new ArgumentException("ToolChoice demands a call, but the request has no tools.", nameof(request.ToolChoice));
            }

            return;
        }

        HashSet<string> names = new(StringComparer.Ordinal);
        foreach (var tool in tools)
        {
            if (tool is not AIFunctionDeclaration { Name.Length: > 0 })
            {
                throw new ArgumentException($"Tools has {tool?.Name ?? "null"}, which is no function: only functions can be called.", nameof(request.Tools));
            }

            if (!names.Add(tool.Name))
            {
                throw new ArgumentException($"Two tools have the name {tool.Name}.", nameof(request.Tools));
            }
        }

        if (request.ToolChoice is RequiredChatToolMode { RequiredFunctionName: { } wanted } && !names.Contains(wanted))
        {
            throw new ArgumentException($"ToolChoice demands {wanted}, which is none of the tools.", nameof(request.ToolChoice));
        }

        if (request.Prompt.Tokens is not null || request.PromptFormat == PromptFormat.Raw)
        {
            throw new ArgumentException("Tools need a chat: give messages, or text without PromptFormat.Raw.", nameof(request.Tools));
        }

        if (request.ToolChoice is RequiredChatToolMode && request.Options is { } options && ResponseForm.Set(options).FirstOrDefault() is { } form)
        {
            throw new ArgumentException($"{form} and ToolChoice each bind the form of the answer; set one of them.", nameof(request.ToolChoice));
        }
    }

    /// <summary>The tools a request's model is told of.</summary>
    public static ToolSet Of(GenerationRequest request) => request.Tools is not { Count: > 0 } tools || request.ToolChoice is NoneChatToolMode ? ToolSet.None
        : new ToolSet(tools.Cast<AIFunctionDeclaration>().Select(static tool => new ToolSpec(tool.Name, tool.Description, tool.JsonSchema)));

    /// <summary>Whether the model's template tells of tools; if not, <see cref="Explained"/> does.</summary>
    public bool Explains => _format.Value.Explains;

    /// <summary>Messages with the tools in the system message.</summary>
    public static IReadOnlyList<ChatMessage> Explained(IReadOnlyList<ChatMessage> messages, ToolSet tools)
    {
        var text = tools.Instructions();
        return messages[0].Role == ChatRole.System
            ? [new ChatMessage(ChatRole.System, messages[0].Text + "\n\n" + text), .. messages.Skip(1)]
            : [new ChatMessage(ChatRole.System, text), .. messages];
    }

    /// <summary>How the answers to a chat are read; null if nothing is to be told apart.</summary>
    /// <param name="tools">The request's.</param>
    /// <param name="prompt">The prompt.</param>
    /// <param name="promptEnd">Its text behind all content.</param>
    public AnswerFormat? Reading(ToolSet tools, ReadOnlySpan<int> prompt, string promptEnd)
    {
        var format = _format.Value;
        if (tools.IsEmpty && format.Reasoning.Opens.Length == 0)
        {
            return null;
        }

        if (!format.Explains)
        {
            format = format with { Tools = ToolFormats.Generic };
        }

        var salt = 17;
        foreach (var id in prompt)
        {
            salt = unchecked((salt * 31) + id);
        }

        return new AnswerFormat(format, tools, promptEnd, format.MarksIn(tokenizer), salt);
    }

    /// <summary>What keeps calls to their schemas; null if nothing can.</summary>
    /// <exception cref="ArgumentException">A call is demanded but cannot be kept to its schema.</exception>
    public TokenConstraint? Constraint(GenerationRequest request, AnswerFormat reading, bool mayForce, List<string> warnings)
    {
        var required = request.ToolChoice as RequiredChatToolMode;
        IReadOnlyList<ToolSpec> tools = required?.RequiredFunctionName is { } name ? [reading.Tools.Find(name)!] : reading.Tools.Tools;
        var parallel = request.AllowMultipleToolCalls && required?.RequiredFunctionName is null;
        Grammar? grammar;
        try
        {
            grammar = ToolGrammar.Create(reading.Format, tools, required is null ? ToolChoice.Auto : ToolChoice.Required, parallel, reading.PromptEnd, reading.Marks, warnings);
        }
        catch (GrammarException e)
        {
            throw new ArgumentException($"Calls of these tools cannot be kept to their schemas: {e.Message}", nameof(request.Tools), e);
        }

        return grammar is null ? null : new GrammarConstraint(new TokenGrammar(grammar, _vocabulary.Value, reading.Marks), tokenizer, mayForce);
    }
}
