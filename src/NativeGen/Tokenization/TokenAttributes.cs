namespace NativeGen.Tokenization;

/// <summary>What a token is. The numbers are those of llama.cpp's <c>llama_token_attr</c>; a token may have several.</summary>
[Flags]
public enum TokenAttributes
{
    /// <summary>Nothing is known; the token has no text.</summary>
    None = 0,

    /// <summary>Stands for whatever the vocabulary cannot spell.</summary>
    Unknown = 1 << 0,

    /// <summary>Reserved, never produced.</summary>
    Unused = 1 << 1,

    /// <summary>A piece of text.</summary>
    Normal = 1 << 2,

    /// <summary>A control token: it has a meaning instead of a text, and text becomes it only where special tokens are parsed.</summary>
    Control = 1 << 3,

    /// <summary>Text added to the vocabulary by hand: found first, in any text.</summary>
    UserDefined = 1 << 4,

    /// <summary>One byte of a character that the vocabulary lacks.</summary>
    Byte = 1 << 5,

    /// <summary>Takes the white space before it along.</summary>
    StripLeft = 1 << 7,

    /// <summary>Takes the white space after it along.</summary>
    StripRight = 1 << 8,
}

/// <summary>Token types as GGUF's <c>tokenizer.ggml.token_type</c> numbers them.</summary>
public enum TokenType
{
    /// <summary>Not said.</summary>
    Undefined = 0,

    /// <summary>A piece of text.</summary>
    Normal = 1,

    /// <summary>The unknown token.</summary>
    Unknown = 2,

    /// <summary>A control token.</summary>
    Control = 3,

    /// <summary>Added by hand.</summary>
    UserDefined = 4,

    /// <summary>Reserved.</summary>
    Unused = 5,

    /// <summary>One byte.</summary>
    Byte = 6,
}
