// From the options that bind an answer's form (JSON, a schema, choices, a pattern, a grammar) to the constraint that keeps it.
using Microsoft.Extensions.AI;
using NativeGen.Constraints;
using NativeGen.Constraints.Schema;
using NativeGen.Sampling;
using NativeGen.Tokenization;

namespace NativeGen;

/// <summary>Compiles forms once and keeps the last ones, with all that requests have found out about them. Thread safe.</summary>
/// <param name="tokenizer">The model's.</param>
internal sealed class ResponseForm(Tokenizer tokenizer)
{
    private const int MostKept = 16; // each grows to about 20 MB at most

    private readonly Dictionary<string, TokenGrammar> _grammars = new(StringComparer.Ordinal);

    /// <summary>The names of the options that bind the form, for messages.</summary>
    public static IEnumerable<string> Set(GenerationOptions options)
    {
        if (options.ResponseFormat is not (null or ChatResponseFormatText))
        {
            yield return nameof(options.ResponseFormat);
        }

        if (options.Choices is not null)
        {
            yield return nameof(options.Choices);
        }

        if (options.Regex is not null)
        {
            yield return nameof(options.Regex);
        }

        if (options.Grammar is not null)
        {
            yield return nameof(options.Grammar);
        }
    }

    /// <summary>The constraint of a request; null if its answer is free.</summary>
    /// <exception cref="ArgumentException">The form cannot be kept; names the option and what is wrong in it.</exception>
    public TokenConstraint? Create(GenerationOptions options)
    {
        var compiled = options switch
        {
            { Grammar: { } grammar } => Compile(nameof(options.Grammar), grammar, GbnfParser.Parse),
            { Regex: { } regex } => Compile(nameof(options.Regex), regex, static pattern => Of(RegexParser.Whole(pattern))),
            { Choices: { } choices } => Compile(nameof(options.Choices), string.Join('\0', choices), static texts => Of(Expr.Regular(Dfa.OfTexts(texts.Split('\0'))))),
            { ResponseFormat: ChatResponseFormatJson json } => Compile(nameof(options.ResponseFormat), json.Schema?.GetRawText() ?? """{"type":"object"}""", SchemaCompiler.Compile),
            _ => null,
        };

        // Forced tokens are not asked of the model, so it has no probabilities for them.
        var mayForce = options.Logprobs != true && options.TopLogprobs is null or 0;
        return compiled is null ? null : new GrammarConstraint(compiled, tokenizer, mayForce);
    }

    private static Grammar Of(Expr expr)
    {
        GrammarBuilder builder = new();
        return builder.Build(builder.Add("answer", expr));
    }

    private TokenGrammar Compile(string option, string text, Func<string, Grammar> compile)
    {
        var key = option + '\0' + text;
        lock (_grammars)
        {
            if (_grammars.TryGetValue(key, out var known))
            {
                return known;
            }
        }

        TokenGrammar grammar;
        try
        {
            grammar = new(compile(text), TokenVocabulary.Of(tokenizer));
        }
        catch (Exception e) when (e is GrammarException or SchemaException)
        {
            throw new ArgumentException($"{option} cannot be kept to: {e.Message}", option, e);
        }

        lock (_grammars)
        {
            if (_grammars.TryGetValue(key, out var known))
            {
                return known; // another request was faster
            }

            if (_grammars.Count == MostKept)
            {
                _grammars.Clear();
            }

            _grammars[key] = grammar;
        }

        return grammar;
    }
}
