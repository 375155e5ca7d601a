// From a stretch of text without special tokens to tokens: one class per algorithm.
namespace NativeGen.Tokenization;

/// <summary>An algorithm over a vocabulary. Thread safe.</summary>
internal abstract class TextEncoder
{
    /// <summary>Appends the tokens of <paramref name="text"/> (UTF-8, any bytes).</summary>
    /// <param name="text">No special token is looked for in it.</param>
    /// <param name="atStart">It begins the prompt or follows a special token: where a prefix space is due.</param>
    /// <param name="tokens">Where to append.</param>
    internal abstract void Encode(ReadOnlySpan<byte> text, bool atStart, ref TokenWriter tokens);
}
