// A set of strings: an automaton over their characters, and a length that is counted instead of unrolled.
namespace NativeGen.Constraints.Schema;

/// <summary>Texts of <paramref name="Language"/> with Min to Max characters (code points). Immutable.</summary>
internal sealed record StringSet(Dfa Language, int Min = 0, int? Max = null)
{
    internal static StringSet Any { get; } = new(Dfa.AnyText);

    internal static StringSet None { get; } = new(Dfa.None);

    internal bool IsEmpty => Language.IsEmpty || Max < Min || (HasLength && !ReferenceEquals(Language, Dfa.AnyText) && Flat().Language.IsEmpty);

    internal bool HasLength => Min > 0 || Max is not null;

    internal StringSet Intersect(StringSet other)
    {
        if (ReferenceEquals(this, Any) || ReferenceEquals(other, None))
            return other;
        if (ReferenceEquals(other, Any) || ReferenceEquals(this, None))
            return this;
        return new(Both(Language, other.Language), Math.Max(Min, other.Min), Least(Max, other.Max));
    }

    internal StringSet Union(StringSet other)
    {
        if (ReferenceEquals(this, Any) || IsEmpty)
            return ReferenceEquals(this, Any) ? this : other;
        if (ReferenceEquals(other, Any) || other.IsEmpty)
            return ReferenceEquals(other, Any) ? other : this;
        return this == other ? this : new(Flat().Language.Union(other.Flat().Language));
    }

    internal StringSet Complement() => ReferenceEquals(this, Any) ? None : IsEmpty ? Any : new(Flat().Language.Complement());

    internal StringSet Except(StringSet other) => Intersect(other.Complement());

    /// <summary>The same set without a length beside the automaton.</summary>
    internal StringSet Flat() =>
        !HasLength ? this : Max < Min ? None : new(Both(Language, Dfa.OfLength(CodePointSet.Any, Min, Max)));

    internal bool Contains(string text)
    {
        int length = text.EnumerateRunes().Count();
        return length >= Min && !(length > Max) && (ReferenceEquals(Language, Dfa.AnyText) || Language.Matches(text));
    }

    private static Dfa Both(Dfa a, Dfa b) => ReferenceEquals(a, Dfa.AnyText) ? b : ReferenceEquals(b, Dfa.AnyText) || ReferenceEquals(a, b) ? a : a.Intersect(b);

    private static int? Least(int? a, int? b) => a is null ? b : b is null ? a : Math.Min(a.Value, b.Value);
}
