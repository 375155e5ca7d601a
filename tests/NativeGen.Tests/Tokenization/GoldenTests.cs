// Every id, text and piece of the golden vocabularies, where the data is there.
using System.Text;
using System.Text.Json;
using NativeGen.Models;
using NativeGen.Tokenization;

namespace NativeGen.Tests.Tokenization;

public sealed class GoldenTests
{
    public static TheoryData<string> Vocabularies { get; } =
        ["bert-bge", "deepseek-coder", "falcon", "gemma-4", "gpt-2", "llama-bpe", "llama-spm", "phi-3", "qwen2", "starcoder", "xlmr-ugm-32k"];

    private static string Shared => TestData.Shared("fixtures", "tokenizers");

    internal static Tokenizer Open(string path, string? pre = null)
    {
        using GgufFile file = GgufFile.Open(path);
        TokenizerData data = TokenizerDataReader.Read(file);
        return Tokenizer.Create(pre is null ? data : data with { Pre = pre });
    }

    [Theory, MemberData(nameof(Vocabularies))]
    public void Texts(string name)
    {
        Tokenizer tokenizer = Open(Path.Combine(Shared, name + ".gguf"));
        var wrong = new List<string>();
        int rows = 0;
        foreach (JsonElement row in Rows(name + ".jsonl"))
        {
            rows++;
            byte[] text = Bytes(row.GetProperty("text"));
            int[] ids = tokenizer.Encode(text, addSpecial: false, parseSpecial: false), special = tokenizer.Encode(text, addSpecial: true, parseSpecial: true);
            if (!ids.AsSpan().SequenceEqual(Ints(row, "ids")) && !(row.TryGetProperty("hf_ids", out _) && ids.AsSpan().SequenceEqual(Ints(row, "hf_ids"))))
                wrong.Add($"ids of {row.GetProperty("text")}: {string.Join(' ', ids)} not {string.Join(' ', Ints(row, "ids"))}");
            if (!special.AsSpan().SequenceEqual(Ints(row, "ids_special")))
                wrong.Add($"ids_special of {row.GetProperty("text")}: {string.Join(' ', special)} not {string.Join(' ', Ints(row, "ids_special"))}");
            int[] plain = Ints(row, "ids");
            Check("detok", tokenizer.DecodeBytes(plain, removeSpecial: false, showSpecial: false));
            Check("detok_special", tokenizer.DecodeBytes(Ints(row, "ids_special"), removeSpecial: false, showSpecial: true));
            Check("detok_skip", tokenizer.DecodeBytes(Ints(row, "ids_special"), removeSpecial: true, showSpecial: false));

            void Check(string key, byte[] actual)
            {
                byte[] expected = Bytes(row.GetProperty(key));
                if (!actual.AsSpan().SequenceEqual(expected))
                    wrong.Add($"{key} of {row.GetProperty("text")}: '{Encoding.UTF8.GetString(actual)}' not '{Encoding.UTF8.GetString(expected)}'");
            }
        }

        Assert.True(wrong.Count == 0, $"{wrong.Count} wrong of {rows} rows:\n{string.Join('\n', wrong.Take(12))}");
    }

    [Theory, MemberData(nameof(Vocabularies))]
    public void PiecesAndInfo(string name)
    {
        Tokenizer tokenizer = Open(Path.Combine(Shared, name + ".gguf"));
        var wrong = new List<string>();
        foreach (JsonElement row in Rows(name + ".pieces.jsonl"))
        {
            int id = row.GetProperty("id").GetInt32();
            byte[] expected = Bytes(row.GetProperty("piece"));
            if (!tokenizer.Piece(id).SequenceEqual(expected))
                wrong.Add($"piece {id}: '{Encoding.UTF8.GetString(tokenizer.Piece(id))}' not '{Encoding.UTF8.GetString(expected)}'");
            if ((int)tokenizer.AttributesOf(id) != row.GetProperty("attr").GetInt32())
                wrong.Add($"attr {id}: {tokenizer.AttributesOf(id)} not {(TokenAttributes)row.GetProperty("attr").GetInt32()}");
        }

        using JsonDocument info = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Shared, name + ".info.json")));
        JsonElement golden = info.RootElement;
        Same("n_vocab", tokenizer.VocabularySize);
        Same("type", (int)tokenizer.Kind);
        Same("bos", tokenizer.BosId ?? -1);
        Same("eos", tokenizer.EosId ?? -1);
        Same("eot", tokenizer.EotId ?? -1);
        Same("sep", tokenizer.SeparatorId ?? -1);
        Same("pad", tokenizer.PaddingId ?? -1);
        if (golden.GetProperty("add_bos").GetBoolean() != tokenizer.AddsBos)
            wrong.Add("add_bos");
        if (golden.GetProperty("add_eos").GetBoolean() != tokenizer.AddsEos)
            wrong.Add("add_eos");
        int[] ends = [.. Enumerable.Range(0, tokenizer.VocabularySize).Where(tokenizer.IsEndOfGeneration)];
        if (!ends.AsSpan().SequenceEqual(Ints(golden, "eog")))
            wrong.Add($"eog: {string.Join(' ', ends)} not {golden.GetProperty("eog")}");
        Assert.True(wrong.Count == 0, string.Join('\n', wrong.Take(12)));

        void Same(string key, int actual)
        {
            if (golden.GetProperty(key).GetInt32() != actual)
                wrong.Add($"{key}: {actual} not {golden.GetProperty(key).GetInt32()}");
        }
    }

    [Fact]
    public void PreTokenizers()
    {
        var tokenizers = new Dictionary<string, Tokenizer>();
        var wrong = new Dictionary<string, (int Count, string First)>();
        foreach (JsonElement row in Rows("pretokenizers.jsonl"))
        {
            string pre = row.GetProperty("pre").GetString()!;
            if (!tokenizers.TryGetValue(pre, out Tokenizer? tokenizer))
                tokenizers[pre] = tokenizer = Open(Path.Combine(Shared, "qwen2.gguf"), pre);
            int[] ids = tokenizer.Encode(Bytes(row.GetProperty("text")), addSpecial: false, parseSpecial: false);
            if (!ids.AsSpan().SequenceEqual(Ints(row, "ids")))
                wrong[pre] = (wrong.GetValueOrDefault(pre).Count + 1, $"{row.GetProperty("text")}: {string.Join(' ', ids)} not {string.Join(' ', Ints(row, "ids"))}");
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong.Select(w => $"{w.Key}: {w.Value.Count} wrong, {w.Value.First}")));
    }

    [Fact]
    public void SmolLm2()
    {
        string path = TestData.Shared("fixtures", "real", "smollm2.logprobs.json");
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllBytes(path));
        Tokenizer tokenizer = Open(TestData.Shared("models", "smollm2-135m-instruct.q4_1.gguf"));
        foreach (JsonElement item in golden.RootElement.GetProperty("cases").EnumerateArray())
        {
            int[] ids = tokenizer.Encode(item.GetProperty("text").GetString()!, item.GetProperty("add_special").GetBoolean(), item.GetProperty("parse_special").GetBoolean());
            Assert.Equal(Ints(item, "ids"), ids);
        }
    }

    [Fact]
    public void TinyModels()
    {
        string folder = TestData.Shared("fixtures", "arch");
        var wrong = new List<string>();
        foreach (string path in Directory.GetFiles(folder, "*.json"))
        {
            using JsonDocument golden = JsonDocument.Parse(File.ReadAllBytes(path));
            if (!golden.RootElement.TryGetProperty("tokenizer", out JsonElement kind) || !kind.TryGetProperty("pairs", out JsonElement pairs))
                continue;
            Tokenizer tokenizer = Open(Path.ChangeExtension(path, ".gguf"));
            foreach (JsonElement pair in pairs.EnumerateArray())
            {
                int[] ids = tokenizer.Encode(pair.GetProperty("text").GetString()!, addSpecial: true, parseSpecial: false);
                if (!ids.AsSpan().SequenceEqual(Ints(pair, "ids")))
                    wrong.Add($"{Path.GetFileNameWithoutExtension(path)} ({(pair.TryGetProperty("llamacpp_agrees", out JsonElement agrees) ? agrees.ToString() : "?")}): {pair.GetProperty("text")}: {string.Join(' ', ids)} not {string.Join(' ', Ints(pair, "ids"))}");
            }
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong.Take(20)));
    }

    private static IEnumerable<JsonElement> Rows(string file) =>
        File.ReadLines(Path.Combine(Shared, file)).Where(l => l.Length > 0).Select(l => JsonDocument.Parse(l).RootElement);

    private static int[] Ints(JsonElement row, string key) => [.. row.GetProperty(key).EnumerateArray().Select(e => e.GetInt32())];

    private static byte[] Bytes(JsonElement value) =>
        value.ValueKind == JsonValueKind.Object ? Convert.FromHexString(value.GetProperty("hex").GetString()!) : Encoding.UTF8.GetBytes(value.GetString()!);
}
