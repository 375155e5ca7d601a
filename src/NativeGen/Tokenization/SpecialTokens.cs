// Which tokens begin, end and structure a text. Files say it in part only; the rest is known by the tokens' texts, as llama.cpp does it, since
// that is what files in the wild were tested with. The texts are data of the models' publishers.
namespace NativeGen.Tokenization;

internal sealed class SpecialTokens
{
    private const int None = -1;

    // Where several tokens of a vocabulary qualify, the first name wins.
    private static readonly string[] _endOfTurn =
    [
        "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<EOT>", "_<EOT>", "[EOT]",
        "<\uFF5Cend\u2581of\u2581sentence\uFF5C>", "<end_of_utterance>",
    ];

    private static readonly string[] _endOfGeneration =
    [
        .. _endOfTurn, "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "</s>", "<|eom_id|>", "[EOS]", "<eos>", "<turn|>", "<|tool_response>", "[e~[",
    ];

    private static readonly string[] _endOfMessage = ["<|eom_id|>"];

    private static readonly string[] _fimPrefix =
    [
        "<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<\uFF5Cfim\u2581begin\uFF5C>", "<PRE>", "\u2581<PRE>", "<|code_prefix|>", "<|prefix|>",
    ];

    private static readonly string[] _fimSuffix =
    [
        "<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<\uFF5Cfim\u2581hole\uFF5C>", "<SUF>", "\u2581<SUF>", "<|code_suffix|>", "<|suffix|>",
    ];

    private static readonly string[] _fimMiddle =
    [
        "<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<\uFF5Cfim\u2581end\uFF5C>", "<MID>", "\u2581<MID>", "<|code_middle|>", "<|middle|>",
    ];

    private static readonly string[] _fimPadding = ["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"];
    private static readonly string[] _fimRepository = ["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"];
    private static readonly string[] _fimFileSeparator = ["<|file_sep|>"];

    // Control tokens of gpt-oss that structure an answer and must stay visible.
    private static readonly string[] _visible = ["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"];

    private static readonly ByteStringTable _names = MakeNames();

    private readonly Dictionary<string, int> _byName = []; // those of the names above that the vocabulary has

    /// <summary>Decides everything about special tokens and corrects <paramref name="attributes"/> where a name tells more than the file.</summary>
    internal SpecialTokens(TokenizerData data, Utf8Strings texts, TokenAttributes[] attributes, SpecialDefaults defaults)
    {
        for (int id = 0; id < texts.Count; id++)
        {
            ReadOnlySpan<byte> text = texts[id];
            if (text.Length > 0 && text[0] is (byte)'<' or (byte)'[' or (byte)'_' or 0xE2 && _names.Find(text) >= 0)
                _byName.TryAdd(System.Text.Encoding.UTF8.GetString(text), id);
        }

        int count = texts.Count;
        Bos = Choose(data.BosId, defaults.Bos);
        Eos = Choose(data.EosId, defaults.Eos);
        Unknown = Choose(data.UnknownId, defaults.Unknown);
        Separator = Choose(data.SeparatorId, defaults.Separator);
        Padding = Choose(data.PaddingId, defaults.Padding);
        Mask = Choose(data.MaskId, defaults.Mask);
        Eot = ChooseOrFind(data.EotId, _endOfTurn);
        Eom = ChooseOrFind(data.EomId, _endOfMessage);
        FimPrefix = ChooseOrFind(data.FimPrefixId, _fimPrefix);
        FimSuffix = ChooseOrFind(data.FimSuffixId, _fimSuffix);
        FimMiddle = ChooseOrFind(data.FimMiddleId, _fimMiddle);
        FimPadding = ChooseOrFind(data.FimPaddingId, _fimPadding);
        FimRepository = ChooseOrFind(data.FimRepositoryId, _fimRepository);
        FimFileSeparator = ChooseOrFind(data.FimFileSeparatorId, _fimFileSeparator);

        MarkUnused(texts, attributes);
        AddToEnd(FimPadding);
        AddToEnd(FimRepository);
        AddToEnd(FimFileSeparator);
        foreach (string name in _endOfGeneration)
        {
            if (_byName.TryGetValue(name, out int id))
            {
                EndOfGeneration.Add(id);
                attributes[id] |= TokenAttributes.Control;
            }
        }

        foreach (string name in _visible)
        {
            if (_byName.TryGetValue(name, out int id))
                attributes[id] = TokenAttributes.UserDefined;
        }

        AddToEnd(Eos);
        AddToEnd(Eot);
        AddToEnd(Eom);
        RemoveFalseEnds(attributes);

        int Choose(long? given, int fallback) =>
            given is >= 0 && given < count ? (int)given : fallback < count ? fallback : None;

        int ChooseOrFind(long? given, string[] names)
        {
            int id = Choose(given, None);
            for (int i = 0; id < 0 && i < names.Length; i++)
            {
                if (_byName.TryGetValue(names[i], out int found))
                {
                    id = found;
                    attributes[id] |= TokenAttributes.Control;
                }
            }

            return id;
        }
    }

    internal int Bos { get; }

    internal int Eos { get; }

    internal int Eot { get; }

    internal int Eom { get; }

    internal int Unknown { get; }

    internal int Separator { get; }

    internal int Padding { get; }

    internal int Mask { get; }

    internal int FimPrefix { get; }

    internal int FimSuffix { get; }

    internal int FimMiddle { get; }

    internal int FimPadding { get; }

    internal int FimRepository { get; }

    internal int FimFileSeparator { get; }

    internal SortedSet<int> EndOfGeneration { get; } = [];

    private static ByteStringTable MakeNames()
    {
        var names = new ByteStringTable(64, 1024);
        foreach (string[] list in (string[][])[_endOfGeneration, _fimPrefix, _fimSuffix, _fimMiddle, _fimPadding, _fimRepository, _fimFileSeparator, _visible])
        {
            foreach (string name in list)
                names.FindOrAppend(System.Text.Encoding.UTF8.GetBytes(name));
        }

        return names;
    }

    private static void MarkUnused(Utf8Strings texts, TokenAttributes[] attributes)
    {
        for (int id = 0; id < attributes.Length; id++)
        {
            if ((attributes[id] & TokenAttributes.Control) != 0 && texts[id].IndexOf("unused"u8) >= 0)
                attributes[id] |= TokenAttributes.Unused;
        }
    }

    private void AddToEnd(int id)
    {
        if (id >= 0)
            EndOfGeneration.Add(id);
    }

    // "<|end|>" only ends a message where "<|return|>" or "<|flush|>" end the answer (gpt-oss, Solar); "</s>" is plain text to Gemma 4.
    private void RemoveFalseEnds(TokenAttributes[] attributes)
    {
        bool call = Ends("<|call|>") || Ends("<|calls|>");
        if (Ends("<|end|>") && call && (Ends("<|return|>") || Ends("<|flush|>")))
            Remove("<|end|>", TokenAttributes.UserDefined);
        if (Ends("</s>") && Ends("<|tool_response>"))
            Remove("</s>", TokenAttributes.Normal);

        bool Ends(string name) => _byName.TryGetValue(name, out int id) && EndOfGeneration.Contains(id);

        void Remove(string name, TokenAttributes becomes)
        {
            EndOfGeneration.Remove(_byName[name]);
            attributes[_byName[name]] = becomes;
        }
    }
}

/// <summary>What a kind of tokenizer assumes where the file is silent; -1 for none.</summary>
internal readonly record struct SpecialDefaults(int Bos = -1, int Eos = -1, int Unknown = -1, int Separator = -1, int Padding = -1, int Mask = -1);
