// real, kind "perplexity": NLL and KL at 1024 positions of one text, then the perplexity of the whole text in chunks of 512.
using System.Text.Json;

namespace NativeGen.Cli.Verify;

internal static class PerplexitySuite
{
    private const int ChunksWhenLimited = 2;

    public static void Run(FileReport report, JsonElement golden, VerifyOptions options)
    {
        var path = RealSuite.Model(report, golden.GetProperty("model"));
        var (text, first) = (golden.GetProperty("text"), golden.GetProperty("first_1024"));
        int[] tokens = [];
        report.Case("tokenizer", c =>
        {
            var bytes = File.ReadAllBytes(Golden.Beside(report.Path, text.GetProperty("file").GetString()!));
            tokens = Tokenizers.Open(path).Encode(bytes, text.GetProperty("add_special").GetBoolean(), text.GetProperty("parse_special").GetBoolean());
            c.That(tokens.Length == text.GetProperty("tokens").GetInt32(), () => $"expected {text.GetProperty("tokens").GetInt32()} tokens, got {tokens.Length}");
            var ids = Golden.Ints(first.GetProperty("ids"));
            c.Same("first ids", ids, tokens.AsSpan(0, Math.Min(ids.Length, tokens.Length)));
        });
        report.Case("1024 positions", c => First(c, report.Path, path, first, options));
        report.Case("perplexity", c => Perplexity(c, path, golden.GetProperty("perplexity"), tokens, options));
    }

    private static void First(CaseBuilder c, string goldenPath, string model, JsonElement first, VerifyOptions options)
    {
        var ids = Golden.Ints(first.GetProperty("ids"));
        var nll = Golden.F32(goldenPath, first.GetProperty("nll_files").GetProperty("hf_f32").GetString()!, ids.Length - 1);
        const int Top = 64;
        var topIds = Golden.I32(goldenPath, first.GetProperty("top64").GetProperty("ids").GetString()!, ids.Length * Top);
        var topLogprobs = Golden.F32(goldenPath, first.GetProperty("top64").GetProperty("logprobs").GetString()!, ids.Length * Top);

        var count = options.Limit(ids.Length);
        List<double> kl = [], own = [], errors = [];
        var same = 0;
        using var subject = new Subject(model, options, RealSuite.Context(options, ids.Length));
        subject.Run(ids.AsSpan(0, count), 0, (position, logits) =>
        {
            var logprobs = topLogprobs.AsSpan(position * Top, Top);
            kl.Add(Statistics.KlOfTop(topIds.AsSpan(position * Top, Top), logprobs, logits));
            var (best, got) = (topIds[position * Top], Statistics.Best(logits));
            same += best == got ? 1 : 0;
            if (options.Exact && logprobs[0] - logprobs[1] >= Bounds.NearTie)
                c.That(best == got, () => $"best token at position {position}: expected {best}, got {got}");
            if (position + 1 == ids.Length)
                return;
            own.Add(Statistics.LogSumExp(logits) - logits[ids[position + 1]]);
            errors.Add(Math.Abs(own[^1] - nll[position]));
        });
        var mean = Math.Abs(Statistics.Mean(own) - nll.Take(own.Count).Average(v => (double)v));
        var aside = count < ids.Length ? $"of {count} positions" : null;
        if (options.Exact)
        {
            c.AtMost("kl64 mean", Statistics.Mean(kl), Bounds.ExactKl, aside);
            c.AtMost("NLL max error", errors.Aggregate(0.0, Statistics.Largest), Bounds.ExactNll, aside);
            return;
        }
        c.AtMost("kl64 mean", Statistics.Mean(kl), Bounds.Kl64Mean, $"goal {Bounds.GoalKlMean}");
        c.AtMost("p99", Statistics.Percentile(kl, 0.99), Bounds.Kl64P99);
        c.AtMost("max", kl.Aggregate(0.0, Statistics.Largest), Bounds.Kl64Max);
        c.AtLeast("best token the same", (double)same / count, Bounds.BestTokenSame);
        c.AtMost("NLL mean error", mean, Bounds.NllMean);
        c.AtMost("token by token", Statistics.Mean(errors), Bounds.NllTokenMean);
    }

    // As llama-perplexity: chunks from an empty cache, the second half of each scored, an incomplete last one dropped.
    private static void Perplexity(CaseBuilder c, string model, JsonElement golden, int[] tokens, VerifyOptions options)
    {
        var length = golden.GetProperty("n_ctx").GetInt32();
        var truth = golden.GetProperty("hf_f32");
        var running = Golden.Doubles(truth.GetProperty("running"));
        var chunks = options.Positions == 0 ? tokens.Length / length : Math.Min(ChunksWhenLimited, tokens.Length / length);
        c.That(tokens.Length / length == running.Length, () => $"the text has {tokens.Length / length} chunks of {length}, the data {running.Length}");
        var bos = Tokenizers.AddsBos(model);
        double nll = 0;
        var scored = 0;
        using var subject = new Subject(model, options, RealSuite.Context(options, length));
        for (var chunk = 0; chunk < chunks; chunk++)
        {
            var ids = tokens.AsSpan(chunk * length, length).ToArray();
            var targets = tokens.AsMemory(chunk * length, length);
            if (bos is { } id)
                ids[0] = id;
            subject.Run(ids.AsSpan(0, length - 1), length / 2, (position, logits) =>
            {
                nll += Statistics.LogSumExp(logits) - logits[targets.Span[position + 1]];
                scored++;
            });
        }
        var perplexity = Math.Exp(nll / scored);
        var aside = $"{perplexity:0.0000}, truth {running[chunks - 1]:0.0000}, {chunks} of {running.Length} chunks";
        if (options.Exact)
            c.AtMost("NLL mean error", Math.Abs(nll / scored - Math.Log(running[chunks - 1])), Bounds.ExactNll, aside);
        else
            c.AtMost("|d|", Math.Abs(perplexity - truth.GetProperty("ppl").GetDouble()), Bounds.Perplexity, aside);
    }
}
