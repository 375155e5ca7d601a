// real, kind "long": prompts of 1500 tokens, the path after them, and a state saved in the middle that must continue with the same bits.
using System.Text.Json;

namespace NativeGen.Cli.Verify;

internal static class LongSuite
{
    private const int SavedAfter = 8;

    public static void Run(FileReport report, JsonElement golden, VerifyOptions options)
    {
        var path = RealSuite.Model(report, golden.GetProperty("model"));
        foreach (var item in golden.GetProperty("cases").EnumerateArray())
        {
            var name = item.GetProperty("name").GetString()!;
            var length = item.GetProperty("n_prompt").GetInt32() + item.GetProperty("path").GetArrayLength();
            if (options.Limit(length) < length)
                report.Unsupported(name, $"left out by --positions {options.Positions}");
            else
                report.Case(name, c => Case(c, item, path, length, options));
        }
    }

    private static void Case(CaseBuilder c, JsonElement item, string model, int length, VerifyOptions options)
    {
        var (ids, path) = (Golden.Ints(item.GetProperty("ids")), Golden.Ints(item.GetProperty("path")));
        var truth = item.GetProperty("hf_f32");
        var margins = Golden.Doubles(truth.GetProperty("margins"));
        var certain = options.Exact ? Bounds.NearTie : Bounds.PathCertainMargin;
        List<double> top20 = [], top1 = [];
        using var subject = new Subject(model, options, RealSuite.Context(options, length) with { KvCacheTokens = 2 * length });

        // The prompt once; its fork follows the reference's path, the sequence itself goes its own way.
        var context = subject.Context;
        var own = context.CreateSequence();
        var text = new int[path.Length];
        subject.Extend(own, ids.AsSpan(0, ids.Length - 1), int.MaxValue, (_, _) => { });
        var forced = context.ForkSequence(own, ids.Length - 1);
        subject.Extend(forced, [ids[^1], .. path[..^1]], 0, (position, logits) =>
        {
            var step = position - (ids.Length - 1);
            RealSuite.TopRow(truth.GetProperty("top")[step], logits, top20, top1);
            c.That(margins[step] < certain || Statistics.Best(logits) == path[step], () => $"step {step}: the best token is not {path[step]}, which leads by {margins[step]} in the reference");
        });
        context.DropSequence(forced);
        if (options.Exact)
            c.AtMost("max |d ln p|", top20.Aggregate(0.0, Statistics.Largest), Bounds.ExactLogprob);

        byte[] state = [];
        float[] last = [];
        var next = ids[^1];
        for (var i = 0; i < path.Length; i++)
        {
            if (i == SavedAfter)
                state = context.SaveSequence(own);
            subject.Extend(own, [next], 0, (_, logits) => (next, last) = (text[i] = Statistics.Best(logits), logits.ToArray()));
        }
        context.DropSequence(own);
        if (options.Exact)
            c.That(text.AsSpan().CommonPrefixLength(path) is var left && (left == path.Length || margins[left] < certain), () => "own text leaves the path where the reference is sure");

        using var second = new Subject(subject.Model, options, RealSuite.Context(options, length));
        var restored = second.Context.LoadSequence(state);
        next = text[SavedAfter - 1];
        for (var i = SavedAfter; i < path.Length; i++)
        {
            var step = i;
            second.Extend(restored, [next], 0, (_, logits) =>
            {
                next = Statistics.Best(logits);
                c.That(next == text[step], () => $"restored state: token {step} is {next}, was {text[step]}");
                c.That(step + 1 < path.Length || Bits.Same(logits, last), () => "restored state: the last logits have other bits");
            });
        }
    }
}
