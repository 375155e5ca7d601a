// WordPiece as BERT has it (Devlin et al. 2018, arXiv 1810.04805): letters lose case and accents, words and punctuation are cut apart, and each
// word is spelled by the longest tokens from its left; a word that can not be spelled is unknown.
using System.Buffers;
using NativeGen.Tokenization.Unicode;

namespace NativeGen.Tokenization;

internal sealed class WordPieceEncoder(Vocabulary vocabulary, bool lowercase, bool stripAccents) : TextEncoder
{
    private readonly ByteTrie _tokens = vocabulary.Table.ToTrie(vocabulary.Count);

    internal override void Encode(ReadOnlySpan<byte> text, bool atStart, ref TokenWriter tokens)
    {
        // A word is at most the text, and a character's lower case or base at most one byte longer than itself.
        byte[] rented = ArrayPool<byte>.Shared.Rent(text.Length * 2 + 8);
        Span<byte> word = rented;
        SpaceEscape.Utf8.CopyTo(word); // words carry it in front
        int first = SpaceEscape.Utf8.Length, length = first;
        for (int at = 0; at < text.Length;)
        {
            int code = UnicodeTables.Decode(text, at, out int bytes);
            at += bytes;
            if (stripAccents)
                code = UnicodeTables.BaseOf(code);
            CharClass kind = UnicodeTables.ClassOf(code);
            if (kind == CharClass.Space)
            {
                Flush(word, ref length, first, ref tokens);
                continue;
            }

            if (code is 0 or 0xFFFD || kind == CharClass.Control || (stripAccents && kind == CharClass.Mark))
                continue;
            int written = lowercase ? UnicodeTables.ToLower(code) : code;
            if (kind == CharClass.Punctuation || (code < 0x7F && kind == CharClass.Symbol) || IsChinese(code))
            {
                Flush(word, ref length, first, ref tokens);
                length += UnicodeTables.Encode(written, word[length..]);
                Flush(word, ref length, first, ref tokens);
                continue;
            }

            length += UnicodeTables.Encode(written, word[length..]);
        }

        Flush(word, ref length, first, ref tokens);
        ArrayPool<byte>.Shared.Return(rented);
    }

    private void Flush(ReadOnlySpan<byte> word, ref int length, int first, ref TokenWriter tokens)
    {
        if (length == first)
            return;
        Spell(word[..length], ref tokens);
        length = first;
    }

    private void Spell(ReadOnlySpan<byte> word, ref TokenWriter tokens)
    {
        int before = tokens.Count;
        for (int at = 0; at < word.Length;)
        {
            int token = _tokens.Longest(word[at..], out int length);
            if (token < 0)
            {
                tokens.Cut(before);
                break;
            }

            tokens.Add(token);
            at += length;
        }

        if (tokens.Count == before && vocabulary.Special.Unknown >= 0)
            tokens.Add(vocabulary.Special.Unknown);
    }

    private static bool IsChinese(int code) => code
        is (>= 0x4E00 and <= 0x9FFF) or (>= 0x3400 and <= 0x4DBF) or (>= 0x20000 and <= 0x2A6DF) or (>= 0x2A700 and <= 0x2B73F)
        or (>= 0x2B740 and <= 0x2B81F) or (>= 0x2B920 and <= 0x2CEAF) or (>= 0xF900 and <= 0xFAFF) or (>= 0x2F800 and <= 0x2FA1F);
}
