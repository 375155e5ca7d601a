// WordPiece as BERT has it (Devlin et al. 2018, arXiv 1810.04805): letters lose case and accents, words and punctuation are cut apart, and each
// word is spelled by the longest tokens from its left; a word that can not be spelled is unknown.
using System.Buffers;
using NativeGen.Tokenization.Unicode;

namespace NativeGen.Tokenization;

internal sealed class WordPieceEncoder : TextEncoder
{
    private readonly Vocabulary _vocabulary;
    private readonly bool _lowercase, _stripAccents;
    private readonly ByteTrie _tokens;
    private readonly (Role Role, byte Written)[] _ascii = new (Role, byte)[128];
    private readonly int _owner = WordCache.NewOwner();

    internal WordPieceEncoder(Vocabulary vocabulary, bool lowercase, bool stripAccents)
    {
        (_vocabulary, _lowercase, _stripAccents) = (vocabulary, lowercase, stripAccents);
        _tokens = vocabulary.Table.ToTrie(vocabulary.Count);
        for (int c = 0; c < _ascii.Length; c++)
            _ascii[c] = (RoleOf(c, out int written), (byte)written);
    }

    /// <summary>What a character does to the word before it.</summary>
    private enum Role : byte
    {
        Nothing,
        Continues,
        Ends,
        /// <summary>Ends it, and is a word by itself.</summary>
        Alone,
    }

    internal override void Encode(ReadOnlySpan<byte> text, bool atStart, ref TokenWriter tokens)
    {
        // A word is at most the text, and a character's lower case or base at most one byte longer than itself.
        byte[] rented = ArrayPool<byte>.Shared.Rent(text.Length * 2 + 8);
        Span<byte> word = rented;
        SpaceEscape.Utf8.CopyTo(word); // words carry it in front
        int length = SpaceEscape.Utf8.Length;
        WordCache words = WordCache.OfThread;
        for (int at = 0; at < text.Length;)
        {
            Role role;
            int written, bytes = 1;
            if (text[at] < 0x80)
                (role, written) = _ascii[text[at]];
            else
                role = RoleOf(UnicodeTables.Decode(text, at, out bytes), out written);
            at += bytes;
            if (role is Role.Ends or Role.Alone)
                Flush(word, ref length, words, ref tokens);
            if (role is Role.Continues or Role.Alone)
                length += UnicodeTables.Encode(written, word[length..]);
            if (role is Role.Alone)
                Flush(word, ref length, words, ref tokens);
        }

        Flush(word, ref length, words, ref tokens);
        ArrayPool<byte>.Shared.Return(rented);
    }

    private void Flush(ReadOnlySpan<byte> word, ref int length, WordCache words, ref TokenWriter tokens)
    {
        ReadOnlySpan<byte> letters = word[SpaceEscape.Utf8.Length..length];
        if (letters.IsEmpty)
            return;
        if (!words.TryAppend(letters, _owner, ref tokens))
        {
            int before = tokens.Count;
            Spell(word[..length], ref tokens);
            words.Keep(letters, _owner, in tokens, before);
        }

        length = SpaceEscape.Utf8.Length;
    }

    private Role RoleOf(int code, out int written)
    {
        if (_stripAccents)
            code = UnicodeTables.BaseOf(code);
        written = _lowercase ? UnicodeTables.ToLower(code) : code;
        CharClass kind = UnicodeTables.ClassOf(code);
        if (kind == CharClass.Space)
            return Role.Ends;
        if (code is 0 or 0xFFFD || kind == CharClass.Control || (_stripAccents && kind == CharClass.Mark))
            return Role.Nothing;
        return kind == CharClass.Punctuation || (code < 0x7F && kind == CharClass.Symbol) || IsChinese(code) ? Role.Alone : Role.Continues;
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

        if (tokens.Count == before && _vocabulary.Special.Unknown >= 0)
            tokens.Add(_vocabulary.Special.Unknown);
    }

    private static bool IsChinese(int code) => code
        is (>= 0x4E00 and <= 0x9FFF) or (>= 0x3400 and <= 0x4DBF) or (>= 0x20000 and <= 0x2A6DF) or (>= 0x2A700 and <= 0x2B73F)
        or (>= 0x2B740 and <= 0x2B81F) or (>= 0x2B920 and <= 0x2CEAF) or (>= 0xF900 and <= 0xFAFF) or (>= 0x2F800 and <= 0x2FA1F);
}
