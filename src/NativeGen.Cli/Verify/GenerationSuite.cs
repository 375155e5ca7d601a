// real, kinds "generation" and "embeddings": what of them this build can check.
using System.Text.Json;
using NativeGen.Models;

namespace NativeGen.Cli.Verify;

internal static class GenerationSuite
{
    public static void Run(FileReport report, JsonElement golden)
    {
        var path = RealSuite.Model(report, golden.GetProperty("model"));
        foreach (var (kind, what) in new[] { ("beam", "beam search"), ("no_repeat_ngram", "no_repeat_ngram_size"), ("repetition_penalty", "greedy text with a repetition penalty over the prompt") })
        {
            if (!golden.TryGetProperty(kind, out var cases))
                continue;
            foreach (var item in cases.EnumerateArray())
            {
                var name = $"{kind} {item.GetProperty("name").GetString()}";
                report.Case($"{name}: tokenizer", c => c.Same("ids", Golden.Ints(item.GetProperty("ids")), Tokenizers.Open(path).Encode(Golden.Text(item.GetProperty("text")), true, false)));
                report.Unsupported(name, $"this build has no {what} yet");
            }
        }
    }
}

internal static class EmbeddingsSuite
{
    public static void Run(FileReport report, JsonElement golden)
    {
        foreach (var model in golden.GetProperty("models").EnumerateArray())
        {
            var (name, path) = (model.GetProperty("name").GetString(), RealSuite.Model(report, model));
            report.Case($"{name}: tokenizer", c =>
            {
                foreach (var item in golden.GetProperty("cases").EnumerateArray())
                    c.Same($"sentence {item.GetProperty("index").GetInt32()}: ids", Golden.Ints(item.GetProperty("ids")), Tokenizers.Open(path).Encode(Golden.Text(item.GetProperty("text")), true, false));
            });
            report.Case($"{name}: embeddings", _ =>
            {
                using var opened = Model.Open(path, null, null, default); // its refusal is the reason
                throw new UnsupportedException("this build has no embeddings yet");
            });
        }
    }
}
