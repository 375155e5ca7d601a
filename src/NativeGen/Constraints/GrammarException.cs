// What is wrong with a grammar, an expression or a schema's pattern, and where in its text.
namespace NativeGen.Constraints;

/// <summary>A grammar that cannot be taken: wrong text, a rule that never ends, or more than the limits allow.</summary>
internal sealed class GrammarException : Exception
{
    internal GrammarException(string message)
        : base(message)
    {
    }

    /// <param name="what">What is wrong there.</param>
    /// <param name="line">From 1.</param>
    /// <param name="column">From 1, in UTF-16 units.</param>
    internal GrammarException(string what, int line, int column)
        : base($"Line {line}, column {column}: {what}") => (Line, Column) = (line, column);

    /// <summary>From 1; 0 where the fault has no place.</summary>
    internal int Line { get; }

    /// <summary>From 1; 0 where the fault has no place.</summary>
    internal int Column { get; }

    /// <summary>The fault at an offset of a text.</summary>
    internal static GrammarException At(ReadOnlySpan<char> text, int offset, string what)
    {
        ReadOnlySpan<char> before = text[..Math.Min(offset, text.Length)];
        int line = before.Count('\n') + 1;
        return new(what, line, before.Length - (before.LastIndexOf('\n') + 1) + 1);
    }
}
