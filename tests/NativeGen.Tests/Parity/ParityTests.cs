// Golden data through the code of `nativegen verify`: the tiny models of the repository always, the rest where ../shared is there.
using NativeGen.Cli.Verify;

namespace NativeGen.Tests.Parity;

[Collection("parity")] // one at a time: each uses all cores
public sealed class ParityTests
{
    public static TheoryData<string> Architectures { get; } = ["llama", "llama3", "mistral", "gpt2"];

    public static TheoryData<string> Real { get; } =
        ["smollm2.logprobs.json", "smollm2.perplexity.json", "smollm2.long.json", "smollm2.generation.json"];

    [Theory, MemberData(nameof(Architectures))]
    public void TinyModels(string name) => Check(Path.ChangeExtension(TestData.TinyModel(name), ".json"), new());

    [Theory, MemberData(nameof(Architectures))]
    public void TinyModelsExact(string name) => Check(Path.ChangeExtension(TestData.TinyModel(name), ".json"), new(Exact: true));

    [Theory, MemberData(nameof(Real))]
    public void RealModel(string file) => Check(TestData.Shared("fixtures", "real", file), new());

    [Fact]
    public void RealModelExact() => Check(TestData.Shared("fixtures", "real", "smollm2.perplexity.json"), new(Exact: true, Positions: 128));

    [Fact]
    public void QuantizedModels()
    {
        string[] types = ["bf16", "f16", "iq4_nl", "iq4_xs", "mxfp4", "q2_k", "q3_k_m", "q4_0", "q4_1", "q4_k_m", "q5_0", "q5_1", "q5_k_m", "q6_k", "q8_0"];
        foreach (string type in types)
        {
            string path = TestData.Shared("fixtures", "arch", "quant", $"llama_{type}.json");
            Check(path, new());
            Check(path, new(Exact: true));
        }
    }

    [Fact]
    public void Beams() => Verified.CheckAll(TestData.Shared("fixtures", "sampling", "beams.json"));

    /// <summary>The real model's beams where the reference's numbers hold: with float activations.</summary>
    [Fact]
    public void BeamsOfTheRealModel() => Check(TestData.Shared("fixtures", "real", "smollm2.generation.json"), new(Exact: true));

    [Fact]
    public void Blocks() => Check(TestData.Shared("fixtures", "arch", "quant", "blocks", "blocks.json"), new());

    [Fact]
    public void AnArchitectureThatIsNotThereIsUnsupportedNotPassed()
    {
        FileReport report = Verifier.Run(TestData.Shared("fixtures", "arch", "mamba.json"), new());
        Assert.Equal(0, report.Count(Outcome.Failed));
        Assert.Contains(report.Cases, c => c.Outcome == Outcome.Unsupported && c.Detail!.Contains("'mamba'", StringComparison.Ordinal));
    }

    [Fact]
    public void AWrongLogitIsFound()
    {
        string folder = Directory.CreateTempSubdirectory("nativegen").FullName;
        try
        {
            foreach (string ending in new[] { ".json", ".gguf", ".logits.f32" })
                File.Copy(Path.ChangeExtension(TestData.TinyModel("llama"), null) + ending, Path.Combine(folder, "llama" + ending));
            string logits = Path.Combine(folder, "llama.logits.f32");
            byte[] bytes = File.ReadAllBytes(logits);
            BitConverter.TryWriteBytes(bytes.AsSpan(4 * 1000), BitConverter.ToSingle(bytes, 4 * 1000) + 0.001f);
            File.WriteAllBytes(logits, bytes);
            Assert.True(Verifier.Run(Path.Combine(folder, "llama.json"), new()).Count(Outcome.Failed) > 0);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void Check(string path, VerifyOptions options)
    {
        FileReport report = Verified.Check(path, options);
        Assert.True(report.Count(Outcome.Passed) > 0 || path.Contains("generation", StringComparison.Ordinal), $"{path}: nothing passed");
    }
}
