// From a file's metadata to a tokenizer's description: which key is which property.
using NativeGen.Tokenization;

namespace NativeGen.Models;

internal static class TokenizerDataReader
{
    private const string Prefix = "tokenizer.ggml.";

    /// <exception cref="NativeGenException">InvalidModel: a key that every tokenizer needs is missing, or one has the wrong type.</exception>
    internal static TokenizerData Read(GgufFile file)
    {
        string model = file.GetString(Prefix + "model") ?? throw Missing("model");
        if (model is "none" or "no_vocab")
            throw new NativeGenException(NativeGenErrorCode.InvalidModel, "The file has no tokenizer (tokenizer.ggml.model is none): pass token ids instead of text.");
        return new TokenizerData
        {
            Model = model,
            Pre = file.GetString(Prefix + "pre"),
            Tokens = Strings(file, "tokens") ?? throw Missing("tokens"),
            Scores = file.GetNumbers<float>(Prefix + "scores"),
            Types = file.GetNumbers<int>(Prefix + "token_type"),
            Merges = Strings(file, "merges"),
            CharacterMap = CharacterMap(file),
            BosId = Id(file, "bos"),
            EosId = Id(file, "eos"),
            EotId = Id(file, "eot"),
            EomId = Id(file, "eom"),
            UnknownId = Id(file, "unknown"),
            SeparatorId = Id(file, "seperator"),
            PaddingId = Id(file, "padding"),
            MaskId = Id(file, "mask"),
            FimPrefixId = Id(file, "fim_pre") ?? Id(file, "prefix"),
            FimSuffixId = Id(file, "fim_suf") ?? Id(file, "suffix"),
            FimMiddleId = Id(file, "fim_mid") ?? Id(file, "middle"),
            FimPaddingId = Id(file, "fim_pad"),
            FimRepositoryId = Id(file, "fim_rep"),
            FimFileSeparatorId = Id(file, "fim_sep"),
            AddBos = file.GetBoolean(Prefix + "add_bos_token"),
            AddEos = file.GetBoolean(Prefix + "add_eos_token"),
            AddSeparator = file.GetBoolean(Prefix + "add_sep_token"),
            AddSpacePrefix = file.GetBoolean(Prefix + "add_space_prefix"),
            RemoveExtraWhitespace = file.GetBoolean(Prefix + "remove_extra_whitespaces"),
            Lowercase = file.GetBoolean(Prefix + "normalizer.lowercase"),
            StripAccents = file.GetBoolean(Prefix + "normalizer.strip_accents"),
            ModelName = file.GetString("general.name"),
            Architecture = file.GetString("general.architecture"),
        };
    }

    private static Utf8Strings? Strings(GgufFile file, string key) => file.GetStringsBytes(Prefix + key) is { } strings ? Utf8Strings.Create(strings) : null;

    // Files in the wild have it as unsigned or signed bytes.
    private static byte[]? CharacterMap(GgufFile file)
    {
        const string key = Prefix + "precompiled_charsmap";
        if (!file.TryGetEntry(key, out GgufEntry? entry))
            return null;
        return entry.ItemType == GgufType.Int8 ? Array.ConvertAll(file.GetNumbers<sbyte>(key)!, v => unchecked((byte)v)) : file.GetNumbers<byte>(key);
    }

    private static long? Id(GgufFile file, string name) => file.GetNumber<long>($"{Prefix}{name}_token_id");

    private static NativeGenException Missing(string key) =>
        new(NativeGenErrorCode.InvalidModel, $"The file has no key {Prefix}{key}, so there is no tokenizer: get a complete file, or pass token ids instead of text.");
}
