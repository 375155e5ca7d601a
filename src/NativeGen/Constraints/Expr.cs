// The tree every front end (GBNF, regular expression, choices, JSON, JSON schema) builds and GrammarBuilder compiles.
using System.Text;

namespace NativeGen.Constraints;

/// <summary>A rule of a <see cref="GrammarBuilder"/>.</summary>
internal readonly record struct RuleId(int Index);

/// <summary>
/// What a text, or a part of it, looks like. Immutable; parts may be shared (a graph without cycles: recursion goes through
/// <see cref="Reference"/>) and as deep as memory allows: nothing here or in the builder recurses over it.
/// </summary>
internal abstract class Expr
{
    private Expr()
    {
    }

    /// <summary>The empty text.</summary>
    internal static Expr Empty { get; } = new TextExpr("");

    /// <summary>No text at all; a choice loses it, a sequence with it is Never.</summary>
    internal static Expr Never { get; } = new ChoiceExpr([]);

    /// <summary>One scalar of the set.</summary>
    internal static Expr Chars(CodePointSet set) => set.IsEmpty ? Never : new CharsExpr(set);

    /// <summary>Exactly this text.</summary>
    /// <exception cref="GrammarException">It has half a surrogate pair.</exception>
    internal static Expr Text(string text)
    {
        for (int i = 0; i < text.Length; i++)
        {
            if (!char.IsSurrogate(text[i]))
                continue;
            if (!Rune.TryGetRuneAt(text, i, out _))
                throw new GrammarException("A text has half a surrogate pair, which no answer ever contains.");
            i++;
        }

        return text.Length == 0 ? Empty : new TextExpr(text);
    }

    /// <summary>One after the other; of no part: the empty text.</summary>
    internal static Expr Sequence(params ReadOnlySpan<Expr> parts) => parts.Length switch
    {
        0 => Empty,
        1 => parts[0],
        _ => new SequenceExpr(parts.ToArray()),
    };

    /// <summary>One of these; of none: <see cref="Never"/>.</summary>
    internal static Expr Choice(params ReadOnlySpan<Expr> alternatives) => alternatives.Length switch
    {
        0 => Never,
        1 => alternatives[0],
        _ => new ChoiceExpr(alternatives.ToArray()),
    };

    /// <summary>At least <paramref name="min"/> and at most <paramref name="max"/> (null: any number) in a row. Large numbers cost nothing: they are counted, not copied.</summary>
    /// <exception cref="GrammarException">min is negative or more than max.</exception>
    internal static Expr Repeat(Expr body, int min, int? max = null)
    {
        if (min < 0 || max < min)
            throw new GrammarException($"A repetition of at least {min} and at most {max} times cannot be.");
        return (min, max) switch
        {
            (_, 0) => Empty,
            (1, 1) => body,
            _ => new RepeatExpr(body, min, max),
        };
    }

    /// <summary>Once or not at all.</summary>
    internal static Expr Optional(Expr body) => Repeat(body, 0, 1);

    /// <summary>What the rule says, which may be defined later and may contain this place.</summary>
    internal static Expr Reference(RuleId rule) => new ReferenceExpr(rule);

    /// <summary>Any text of a regular language.</summary>
    internal static Expr Regular(Dfa dfa) => new RegularExpr(dfa);

    internal sealed class TextExpr(string text) : Expr
    {
        internal string Value => text;
    }

    internal sealed class CharsExpr(CodePointSet set) : Expr
    {
        internal CodePointSet Set => set;
    }

    internal sealed class SequenceExpr(Expr[] parts) : Expr
    {
        internal ReadOnlySpan<Expr> Parts => parts;
    }

    internal sealed class ChoiceExpr(Expr[] alternatives) : Expr
    {
        internal ReadOnlySpan<Expr> Alternatives => alternatives;
    }

    internal sealed class RepeatExpr(Expr body, int min, int? max) : Expr
    {
        internal Expr Body => body;

        internal int Min => min;

        internal int? Max => max;
    }

    internal sealed class ReferenceExpr(RuleId rule) : Expr
    {
        internal RuleId Rule => rule;
    }

    internal sealed class RegularExpr(Dfa dfa) : Expr
    {
        internal Dfa Dfa => dfa;
    }
}
