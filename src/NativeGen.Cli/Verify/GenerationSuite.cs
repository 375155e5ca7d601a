// real, kinds "generation" and "embeddings": what of them this build can check.
using System.Text.Json;
using NativeGen.Models;
using NativeGen.Sampling;

namespace NativeGen.Cli.Verify;

internal static class GenerationSuite
{
    public static void Run(FileReport report, JsonElement golden, VerifyOptions options)
    {
        var path = RealSuite.Model(report, golden.GetProperty("model"));
        foreach (var kind in new[] { "beam", "no_repeat_ngram", "repetition_penalty" })
        {
            if (!golden.TryGetProperty(kind, out var cases))
                continue;
            foreach (var item in cases.EnumerateArray())
            {
                var name = $"{kind} {item.GetProperty("name").GetString()}";
                report.Case($"{name}: tokenizer", c => c.Same("ids", Golden.Ints(item.GetProperty("ids")), Tokenizers.Open(path).Encode(Golden.Text(item.GetProperty("text")), true, false)));
                if (kind == "beam")
                    report.Case(name, c => Beams(c, item, path, options));
                else
                    report.Case(name, c => Greedy(c, item, path, options, kind == "no_repeat_ngram"
                        ? new NoRepeatNgramStep(item.GetProperty("no_repeat_ngram_size").GetInt32())
                        : new RepetitionPenaltyStep(item.GetProperty("repetition_penalty").GetSingle())));
            }
        }
    }

    /// <summary>
    /// The reference's sequences where activations are floats; else only a best one that is as good, since beams are close here. A better one is no
    /// fault: which beams survive is a matter of little (`best_survived` of "story" is 0 of 6 under noise), and one that the reference lost may be kept.
    /// </summary>
    private static void Beams(CaseBuilder c, JsonElement item, string path, VerifyOptions options)
    {
        var prompt = Golden.Ints(item.GetProperty("ids"));
        using var model = Model.Open(path, new ModelOptions { ExactActivations = options.Exact, Threads = options.Threads }, null, options.Cancel);
        var context = RealSuite.Context(options, 4 * (prompt.Length + item.GetProperty("max_new_tokens").GetInt32()));
        var actual = EngineBeams.Run(model, options, context, prompt, item, out var ends);
        var scores = Golden.Doubles(item.GetProperty("sequences_scores"));
        if (options.Exact)
            BeamSuite.Compare(c, [.. item.GetProperty("sequences").EnumerateArray().Select(Golden.Ints)], scores, actual, ends, Bounds.ExactBeamScore);
        else
            c.AtMost("score 0 below the reference's", scores[0] - actual[0].Score, Bounds.RealBeamScore);
    }

    /// <summary>Its own text with one step: equal up to the first token that the reference was not sure of.</summary>
    private static void Greedy(CaseBuilder c, JsonElement item, string path, VerifyOptions options, SamplerStep step)
    {
        var (prompt, expected) = (Golden.Ints(item.GetProperty("ids")), Golden.Ints(item.GetProperty("sequence")));
        var margins = Golden.Doubles(item.GetProperty("margins"));
        var sure = Array.FindIndex(margins, margin => margin < (options.Exact ? Bounds.NearTie : Bounds.SureMargin)) is >= 0 and var first ? first : expected.Length;
        using var subject = new Subject(path, options, RealSuite.Context(options, prompt.Length + expected.Length));
        var sampler = new Sampler([step], draw: false);
        var candidates = new Candidates(subject.Vocabulary);
        int[] all = [.. prompt, .. expected];
        subject.Run(all.AsSpan(..^1), prompt.Length - 1, (position, logits) =>
        {
            var at = position - (prompt.Length - 1);
            if (at < sure)
            {
                var token = sampler.Sample(logits, new SamplingContext(all.AsSpan(..(position + 1)), prompt.Length, 0, 0, position + 1), candidates);
                c.That(token == expected[at], () => $"step {at}: {token}, not {expected[at]}, which leads by {margins[at]} in the reference");
            }
        });
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
