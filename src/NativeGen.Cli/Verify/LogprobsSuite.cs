// real, kind "logprobs": prompts and chats with the 20 most probable tokens at 23 positions and a greedy path of 48 tokens.
using System.Text.Json;

namespace NativeGen.Cli.Verify;

internal static class LogprobsSuite
{
    private sealed class Totals
    {
        public readonly List<double> Top20 = [], Top1 = [];
        public int SureSteps, SureSame, Cases, LeftEarly;
    }

    public static void Run(FileReport report, JsonElement golden, VerifyOptions options)
    {
        var path = RealSuite.Model(report, golden.GetProperty("model"));
        var cases = golden.GetProperty("cases").EnumerateArray().ToArray();
        report.Case("tokenizer", c =>
        {
            var tokenizer = Tokenizers.Open(path);
            foreach (var item in cases)
                c.Same($"{Name(item)}: ids", Golden.Ints(item.GetProperty("ids")),
                    tokenizer.Encode(Golden.Text(item.GetProperty("text")), item.GetProperty("add_special").GetBoolean(), item.GetProperty("parse_special").GetBoolean()));
        });

        var longest = cases.Max(item => item.GetProperty("ids").GetArrayLength() + item.GetProperty("path").GetArrayLength());
        var subject = new Lazy<Subject>(() => new Subject(path, options, RealSuite.Context(options, longest)));
        var sureMargin = golden.GetProperty("greedy").GetProperty("sure_margin").GetDouble();
        var totals = new Totals();
        var positions = 0;
        foreach (var item in cases)
        {
            if (options.Positions > 0 && positions >= options.Positions)
            {
                report.Unsupported(Name(item), $"left out by --positions {options.Positions}");
                continue;
            }
            positions += item.GetProperty("ids").GetArrayLength() + item.GetProperty("path").GetArrayLength();
            report.Case(Name(item), c => Case(c, item, subject.Value, sureMargin, totals, options.Exact));
        }
        if (!options.Exact)
            report.Case("all cases", c => All(c, totals));
        foreach (var logits in golden.GetProperty("full_logits").EnumerateArray())
        {
            // Single logits of 8-bit activations have no bound; the exact mode's do.
            var name = logits.GetProperty("case").GetString();
            if (options.Exact && cases.FirstOrDefault(item => Name(item) == name) is { ValueKind: JsonValueKind.Object } item)
                report.Case($"{name}: full logits", c => FullLogits(c, report.Path, logits, item, subject.Value));
        }
        if (subject.IsValueCreated)
            subject.Value.Dispose();
    }

    private static string Name(JsonElement item) => item.GetProperty("name").GetString()!;

    private static void Case(CaseBuilder c, JsonElement item, Subject subject, double sureMargin, Totals totals, bool exact)
    {
        var (ids, path) = (Golden.Ints(item.GetProperty("ids")), Golden.Ints(item.GetProperty("path")));
        var truth = item.GetProperty("hf_f32");
        var margins = Golden.Doubles(truth.GetProperty("margins"));
        var (top, first) = (truth.GetProperty("top"), item.GetProperty("first_position").GetInt32());
        List<double> top20 = [], top1 = [];
        totals.Cases++;

        // Along the path, teacher forced.
        subject.Run([.. ids, .. path[..^1]], Math.Min(first, ids.Length - 1), (position, logits) =>
        {
            if (position - first is var row && row >= 0 && row < top.GetArrayLength())
                RealSuite.TopRow(top[row], logits, top20, top1);
            var step = position - (ids.Length - 1);
            if (step < 0 || margins[step] < (exact ? Bounds.NearTie : sureMargin))
                return;
            var same = Statistics.Best(logits) == path[step];
            totals.SureSteps++;
            totals.SureSame += same ? 1 : 0;
            if (exact || margins[step] >= Bounds.PathCertainMargin)
                c.That(same, () => $"step {step}: the best token is not {path[step]}, which leads by {margins[step]} in the reference");
        });
        totals.Top20.AddRange(top20);
        totals.Top1.AddRange(top1);
        if (exact)
            c.AtMost("max |d ln p|", top20.Aggregate(0.0, Statistics.Largest), Bounds.ExactLogprob);

        // Its own way.
        var own = subject.Greedy(ids, path.Length);
        var left = own.AsSpan().CommonPrefixLength(path);
        if (left == path.Length)
            return;
        if (left < Bounds.GreedyStep)
            totals.LeftEarly++;
        c.That(margins[left] < (exact ? Bounds.NearTie : sureMargin), () => $"own text leaves the path at step {left}, where the reference leads by {margins[left]}");
    }

    private static void All(CaseBuilder c, Totals totals)
    {
        c.AtMost("top-20 ln p mean error", Statistics.Mean(totals.Top20), Bounds.Top20Mean);
        c.AtMost("p95", Statistics.Percentile(totals.Top20, 0.95), Bounds.Top20P95);
        c.AtMost("best token's mean error", Statistics.Mean(totals.Top1), Bounds.Top1Mean);
        c.AtMost("p95", Statistics.Percentile(totals.Top1, 0.95), Bounds.Top1P95);
        c.AtLeast("path kept at sure steps", (double)totals.SureSame / totals.SureSteps, Bounds.PathSureShare);
        c.AtMost($"own text leaves the path before step {Bounds.GreedyStep}, share of cases", (double)totals.LeftEarly / totals.Cases, Bounds.GreedyLeft);
    }

    private static void FullLogits(CaseBuilder c, string goldenPath, JsonElement described, JsonElement item, Subject subject)
    {
        var expected = Golden.F32(goldenPath, described.GetProperty("files").GetProperty("hf_f32").GetString()!, subject.Vocabulary);
        var ids = Golden.Ints(item.GetProperty("ids"));
        subject.Run(ids, ids.Length - 1, (_, logits) =>
        {
            double max = 0, shift = Statistics.LogSumExp(expected) - Statistics.LogSumExp(logits);
            for (var i = 0; i < expected.Length; i++)
                max = Statistics.Largest(max, Math.Abs((double)expected[i] - logits[i] - shift));
            c.AtMost("max |d ln p|", max, Bounds.ExactLogprob);
        });
    }
}
