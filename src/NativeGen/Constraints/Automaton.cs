// Runs a grammar: a pushdown automaton whose states are made as texts reach them. A state is everything that may come next; reading a byte again in
// a state it was read in before is one look into a table.
using System.Runtime.InteropServices;

namespace NativeGen.Constraints;

/// <summary>
/// The states of one grammar that texts have reached so far. A state is a set of items (see <see cref="Item"/>) and the bytes of a scalar that
/// has begun; what to return to is shared between items and between states, and two calls of a rule at one place are one call, so ambiguity adds
/// up instead of multiplying (as in Earley's and Tomita's parsers). Grows up to <see cref="IsFull"/>; not thread safe.
/// </summary>
internal sealed partial class Automaton
{
    /// <summary>No text leads on.</summary>
    internal const int Dead = 0;

    /// <summary>More items than this in one state are more ways than a grammar that anybody means has.</summary>
    internal const int MostItems = 2048;

    /// <summary>Instead of a count of turns: enough for any text that is looked at; more turns may come, and the loop may be left.</summary>
    private const int Plenty = -1;

    /// <summary>The same before the minimum is reached: the loop may not be left.</summary>
    private const int TooFew = -2;

    private const int Unknown = -1;
    private const long FullMemory = 16 << 20, MostMemory = 128 << 20;

    private readonly Grammar _grammar;
    private readonly int _classes;
    private readonly ItemSets _sets = new();
    private readonly Dictionary<(int Set, int Partial), int> _numbers = [];
    private readonly List<(int Set, Utf8Part Partial)> _states = [];
    private int[] _next = []; // by state, then byte class
    private long _full = FullMemory;

    internal Automaton(Grammar grammar)
    {
        _grammar = grammar;
        _classes = grammar.ClassCount;
        _callers = new List<Item>[grammar.Rules.Length];
        int bottom = _sets.Intern([new(Grammar.EndNode, 0, 0)]); // set 0: the frame of the root rule
        State(_sets.Intern([]), default); // Dead
        Begin();
        Push(new(grammar.Rules[grammar.Root].Start, 0, bottom), mayReturn: true);
        Start = Close();
    }

    internal Grammar Grammar => _grammar;

    /// <summary>Before the first byte.</summary>
    internal int Start { get; }

    internal int StateCount => _states.Count;

    internal ItemSets Sets => _sets;

    /// <summary>Time to go on with a new automaton (<see cref="Import"/>).</summary>
    internal bool IsFull => Memory > _full;

    /// <summary>Items that may still be looked at while new states are made; whoever uses the automaton sets it before each use.</summary>
    internal long Budget { get; set; } = 20_000_000;

    private long Memory => ((long)_states.Count * ((_classes * sizeof(int)) + 64)) + (_sets.ItemCount * 24L);

    /// <summary>What may come next. Valid until another state is made.</summary>
    internal ReadOnlySpan<Item> ItemsOf(int state) => _sets[_states[state].Set];

    /// <summary>Whether the text may end here.</summary>
    internal bool CanStop(int state)
    {
        ReadOnlySpan<Item> items = _sets[_states[state].Set];
        return !items.IsEmpty && items[0].Node == Grammar.EndNode;
    }

    /// <summary>Whether a scalar has begun and not ended.</summary>
    internal bool IsInsideScalar(int state) => _states[state].Partial.IsBegun;

    /// <summary>The bytes of the scalar that has begun.</summary>
    internal Utf8Part PartOf(int state) => _states[state].Partial;

    /// <summary>Whether the text may end here and cannot go on.</summary>
    internal bool IsOver(int state) => _sets[_states[state].Set] is [{ Node: Grammar.EndNode }];

    /// <summary>The state after one more byte.</summary>
    internal int Step(int state, byte value) => StepClass(state, _grammar.ByteClasses[value]);

    /// <summary>The state after a byte of this class.</summary>
    /// <exception cref="GrammarException">So many ways lead on that the limits are passed.</exception>
    internal int StepClass(int state, int byteClass)
    {
        int next = _next[(state * _classes) + byteClass];
        return next != Unknown ? next : Make(state, byteClass);
    }

    /// <summary>The state after one more scalar; the state is not inside one.</summary>
    internal int Advance(int state, int scalar)
    {
        _kernel.Clear();
        foreach (Item item in _sets[_states[state].Set])
        {
            int target = TargetOf(_grammar.Nodes[item.Node], scalar);
            if (target >= 0)
                _kernel.Add(new(target, 0, item.Frame));
        }

        if (_kernel.Count == 0)
            return Dead;
        Begin();
        foreach (Item item in CollectionsMarshal.AsSpan(_kernel))
            Push(item, mayReturn: true);
        return Close();
    }

    /// <summary>Scalars at which what a state does changes: between two of them it does one thing. From 0 to beyond the last scalar.</summary>
    internal void Borders(int state, List<int> borders)
    {
        borders.Clear();
        borders.Add(0);
        borders.Add(CodePointSet.Most + 1);
        foreach (Item item in _sets[_states[state].Set])
        {
            Node node = _grammar.Nodes[item.Node];
            if (node.Kind != NodeKind.Chars)
                continue;
            for (int i = node.A; i < node.B; i++)
            {
                borders.Add(_grammar.Edges[i].First);
                borders.Add(_grammar.Edges[i].Last + 1);
            }
        }

        borders.Sort();
        int n = 0;
        for (int i = 0; i < borders.Count; i++)
        {
            if (n == 0 || borders[i] != borders[n - 1])
                borders[n++] = borders[i];
        }

        borders.RemoveRange(n, borders.Count - n);
    }

    /// <summary>The number here of another automaton's state; both run the same grammar.</summary>
    internal int Import(Automaton other, int state)
    {
        // Frames name only frames with lower numbers: translate those that are reached, in rising order.
        SortedSet<int> reached = [];
        Stack<int> stack = new([other._states[state].Set]);
        while (stack.TryPop(out int set))
        {
            if (!reached.Add(set))
                continue;
            foreach (Item item in other._sets[set])
            {
                if (item.Node != Grammar.EndNode)
                    stack.Push(item.Frame);
            }
        }

        Dictionary<int, int> numbers = new() { [0] = 0 };
        List<Item> items = [];
        foreach (int set in reached)
        {
            items.Clear();
            foreach (Item item in other._sets[set])
                items.Add(item with { Frame = numbers[item.Frame] });
            items.Sort(Item.Order);
            numbers[set] = _sets.Intern(CollectionsMarshal.AsSpan(items));
        }

        // One deep stack must not fill this automaton, too, or every step would begin with an import.
        _full = Math.Clamp(2 * Memory, _full, MostMemory / 4 * 3);
        return State(numbers[other._states[state].Set], other._states[state].Partial);
    }

    /// <summary>
    /// The state without its counts: the loops that its items are directly in turn as often as they like. For a text in which no more than
    /// <paramref name="slack"/> scalars begin both do the same.
    /// </summary>
    internal int Relax(int state, out int slack)
    {
        slack = int.MaxValue;
        (int set, Utf8Part partial) = _states[state];
        Begin();
        bool changed = false;
        for (int i = 0; i < _sets[set].Length; i++)
        {
            Item item = _sets[set][i];
            int frame = RelaxFrame(item.Frame, ref slack);
            changed |= frame != item.Frame;
            _core.Add(item with { Frame = frame });
        }

        if (!changed)
            return state;
        _core.Sort(Item.Order);
        Thin(_core);
        return State(_sets.Intern(CollectionsMarshal.AsSpan(_core)), partial);
    }

    private int RelaxFrame(int frame, ref int slack)
    {
        _kernel.Clear();
        bool changed = false;
        foreach (Item item in _sets[frame])
        {
            Node node = _grammar.Nodes[item.Node];
            Item relaxed = item;
            if (node.Kind == NodeKind.Loop && item.Count >= 0 && _grammar.Loops[node.A] is var loop && (loop.Max != int.MaxValue || item.Count < loop.Min))
            {
                bool enough = item.Count >= loop.Min;
                slack = Math.Min(slack, (enough ? loop.Max : loop.Min) - item.Count);
                relaxed = item with { Count = enough ? Plenty : TooFew };
                changed = true;
            }

            _kernel.Add(relaxed);
        }

        if (!changed)
            return frame;
        _kernel.Sort(Item.Order);
        Thin(_kernel);
        return _sets.Intern(CollectionsMarshal.AsSpan(_kernel));
    }

    /// <summary>The one scalar that must come next, or -1 if there are several or the text may end.</summary>
    internal int ForcedScalar(int state)
    {
        (int set, Utf8Part partial) = _states[state];
        (int first, int last) = partial.IsBegun ? (partial.First, partial.Last) : (0, CodePointSet.Most);
        int forced = -1;
        foreach (Item item in _sets[set])
        {
            Node node = _grammar.Nodes[item.Node];
            if (node.Kind != NodeKind.Chars)
                return -1;
            for (int i = node.A; i < node.B; i++)
            {
                Edge edge = _grammar.Edges[i];
                (int low, int high) = (Math.Max(edge.First, first), Math.Min(edge.Last, last));
                if (low > high)
                    continue;
                if (low != high || (forced >= 0 && forced != low))
                    return -1;
                forced = low;
            }
        }

        return forced;
    }

    private int Make(int state, int byteClass)
    {
        (int set, Utf8Part partial) = _states[state];
        int made = Dead;
        if (partial.TryAdd(_grammar.ClassBytes[byteClass], out Utf8Part next))
        {
            if (!next.IsBegun)
            {
                made = Advance(state, next.First);
            }
            else
            {
                // Inside a scalar: whoever can take one that begins like this stays.
                Begin();
                foreach (Item item in _sets[set])
                {
                    if (Takes(_grammar.Nodes[item.Node], next.First, next.Last))
                        _core.Add(item);
                }

                made = _core.Count == 0 ? Dead : State(_sets.Intern(CollectionsMarshal.AsSpan(_core)), next);
            }
        }

        _next[(state * _classes) + byteClass] = made;
        return made;
    }

    private int State(int set, Utf8Part partial)
    {
        ref int number = ref CollectionsMarshal.GetValueRefOrAddDefault(_numbers, (set, partial.Packed), out bool exists);
        if (!exists)
        {
            if (Memory > MostMemory)
                throw TooAmbiguous();
            number = _states.Count;
            _states.Add((set, partial));
            int needed = _states.Count * _classes;
            if (needed > _next.Length)
            {
                int before = _next.Length;
                Array.Resize(ref _next, Math.Max(needed, before * 2));
                _next.AsSpan(before).Fill(Unknown);
            }

            if (number == Dead)
                _next.AsSpan(0, _classes).Fill(Dead);
        }

        return number;
    }

    private int TargetOf(Node node, int scalar)
    {
        if (node.Kind != NodeKind.Chars)
            return -1;
        Edge edge = FirstEndingAtOrAfter(node, scalar);
        return edge.First <= scalar ? edge.Target : -1;
    }

    private bool Takes(Node node, int first, int last) => node.Kind == NodeKind.Chars && FirstEndingAtOrAfter(node, first).First <= last;

    private Edge FirstEndingAtOrAfter(Node node, int scalar)
    {
        int low = node.A, high = node.B;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_grammar.Edges[middle].Last < scalar)
                low = middle + 1;
            else
                high = middle;
        }

        return low < node.B ? _grammar.Edges[low] : new(int.MaxValue, int.MaxValue, -1);
    }

    private static GrammarException TooAmbiguous() =>
        new($"The grammar is too ambiguous: more than {MostItems} ways to go on are open at one place of a text.");
}
