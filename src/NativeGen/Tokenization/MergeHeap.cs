// Candidates for merging in long words: 64-bit keys, smallest first.
namespace NativeGen.Tokenization;

/// <summary>A binary heap. A key's upper half is its urgency, the lower one its place, so that equal ones come from left to right.</summary>
internal sealed class MergeHeap
{
    private ulong[] _keys = new ulong[64];
    private int _count;

    internal void Clear() => _count = 0;

    internal void Push(ulong key)
    {
        if (_count == _keys.Length)
            Array.Resize(ref _keys, _count * 2);
        ulong[] keys = _keys;
        int at = _count++;
        while (at > 0)
        {
            int parent = (at - 1) >> 1;
            if (keys[parent] <= key)
                break;
            keys[at] = keys[parent];
            at = parent;
        }

        keys[at] = key;
    }

    internal bool TryPop(out ulong key)
    {
        key = 0;
        if (_count == 0)
            return false;
        ulong[] keys = _keys;
        key = keys[0];
        ulong moved = keys[--_count];
        int at = 0;
        while (true)
        {
            int child = 2 * at + 1;
            if (child >= _count)
                break;
            if (child + 1 < _count && keys[child + 1] < keys[child])
                child++;
            if (keys[child] >= moved)
                break;
            keys[at] = keys[child];
            at = child;
        }

        keys[at] = moved;
        return true;
    }
}
