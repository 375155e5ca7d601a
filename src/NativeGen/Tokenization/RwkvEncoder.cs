// RWKV's tokenizer: the longest token that fits, byte after byte. Its vocabulary is written with escapes ("\n", "\xE4").
namespace NativeGen.Tokenization;

internal sealed class RwkvEncoder : TextEncoder
{
    private readonly Vocabulary _vocabulary;
    private readonly ByteStringTable _table; // unescaped texts; entry -> _tokens
    private readonly List<int> _tokens = [];

    internal RwkvEncoder(Vocabulary vocabulary)
    {
        _vocabulary = vocabulary;
        _table = new(vocabulary.Count, vocabulary.Count * 8);
        for (int id = 0; id < vocabulary.Count; id++)
        {
            ReadOnlySpan<byte> text = vocabulary.Piece(id);
            if (text.IsEmpty || _table.Find(text) >= 0)
                continue;
            _table.Append(text);
            _tokens.Add(id);
        }
    }

    internal override void Encode(ReadOnlySpan<byte> text, bool atStart, ref TokenWriter tokens)
    {
        for (int at = 0; at < text.Length;)
        {
            int end = Math.Min(text.Length, at + _table.LongestLength), entry = -1;
            while (end > at && (entry = _table.Find(text[at..end])) < 0)
                end--;
            if (entry >= 0)
            {
                tokens.Add(_tokens[entry]);
                at = end;
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
