// Tokens back to text in one go; Detokenizer does it token by token.
using System.Text;

namespace NativeGen.Tokenization;

public sealed partial class Tokenizer
{
    /// <summary>The text of tokens. Bytes that are no UTF-8 become U+FFFD.</summary>
    /// <param name="ids">Tokens of this vocabulary.</param>
    /// <param name="skipSpecial">Leaves out BOS, EOS and other control tokens; otherwise their names are shown.</param>
    /// <exception cref="ArgumentOutOfRangeException">A token is not in the vocabulary.</exception>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecial = true) =>
        Encoding.UTF8.GetString(DecodeBytes(ids, removeSpecial: skipSpecial, showSpecial: !skipSpecial));

    /// <summary>The text of tokens as bytes.</summary>
    /// <param name="ids">Tokens of this vocabulary.</param>
    /// <param name="removeSpecial">Drops a leading BOS and a trailing EOS that <see cref="Encode(string, bool, bool)"/> would have added.</param>
    /// <param name="showSpecial">Writes control tokens by name instead of leaving them out.</param>
    public byte[] DecodeBytes(ReadOnlySpan<int> ids, bool removeSpecial, bool showSpecial)
    {
        bool stripSpace = _addSpacePrefix;
        if (removeSpecial && AddsBos && ids.Length > 0 && ids[0] == _vocabulary.Special.Bos)
        {
            stripSpace = false;
            ids = ids[1..];
        }

        if (removeSpecial && AddsEos && ids.Length > 0 && ids[^1] == _vocabulary.Special.Eos)
            ids = ids[..^1];
        var text = new List<byte>(ids.Length * 4);
        foreach (int id in ids)
        {
            ReadOnlySpan<byte> piece = showSpecial || !IsSpecial(id) ? Piece(id) : [];
            if (stripSpace && !piece.IsEmpty && piece[0] == (byte)' ')
                piece = piece[1..];
            stripSpace = false;
            text.AddRange(piece);
        }

        byte[] bytes = [.. text];
        return _cleanSpaces ? bytes[..CleanSpaces(bytes)] : bytes;
    }

    // Vocabularies of English from before GPT-2's alphabet put spaces around punctuation and apostrophes; older models are decoded without
    // them, as Hugging Face's clean_up_tokenization_spaces does. In place; returns the new length.
    private static int CleanSpaces(Span<byte> text)
    {
        int n = Pass(text, static (t, i) => t[i] is (byte)'?' or (byte)'!' or (byte)'.' or (byte)',' ? Cut.Before : Cut.None);
        n = Pass(text[..n], static (t, i) => t[i] == (byte)'\'' && i + 1 < t.Length && t[i + 1] == (byte)' ' ? Cut.Both : Cut.None);
        return Pass(text[..n], static (t, i) =>
        {
            if (t[i] != (byte)'\'' || i + 1 >= t.Length)
                return Cut.None;
            byte next = t[i + 1];
            bool two = next is (byte)'r' or (byte)'v' && i + 2 < t.Length && t[i + 2] == (byte)'e';
            return next is (byte)'s' or (byte)'m' || two ? Cut.Before : Cut.None;
        });
    }

    private enum Cut
    {
        None,
        Before, // the space before
        Both,   // and the one behind
    }

    // Asks about every character with a space before it.
    private static int Pass(Span<byte> text, Func<ReadOnlySpan<byte>, int, Cut> ask)
    {
        int n = Math.Min(text.Length, 1);
        for (int i = 1; i < text.Length; i++)
        {
            byte c = text[i];
            Cut cut = text[i - 1] == (byte)' ' ? ask(text, i) : Cut.None;
            if (cut != Cut.None)
                n--;
            if (cut == Cut.Both)
                text[++i] = 0;
            text[n++] = c;
        }

        return n;
    }
}
