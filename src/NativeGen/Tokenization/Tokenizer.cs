// Text to tokens and back. Special tokens are found first (Partition), the text between them goes to the algorithm of the vocabulary's kind.
using System.Buffers;
using System.Text;
using NativeGen.Tokenization.Splitting;

namespace NativeGen.Tokenization;

/// <summary>
/// A model's tokenizer: byte-level BPE, SentencePiece BPE, WordPiece, Unigram or RWKV's, as its file says. Gives the tokens that llama.cpp and
/// the model's own tokenizer give.
/// </summary>
/// <remarks>Immutable and thread safe. Independent of culture and of the machine's Unicode data.</remarks>
public sealed partial class Tokenizer
{
    private readonly Vocabulary _vocabulary;
    private readonly TextEncoder _encoder;
    private readonly SpecialTexts _specialTexts;
    private readonly bool _addSpacePrefix, _cleanSpaces, _addSeparator;

    private Tokenizer(TokenizerKind kind, Vocabulary vocabulary, TextEncoder encoder, TokenizerData data, PreTokenizer? pre)
    {
        Kind = kind;
        _vocabulary = vocabulary;
        _encoder = encoder;
        _specialTexts = new(vocabulary);
        _cleanSpaces = kind == TokenizerKind.WordPiece || (kind == TokenizerKind.Bpe && pre!.CleanSpaces);
        _addSpacePrefix = kind switch
        {
            TokenizerKind.WordPiece or TokenizerKind.Bpe => data.AddSpacePrefix ?? false,
            TokenizerKind.Rwkv => false,
            _ => data.AddSpacePrefix ?? true,
        };
        AddsBos = pre?.AlwaysAddBos == true || (data.AddBos ?? (kind is TokenizerKind.SentencePiece or TokenizerKind.WordPiece || pre?.AddBos == true));
        AddsEos = data.AddEos ?? kind == TokenizerKind.Unigram;
        _addSeparator = data.AddSeparator ?? (kind == TokenizerKind.WordPiece || pre?.AddSeparator == true);
    }

    /// <summary>The algorithm.</summary>
    public TokenizerKind Kind { get; }

    /// <summary>Number of tokens.</summary>
    public int VocabularySize => _vocabulary.Count;

    /// <summary>Begins a sequence, or null.</summary>
    public int? BosId => OrNull(_vocabulary.Special.Bos);

    /// <summary>Ends a sequence, or null.</summary>
    public int? EosId => OrNull(_vocabulary.Special.Eos);

    /// <summary>Ends a turn, or null.</summary>
    public int? EotId => OrNull(_vocabulary.Special.Eot);

    /// <summary>Separates two texts (BERT), or null.</summary>
    public int? SeparatorId => OrNull(_vocabulary.Special.Separator);

    /// <summary>Fills up batches, or null.</summary>
    public int? PaddingId => OrNull(_vocabulary.Special.Padding);

    /// <summary>Stands for text the vocabulary cannot spell, or null.</summary>
    public int? UnknownId => OrNull(_vocabulary.Special.Unknown);

    /// <summary>Whether special tokens added to a prompt begin with BOS.</summary>
    public bool AddsBos { get; }

    /// <summary>Whether special tokens added to a prompt end with EOS.</summary>
    public bool AddsEos { get; }

    /// <summary>Makes a tokenizer from a file's description.</summary>
    /// <exception cref="NativeGenException">InvalidModel: the description contradicts itself; UnsupportedArchitecture: the kind or pre-tokenizer is not known.</exception>
    public static Tokenizer Create(TokenizerData data)
    {
        ArgumentNullException.ThrowIfNull(data);
        switch (data.Model)
        {
            case "gpt2" or "gemma4":
            {
                string name = data.Model == "gemma4" ? "gemma4" : data.Pre ?? "default";
                PreTokenizer pre = PreTokenizer.ByName(name) ?? throw Unknown("tokenizer.ggml.pre", name);
                int fallback = pre.NoDefaultBos || pre.IsSentencePieceLike ? -1 : 11;
                var vocabulary = new Vocabulary(data, TokenizerKind.Bpe, usesByteAlphabet: !pre.IsSentencePieceLike, new(Bos: fallback, Eos: fallback));
                return new(TokenizerKind.Bpe, vocabulary, new BpeEncoder(vocabulary, pre, data.Merges ?? Utf8Strings.Empty), data, pre);
            }

            case "llama":
            {
                var vocabulary = new Vocabulary(data, TokenizerKind.SentencePiece, usesByteAlphabet: false, new(Bos: 1, Eos: 2, Unknown: 0));
                return new(TokenizerKind.SentencePiece, vocabulary, new SentencePieceEncoder(vocabulary, data.AddSpacePrefix ?? true), data, null);
            }

            case "bert":
            {
                var vocabulary = new Vocabulary(data, TokenizerKind.WordPiece, usesByteAlphabet: false, new(Bos: 101, Unknown: 100, Separator: 102, Padding: 0, Mask: 103));
                return new(TokenizerKind.WordPiece, vocabulary, new WordPieceEncoder(vocabulary, data.Lowercase ?? true, data.StripAccents ?? data.Lowercase ?? true), data, null);
            }

            case "t5":
            {
                var vocabulary = new Vocabulary(data, TokenizerKind.Unigram, usesByteAlphabet: false, new(Eos: 1, Unknown: 2, Padding: 0));
                return new(TokenizerKind.Unigram, vocabulary, new UnigramEncoder(vocabulary, data), data, null);
            }

            case "rwkv":
            {
                var vocabulary = new Vocabulary(data, TokenizerKind.Rwkv, usesByteAlphabet: false, new());
                return new(TokenizerKind.Rwkv, vocabulary, new RwkvEncoder(vocabulary), data, null);
            }

            default:
                throw Unknown("tokenizer.ggml.model", data.Model);
        }

        static NativeGenException Unknown(string key, string name) => new(NativeGenErrorCode.UnsupportedArchitecture,
            $"The tokenizer '{name}' ({key}) is not supported by this build. Update NativeGen, or convert the model with a known one.");
    }

    /// <summary>The tokens of a text.</summary>
    /// <param name="text">Any text. A lone surrogate counts as U+FFFD.</param>
    /// <param name="addSpecial">Adds BOS, EOS and separator as the model wants them.</param>
    /// <param name="parseSpecial">Names of control tokens in the text ("&lt;|im_end|&gt;") become these tokens; false for text of unknown origin.</param>
    public int[] Encode(string text, bool addSpecial = true, bool parseSpecial = false)
    {
        ArgumentNullException.ThrowIfNull(text);
        byte[] rented = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(text.Length));
        try
        {
            return Encode(rented.AsSpan(0, Encoding.UTF8.GetBytes(text, rented)), addSpecial, parseSpecial);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    /// <summary>The tokens of a text of which parts are of unknown origin: there, names of control tokens are text; everywhere else they become tokens.</summary>
    /// <param name="text">Any text. A lone surrogate counts as U+FFFD.</param>
    /// <param name="literal">Ranges of UTF-16 units, in any order. A name that shares one character with a range is text.</param>
    /// <param name="addSpecial">Adds BOS, EOS and separator as the model wants them.</param>
    /// <exception cref="ArgumentOutOfRangeException">A range lies outside the text.</exception>
    public int[] Encode(string text, ReadOnlySpan<Range> literal, bool addSpecial = true)
    {
        ArgumentNullException.ThrowIfNull(text);
        (int Start, int End)[] bytes = ToBytes(text, literal);
        byte[] rented = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(text.Length));
        TokenWriter tokens = TokenWriter.Growing(text.Length / 3);
        try
        {
            Encode(rented.AsSpan(0, Encoding.UTF8.GetBytes(text, rented)), addSpecial, parseSpecial: true, ref tokens, bytes);
            return tokens.Written.ToArray();
        }
        finally
        {
            tokens.Dispose();
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    /// <summary>The tokens of a UTF-8 text; damaged bytes are allowed.</summary>
    /// <inheritdoc cref="Encode(string, bool, bool)"/>
    public int[] Encode(ReadOnlySpan<byte> utf8, bool addSpecial = true, bool parseSpecial = false)
    {
        TokenWriter tokens = TokenWriter.Growing(utf8.Length / 3);
        try
        {
            Encode(utf8, addSpecial, parseSpecial, ref tokens);
            return tokens.Written.ToArray();
        }
        finally
        {
            tokens.Dispose();
        }
    }

    /// <summary>Writes the tokens of a UTF-8 text to a buffer and returns how many there are; if that is more than the buffer holds, the rest is left out.</summary>
    /// <inheritdoc cref="Encode(string, bool, bool)"/>
    public int Encode(ReadOnlySpan<byte> utf8, Span<int> tokens, bool addSpecial = true, bool parseSpecial = false)
    {
        TokenWriter writer = new(tokens);
        Encode(utf8, addSpecial, parseSpecial, ref writer);
        return writer.Count;
    }

    /// <summary>The bytes a token stands for; of a control token its name. Empty for unused ones. Valid as long as the tokenizer.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such token.</exception>
    public ReadOnlySpan<byte> Piece(int id)
    {
        CheckId(id);
        return _vocabulary.Piece(id);
    }

    /// <summary>What a token is.</summary>
    public TokenAttributes AttributesOf(int id)
    {
        CheckId(id);
        return _vocabulary.Attributes(id);
    }

    /// <summary>True for control and unknown tokens: they are no text.</summary>
    public bool IsSpecial(int id) => (AttributesOf(id) & (TokenAttributes.Control | TokenAttributes.Unknown)) != 0;

    /// <summary>True for tokens after which a model has nothing more to say.</summary>
    public bool IsEndOfGeneration(int id) => _vocabulary.Special.EndOfGeneration.Contains(id);

    private void Encode(ReadOnlySpan<byte> text, bool addSpecial, bool parseSpecial, ref TokenWriter tokens, ReadOnlySpan<(int Start, int End)> literal = default)
    {
        SpecialTokens special = _vocabulary.Special;
        if (addSpecial && AddsBos && special.Bos >= 0)
            tokens.Add(special.Bos);
        bool atStart = true;
        foreach (SpecialTexts.Fragment fragment in _specialTexts.Partition(text, parseSpecial, literal))
        {
            if (fragment.Token >= 0)
                tokens.Add(fragment.Token);
            else
                _encoder.Encode(text[fragment.Start..fragment.End], atStart, ref tokens);
            atStart = fragment.Token >= 0;
        }

        if (addSpecial && _addSeparator && Kind is TokenizerKind.WordPiece && special.Separator >= 0)
            tokens.Add(special.Separator);
        if (addSpecial && AddsEos && special.Eos >= 0)
            tokens.Add(special.Eos);
    }

    /// <summary>Ranges of UTF-16 units as ranges of UTF-8 bytes, sorted and disjoint. A range that cuts a surrogate pair takes both halves.</summary>
    private static (int Start, int End)[] ToBytes(string text, ReadOnlySpan<Range> ranges)
    {
        List<(int Start, int End)> sorted = new(ranges.Length);
        foreach (Range range in ranges)
        {
            (int start, int length) = range.GetOffsetAndLength(text.Length);
            int end = start + length;
            if (length == 0)
                continue;
            sorted.Add((CutsPair(start) ? start - 1 : start, CutsPair(end) ? end + 1 : end));
        }

        sorted.Sort();
        List<(int Start, int End)> bytes = new(sorted.Count);
        int unit = 0, offset = 0;
        foreach ((int start, int end) in sorted)
        {
            if (end <= unit)
                continue;
            bool continues = bytes.Count > 0 && start <= unit;
            int first = continues ? offset : ByteAt(start);
            int last = ByteAt(end);
            if (continues)
                bytes[^1] = (bytes[^1].Start, last);
            else
                bytes.Add((first, last));
        }

        return [.. bytes];

        int ByteAt(int at)
        {
            offset += Encoding.UTF8.GetByteCount(text.AsSpan(unit, at - unit));
            unit = at;
            return offset;
        }

        bool CutsPair(int at) => at > 0 && at < text.Length && char.IsSurrogatePair(text[at - 1], text[at]);
    }

    private void CheckId(int id)
    {
        if ((uint)id >= (uint)_vocabulary.Count)
            throw new ArgumentOutOfRangeException(nameof(id), id, $"The vocabulary has {_vocabulary.Count} tokens.");
    }

    private static int? OrNull(int id) => id >= 0 ? id : null;
}
