// The tokens of a model: their texts, what they decode to, and the table that encoders look pieces up in. Built once, then only read.
using System.Globalization;
using NativeGen.Tokenization.Unicode;

namespace NativeGen.Tokenization;

internal sealed class Vocabulary
{
    private readonly Utf8Strings _texts;
    private readonly TokenAttributes[] _attributes;
    private readonly byte[] _pieces;
    private readonly int[] _pieceStarts; // Count + 1
    private readonly float[]? _scores;

    /// <summary>Checks the lists against each other and reads them.</summary>
    /// <param name="data">The file's description.</param>
    /// <param name="kind">Which algorithm.</param>
    /// <param name="usesByteAlphabet">Texts are in GPT-2's alphabet of bytes.</param>
    /// <param name="defaults">Special tokens where the file names none.</param>
    internal Vocabulary(TokenizerData data, TokenizerKind kind, bool usesByteAlphabet, SpecialDefaults defaults)
    {
        int count = data.Tokens.Count;
        if (count == 0)
            throw Invalid("tokenizer.ggml.tokens", "is empty");
        if (data.Scores is { } scores)
        {
            if (scores.Length < count)
                throw Invalid("tokenizer.ggml.scores", $"has {scores.Length} values for {count} tokens");
            int bad = scores.AsSpan(0, count).IndexOfAnyExceptInRange(float.MinValue, float.MaxValue);
            if (bad >= 0)
                throw Invalid("tokenizer.ggml.scores", $"gives token {bad} the score {scores[bad]}");
        }

        if (data.Types is { } types && types.Length < count)
            throw Invalid("tokenizer.ggml.token_type", $"has {types.Length} values for {count} tokens");

        _texts = NameEmptyTokens(data.Tokens);
        _scores = data.Scores;
        _attributes = new TokenAttributes[count];
        for (int id = 0; id < count; id++)
            _attributes[id] = FromType(data.Types is null ? TokenType.Normal : (TokenType)data.Types[id]);
        Special = new(data, _texts, _attributes, defaults);

        // Keys are bytes as they stand in a text. A token in the byte alphabet with a character outside it can match nothing.
        Table = new(count, _texts.TotalBytes);
        var pieces = new List<byte>(_texts.TotalBytes);
        _pieceStarts = new int[count + 1];
        byte[] buffer = [];
        for (int id = 0; id < count; id++)
        {
            ReadOnlySpan<byte> text = _texts[id];
            if (buffer.Length < text.Length)
                buffer = new byte[text.Length * 2];
            ReadOnlySpan<byte> key = text;
            bool spelled = true;
            if (usesByteAlphabet)
            {
                int length = ByteAlphabet.Decode(text, buffer);
                spelled = length >= 0;
                key = spelled ? buffer.AsSpan(0, length) : text;
            }

            Table.Append(key, findable: spelled && Table.Find(key) < 0);
            if (kind == TokenizerKind.Rwkv)
                key = RwkvEncoder.Unescape(text, buffer);
            AppendPiece(pieces, id, text, usesByteAlphabet || kind == TokenizerKind.Rwkv ? key : default, kind);
            _pieceStarts[id + 1] = pieces.Count;
        }

        _pieces = [.. pieces];
        StripAroundSpecials(data);
    }

    internal int Count => _texts.Count;

    /// <summary>Entries 0 to Count - 1 are the tokens. Byte-level: the bytes they spell; else their texts.</summary>
    internal ByteStringTable Table { get; }

    internal SpecialTokens Special { get; }

    /// <summary>The text as the file has it: what special tokens look like in a prompt.</summary>
    internal ReadOnlySpan<byte> Text(int id) => _texts[id];

    internal TokenAttributes Attributes(int id) => _attributes[id];

    internal float Score(int id) => _scores is null ? 0 : _scores[id];

    /// <summary>What a token decodes to, control tokens as their text.</summary>
    internal ReadOnlySpan<byte> Piece(int id) => _pieces.AsSpan(_pieceStarts[id].._pieceStarts[id + 1]);

    internal bool Is(int id, TokenAttributes any) => (_attributes[id] & any) != 0;

    /// <summary>The token that stands for a byte ("&lt;0xAB&gt;"), or -1.</summary>
    internal int FindByteToken(byte value)
    {
        ReadOnlySpan<byte> hex = "0123456789ABCDEF"u8;
        return Table.Find([(byte)'<', (byte)'0', (byte)'x', hex[value >> 4], hex[value & 15], (byte)'>']);
    }

    internal static NativeGenException Invalid(string key, string what) =>
        new(NativeGenErrorCode.InvalidModel, $"The model's tokenizer is damaged: {key} {what}. Get the file again, or convert the model anew.");

    internal static TokenAttributes FromType(TokenType type) => type switch
    {
        TokenType.Normal => TokenAttributes.Normal,
        TokenType.Unknown => TokenAttributes.Unknown,
        TokenType.Control => TokenAttributes.Control,
        TokenType.UserDefined => TokenAttributes.UserDefined,
        TokenType.Unused => TokenAttributes.Unused,
        TokenType.Byte => TokenAttributes.Byte,
        _ => TokenAttributes.None,
    };

    private static Utf8Strings NameEmptyTokens(Utf8Strings texts)
    {
        bool any = false;
        for (int id = 0; id < texts.Count; id++)
            any |= texts[id].IsEmpty;
        return any ? Utf8Strings.Create(texts.Select((t, id) => t.IsEmpty ? System.Text.Encoding.ASCII.GetBytes($"[EMPTY_{id}]") : t.ToArray())) : texts;
    }

    private void AppendPiece(List<byte> pieces, int id, ReadOnlySpan<byte> text, ReadOnlySpan<byte> spelled, TokenizerKind kind)
    {
        TokenAttributes a = _attributes[id];
        if (kind == TokenizerKind.Rwkv)
        {
            pieces.AddRange(spelled);
        }
        else if ((a & (TokenAttributes.Unknown | TokenAttributes.Control | TokenAttributes.UserDefined)) != 0)
        {
            pieces.AddRange(text);
        }
        else if ((a & TokenAttributes.Normal) != 0)
        {
            if (!spelled.IsEmpty)
                pieces.AddRange(spelled);
            else
                AppendWithSpaces(pieces, text);
        }
        else if ((a & TokenAttributes.Byte) != 0)
        {
            if (text.Length == 6 && TryReadHex(text[3..5], out byte value))
                pieces.Add(value);
        }
    }

    /// <summary>Reads two hexadecimal digits.</summary>
    internal static bool TryReadHex(ReadOnlySpan<byte> digits, out byte value) =>
        byte.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);

    // SentencePiece writes the space as U+2581.
    private static void AppendWithSpaces(List<byte> pieces, ReadOnlySpan<byte> text)
    {
        while (true)
        {
            int at = text.IndexOf(SpaceEscape.Utf8);
            if (at < 0)
                break;
            pieces.AddRange(text[..at]);
            pieces.Add((byte)' ');
            text = text[(at + SpaceEscape.Utf8.Length)..];
        }

        pieces.AddRange(text);
    }

    // A few models take white space along with special tokens, which GGUF cannot say; they are known by name, as llama.cpp knows them.
    private void StripAroundSpecials(TokenizerData data)
    {
        string name = data.ModelName?.ToLowerInvariant() ?? "", pre = data.Pre ?? "", arch = data.Architecture ?? "";
        if (ContainsAny(pre, "jina-v2-de", "jina-v2-es", "jina-v2-code") || ContainsAny(arch, "nomic-bert-moe", "jina-bert-v3"))
        {
            Mark("<mask>"u8, TokenAttributes.StripLeft);
        }
        else if (ContainsAny(name, "phi-3", "phi3"))
        {
            for (int id = 0; id < Count; id++)
            {
                ReadOnlySpan<byte> text = _texts[id];
                bool special = Is(id, TokenAttributes.Control | TokenAttributes.UserDefined | TokenAttributes.Unknown);
                if (special && !text.SequenceEqual("<unk>"u8) && !text.SequenceEqual("<s>"u8) && !text.SequenceEqual("<|endoftext|>"u8))
                    _attributes[id] |= TokenAttributes.StripRight;
            }

            Mark("</s>"u8, TokenAttributes.StripRight);
        }
        else if (name.Contains("modern-bert", StringComparison.Ordinal))
        {
            Mark("[MASK]"u8, TokenAttributes.StripLeft);
        }

        static bool ContainsAny(string text, params ReadOnlySpan<string> parts)
        {
            foreach (string part in parts)
            {
                if (text.Contains(part, StringComparison.Ordinal))
                    return true;
            }

            return false;
        }

        void Mark(ReadOnlySpan<byte> text, TokenAttributes attribute)
        {
            int id = Table.Find(text);
            if (id >= 0)
                _attributes[id] |= attribute;
        }
    }
}

/// <summary>U+2581, which SentencePiece writes for a space.</summary>
internal static class SpaceEscape
{
    internal static ReadOnlySpan<byte> Utf8 => "\u2581"u8;

    /// <summary>Whether a space stands behind another character.</summary>
    internal static bool IsInside(ReadOnlySpan<byte> text)
    {
        while (text.StartsWith(Utf8))
            text = text[Utf8.Length..];
        return text.IndexOf(Utf8) >= 0;
    }

    /// <summary>
    /// Where the word from <paramref name="start"/> on ends: before the next space behind anything else. Damaged text may hide a space inside what
    /// looks like a character: it is none then.
    /// </summary>
    internal static int EndOfWord(ReadOnlySpan<byte> text, int start)
    {
        bool afterSpace = true;
        for (int at = start; at < text.Length;)
        {
            bool isSpace = text[at] == 0xE2 && text[at..].StartsWith(Utf8);
            if (isSpace && !afterSpace)
                return at;
            afterSpace = isSpace;
            at += UnicodeTables.AnnouncedLength(text[at]);
        }

        return text.Length;
    }

    /// <summary>Copies text with every space replaced; returns the bytes written, at most three times the text's.</summary>
    internal static int Apply(ReadOnlySpan<byte> text, Span<byte> destination)
    {
        int n = 0;
        while (true)
        {
            int space = text.IndexOf((byte)' ');
            int run = space < 0 ? text.Length : space;
            text[..run].CopyTo(destination[n..]);
            n += run;
            if (space < 0)
                return n;
            Utf8.CopyTo(destination[n..]);
            n += Utf8.Length;
            text = text[(space + 1)..];
        }
    }
}
