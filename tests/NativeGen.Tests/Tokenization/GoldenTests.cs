// Every id, text and piece of the golden vocabularies, through the code of `nativegen verify`, where the data is there.
using System.Text.Json;
using NativeGen.Cli.Verify;
using NativeGen.Tests.Parity;
using NativeGen.Tokenization;

namespace NativeGen.Tests.Tokenization;

public sealed class GoldenTests
{
    public static TheoryData<string> Vocabularies { get; } =
        ["bert-bge", "deepseek-coder", "falcon", "gemma-4", "gpt-2", "llama-bpe", "llama-spm", "phi-3", "qwen2", "starcoder", "xlmr-ugm-32k"];

    private static string Shared => TestData.Shared("fixtures", "tokenizers");

    [Theory, MemberData(nameof(Vocabularies))]
    public void Texts(string name) => Verified.CheckAll(Path.Combine(Shared, name + ".jsonl"));

    [Theory, MemberData(nameof(Vocabularies))]
    public void PiecesAndInfo(string name)
    {
        Verified.CheckAll(Path.Combine(Shared, name + ".pieces.jsonl"));
        Verified.CheckAll(Path.Combine(Shared, name + ".info.json"));
    }

    [Fact]
    public void LlamaCppsOwnTests()
    {
        foreach (string path in Directory.GetFiles(Shared, "*.gguf.inp"))
            Verified.CheckAll(path);
    }

    [Fact]
    public void PreTokenizers()
    {
        Verified.CheckAll(Path.Combine(Shared, "pretokenizers.jsonl"));
        Verified.CheckAll(Path.Combine(Shared, "pretokenizers.json"));
    }

    [Fact]
    public void SmolLm2()
    {
        string path = TestData.Shared("fixtures", "real", "smollm2.logprobs.json");
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllBytes(path));
        Tokenizer tokenizer = Tokenizers.Open(TestData.Shared("models", "smollm2-135m-instruct.q4_1.gguf"));
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
            Tokenizer tokenizer = Tokenizers.Open(Path.ChangeExtension(path, ".gguf"));
            foreach (JsonElement pair in pairs.EnumerateArray())
            {
                int[] ids = tokenizer.Encode(pair.GetProperty("text").GetString()!, addSpecial: true, parseSpecial: false);
                if (!ids.AsSpan().SequenceEqual(Ints(pair, "ids")))
                    wrong.Add($"{Path.GetFileNameWithoutExtension(path)} ({(pair.TryGetProperty("llamacpp_agrees", out JsonElement agrees) ? agrees.ToString() : "?")}): {pair.GetProperty("text")}: {string.Join(' ', ids)} not {string.Join(' ', Ints(pair, "ids"))}");
            }
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong.Take(20)));
    }

    private static int[] Ints(JsonElement row, string key) => [.. row.GetProperty(key).EnumerateArray().Select(e => e.GetInt32())];
}
