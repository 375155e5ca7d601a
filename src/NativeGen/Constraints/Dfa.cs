// A regular language as a deterministic automaton over Unicode scalars, with the operations of sets: what schemas need for patterns that
// must also have a length, numbers within bounds, names that are not already taken.
using System.Text;

namespace NativeGen.Constraints;

/// <summary>A move of a <see cref="Dfa"/> on the scalars from First to Last.</summary>
internal readonly record struct DfaMove(int First, int Last, int Target);

/// <summary>
/// Immutable, without dead states: every state is reached and can still reach an accepting one. State 0 is the start; an automaton of no states
/// accepts nothing. Minimal unless it is very large. Operations throw <see cref="GrammarException"/> when a result has more than
/// <see cref="MostStates"/> states.
/// </summary>
internal sealed class Dfa : IEquatable<Dfa>
{
    internal const int MostStates = 20_000;
    private const int MostWork = 1_500_000; // items looked at while an expression becomes an automaton

    private readonly bool[] _accepts;    // by state
    private readonly DfaMove[][] _moves; // by state: sorted by First, disjoint, neighbours with one target joined

    private Dfa(bool[] accepts, DfaMove[][] moves) => (_accepts, _moves) = (accepts, moves);

    /// <summary>No text.</summary>
    internal static Dfa None { get; } = new([], []);

    /// <summary>Every text, the empty one too.</summary>
    internal static Dfa AnyText { get; } = From(Expr.Repeat(Expr.Chars(CodePointSet.Any), 0));

    internal int StateCount => _accepts.Length;

    internal bool IsEmpty => StateCount == 0;

    internal bool Accepts(int state) => _accepts[state];

    internal ReadOnlySpan<DfaMove> Moves(int state) => _moves[state];

    /// <summary>Whether it accepts a finite number of texts.</summary>
    internal bool IsFinite => DfaTrimmer.BottomUp(_moves) is not null;

    /// <summary>The language of an expression without references.</summary>
    /// <exception cref="GrammarException">It has a reference, or too many states.</exception>
    internal static Dfa From(Expr expression)
    {
        GrammarBuilder builder = new();
        return FromGrammar(builder, builder.Add("expression", expression));
    }

    /// <summary>Exactly these texts (shares their beginnings; fast for thousands).</summary>
    internal static Dfa OfTexts(IEnumerable<string> texts)
    {
        List<bool> accepts = [false];
        List<SortedDictionary<int, int>> children = [[]];
        foreach (string text in texts)
        {
            int state = 0;
            foreach (Rune rune in text.EnumerateRunes())
            {
                if (!children[state].TryGetValue(rune.Value, out int child))
                {
                    child = accepts.Count;
                    if (child >= MostStates * 10)
                        throw TooLarge();
                    children[state].Add(rune.Value, child);
                    accepts.Add(false);
                    children.Add([]);
                }

                state = child;
            }

            accepts[state] = true;
        }

        return Create([.. accepts], [.. children.Select(c => c.Select(pair => new DfaMove(pair.Key, pair.Key, pair.Value)).ToArray())]);
    }

    /// <summary>Texts of min to max scalars (null: any number), all from the set.</summary>
    internal static Dfa OfLength(CodePointSet set, int min, int? max) => From(Expr.Repeat(Expr.Chars(set), min, max));

    internal Dfa Union(Dfa other) => Combine(other, static (a, b) => a | b, needLeft: false, needRight: false);

    internal Dfa Intersect(Dfa other) => Combine(other, static (a, b) => a & b, needLeft: true, needRight: true);

    internal Dfa Except(Dfa other) => Combine(other, static (a, b) => a & !b, needLeft: true, needRight: false);

    internal Dfa Complement() => AnyText.Except(this);

    /// <summary>
    /// Every move's scalars written another way: the set of scalars that leads from one state to another is replaced by what
    /// <paramref name="spelling"/> gives for it (an expression without references that is never the empty text), as for the escapes of JSON
    /// strings.
    /// </summary>
    internal Dfa Respell(Func<CodePointSet, Expr> spelling)
    {
        if (IsEmpty)
            return None;
        GrammarBuilder builder = new();
        RuleId[] rules = [.. Enumerable.Range(0, StateCount).Select(state => builder.Declare($"state {state}"))];
        for (int state = 0; state < StateCount; state++)
        {
            List<Expr> ways = [.. _moves[state].GroupBy(move => move.Target).Select(moves =>
                Expr.Sequence(spelling(CodePointSet.Of(moves.Select(move => new CodePointRange(move.First, move.Last)))), Expr.Reference(rules[moves.Key])))];
            if (_accepts[state])
                ways.Add(Expr.Empty);
            builder.Define(rules[state], Expr.Choice([.. ways]));
        }

        return FromGrammar(builder, rules[0]);
    }

    internal bool Matches(string text)
    {
        int state = IsEmpty ? -1 : 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (state < 0)
                break;
            state = Next(_moves[state], rune.Value);
        }

        return state >= 0 && _accepts[state];
    }

    /// <summary>A shortest text, or null if there is none.</summary>
    internal string? Shortest()
    {
        if (IsEmpty)
            return null;
        var from = new (int State, int Scalar)[StateCount];
        from.AsSpan(1).Fill((-1, 0));
        Queue<int> queue = new([0]);
        while (true)
        {
            int state = queue.Dequeue();
            if (_accepts[state])
            {
                StringBuilder text = new();
                for (; state != 0; state = from[state].State)
                    text.Insert(0, char.ConvertFromUtf32(from[state].Scalar));
                return text.ToString();
            }

            foreach (DfaMove move in _moves[state])
            {
                if (move.Target == 0 || from[move.Target].State >= 0)
                    continue;
                from[move.Target] = (state, move.First);
                queue.Enqueue(move.Target);
            }
        }
    }

    /// <summary>The same automaton; for minimal ones: the same language.</summary>
    public bool Equals(Dfa? other)
    {
        if (other is null || !_accepts.AsSpan().SequenceEqual(other._accepts))
            return false;
        for (int state = 0; state < StateCount; state++)
        {
            if (!_moves[state].AsSpan().SequenceEqual(other._moves[state]))
                return false;
        }

        return true;
    }

    public override bool Equals(object? obj) => Equals(obj as Dfa);

    public override int GetHashCode()
    {
        HashCode hash = default;
        for (int state = 0; state < StateCount; state++)
        {
            hash.Add(_accepts[state]);
            foreach (DfaMove move in _moves[state])
                hash.Add(move);
        }

        return hash.ToHashCode();
    }

    /// <summary>Where a scalar leads, or -1.</summary>
    private static int Next(DfaMove[] moves, int scalar)
    {
        foreach (DfaMove move in moves)
        {
            if (scalar <= move.Last)
                return scalar >= move.First ? move.Target : -1;
        }

        return -1;
    }

    /// <summary>A text of this one scalar, which may be a surrogate: a mark that no real text has.</summary>
    internal static Dfa Mark(int scalar) => new([false, true], [[new(scalar, scalar, 1)], []]);

    /// <summary>Whether a text of these two marks alone is accepted.</summary>
    internal bool AcceptsOnly(int begin, int end)
    {
        HashSet<int> seen = [];
        Stack<int> stack = new(IsEmpty ? [] : [0]);
        while (stack.TryPop(out int state))
        {
            if (state < 0 || !seen.Add(state))
                continue;
            if (_accepts[state])
                return true;
            stack.Push(Next(_moves[state], begin));
            stack.Push(Next(_moves[state], end));
        }

        return false;
    }

    /// <summary>Of the texts that begin and end with these marks, what is between. The more marks, the more texts must be accepted: enough of them count.</summary>
    internal Dfa Between(int begin, int end)
    {
        int start = IsEmpty ? -1 : Next(_moves[0], begin);
        HashSet<int> seen = [];
        while (start >= 0 && seen.Add(start) && Next(_moves[start], begin) is >= 0 and var next)
            start = next;
        if (start < 0)
            return None;
        bool[] accepts = [.. _moves.Select(EndsHere)];
        DfaMove[][] moves = [.. _moves.Select(moves => moves.Where(move => move.First != begin && move.First != end).ToArray())];

        // State 0 is the start.
        foreach (DfaMove[] of in moves)
        {
            for (int i = 0; i < of.Length; i++)
                of[i] = of[i] with { Target = Swapped(of[i].Target) };
        }

        (accepts[0], accepts[start]) = (accepts[start], accepts[0]);
        (moves[0], moves[start]) = (moves[start], moves[0]);
        return Create(accepts, moves);

        int Swapped(int state) => state == 0 ? start : state == start ? 0 : state;

        bool EndsHere(DfaMove[] moves)
        {
            HashSet<int> passed = [];
            for (int at = Next(moves, end); at >= 0 && passed.Add(at); at = Next(_moves[at], end))
            {
                if (_accepts[at])
                    return true;
            }

            return false;
        }
    }

    // Walks all states of the grammar's own automaton: for a regular language they are finitely many.
    internal static Dfa FromGrammar(GrammarBuilder builder, RuleId root)
    {
        if (GrammarCompiler.TryCompile(builder.Rules, root, everyRule: false) is not { } grammar)
            return None;
        Automaton automaton = new(grammar) { Budget = MostWork };
        Dictionary<int, int> numbers = new() { [automaton.Start] = 0 };
        List<int> states = [automaton.Start];
        List<bool> accepts = [];
        List<DfaMove[]> moves = [];
        List<int> borders = [];
        for (int i = 0; i < states.Count; i++)
        {
            if (states.Count > MostStates)
                throw TooLarge();
            accepts.Add(automaton.CanStop(states[i]));
            automaton.Borders(states[i], borders);
            List<DfaMove> out_ = [];
            for (int b = 0; b + 1 < borders.Count; b++)
            {
                int next = automaton.Advance(states[i], borders[b]);
                if (next == Automaton.Dead)
                    continue;
                if (!numbers.TryGetValue(next, out int number))
                {
                    number = states.Count;
                    numbers.Add(next, number);
                    states.Add(next);
                }

                out_.Add(new(borders[b], borders[b + 1] - 1, number));
            }

            moves.Add([.. out_]);
        }

        return Create([.. accepts], [.. moves]);
    }

    // Pairs of states; -1 is the dead one.
    private Dfa Combine(Dfa other, Func<bool, bool, bool> accept, bool needLeft, bool needRight)
    {
        (int, int) start = (IsEmpty ? -1 : 0, other.IsEmpty ? -1 : 0);
        if ((needLeft && start.Item1 < 0) || (needRight && start.Item2 < 0))
            return None;
        Dictionary<(int, int), int> numbers = new() { [start] = 0 };
        List<(int Left, int Right)> pairs = [start];
        List<bool> accepts = [];
        List<DfaMove[]> moves = [];
        for (int i = 0; i < pairs.Count; i++)
        {
            if (pairs.Count > MostStates)
                throw TooLarge();
            (int left, int right) = pairs[i];
            accepts.Add(accept(left >= 0 && _accepts[left], right >= 0 && other._accepts[right]));
            DfaMove[] a = left >= 0 ? _moves[left] : [], b = right >= 0 ? other._moves[right] : [];
            List<DfaMove> merged = [];
            int at = 0, x = 0, y = 0;
            while (at <= CodePointSet.Most)
            {
                while (x < a.Length && a[x].Last < at)
                    x++;
                while (y < b.Length && b[y].Last < at)
                    y++;
                (int toLeft, int endLeft) = Piece(a, x, at);
                (int toRight, int endRight) = Piece(b, y, at);
                int end = Math.Min(endLeft, endRight);
                if ((toLeft >= 0 || toRight >= 0) && !(needLeft && toLeft < 0) && !(needRight && toRight < 0))
                {
                    if (!numbers.TryGetValue((toLeft, toRight), out int number))
                    {
                        number = pairs.Count;
                        numbers.Add((toLeft, toRight), number);
                        pairs.Add((toLeft, toRight));
                    }

                    merged.Add(new(at, end, number));
                }

                at = end + 1;
            }

            moves.Add([.. merged]);
        }

        return Create([.. accepts], [.. moves]);

        // The target at a scalar and the last scalar for which it is the same.
        static (int Target, int End) Piece(DfaMove[] moves, int index, int at)
        {
            if (index == moves.Length)
                return (-1, CodePointSet.Most);
            return moves[index].First > at ? (-1, moves[index].First - 1) : (moves[index].Target, moves[index].Last);
        }
    }

    private static Dfa Create(bool[] accepts, DfaMove[][] moves)
    {
        (accepts, moves) = DfaTrimmer.Trim(accepts, moves);
        (accepts, moves) = DfaTrimmer.Minimize(accepts, moves);
        return accepts.Length > MostStates ? throw TooLarge() : new(accepts, moves);
    }

    private static GrammarException TooLarge() => new($"A pattern, or the combination of a pattern with other conditions, needs more than {MostStates} states.");
}
