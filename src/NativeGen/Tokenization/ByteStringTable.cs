// Byte string -> number: an open-addressing table over one block of bytes, built once and then only read. Lookups take a hash, one slot
// and one comparison; there is no object per entry.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace NativeGen.Tokenization;

internal sealed class ByteStringTable
{
    // Random per process, so that no file or text can be made to collide on purpose. Results do not depend on it.
    private static readonly ulong _seed = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))) | 1;

    private ulong[] _slots; // hash's upper half << 32 | entry + 1; 0 is free. At most half are taken.
    private int[] _starts;  // entry -> its bytes in _bytes: [_starts[e], _starts[e] + _lengths[e])
    private int[] _lengths;
    private byte[] _bytes;
    private int _byteCount;
    private int _longest;   // bytes of the longest entry

    internal ByteStringTable(int entries, int bytes)
    {
        _slots = new ulong[Capacity(entries)];
        _starts = new int[Math.Max(entries, 4)];
        _lengths = new int[_starts.Length];
        _bytes = new byte[Math.Max(bytes, 16)];
    }

    /// <summary>Entries so far; they are numbered in the order of adding.</summary>
    internal int Count { get; private set; }

    internal ReadOnlySpan<byte> this[int entry] => _bytes.AsSpan(_starts[entry], _lengths[entry]);

    /// <summary>The entry of these bytes, or -1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal int Find(ReadOnlySpan<byte> text)
    {
        if (text.Length > _longest)
            return -1;
        ulong hash = Hash(text);
        ulong[] slots = _slots;
        uint mask = (uint)slots.Length - 1;
        for (uint i = (uint)hash & mask; ; i = (i + 1) & mask)
        {
            ulong slot = slots[i];
            if (slot == 0)
                return -1;
            if ((uint)(slot >> 32) == (uint)(hash >> 32) && this[(int)(uint)slot - 1].SequenceEqual(text))
                return (int)(uint)slot - 1;
        }
    }

    /// <summary>Adds bytes under the next number, without looking whether they are there. An entry that is not <paramref name="findable"/> has bytes only.</summary>
    internal int Append(ReadOnlySpan<byte> text, bool findable = true)
    {
        int entry = Count++;
        if (entry == _starts.Length)
        {
            Array.Resize(ref _starts, entry * 2);
            Array.Resize(ref _lengths, entry * 2);
        }

        if (_bytes.Length - _byteCount < text.Length)
            Array.Resize(ref _bytes, checked((int)Math.Min(Math.Max(_bytes.Length * 2L, _byteCount + (long)text.Length), Array.MaxLength)));
        text.CopyTo(_bytes.AsSpan(_byteCount));
        _starts[entry] = _byteCount;
        _lengths[entry] = text.Length;
        _byteCount += text.Length;
        if (findable)
        {
            _longest = Math.Max(_longest, text.Length);
            if (Count * 2L > _slots.Length)
                Grow();
            Insert(_slots, Hash(text), entry);
        }

        return entry;
    }

    /// <summary>The entry of these bytes; a new one if there is none.</summary>
    internal int FindOrAppend(ReadOnlySpan<byte> text)
    {
        int entry = Find(text);
        return entry >= 0 ? entry : Append(text);
    }

    /// <summary>The first <paramref name="count"/> entries as a trie; of equal ones the first.</summary>
    internal ByteTrie ToTrie(int count)
    {
        var trie = new ByteTrie();
        for (int entry = 0; entry < count; entry++)
            trie.Add(this[entry], entry);
        return trie;
    }

    private static void Insert(ulong[] slots, ulong hash, int entry)
    {
        uint mask = (uint)slots.Length - 1;
        uint i = (uint)hash & mask;
        while (slots[i] != 0)
            i = (i + 1) & mask;
        slots[i] = (hash >> 32 << 32) | (uint)(entry + 1);
    }

    private void Grow()
    {
        var slots = new ulong[Capacity(Count)];
        foreach (ulong slot in _slots)
        {
            if (slot != 0)
                Insert(slots, Hash(this[(int)(uint)slot - 1]), (int)(uint)slot - 1);
        }

        _slots = slots;
    }

    private static int Capacity(int entries) => (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Max(entries, 8) * 2);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Hash(ReadOnlySpan<byte> text)
    {
        ref byte p = ref MemoryMarshal.GetReference(text);
        int n = text.Length;
        ulong hash = _seed ^ (ulong)n;
        while (n > 8)
        {
            hash = Mix(hash ^ Unsafe.ReadUnaligned<ulong>(ref p), 0x9E3779B97F4A7C15);
            p = ref Unsafe.Add(ref p, 8);
            n -= 8;
        }

        // 1 to 8 bytes are left (or none): two reads that may overlap
        ulong last = n >= 4 ? Unsafe.ReadUnaligned<uint>(ref p) | (ulong)Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref p, n - 4)) << 32
            : n > 0 ? p | (ulong)Unsafe.Add(ref p, n >> 1) << 8 | (ulong)Unsafe.Add(ref p, n - 1) << 16
            : 0;
        return Mix(hash ^ last, 0xD6E8FEB86659FD93 ^ _seed);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static ulong Mix(ulong a, ulong b)
    {
        ulong high = Math.BigMul(a, b, out ulong low);
        return high ^ low;
    }

    /// <summary>A hash of two numbers under the same seed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static ulong HashPair(ulong pair) => Mix(pair ^ _seed, 0x9E3779B97F4A7C15);
}
