// Byte strings by their beginnings: all entries that a text starts with are found in one walk, which ends where no entry goes on.
using System.Numerics;
using System.Runtime.CompilerServices;

namespace NativeGen.Tokenization;

/// <summary>Built once, then only read (thread safe). Edges lie in one open-addressing table.</summary>
internal sealed class ByteTrie
{
    internal const int Root = 0, None = -1;
    private const int MostNodes = (1 << 24) - 1; // a node and a byte make a key of 32 bits

    private ulong[] _edges = new ulong[64];    // (node << 8 | byte) + 1 in the upper half, child in the lower; 0 is free. At most half are taken.
    private readonly int[] _first = new int[256]; // the root's edges, where most walks end at once
    private int[] _values = new int[64];          // by node
    private int _nodes = 1;

    internal ByteTrie()
    {
        _first.AsSpan().Fill(None);
        _values[Root] = -1;
    }

    /// <summary>Gives a string a number; false if it has one: the first stays.</summary>
    internal bool Add(ReadOnlySpan<byte> text, int value)
    {
        int node = Root;
        foreach (byte b in text)
        {
            int child = Step(node, b);
            if (child == None)
            {
                if (_nodes >= MostNodes)
                    throw Vocabulary.Invalid("tokenizer.ggml.tokens", "has more than 16 million different beginnings");
                child = _nodes++;
                if (child == _values.Length)
                    Array.Resize(ref _values, child * 2);
                _values[child] = -1;
                if (_nodes * 2 > _edges.Length)
                    Grow();
                if (node == Root)
                    _first[b] = child;
                else
                    Insert(_edges, (ulong)Key(node, b) << 32 | (uint)child);
            }

            node = child;
        }

        if (_values[node] >= 0)
            return false;
        _values[node] = value;
        return true;
    }

    /// <summary>The node one byte further, or <see cref="None"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal int Step(int node, byte b)
    {
        if (node == Root)
            return _first[b];
        uint key = Key(node, b);
        ulong[] edges = _edges;
        for (uint i = Slot(key, edges.Length); ; i = (i + 1) & (uint)(edges.Length - 1))
        {
            ulong edge = edges[i];
            if ((uint)(edge >> 32) == key)
                return (int)(uint)edge;
            if (edge == 0)
                return None;
        }
    }

    /// <summary>The number of the string that ends at this node, or -1.</summary>
    internal int Value(int node) => _values[node];

    /// <summary>The number of the longest entry that the text begins with, and its length; -1 and 0 if there is none.</summary>
    internal int Longest(ReadOnlySpan<byte> text, out int length)
    {
        int value = -1;
        length = 0;
        int node = Root;
        for (int i = 0; i < text.Length && (node = Step(node, text[i])) != None; i++)
        {
            if (_values[node] >= 0)
                (value, length) = (_values[node], i + 1);
        }

        return value;
    }

    private static uint Key(int node, byte b) => ((uint)node << 8 | b) + 1;

    private static uint Slot(uint key, int size) => (uint)ByteStringTable.HashPair(key) & (uint)(size - 1);

    private static void Insert(ulong[] edges, ulong edge)
    {
        uint i = Slot((uint)(edge >> 32), edges.Length);
        while (edges[i] != 0)
            i = (i + 1) & (uint)(edges.Length - 1);
        edges[i] = edge;
    }

    private void Grow()
    {
        var larger = new ulong[_edges.Length * 2];
        foreach (ulong edge in _edges)
        {
            if (edge != 0)
                Insert(larger, edge);
        }

        _edges = larger;
    }
}
