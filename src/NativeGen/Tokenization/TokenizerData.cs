// What a model file says about its tokenizer, as plain data. Models/TokenizerDataReader fills it from GGUF; Tokenizer.Create checks and uses it.
namespace NativeGen.Tokenization;

/// <summary>
/// A tokenizer's description. Each property is a metadata key of GGUF (named in its summary); a null one is a key that is absent, for which the
/// defaults of the tokenizer's kind hold. Nothing is checked here: <see cref="Tokenizer.Create"/> does.
/// </summary>
public sealed record TokenizerData
{
    /// <summary><c>tokenizer.ggml.model</c>, the kind: gpt2 (byte-level BPE), gemma4 (BPE), llama (SentencePiece BPE), bert (WordPiece), t5 (Unigram), rwkv.</summary>
    public required string Model { get; init; }

    /// <summary><c>tokenizer.ggml.pre</c>, how text is cut into words before BPE.</summary>
    public string? Pre { get; init; }

    /// <summary><c>tokenizer.ggml.tokens</c>, the text of every token; its place is the token's id.</summary>
    public required Utf8Strings Tokens { get; init; }

    /// <summary><c>tokenizer.ggml.scores</c>; at least one per token.</summary>
    public float[]? Scores { get; init; }

    /// <summary><c>tokenizer.ggml.token_type</c>, values of <see cref="TokenType"/>; at least one per token. Absent: all are normal.</summary>
    public int[]? Types { get; init; }

    /// <summary><c>tokenizer.ggml.merges</c>, "left right", most wanted first.</summary>
    public Utf8Strings? Merges { get; init; }

    /// <summary><c>tokenizer.ggml.precompiled_charsmap</c>, SentencePiece's normalization rules.</summary>
    public byte[]? CharacterMap { get; init; }

    /// <summary><c>tokenizer.ggml.bos_token_id</c>.</summary>
    public long? BosId { get; init; }

    /// <summary><c>tokenizer.ggml.eos_token_id</c>.</summary>
    public long? EosId { get; init; }

    /// <summary><c>tokenizer.ggml.eot_token_id</c>, end of a turn.</summary>
    public long? EotId { get; init; }

    /// <summary><c>tokenizer.ggml.eom_token_id</c>, end of a message.</summary>
    public long? EomId { get; init; }

    /// <summary><c>tokenizer.ggml.unknown_token_id</c>.</summary>
    public long? UnknownId { get; init; }

    /// <summary><c>tokenizer.ggml.seperator_token_id</c> (the format's own spelling).</summary>
    public long? SeparatorId { get; init; }

    /// <summary><c>tokenizer.ggml.padding_token_id</c>.</summary>
    public long? PaddingId { get; init; }

    /// <summary><c>tokenizer.ggml.mask_token_id</c>.</summary>
    public long? MaskId { get; init; }

    /// <summary><c>tokenizer.ggml.fim_pre_token_id</c> (or the older prefix_token_id): fill in the middle, what is before the gap.</summary>
    public long? FimPrefixId { get; init; }

    /// <summary><c>tokenizer.ggml.fim_suf_token_id</c> (or suffix_token_id).</summary>
    public long? FimSuffixId { get; init; }

    /// <summary><c>tokenizer.ggml.fim_mid_token_id</c> (or middle_token_id).</summary>
    public long? FimMiddleId { get; init; }

    /// <summary><c>tokenizer.ggml.fim_pad_token_id</c>.</summary>
    public long? FimPaddingId { get; init; }

    /// <summary><c>tokenizer.ggml.fim_rep_token_id</c>, name of a repository.</summary>
    public long? FimRepositoryId { get; init; }

    /// <summary><c>tokenizer.ggml.fim_sep_token_id</c>, between files.</summary>
    public long? FimFileSeparatorId { get; init; }

    /// <summary><c>tokenizer.ggml.add_bos_token</c>.</summary>
    public bool? AddBos { get; init; }

    /// <summary><c>tokenizer.ggml.add_eos_token</c>.</summary>
    public bool? AddEos { get; init; }

    /// <summary><c>tokenizer.ggml.add_sep_token</c>.</summary>
    public bool? AddSeparator { get; init; }

    /// <summary><c>tokenizer.ggml.add_space_prefix</c>.</summary>
    public bool? AddSpacePrefix { get; init; }

    /// <summary><c>tokenizer.ggml.remove_extra_whitespaces</c>.</summary>
    public bool? RemoveExtraWhitespace { get; init; }

    /// <summary><c>tokenizer.ggml.normalizer.lowercase</c>.</summary>
    public bool? Lowercase { get; init; }

    /// <summary><c>tokenizer.ggml.normalizer.strip_accents</c>.</summary>
    public bool? StripAccents { get; init; }

    /// <summary><c>general.name</c>: a few models are known by it to strip white space around special tokens.</summary>
    public string? ModelName { get; init; }

    /// <summary><c>general.architecture</c>, for the same reason.</summary>
    public string? Architecture { get; init; }
}
