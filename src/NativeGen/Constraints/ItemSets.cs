// Sets of items, each kept once: equal sets have equal numbers, so comparing whole stacks is comparing two integers.
using System.Runtime.InteropServices;

namespace NativeGen.Constraints;

/// <summary>
/// A place in a grammar: a node, how many turns of a counted loop are done (at Loop nodes), and the frame to return to: the set of items that go on
/// when the node's rule ends.
/// </summary>
internal readonly record struct Item(int Node, int Count, int Frame)
{
    internal static readonly Comparison<Item> Order = Compare;

    private static int Compare(Item a, Item b)
    {
        int order = a.Node.CompareTo(b.Node);
        if (order == 0)
            order = a.Frame.CompareTo(b.Frame);
        return order != 0 ? order : a.Count.CompareTo(b.Count);
    }
}

/// <summary>Grows only. Not thread safe.</summary>
internal sealed class ItemSets
{
    private Item[] _items = new Item[256];
    private int[] _ends = new int[64]; // by set: where it ends in _items; it begins where the one before ends
    private int[] _table = new int[128]; // open addressing: set + 1, at most half full
    private int _count;

    internal int Count => _count;

    internal int ItemCount => _count == 0 ? 0 : _ends[_count - 1];

    internal ReadOnlySpan<Item> this[int set] => _items.AsSpan((set == 0 ? 0 : _ends[set - 1]).._ends[set]);

    /// <summary>The number of a set; sorted, without doubles.</summary>
    internal int Intern(ReadOnlySpan<Item> sorted)
    {
        uint hash = Hash(sorted);
        int slot;
        for (slot = (int)(hash & (uint)(_table.Length - 1)); _table[slot] != 0; slot = (slot + 1) & (_table.Length - 1))
        {
            if (Words(this[_table[slot] - 1]).SequenceEqual(Words(sorted)))
                return _table[slot] - 1;
        }

        int start = ItemCount;
        if (start + sorted.Length > _items.Length)
            Array.Resize(ref _items, Math.Max(_items.Length * 2, start + sorted.Length));
        if (_count == _ends.Length)
            Array.Resize(ref _ends, _count * 2);
        sorted.CopyTo(_items.AsSpan(start));
        _ends[_count++] = start + sorted.Length;
        _table[slot] = _count;
        if (_count * 2 > _table.Length)
            Grow();
        return _count - 1;
    }

    private void Grow()
    {
        _table = new int[_table.Length * 2];
        for (int set = 0; set < _count; set++)
        {
            int slot = (int)(Hash(this[set]) & (uint)(_table.Length - 1));
            while (_table[slot] != 0)
                slot = (slot + 1) & (_table.Length - 1);
            _table[slot] = set + 1;
        }
    }

    private static ReadOnlySpan<int> Words(ReadOnlySpan<Item> items) => MemoryMarshal.Cast<Item, int>(items);

    private static uint Hash(ReadOnlySpan<Item> items)
    {
        ulong hash = (ulong)items.Length * 0x9E3779B97F4A7C15;
        foreach (int word in Words(items))
            hash = (System.Numerics.BitOperations.RotateLeft(hash, 23) ^ (uint)word) * 0x9E3779B97F4A7C15;
        return (uint)(hash >> 32);
    }
}

/// <summary>Which items have been seen since the last clearing, which costs nothing.</summary>
internal sealed class ItemMarks
{
    private Item[] _items = new Item[64];
    private int[] _rounds = new int[64]; // by slot: the round in which it was taken
    private int _round = 1;

    internal int Count { get; private set; }

    internal void Clear()
    {
        Count = 0;
        if (++_round == int.MaxValue)
        {
            Array.Clear(_rounds);
            _round = 1;
        }
    }

    /// <summary>False if it has been seen.</summary>
    internal bool Add(Item item)
    {
        int slot = Slot(item);
        for (; _rounds[slot] == _round; slot = (slot + 1) & (_items.Length - 1))
        {
            if (_items[slot] == item)
                return false;
        }

        (_items[slot], _rounds[slot]) = (item, _round);
        if (++Count * 2 > _items.Length)
            Grow();
        return true;
    }

    private int Slot(Item item)
    {
        ulong hash = ((((ulong)(uint)item.Node << 32) | (uint)item.Frame) ^ ((ulong)(uint)item.Count << 20)) * 0x9E3779B97F4A7C15;
        return (int)(hash >> 40) & (_items.Length - 1);
    }

    private void Grow()
    {
        (Item[] items, int[] rounds) = (_items, _rounds);
        (_items, _rounds) = (new Item[items.Length * 2], new int[items.Length * 2]);
        for (int i = 0; i < items.Length; i++)
        {
            if (rounds[i] != _round)
                continue;
            int slot = Slot(items[i]);
            while (_rounds[slot] == _round)
                slot = (slot + 1) & (_items.Length - 1);
            (_items[slot], _rounds[slot]) = (items[i], _round);
        }
    }
}
