// real/*.json ("format": "nativegen-real/1"): a real model's log-probabilities, perplexity, long prompts, generation, embeddings.
using System.Text.Json;
using NativeGen.Models;

namespace NativeGen.Cli.Verify;

internal static class RealSuite
{
    public static bool Reads(JsonElement root) =>
        root.TryGetProperty("format", out var format) && format.ValueKind == JsonValueKind.String && format.GetString()!.StartsWith("nativegen-real/", StringComparison.Ordinal);

    public static void Run(FileReport report, JsonElement golden, VerifyOptions options)
    {
        if (golden.GetProperty("format").GetString() != "nativegen-real/1")
        {
            report.Unsupported("format", $"this build reads nativegen-real/1, not {golden.GetProperty("format").GetString()}");
            return;
        }
        switch (golden.GetProperty("kind").GetString())
        {
            case "logprobs": LogprobsSuite.Run(report, golden, options); break;
            case "perplexity": PerplexitySuite.Run(report, golden, options); break;
            case "long": LongSuite.Run(report, golden, options); break;
            case "generation": GenerationSuite.Run(report, golden, options); break;
            case "embeddings": EmbeddingsSuite.Run(report, golden); break;
            case var kind: report.Unsupported("kind", $"this build reads no '{kind}' data"); break;
        }
    }

    public static string Model(FileReport report, JsonElement model) =>
        Golden.Model(report.Path, model.GetProperty("path").GetString()!, model.GetProperty("sha256").GetString()!);

    /// <summary>As the product runs it: keys and values in half precision; the exact mode in single.</summary>
    public static ContextOptions Context(VerifyOptions options, int length) =>
        new() { ContextLength = length, KvCacheType = options.Exact ? KvCacheType.F32 : KvCacheType.F16 };

    /// <summary>Rows of [id, ln p] against the product's log-probabilities of these ids.</summary>
    public static void TopRow(JsonElement row, ReadOnlySpan<float> logits, List<double> all, List<double> best)
    {
        var norm = Statistics.LogSumExp(logits);
        foreach (var (pair, i) in row.EnumerateArray().Select((p, i) => (p, i)))
        {
            var error = Math.Abs(logits[pair[0].GetInt32()] - norm - pair[1].GetDouble());
            all.Add(error);
            if (i == 0)
                best.Add(error);
        }
    }
}
