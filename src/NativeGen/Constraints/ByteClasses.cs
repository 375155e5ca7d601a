// Which bytes a grammar cannot tell apart: tables of transitions have one column per class instead of 256.
using System.Text;

namespace NativeGen.Constraints;

internal static class ByteClasses
{
    // Where UTF-8 itself makes a difference: first and last scalar of each length, and around the surrogates.
    private static readonly int[] _borders = [0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, CodePointSet.Most];

    /// <summary>
    /// Among scalars of one length UTF-8 sorts like the bytes do. So two bytes are the same to a range if no byte of its first or last scalar
    /// (cut to that length) is equal to one of them or lies between them.
    /// </summary>
    internal static (byte[] ClassOf, byte[] ByteOf) Of(ReadOnlySpan<Edge> edges)
    {
        Span<ulong> starts = stackalloc ulong[5]; // bit b: a class begins with byte b
        starts.Clear();
        starts[0] = 1;
        foreach (int scalar in _borders)
            Mark(scalar, starts);
        foreach (Edge edge in edges)
        {
            if (!Rune.IsValid(edge.First))
                continue; // a mark that only automata see
            Mark(edge.First, starts);
            Mark(edge.Last, starts);
        }

        // No scalar has these.
        foreach (int b in (ReadOnlySpan<int>)[0x80, 0xC0, 0xC2, 0xF5])
            starts[b >> 6] |= 1ul << b;
        byte[] classOf = new byte[256];
        List<byte> byteOf = [];
        for (int b = 0; b < 256; b++)
        {
            if ((starts[b >> 6] >> b & 1) != 0)
                byteOf.Add((byte)b);
            classOf[b] = (byte)(byteOf.Count - 1);
        }

        return (classOf, [.. byteOf]);
    }

    private static void Mark(int scalar, Span<ulong> starts)
    {
        Span<byte> bytes = stackalloc byte[4];
        int length = new Rune(scalar).EncodeToUtf8(bytes);
        foreach (byte b in bytes[..length])
        {
            starts[b >> 6] |= 1ul << b;
            starts[(b + 1) >> 6] |= 1ul << (b + 1);
        }
    }
}
