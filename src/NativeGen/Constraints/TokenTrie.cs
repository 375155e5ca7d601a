// The vocabulary's texts by their bytes, laid out for one pass from front to back: which tokens does an automaton let through?
using System.Buffers.Binary;
using NativeGen.Tokenization;

namespace NativeGen.Constraints;

/// <summary>
/// A trie in preorder: a node's children follow it, and its subtree is a stretch of nodes and of tokens. Built once per vocabulary in near linear
/// time, then only read (thread safe): about 26 bytes per node.
/// </summary>
internal sealed class TokenTrie
{
    /// <summary>The group of <see cref="Signatures"/> for all bytes from 0x80 on.</summary>
    internal const int NonAsciiGroup = 62;

    /// <summary>Set in a signature if the bytes below the node are no UTF-8.</summary>
    internal const ulong Malformed = 1ul << 63;

    private readonly List<byte> _bytes = [0];
    private readonly List<int> _parents = [-1];

    private TokenTrie(int[] ids, Func<int, ReadOnlyMemory<byte>> piece)
    {
        Tokens = ids;
        List<int> firstTokens = [0];
        List<ushort> depths = [0];
        List<int> path = [0]; // nodes from the root to the last token's
        ReadOnlySpan<byte> before = [];
        for (int i = 0; i < ids.Length; i++)
        {
            ReadOnlySpan<byte> text = piece(ids[i]).Span;
            int common = before.CommonPrefixLength(text);
            path.RemoveRange(common + 1, path.Count - common - 1);
            for (int at = common; at < text.Length; at++)
            {
                _bytes.Add(text[at]);
                _parents.Add(path[^1]);
                firstTokens.Add(i);
                depths.Add((ushort)(at + 1));
                path.Add(_bytes.Count - 1);
            }

            before = text;
        }

        firstTokens.Add(ids.Length);
        Bytes = [.. _bytes];
        Depths = [.. depths];
        FirstTokens = [.. firstTokens];
        int count = Bytes.Length;
        Ends = new int[count];
        Signatures = new ulong[count];
        MostScalars = new byte[count];
        Summarize();
        Deepest = Depths.Max();
        _bytes.Clear();
        _parents.Clear();
    }

    /// <summary>By node: the byte that leads to it; node 0 is the root and has none.</summary>
    internal byte[] Bytes { get; }

    /// <summary>By node: bytes from the root.</summary>
    internal ushort[] Depths { get; }

    /// <summary>By node: the node behind its subtree.</summary>
    internal int[] Ends { get; }

    /// <summary>By node: index in <see cref="Tokens"/> of the first token at or below it; the node's own tokens end where the next node's begin.</summary>
    internal int[] FirstTokens { get; }

    /// <summary>By node: which groups of bytes occur below it, a bit per <see cref="GroupOf"/>.</summary>
    internal ulong[] Signatures { get; }

    /// <summary>By node: the most scalars that begin below it on one way down, at most 255.</summary>
    internal byte[] MostScalars { get; }

    /// <summary>Token ids in the order of their bytes.</summary>
    internal int[] Tokens { get; }

    internal int NodeCount => Bytes.Length;

    /// <summary>Bytes of the longest token.</summary>
    internal int Deepest { get; }

    /// <summary>The tokens of a vocabulary that are text: no control or unknown tokens, none without bytes, with NUL or longer than 65,535 bytes.</summary>
    /// <param name="tokenizer">The vocabulary.</param>
    /// <param name="leastScalars">Only tokens in which at least so many scalars begin.</param>
    internal static TokenTrie Create(Tokenizer tokenizer, int leastScalars = 0)
    {
        List<int> ids = [];
        List<byte> bytes = [];
        int[] starts = new int[tokenizer.VocabularySize + 1];
        for (int id = 0; id < tokenizer.VocabularySize; id++)
        {
            ReadOnlySpan<byte> piece = tokenizer.Piece(id);
            starts[id] = bytes.Count;
            if (piece.IsEmpty || piece[0] == 0 || piece.Length > ushort.MaxValue || tokenizer.IsSpecial(id) || tokenizer.IsEndOfGeneration(id) || ScalarsIn(piece) < leastScalars)
                continue;
            ids.Add(id);
            bytes.AddRange(piece);
        }

        starts[^1] = bytes.Count;
        byte[] all = [.. bytes];
        int[] sorted = [.. ids];
        Sort(sorted, Piece);
        return new(sorted, Piece);

        ReadOnlyMemory<byte> Piece(int id) => all.AsMemory(starts[id]..starts[id + 1]);
    }

    /// <summary>Bytes below 0x80 fall into 62 groups that grammars rarely tear apart.</summary>
    internal static int GroupOf(byte value) => value switch
    {
        >= 0x80 => NonAsciiGroup,
        (byte)'0' => 0,
        >= (byte)'1' and <= (byte)'9' => 1,
        >= (byte)'a' and <= (byte)'f' => 2,
        >= (byte)'g' and <= (byte)'z' => 3,
        >= (byte)'A' and <= (byte)'F' => 4,
        >= (byte)'G' and <= (byte)'Z' => 5,
        (byte)'\t' => 6,
        (byte)'\n' => 7,
        (byte)'\r' => 8,
        < 0x20 => 9,
        0x7F => 10,
        <= (byte)'/' => 11 + (value - ' '),  // 16
        <= (byte)'@' => 27 + (value - ':'),  // 7
        <= (byte)'`' => 34 + (value - '['),  // 6
        _ => 40 + (value - '{'),             // 4
    };

    /// <summary>The longest token that the bytes begin with, or -1; <paramref name="open"/>: with more bytes behind them it might be a longer one.</summary>
    internal int Longest(ReadOnlySpan<byte> bytes, out int length, out bool open)
    {
        int token = -1, node = 0;
        length = 0;
        for (int depth = 1; depth <= bytes.Length; depth++)
        {
            int child = Child(node, bytes[depth - 1]);
            if (child < 0)
            {
                open = false;
                return token;
            }

            node = child;
            if (HasTokens(node))
                (token, length) = (Tokens[FirstTokens[node]], depth);
        }

        open = Ends[node] > node + 1 || bytes.IsEmpty;
        return token;
    }

    /// <summary>The node that a byte leads to, or -1.</summary>
    internal int Child(int node, byte value)
    {
        int child = node + 1, end = Ends[node];
        while (child < end && Bytes[child] != value)
            child = Ends[child];
        return child < end ? child : -1;
    }

    /// <summary>Whether a token ends at a node.</summary>
    internal bool HasTokens(int node) => FirstTokens[node + 1] > FirstTokens[node];

    private static int ScalarsIn(ReadOnlySpan<byte> text)
    {
        int count = 0;
        foreach (byte b in text)
            count += (b & 0xC0) != 0x80 ? 1 : 0;
        return count;
    }

    // By the first eight bytes as one number; the few that share these are compared in full.
    private static void Sort(int[] ids, Func<int, ReadOnlyMemory<byte>> piece)
    {
        ulong[] keys = new ulong[ids.Length];
        Span<byte> start = stackalloc byte[8];
        for (int i = 0; i < ids.Length; i++)
        {
            ReadOnlySpan<byte> text = piece(ids[i]).Span;
            start.Clear();
            text[..Math.Min(8, text.Length)].CopyTo(start);
            keys[i] = BinaryPrimitives.ReadUInt64BigEndian(start);
        }

        Array.Sort(keys, ids);
        for (int from = 0; from < ids.Length;)
        {
            int to = from + 1;
            while (to < ids.Length && keys[to] == keys[from])
                to++;
            if (to - from > 1)
            {
                ids.AsSpan(from, to - from).Sort((a, b) =>
                {
                    int order = piece(a).Span.SequenceCompareTo(piece(b).Span);
                    return order != 0 ? order : a.CompareTo(b);
                });
            }

            from = to;
        }
    }

    // From the last node to the first: children stand behind their parents.
    private void Summarize()
    {
        int count = Bytes.Length;
        byte[] wellFormed = new byte[count]; // bit per state of a decoder: what is below is UTF-8 if it is met in this state
        wellFormed.AsSpan().Fill(0xFF);
        for (int node = count - 1; node > 0; node--)
        {
            if (Ends[node] == 0)
                Ends[node] = node + 1;
            int parent = _parents[node];
            byte value = Bytes[node];
            Ends[parent] = Math.Max(Ends[parent], Ends[node]);
            Signatures[parent] |= 1ul << GroupOf(value) | (Signatures[node] & ~Malformed);
            MostScalars[parent] = Math.Max(MostScalars[parent], (byte)Math.Min(255, MostScalars[node] + ((value & 0xC0) != 0x80 ? 1 : 0)));
            for (int state = 0; state < 8; state++)
            {
                int next = Decode(state, value);
                if (next < 0 || (wellFormed[node] >> next & 1) == 0)
                    wellFormed[parent] &= (byte)~(1 << state);
            }
        }

        Ends[0] = count;
        for (int node = 0; node < count; node++)
        {
            if ((wellFormed[node] & 1) == 0)
                Signatures[node] |= Malformed;
        }
    }

    // A decoder of UTF-8: 0 between scalars, 1 to 3 so many bytes are missing, 4 to 7 the first byte was E0, ED, F0, F4; -1 is an error.
    private static int Decode(int state, byte value)
    {
        bool continues = (value & 0xC0) == 0x80;
        return state switch
        {
            0 => value switch
            {
                < 0x80 => 0,
                < 0xC2 => -1,
                < 0xE0 => 1,
                0xE0 => 4,
                0xED => 5,
                < 0xF0 => 2,
                0xF0 => 6,
                < 0xF4 => 3,
                0xF4 => 7,
                _ => -1,
            },
            <= 3 => continues ? state - 1 : -1,
            4 => continues && value >= 0xA0 ? 1 : -1,
            5 => continues && value < 0xA0 ? 1 : -1,
            6 => continues && value >= 0x90 ? 2 : -1,
            _ => continues && value < 0x90 ? 2 : -1,
        };
    }
}
