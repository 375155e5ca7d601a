// What a vocabulary gives to every grammar: its tries and masks, made once, and forced text as the tokenizer would write it.
using System.Runtime.CompilerServices;
using NativeGen.Tokenization;

namespace NativeGen.Constraints;

/// <summary>Immutable and thread safe.</summary>
internal sealed class TokenVocabulary
{
    /// <summary>Tokens of more scalars than this are looked at by themselves where a count comes near its end.</summary>
    internal const int ShortScalars = 16;

    private static readonly ConditionalWeakTable<Tokenizer, TokenVocabulary> _known = [];

    private readonly Tokenizer _tokenizer;

    private TokenVocabulary(Tokenizer tokenizer)
    {
        _tokenizer = tokenizer;
        Words = (tokenizer.VocabularySize + 63) / 64;
        Trie = TokenTrie.Create(tokenizer);
        LongTrie = TokenTrie.Create(tokenizer, ShortScalars + 1);
        All = MaskOf(Trie.Tokens);
        Long = MaskOf(LongTrie.Tokens);
        SpellsEveryByte = Enumerable.Range(1, 0xF4).All(value => value is 0xC0 or 0xC1 || (Trie.Child(0, (byte)value) is > 0 and var node && Trie.HasTokens(node)));
        Ends = MaskOf(Enumerable.Range(0, tokenizer.VocabularySize).Where(tokenizer.IsEndOfGeneration));
    }

    internal TokenTrie Trie { get; }

    /// <summary>The tokens of more than <see cref="ShortScalars"/> scalars alone.</summary>
    internal TokenTrie LongTrie { get; }

    /// <summary>Length of a mask.</summary>
    internal int Words { get; }

    /// <summary>The tokens of <see cref="Trie"/> as a mask.</summary>
    internal ulong[] All { get; }

    /// <summary>Those of <see cref="LongTrie"/>.</summary>
    internal ulong[] Long { get; }

    /// <summary>Whether each byte of UTF-8 but NUL is a token: no text then takes more tokens than it has bytes.</summary>
    internal bool SpellsEveryByte { get; }

    /// <summary>End-of-generation tokens.</summary>
    internal ulong[] Ends { get; }

    /// <summary>A tokenizer's, made when it is asked for first.</summary>
    internal static TokenVocabulary Of(Tokenizer tokenizer) => _known.GetValue(tokenizer, static t => new(t));

    /// <summary>
    /// Forced bytes as the tokenizer writes them, without the last token, which may become another one with what comes behind the bytes. Where the
    /// tokenizer writes a text of its own another way than these bytes, the longest tokens from the left.
    /// </summary>
    internal int Spell(ReadOnlySpan<byte> bytes, Span<int> tokens)
    {
        // SentencePiece puts a space before a text; behind a line end it does not.
        bool line = _tokenizer.Kind == TokenizerKind.SentencePiece;
        Span<byte> text = stackalloc byte[bytes.Length + 1];
        text[0] = (byte)'\n';
        bytes.CopyTo(text[1..]);
        text = line ? text : text[1..];
        Span<int> written = stackalloc int[bytes.Length + 4];
        int length = _tokenizer.Encode(text, written, addSpecial: false), at = 0, count = 0, skip = line ? 1 : 0;
        for (int i = 0; i < length && i < written.Length; i++)
        {
            ReadOnlySpan<byte> piece = _tokenizer.Piece(written[i]);
            if (line && i == 0 && piece is [(byte)' ', ..])
                piece = piece[1..];
            if (!text[at..].StartsWith(piece) || (at < skip && at + piece.Length > skip))
                return SpellLongest(bytes, tokens);
            if (at >= skip && i < length - 1 && count < tokens.Length)
                tokens[count++] = written[i];
            at += piece.Length;
        }

        return at == text.Length ? count : SpellLongest(bytes, tokens);
    }

    // At each place the longest token, as long as no longer one could begin there whatever comes behind the bytes.
    private int SpellLongest(ReadOnlySpan<byte> bytes, Span<int> tokens)
    {
        int count = 0;
        for (int at = 0; count < tokens.Length;)
        {
            int token = Trie.Longest(bytes[at..], out int length, out bool open);
            if (open || token < 0)
                break;
            tokens[count++] = token;
            at += length;
        }

        return count;
    }

    private ulong[] MaskOf(IEnumerable<int> tokens)
    {
        ulong[] mask = new ulong[Words];
        foreach (int token in tokens)
            mask[token >> 6] |= 1ul << token;
        return mask;
    }
}
