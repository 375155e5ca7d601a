// Stop sequences for texts that a search follows: none of them has a decoder of its own, so the bytes of its last tokens are looked at.
using System.Text;

namespace NativeGen;

/// <summary>Finds out whether one more token completes a stop sequence. Not thread safe; allocates nothing once its buffer is large enough.</summary>
internal sealed class StopBytes(OutputSettings settings)
{
    private readonly byte[][] _stops = [.. settings.Options.StopSequences!.Select(Encoding.UTF8.GetBytes)];
    private byte[] _tail = new byte[256];

    /// <param name="tokens">The answer so far.</param>
    /// <param name="token">The one that would be next.</param>
    public bool Completes(ReadOnlySpan<int> tokens, int token)
    {
        var longest = 0;
        foreach (var stop in _stops)
        {
            longest = Math.Max(longest, stop.Length);
        }

        // From the back: the new token, and before it as much as a stop sequence that ends in it may reach back to.
        var own = Piece(token);
        var wanted = own.Length + longest - 1;
        if (_tail.Length < wanted)
        {
            _tail = new byte[2 * wanted];
        }

        var start = wanted - own.Length;
        own.CopyTo(_tail.AsSpan(start));
        for (var i = tokens.Length - 1; i >= 0 && start > 0; i--)
        {
            var piece = Piece(tokens[i]);
            piece = piece[Math.Max(0, piece.Length - start)..];
            start -= piece.Length;
            piece.CopyTo(_tail.AsSpan(start));
        }

        var tail = _tail.AsSpan(start, wanted - start);
        foreach (var stop in _stops)
        {
            // What is shorter than the longest may stand before the new token: such a text has ended already, so that this one is not asked about it.
            if (tail.IndexOf(stop) >= 0)
            {
                return true;
            }
        }

        return false;
    }

    private ReadOnlySpan<byte> Piece(int token) =>
        token >= settings.Tokenizer.VocabularySize || (settings.SkipSpecialTokens && settings.Tokenizer.IsSpecial(token)) ? [] : settings.Tokenizer.Piece(token);
}
