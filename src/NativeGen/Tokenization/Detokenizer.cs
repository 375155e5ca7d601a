// Tokens to text as they come. A character's bytes may be spread over several tokens: they wait here until it is whole.
using System.Text;

namespace NativeGen.Tokenization;

/// <summary>
/// Turns a stream of tokens into text deltas of whole Unicode scalars; bytes that can become no character are U+FFFD. The deltas joined are the
/// pieces joined, decoded.
/// </summary>
/// <remarks>Not thread safe: one per stream.</remarks>
public sealed class Detokenizer
{
    private readonly Tokenizer _tokenizer;
    private readonly bool _skipSpecial;
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();
    private char[] _characters = new char[64];

    /// <summary>Begins a stream.</summary>
    /// <param name="tokenizer">The vocabulary.</param>
    /// <param name="skipSpecial">Leaves control tokens out; otherwise their names are shown.</param>
    public Detokenizer(Tokenizer tokenizer, bool skipSpecial = true)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        _tokenizer = tokenizer;
        _skipSpecial = skipSpecial;
    }

    /// <summary>Takes a token; returns the text that is complete now, often empty. Valid until the next call.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such token.</exception>
    public ReadOnlySpan<char> Append(int id)
    {
        ReadOnlySpan<byte> piece = _tokenizer.Piece(id);
        return _skipSpecial && _tokenizer.IsSpecial(id) ? [] : Convert(piece, flush: false);
    }

    /// <summary>Ends the stream: an unfinished character becomes U+FFFD. The object can begin another stream.</summary>
    public ReadOnlySpan<char> Flush() => Convert([], flush: true);

    private ReadOnlySpan<char> Convert(ReadOnlySpan<byte> bytes, bool flush)
    {
        int most = bytes.Length + 4; // each byte is at most one UTF-16 unit; up to three wait in the decoder
        if (_characters.Length < most)
            _characters = new char[most * 2];
        return _characters.AsSpan(0, _decoder.GetChars(bytes, _characters, flush));
    }
}
