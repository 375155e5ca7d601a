// RWKV's tokenizer: the longest token that fits, byte after byte. Its vocabulary is written with escapes ("\n", "\xE4").
namespace NativeGen.Tokenization;

internal sealed class RwkvEncoder : TextEncoder
{
    private readonly Vocabulary _vocabulary;
    private readonly ByteTrie _tokens = new(); // by their unescaped texts

    internal RwkvEncoder(Vocabulary vocabulary)
    {
        _vocabulary = vocabulary;
        for (int id = 0; id < vocabulary.Count; id++)
            _tokens.Add(vocabulary.Piece(id), id);
    }

    internal override void Encode(ReadOnlySpan<byte> text, bool atStart, ref TokenWriter tokens)
    {
        for (int at = 0; at < text.Length;)
        {
            int token = _tokens.Longest(text[at..], out int length);
            if (length > 0)
            {
                tokens.Add(token);
                at += length;
            }
            else
            {
                if (_vocabulary.Special.Unknown >= 0)
                    tokens.Add(_vocabulary.Special.Unknown);
                at++;
            }
        }
    }

    /// <summary>Undoes \t \n \r \\ \' \" and \xHH. <paramref name="buffer"/> needs the text's length.</summary>
    internal static ReadOnlySpan<byte> Unescape(ReadOnlySpan<byte> text, Span<byte> buffer)
    {
        int n = 0;
        for (int at = 0; at < text.Length; at++)
        {
            byte c = text[at];
            if (c == (byte)'\\' && at + 1 < text.Length)
            {
                c = text[++at];
                if (c == (byte)'x' && at + 2 < text.Length && Vocabulary.TryReadHex(text.Slice(at + 1, 2), out byte value))
                {
                    c = value;
                    at += 2;
                }
                else
                {
                    c = c switch { (byte)'t' => (byte)'\t', (byte)'n' => (byte)'\n', (byte)'r' => (byte)'\r', _ => c };
                }
            }

            buffer[n++] = c;
        }

        return buffer[..n];
    }
}
