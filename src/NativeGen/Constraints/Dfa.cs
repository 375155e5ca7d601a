// A regular language as a deterministic automaton over Unicode scalars, with the operations of sets: what schemas need for patterns that
// must also have a length, numbers within bounds, names that are not already taken.
namespace NativeGen.Constraints;

/// <summary>A move of a <see cref="Dfa"/> on the scalars from First to Last.</summary>
internal readonly record struct DfaMove(int First, int Last, int Target);

/// <summary>
/// Immutable, minimal, without dead states: every state is reached and can still reach an accepting one. State 0 is the start; an automaton of no
/// states accepts nothing. Operations throw <see cref="GrammarException"/> when a result has more than <see cref="MostStates"/> states.
/// </summary>
internal sealed class Dfa : IEquatable<Dfa>
{
    internal const int MostStates = 20_000;

    // THE SHAPE (implementation follows):
    internal static Dfa None => throw new NotImplementedException();       // no text
    internal static Dfa AnyText => throw new NotImplementedException();    // every text, the empty one too
    internal int StateCount => throw new NotImplementedException();
    internal bool IsEmpty => StateCount == 0;
    internal bool Accepts(int state) => throw new NotImplementedException();
    internal ReadOnlySpan<DfaMove> Moves(int state) => throw new NotImplementedException(); // sorted by First, disjoint

    /// <summary>The language of an expression without references.</summary>
    /// <exception cref="GrammarException">It has a reference, or too many states.</exception>
    internal static Dfa From(Expr expression) => throw new NotImplementedException();

    /// <summary>Exactly these texts (shares their beginnings; fast for thousands).</summary>
    internal static Dfa OfTexts(IEnumerable<string> texts) => throw new NotImplementedException();

    /// <summary>Texts of min to max scalars (null: any number), all from the set.</summary>
    internal static Dfa OfLength(CodePointSet set, int min, int? max) => throw new NotImplementedException();

    internal Dfa Union(Dfa other) => throw new NotImplementedException();
    internal Dfa Intersect(Dfa other) => throw new NotImplementedException();
    internal Dfa Except(Dfa other) => throw new NotImplementedException();
    internal Dfa Complement() => throw new NotImplementedException();

    /// <summary>Every move's scalars written another way: the set of scalars that leads from one state to another is replaced by what
    /// <paramref name="spelling"/> gives for it (an expression without references), as for the escapes of JSON strings.</summary>
    internal Dfa Respell(Func<CodePointSet, Expr> spelling) => throw new NotImplementedException();

    internal bool Matches(string text) => throw new NotImplementedException();

    /// <summary>Whether it accepts a finite number of texts.</summary>
    internal bool IsFinite => throw new NotImplementedException();

    /// <summary>A shortest text, or null if there is none.</summary>
    internal string? Shortest() => throw new NotImplementedException();

    public bool Equals(Dfa? other) => throw new NotImplementedException(); // same language
    public override bool Equals(object? obj) => Equals(obj as Dfa);
    public override int GetHashCode() => throw new NotImplementedException();
}
