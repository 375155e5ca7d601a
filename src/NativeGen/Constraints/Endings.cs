// The shortest way from where a text stands to where it may end, and the fewest tokens that spell it: what an answer that has no room left goes on with.
namespace NativeGen.Constraints;

/// <summary>
/// Of all shortest endings (in bytes) a state has the one whose scalars come first in <see cref="Order"/>. The rest of a state's ending is then the ending of
/// the state it leads to, so that each is found once. Not thread safe.
/// </summary>
internal sealed class Endings(Automaton automaton, TokenTrie trie)
{
    /// <summary>Instead of a number: the text cannot be ended, or an ending is so long that it is not looked for.</summary>
    internal const int None = Grammar.NoEnd;

    private const int MostBytes = 4096;

    private readonly Dictionary<int, Ending> _known = []; // by state
    private readonly List<int> _frames = [];              // by set of items: bytes from one of them to the end of the text
    private readonly Stack<(int State, byte Value, int Next)> _path = new();

    /// <summary>Bytes of the ending.</summary>
    internal int Bytes(int state)
    {
        Utf8Part part = automaton.PartOf(state);
        int least = None;
        foreach (Item item in automaton.ItemsOf(state))
        {
            if (!part.IsBegun)
                least = Math.Min(least, Rest(item));
            else if (Frame(item.Frame) is not None and var beyond)
                least = Math.Min(least, Grammar.Both(Read(item, part, None, out _), beyond));
        }

        return least;
    }

    /// <summary>The fewest tokens that spell the ending; 0: the text may end here.</summary>
    /// <exception cref="GrammarException">The automaton's limits are passed on the way.</exception>
    internal int Tokens(int state)
    {
        if (_known.TryGetValue(state, out Ending known))
            return known.Tokens;
        if (Bytes(state) > MostBytes)
            return None;
        _path.Clear();
        for (int at = state; !_known.ContainsKey(at);)
        {
            int bytes = Bytes(at);
            if (bytes == 0)
            {
                _known.Add(at, new(0, Automaton.Dead, 0));
                break;
            }

            byte value = First(at, bytes);
            int next = automaton.Step(at, value);
            _path.Push((at, value, next));
            at = next;
        }

        while (_path.TryPop(out (int State, byte Value, int Next) step))
        {
            _known[step.State] = new(step.Value, step.Next, None);
            _known[step.State] = new(step.Value, step.Next, Spelled(step.State));
        }

        return _known[state].Tokens;
    }

    /// <summary>Marks the tokens that the ending can begin with if no more than <paramref name="left"/> others follow; after <see cref="Tokens"/>.</summary>
    internal void Mark(int state, int left, Span<ulong> mask)
    {
        for (int node = 0; Follow(ref node, ref state);)
        {
            if (_known[state].Tokens > left)
                continue;
            foreach (int token in trie.Tokens.AsSpan(trie.FirstTokens[node]..trie.FirstTokens[node + 1]))
                mask[token >> 6] |= 1ul << token;
        }
    }

    private int Spelled(int state)
    {
        int fewest = None;
        for (int node = 0; Follow(ref node, ref state);)
        {
            if (trie.HasTokens(node))
                fewest = Math.Min(fewest, Grammar.Both(1, _known[state].Tokens));
        }

        return fewest;
    }

    // One byte down the ending and the trie together.
    private bool Follow(ref int node, ref int state)
    {
        Ending ending = _known[state];
        if (ending.Next == Automaton.Dead)
            return false;
        node = trie.Child(node, ending.Value);
        state = ending.Next;
        return node >= 0;
    }

    // The first byte of the ending, which has so many.
    private byte First(int state, int bytes)
    {
        Utf8Part part = automaton.PartOf(state);
        int best = -1;
        foreach (Item item in automaton.ItemsOf(state))
        {
            if (Frame(item.Frame) is not None and var beyond && Grammar.Both(Read(item, part, bytes - beyond, out int scalar), beyond) == bytes && scalar >= 0
                && (best < 0 || Order(scalar) < Order(best)))
            {
                best = scalar;
            }
        }

        Span<byte> text = stackalloc byte[4];
        int length = new System.Text.Rune(best).EncodeToUtf8(text);
        return text[part.IsBegun ? length - part.Missing : 0];
    }

    /// <summary>
    /// The bytes of the shortest text that an item reads up to the end of its rule, behind what has begun of a scalar; with a text of
    /// <paramref name="exactly"/> so many, the scalar that comes first in <see cref="Order"/>.
    /// </summary>
    private int Read(Item item, Utf8Part part, int exactly, out int scalar)
    {
        Grammar grammar = automaton.Grammar;
        Node node = grammar.Nodes[item.Node];
        (int least, scalar) = (None, -1);
        if (node.Kind != NodeKind.Chars)
            return None;
        for (int i = node.A; i < node.B; i++)
        {
            (int first, int last, int target) = grammar.Edges[i];
            if (part.IsBegun)
                (first, last) = (Math.Max(first, part.First), Math.Min(last, part.Last));
            for (int length = Utf8Part.LengthOf(first); first <= last; first = Utf8Part.LastOf(length++) + 1)
            {
                int bytes = Grammar.Both(part.IsBegun ? part.Missing : length, grammar.Shortest[target]);
                least = Math.Min(least, bytes);
                int one = Foremost(first, Math.Min(last, Utf8Part.LastOf(length)));
                if (bytes == exactly && (scalar < 0 || Order(one) < Order(scalar)))
                    scalar = one;
            }
        }

        return least;
    }

    private int Rest(Item item)
    {
        Grammar grammar = automaton.Grammar;
        Node node = grammar.Nodes[item.Node];
        if (node.Kind == NodeKind.End)
            return 0;
        int own = grammar.Shortest[item.Node];
        if (node.Kind == NodeKind.Loop)
        {
            Loop loop = grammar.Loops[node.A];
            own = Grammar.Both(Grammar.Times(Math.Max(loop.Min - Math.Max(item.Count, 0), 0), grammar.Shortest[grammar.Rules[loop.Body].Start]), grammar.Shortest[node.B]);
        }

        return Grammar.Both(own, Frame(item.Frame));
    }

    // Frames name only frames with lower numbers.
    private int Frame(int set)
    {
        while (_frames.Count <= set)
        {
            int least = None;
            foreach (Item item in automaton.Sets[_frames.Count])
                least = Math.Min(least, Rest(item));
            _frames.Add(least);
        }

        return _frames[set];
    }

    // What can be seen before what cannot; NUL, which no token begins with, last.
    private static int Order(int scalar) => scalar switch { 0 => int.MaxValue, >= ' ' and <= '~' => scalar, _ => scalar + 0x80 };

    private static int Foremost(int first, int last) => first <= ' ' && last >= ' ' ? ' ' : first == 0 && last > 0 ? 1 : first;

    /// <summary>A state's ending: its first byte, the state that leads to (dead: it ends here), and how many tokens it takes.</summary>
    private readonly record struct Ending(byte Value, int Next, int Tokens);
}
