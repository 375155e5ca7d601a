// GPT-2's alphabet: each byte is written as one printable character, so that vocabularies and merges are text. Here it is undone once, when
// a vocabulary is read; everything after works on bytes.
namespace NativeGen.Tokenization;

internal static class ByteAlphabet
{
    // Code point -> byte + 1; 0 where a code point stands for no byte. The alphabet ends below 0x144.
    private static readonly short[] _byteOf = MakeTable();

    private static short[] MakeTable()
    {
        var table = new short[0x144];
        int next = 0x100;
        for (int b = 0; b < 256; b++)
        {
            bool printable = b is (>= 0x21 and <= 0x7E) or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            table[printable ? b : next++] = (short)(b + 1);
        }

        return table;
    }

    /// <summary>The bytes that a text of the alphabet spells; -1 if some character is not of the alphabet. <paramref name="bytes"/> needs the text's length.</summary>
    internal static int Decode(ReadOnlySpan<byte> text, Span<byte> bytes)
    {
        int n = 0;
        for (int at = 0; at < text.Length; at++)
        {
            int code = text[at];
            if (code >= 0x80)
            {
                if (code is < 0xC2 or > 0xC5 || at + 1 >= text.Length || (text[at + 1] & 0xC0) != 0x80)
                    return -1;
                code = (code & 0x1F) << 6 | (text[++at] & 0x3F);
            }

            int value = code < _byteOf.Length ? _byteOf[code] : 0;
            if (value == 0)
                return -1;
            bytes[n++] = (byte)(value - 1);
        }

        return n;
    }
}
