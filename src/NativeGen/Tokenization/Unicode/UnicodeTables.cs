// What the tokenizers ask of Unicode: the class of a code point, its simple lower case, its base letter; and UTF-8 decoding that never
// fails. Tables of our own (Unicode 15.1, see generate.py), since those of .NET and ICU change with the machine.
using System.Runtime.CompilerServices;

namespace NativeGen.Tokenization.Unicode;

/// <summary>A set of general categories by their first letter; white space is a class of its own and belongs to no other.</summary>
[Flags]
internal enum CharClass : byte
{
    None = 0,
    Unassigned = 1 << 0,
    Number = 1 << 1,
    Letter = 1 << 2,
    Space = 1 << 3,
    Mark = 1 << 4,
    Punctuation = 1 << 5,
    Symbol = 1 << 6,
    Control = 1 << 7,
    All = 0xFF,
}

internal static class UnicodeTables
{
    private const int BlockBits = 8;
    private static readonly byte[] _ascii = new byte[128];
    private static readonly byte[] _blockOf = new byte[0x110000 >> BlockBits]; // code point >> 8 -> block
    private static readonly byte[] _blocks;                                    // block, code point & 255 -> CharClass
    private static readonly MappingTable _lower = new(UnicodeData.LowerRuns);
    private static readonly MappingTable _base = new(UnicodeData.BaseRuns);

    static UnicodeTables()
    {
        var blocks = new List<byte[]>();
        var uniform = new Dictionary<byte, byte>(); // class -> index of the block that holds nothing else
        var reader = new VarintReader(UnicodeData.ClassRuns);
        uint run = reader.Next();
        int left = (int)(run >> 3);
        for (int b = 0; b < _blockOf.Length; b++)
        {
            var block = new byte[1 << BlockBits];
            byte first = (byte)(1 << (int)(run & 7));
            bool isUniform = left >= block.Length;
            for (int i = 0; i < block.Length; i++)
            {
                block[i] = (byte)(1 << (int)(run & 7));
                if (--left == 0 && !reader.AtEnd)
                {
                    run = reader.Next();
                    left = (int)(run >> 3);
                }
            }

            if (!isUniform || !uniform.TryGetValue(first, out byte index))
            {
                index = (byte)blocks.Count;
                blocks.Add(block);
                if (isUniform)
                    uniform.Add(first, index);
            }

            _blockOf[b] = index;
        }

        if (blocks.Count > 256)
            throw new InvalidOperationException("More Unicode blocks than a byte can number.");
        _blocks = new byte[blocks.Count << BlockBits];
        for (int i = 0; i < blocks.Count; i++)
            blocks[i].CopyTo(_blocks, i << BlockBits);
        _blocks.AsSpan(0, _ascii.Length).CopyTo(_ascii);
    }

    /// <summary>Exactly one class.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static CharClass ClassOf(int codePoint) =>
        (CharClass)_blocks[(_blockOf[codePoint >> BlockBits] << BlockBits) | (codePoint & 0xFF)];

    /// <summary>Class of the character that starts at <paramref name="at"/>, and its length in bytes; None and 0 at the end. <paramref name="text"/> is UTF-8.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static CharClass ClassAt(ReadOnlySpan<byte> text, int at, out int length)
    {
        if ((uint)at < (uint)text.Length)
        {
            byte first = text[at];
            if (first < 0x80)
            {
                length = 1;
                return (CharClass)_ascii[first];
            }

            return ClassOf(Decode(text, at, out length));
        }

        length = 0;
        return CharClass.None;
    }

    internal static int ToLower(int codePoint)
    {
        if (codePoint < 0x80)
            return (uint)(codePoint - 'A') <= 'Z' - 'A' ? codePoint | 0x20 : codePoint;
        return _lower.Map(codePoint);
    }

    /// <summary>The first code point of the full canonical decomposition: é becomes e, a Hangul syllable its leading consonant.</summary>
    internal static int BaseOf(int codePoint)
    {
        const int hangulFirst = 0xAC00, hangulCount = 11172, syllablesPerLead = 588, leadFirst = 0x1100;
        if (codePoint < 0xC0)
            return codePoint;
        if ((uint)(codePoint - hangulFirst) < hangulCount)
            return leadFirst + (codePoint - hangulFirst) / syllablesPerLead;
        return _base.Map(codePoint);
    }

    /// <summary>
    /// The code point at <paramref name="at"/>. As the reference tokenizers do, it takes overlong forms and surrogates for what they spell; any other
    /// damaged byte is U+FFFD by itself.
    /// </summary>
    internal static int Decode(ReadOnlySpan<byte> text, int at, out int length)
    {
        int first = text[at];
        int rest = text.Length - at;
        if (first < 0x80)
        {
            length = 1;
            return first;
        }

        if (first is >= 0xC0 and < 0xE0 && rest > 1 && IsTail(text[at + 1]))
        {
            length = 2;
            return (first & 0x1F) << 6 | (text[at + 1] & 0x3F);
        }

        if (first is >= 0xE0 and < 0xF0 && rest > 2 && IsTail(text[at + 1]) && IsTail(text[at + 2]))
        {
            length = 3;
            return (first & 0x0F) << 12 | (text[at + 1] & 0x3F) << 6 | (text[at + 2] & 0x3F);
        }

        if (first is >= 0xF0 and < 0xF8 && rest > 3 && IsTail(text[at + 1]) && IsTail(text[at + 2]) && IsTail(text[at + 3]))
        {
            int code = (first & 0x07) << 18 | (text[at + 1] & 0x3F) << 12 | (text[at + 2] & 0x3F) << 6 | (text[at + 3] & 0x3F);
            if (code <= 0x10FFFF)
            {
                length = 4;
                return code;
            }
        }

        length = 1;
        return 0xFFFD;
    }

    private static bool IsTail(byte b) => (b & 0xC0) == 0x80;

    /// <summary>Bytes that a first byte announces, damaged text or not: how SentencePiece cuts text into characters.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static int AnnouncedLength(byte first) => first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;

    /// <summary>Writes a code point, surrogates included, in at most 4 bytes; returns how many.</summary>
    internal static int Encode(int codePoint, Span<byte> destination)
    {
        if (codePoint < 0x80)
        {
            destination[0] = (byte)codePoint;
            return 1;
        }

        if (codePoint < 0x800)
        {
            destination[0] = (byte)(0xC0 | codePoint >> 6);
            destination[1] = (byte)(0x80 | codePoint & 0x3F);
            return 2;
        }

        if (codePoint < 0x10000)
        {
            destination[0] = (byte)(0xE0 | codePoint >> 12);
            destination[1] = (byte)(0x80 | codePoint >> 6 & 0x3F);
            destination[2] = (byte)(0x80 | codePoint & 0x3F);
            return 3;
        }

        destination[0] = (byte)(0xF0 | codePoint >> 18);
        destination[1] = (byte)(0x80 | codePoint >> 12 & 0x3F);
        destination[2] = (byte)(0x80 | codePoint >> 6 & 0x3F);
        destination[3] = (byte)(0x80 | codePoint & 0x3F);
        return 4;
    }

    private ref struct VarintReader(ReadOnlySpan<byte> data)
    {
        private readonly ReadOnlySpan<byte> _data = data;
        private int _at;

        internal readonly bool AtEnd => _at == _data.Length;

        internal uint Next()
        {
            uint value = 0;
            for (int shift = 0; ; shift += 7)
            {
                byte b = _data[_at++];
                value |= (uint)(b & 0x7F) << shift;
                if (b < 0x80)
                    return value;
            }
        }
    }

    /// <summary>Runs of code points that share a distance to their image, searched by halves.</summary>
    private sealed class MappingTable
    {
        private readonly List<int> _start = [];
        private readonly List<(int End, int Stride, int Distance)> _run = []; // End is exclusive

        internal MappingTable(ReadOnlySpan<byte> data)
        {
            var reader = new VarintReader(data);
            int code = 0;
            while (!reader.AtEnd)
            {
                code += (int)reader.Next();
                uint shape = reader.Next(), zigzag = reader.Next();
                int stride = (int)(shape & 1) + 1;
                int end = code + ((int)(shape >> 1) - 1) * stride + 1;
                _start.Add(code);
                _run.Add((end, stride, (int)(zigzag >> 1) ^ -(int)(zigzag & 1)));
                code = end;
            }
        }

        internal int Map(int codePoint)
        {
            int i = _start.BinarySearch(codePoint);
            if (i < 0)
                i = ~i - 1;
            if (i < 0)
                return codePoint;
            (int end, int stride, int distance) = _run[i];
            return codePoint < end && (codePoint - _start[i]) % stride == 0 ? codePoint + distance : codePoint;
        }
    }
}
