// Every pre-tokenizer by the name that GGUF files carry in tokenizer.ggml.pre: how it cuts, and which defaults come with the name.
// Names and expressions are data of the models' publishers; that the defaults hang on the name is llama.cpp's convention.
using NativeGen.Tokenization.Unicode;
using static NativeGen.Tokenization.Splitting.SequenceStage;

namespace NativeGen.Tokenization.Splitting;

/// <summary>How text is cut into words before BPE merges inside them, and the tokenizer's defaults that go with it.</summary>
internal sealed record PreTokenizer(params SplitStage[] Stages)
{
    /// <summary>A word that is a token is taken as it is, without asking the merges.</summary>
    internal bool IgnoreMerges { get; init; }

    /// <summary>Decoding removes the space before punctuation and contractions.</summary>
    internal bool CleanSpaces { get; init; } = true;

    internal bool AddBos { get; init; }

    internal bool AddSeparator { get; init; }

    /// <summary>Without a default BOS (the others fall back to token 11, Falcon's).</summary>
    internal bool NoDefaultBos { get; init; }

    /// <summary>Tokens are UTF-8 with U+2581 for the space and bytes as &lt;0xAB&gt;, instead of GPT-2's alphabet of bytes.</summary>
    internal bool IsSentencePieceLike { get; init; }

    /// <summary>BOS is added whatever the file says.</summary>
    internal bool AlwaysAddBos { get; init; }

    /// <summary>Cuts a text (UTF-8). The ends are valid until the lists are used again.</summary>
    internal ReadOnlySpan<int> Split(ReadOnlySpan<byte> text, ref PieceList pieces, ref PieceList spare)
    {
        pieces.Clear();
        pieces.Add(text.Length);
        foreach (SplitStage stage in Stages)
        {
            spare.Clear();
            int start = 0;
            foreach (int end in pieces.Ends)
            {
                stage.Split(text[..end], start, spare);
                start = end;
            }

            (pieces, spare) = (spare, pieces);
        }

        return pieces.Ends;
    }

    /// <summary>Null for a name that this build does not know.</summary>
    internal static PreTokenizer? ByName(string name) => name switch
    {
        "default" => new(Run(@"\p{P}$+<=>^~|"), _gpt2, Run(@"\p{N}"), _threeDigits),

        "gpt-2" or "phi-2" or "jina-es" or "jina-de" or "gigachat" or "jina-v2-es" or "jina-v2-de" or "a.x-4.0" or "mellum" or "modern-bert"
            or "exaone4" or "mpt" or "olmo" or "jais" => new(_gpt2),
        "jina-v1-en" or "jina-v2-code" or "roberta-bpe" => new(_gpt2) { AddSeparator = true },
        "trillion" or "granite-docling" => new(_gpt2) { CleanSpaces = false },
        "starcoder" or "refact" or "codeshell" or "exaone" or "minerva-7b" or "mellum2" => new(_oneNumber, _gpt2),
        "command-r" or "smollm" => new(_oneNumber, _gpt2) { CleanSpaces = false },
        "falcon" => new(Run(@"\p{P}$+<=>^~|`"), _gpt2, _threeDigits),
        "chameleon" => new(
            new SequenceStage([Literal("<sentinel:"), Some("0-9"), Literal(">")]),
            new SequenceStage([Literal("IMGIMG"), Some("A-I", 4), Literal("Z")]),
            new SequenceStage([Some(@"\t\n", 1)], [Literal("    ")], [Literal("  ")]),
            _oneNumber,
            Run(@"\p{P}!-/:-@\[-`{-~", most: 1),
            _gpt2) { AddBos = true, CleanSpaces = false },

        "llama3" or "llama-v3" or "llama-bpe" or "falcon3" or "falcon-h1" or "pixtral" or "midm-2.0" or "lfm2" or "jina-v5-nano"
            => new(_llama3) { IgnoreMerges = true, AddBos = true },
        "dbrx" or "smaug-bpe" => new(_llama3),
        "glm4" or "glm5" or "chatglm-bpe" => new(_llama3) { NoDefaultBos = true },
        "jais-2" => new(new WordStage(new(MaxDigits: 3) { SpacePowers = true })),
        "minicpm5" => new(Run(@"\p{N}", most: 3), new WordStage(new(MaxDigits: int.MaxValue))) { IgnoreMerges = true },

        "qwen2" or "deepseek-r1-qwen" or "kormo" or "f2llmv2" or "hunyuan" or "solar-open" or "grok-2" => new(_qwen2) { CleanSpaces = false },
        "stablelm2" or "megrez" => new(_qwen2),
        "qwen35" => new(new WordStage(new(Letters: WithMarks, Punctuation: WordPattern.NotSpaceLetterNorNumber & ~CharClass.Mark))) { CleanSpaces = false },
        "bailingmoe" or "bailingmoe2" or "llada-moe" => new(_qwen2) { CleanSpaces = false },
        "seed-coder" => new(new WordStage(new(Tail: PunctuationTail.None))) { CleanSpaces = false },
        "ufakzeka" => new(new WordStage(new(Contractions: Contractions.None))) { CleanSpaces = false },
        "laguna" => new(_lines, _qwen2) { CleanSpaces = false },
        "exaone-moe" => new(new WordStage(new(Tail: PunctuationTail.OneLineEndOrSlash) { JoinWords = true })),

        "gpt-4o" or "llama4" or "kanana2" or "talkie" or "minimax-m2" => new(new WordStage(
            new(MaxDigits: 3, Contractions: Contractions.AnyCaseAtWord, Tail: PunctuationTail.LineEndsAndSlash) { SplitCase = true })) { CleanSpaces = false },
        "granite-embed-multi-97m" => new(new WordStage(
            new(Letters: WithMarks, MaxDigits: 3, Contractions: Contractions.AnyCaseAtWord, Tail: PunctuationTail.LineEndsAndSlash) { SplitCase = true }))
            { CleanSpaces = false, IgnoreMerges = true },
        "tekken" => new(new WordStage(new(Contractions: Contractions.None, Tail: PunctuationTail.LineEndsAndSlash) { SplitCase = true }))
            { CleanSpaces = false, IgnoreMerges = true, AddBos = true },
        "kimi-k2" => new(new WordStage(new(MaxDigits: 3, Contractions: Contractions.AnyCaseAtWord) { HanApart = true })) { CleanSpaces = false },
        "tiny_aya" or "cohere2moe" => new(new NumberGroupStage(), new WordStage(
            new(Letters: WithMarks, MaxDigits: 3, Contractions: Contractions.AnyCaseAtWord, Tail: PunctuationTail.LineEndsAndSlash))) { CleanSpaces = false },
        "youtu" => new(
            new SequenceStage(
                [Some("\uAC00-\uD7A3\u3131-\u318E")],
                [Some("\uFF01\u2026\u201C\u201D\u2018\u2019\u2014\uFF1A\uFF1B\uFF0C\u3001-\u303F\uFE30-\uFE4F")],
                [Some("\u3105-\u312F")],
                [Some("\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF")]),
            new WordStage(new(Letters: WithMarks, Contractions: Contractions.AnyCaseAtWord, Tail: PunctuationTail.LineEndsAndSlash)))
            { CleanSpaces = false, IgnoreMerges = true },

        "deepseek-v3" or "hunyuan-dense" or "joyai-llm" or "hy_v4" => new(Run(@"\p{N}", most: 3), _chineseJapanese, _deepseek3) { CleanSpaces = false },
        "spark2_5" => new(Run(@"\p{N}", most: 3), _chineseJapanese,
            new WordStage(_deepseek3Pattern with { Tail = PunctuationTail.None, Lines = LineEnds.Single }), _oneNumber) { CleanSpaces = false },
        "afmoe" => new(
            new NumberGroupStage(),
            Run("\u4E00-\u9FFF\u3400-\u4DBF\u8C48-\uFAFF\u3040-\u309F\u30A0-\u30FF"
                + "\uFF65-\uFF9F\u2F00-\u2FDF\u0E40-\u0E7F\u0E80-\u0EFF\u1780-\u17FF\u1000-\u109F\uAA60-\uAA7F\uA9E0-\uA9FF\uAC00-\uD7AF\u1100-\u11FF"),
            _deepseek3) { CleanSpaces = false },
        "deepseek-llm" => new(_oneLineEnd, Run(CasedLetters, prefix: @"\s"), Run("!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002", prefix: @"\s"),
            new TrailingSpaceStage(), _eastAsian, Run(@"\p{N}")) { CleanSpaces = false },
        "deepseek-coder" => new(_oneLineEnd, Run(@"\p{L}", prefix: @"\s"), Run(@"\p{P}", prefix: @"\s"), _eastAsian, _oneNumber) { CleanSpaces = false },

        "bloom" or "gpt3-finnish" => new(_untilPunctuation),
        "poro-chat" => new(_untilPunctuation) { CleanSpaces = false },
        "viking" => new(_untilPunctuation, _oneNumber) { CleanSpaces = false },
        "superbpe" => new(Run(@"\p{N}"), new DigitGroupStage()) { CleanSpaces = false },

        "gemma4" or "granite-embed-multi-311m" => new(_lines) { IsSentencePieceLike = true, AlwaysAddBos = true },
        "sarvam-moe" => new(_lines) { IsSentencePieceLike = true, CleanSpaces = false },
        _ => null,
    };

    private const CharClass WithMarks = CharClass.Letter | CharClass.Mark;

    // Letters of the scripts that have cases, as deepseek-llm lists them.
    private const string CasedLetters =
        "A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF\u0370-\u0373\u0376\u0377"
        + "\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F\u0531-\u0556\u10A0-\u10C5"
        + "\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A\u1E00-\u1F15\u1F18-\u1F1D"
        + "\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4"
        + "\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102\u2107\u210A-\u2113\u2115\u2119-\u211D"
        + "\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139\u213C-\u213F\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4"
        + "\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF\uFB00-\uFB06"
        + "\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\U00010400-\U0001044F\U000104B0-\U000104D3\U000104D8-\U000104FB\U00010C80-\U00010CB2"
        + "\U00010CC0-\U00010CF2\U000118A0-\U000118DF\U0001E900-\U0001E943";

    private static readonly WordStage _gpt2 = new(new(
        MaxDigits: int.MaxValue, Contractions: Contractions.LowerCase, Tail: PunctuationTail.None, Lines: LineEnds.AsSpaces) { SpacePrefix = true });

    private static readonly WordStage _llama3 = new(new(MaxDigits: 3));
    private static readonly WordStage _qwen2 = new(new());

    private static readonly WordPattern _deepseek3Pattern = new(
        Prefix: CharClass.All & ~(CharClass.Letter | CharClass.Punctuation | CharClass.Symbol), Letters: WithMarks, MaxDigits: 0,
        Punctuation: CharClass.Punctuation | CharClass.Symbol, Contractions: Contractions.None) { PunctuationWord = true };

    private static readonly WordStage _deepseek3 = new(_deepseek3Pattern);

    private static readonly SequenceStage _oneNumber = Run(@"\p{N}", most: 1);
    private static readonly SequenceStage _threeDigits = new([Some("0-9", 1), Some("0-9", 1), Some("0-9", 1)]);
    private static readonly SequenceStage _oneLineEnd = Run(@"\r\n", most: 1);
    private static readonly SequenceStage _lines = new([Some(@"^\n")], [Some(@"\n")]);
    private static readonly SequenceStage _chineseJapanese = Run("\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF");
    private static readonly SequenceStage _eastAsian = Run("\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF");
    private static readonly SequenceStage _untilPunctuation = Run("^(\\s|.,!?\u2026\u3002\uFF0C\u3001\u0964\u06D4\u060C)", prefix: " ");
}
