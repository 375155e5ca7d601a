// arch/NAME.json: a tiny model with reference logits, greedy text, beams or embeddings; with "file_type" one of arch/quant.
using System.Text.Json;
using NativeGen.Models;
using NativeGen.Sampling;

namespace NativeGen.Cli.Verify;

internal static class ArchSuite
{
    private static ContextOptions Context => new() { KvCacheType = KvCacheType.F32, KvCacheTokens = 1024 };

    public static bool Reads(JsonElement root) =>
        root.TryGetProperty("arch", out _) && root.TryGetProperty("gguf", out var gguf) && gguf.ValueKind == JsonValueKind.Object && root.TryGetProperty("input_ids", out _);

    public static void Run(FileReport report, JsonElement golden, VerifyOptions options)
    {
        var gguf = golden.GetProperty("gguf");
        var path = Golden.Model(report.Path, gguf.GetProperty("file").GetString()!, gguf.GetProperty("sha256").GetString()!);
        var ids = Golden.Ints(golden.GetProperty("input_ids"));

        if (golden.GetProperty("tokenizer").TryGetProperty("pairs", out var pairs))
            report.Case("tokenizer", c => Tokenizer(c, path, pairs));

        // One subject for all cases; if the engine refuses the model, each case reports its line.
        var subject = new Lazy<Subject>(() => new Subject(path, options, Context));
        var error = double.NaN; // of the logits, once measured
        if (golden.TryGetProperty("decoder_input_ids", out _))
            report.Case("logits", _ => Lacks(subject, "runs of encoder-decoder models"));
        else if (golden.TryGetProperty("logits", out var described))
        {
            var quantized = golden.TryGetProperty("file_type", out _);
            report.Case("logits", c => error = Logits(c, report.Path, golden, described, ids, subject.Value, quantized, options.Exact));
            report.Case("one token a step", c => SameBits(c, subject.Value, ids));
            if (!quantized)
                report.Case("F16 keys and values", c => LogitsKvF16(c, report.Path, described, ids, subject.Value, options));
        }
        foreach (var (greedy, i) in Elements(golden, "greedy"))
            report.Case($"greedy {i}", c => Greedy(c, greedy, subject, path, error));
        if (golden.TryGetProperty("left_padded_batch_equals_single", out _))
            report.Case("prompts in one batch", c => Batch(c, golden, ids, subject.Value));
        foreach (var (beam, i) in Elements(golden, "beam"))
        {
            foreach (var (run, n) in Elements(beam, "runs"))
                report.Case($"beam {i} {n}", c => Beams(c, beam, run, subject, options));
        }
        foreach (var (greedy, i) in Elements(golden, "greedy_no_repeat_ngram_2"))
            report.Case($"no_repeat_ngram_size {i}", c => AlongPath(c, greedy, subject.Value, error, new Sampler([new NoRepeatNgramStep(2)], draw: false)));
        foreach (var name in new[] { "hidden", "encoder_hidden", "texts", "rerank" })
        {
            if (golden.TryGetProperty(name, out _))
                report.Case(name, _ => Lacks(subject, "embeddings"));
        }
        if (subject.IsValueCreated)
            subject.Value.Dispose();
    }

    private static IEnumerable<(JsonElement, int)> Elements(JsonElement parent, string name) =>
        parent.TryGetProperty(name, out var array) ? array.EnumerateArray().Select((e, i) => (e, i)) : [];

    // The engine's own refusal of the model comes first: it is the more basic reason.
    private static void Lacks(Lazy<Subject> subject, string what)
    {
        _ = subject.Value;
        throw new UnsupportedException($"this build has no {what} yet");
    }

    private static void Tokenizer(CaseBuilder c, string path, JsonElement pairs)
    {
        var tokenizer = Tokenizers.Open(path);
        foreach (var pair in pairs.EnumerateArray())
            c.Same("ids", Golden.Ints(pair.GetProperty("ids")), tokenizer.Encode(Golden.Text(pair.GetProperty("text")), addSpecial: true, parseSpecial: false));
    }

    /// <returns>the largest difference</returns>
    private static double Logits(CaseBuilder c, string goldenPath, JsonElement golden, JsonElement described, int[] ids, Subject subject, bool quantized, bool exact)
    {
        var (expected, shape) = Golden.Tensor(goldenPath, described);
        c.That(shape[0] == ids.Length && shape[1] == subject.Vocabulary, () => $"shape: the model has [{ids.Length}, {subject.Vocabulary}], the data [{shape[0]}, {shape[1]}]");
        var actual = subject.Logits(ids);
        var (max, rms) = (Statistics.MaxDifference(expected, actual), Statistics.Rms(expected, actual));
        if (quantized && !exact)
        {
            c.AtMost("rms", rms, Bounds.RmsQuantFactor * golden.GetProperty("rms_diff_hf_llamacpp").GetDouble(), $"max |d| {max:0.###}");
            return max;
        }
        var bound = quantized ? Bounds.LogitsQuantExact : Bounds.Logits(golden.GetProperty("arch").GetString()!);
        Float(c, expected, actual, shape, max, rms, bound);
        return max;
    }

    private static void LogitsKvF16(CaseBuilder c, string goldenPath, JsonElement described, int[] ids, Subject subject, VerifyOptions options)
    {
        var (expected, shape) = Golden.Tensor(goldenPath, described);
        using var half = new Subject(subject.Model, options, new ContextOptions { KvCacheType = KvCacheType.F16 });
        var actual = half.Logits(ids);
        // The README's figure for half precision is "about 1e-2": a bound on the largest difference. The rms is shown beside it.
        c.AtMost("max |d|", Statistics.MaxDifference(expected, actual), Bounds.LogitsKvF16, $"rms {Statistics.Rms(expected, actual):0.0e+00}");
        BestTokens(c, expected, actual, shape, Bounds.LogitsKvF16);
    }

    private static void Float(CaseBuilder c, float[] expected, float[] actual, int[] shape, double max, double rms, double bound)
    {
        c.AtMost("max |d|", max, bound);
        c.AtMost("rms", rms, bound * Bounds.RmsPart);
        BestTokens(c, expected, actual, shape, bound);
    }

    private static void BestTokens(CaseBuilder c, float[] expected, float[] actual, int[] shape, double bound)
    {
        for (var i = 0; i < shape[0]; i++)
        {
            var row = expected.AsSpan(i * shape[1], shape[1]);
            var position = i;
            var (best, got) = (Statistics.Best(row), Statistics.Best(actual.AsSpan(i * shape[1], shape[1])));
            var sure = Statistics.Lead(row) > Bounds.SureLead * bound;
            c.That(best == got || !sure, () => $"best token at position {position}: expected {best}, got {got}");
        }
    }

    private static void SameBits(CaseBuilder c, Subject subject, int[] ids)
    {
        var (whole, stepped) = (subject.Logits(ids), subject.Logits(ids, chunk: 1));
        for (var i = 0; i < ids.Length; i++)
        {
            var (position, size) = (i, subject.Vocabulary);
            c.That(Bits.Same(whole.AsSpan(i * size, size), stepped.AsSpan(i * size, size)), () => $"position {position} has other bits than in one batch");
        }
    }

    // Along the reference's path, so that one near tie does not hide what comes after it. A token may differ only where the lead is within the error.
    private static void Greedy(CaseBuilder c, JsonElement golden, Lazy<Subject> subject, string path, double error)
    {
        c.Same("prompt ids", Golden.Ints(golden.GetProperty("prompt_ids")),
            Tokenizers.Open(path).Encode(Golden.Text(golden.GetProperty("prompt")), addSpecial: true, parseSpecial: false));
        AlongPath(c, golden, subject.Value, error, Sampler.Greedy);
    }

    private static void AlongPath(CaseBuilder c, JsonElement golden, Subject subject, double error, Sampler sampler)
    {
        var prompt = Golden.Ints(golden.GetProperty("prompt_ids"));
        var expected = Golden.Ints(golden.GetProperty("ids"));
        int[] all = [.. prompt, .. expected];
        var candidates = new Candidates(subject.Vocabulary);
        subject.Run(all.AsSpan(..^1), prompt.Length - 1, (position, logits) =>
        {
            var step = position - (prompt.Length - 1);
            var best = sampler.Sample(logits, new SamplingContext(all.AsSpan(..(position + 1)), prompt.Length, 0, 0, position + 1), candidates);
            var lead = (double)candidates.Scores[candidates.IndexOf(best)] - (candidates.IndexOf(expected[step]) is >= 0 and var index ? candidates.Scores[index] : double.NegativeInfinity);
            c.That(lead <= 0 || lead <= Bounds.SureLead * error, () => $"step {step}: expected {expected[step]}, got {best}, ahead by {lead:0.0e+00}");
        });
    }

    private static void Beams(CaseBuilder c, JsonElement beam, JsonElement run, Lazy<Subject> subject, VerifyOptions options)
    {
        if (!beam.TryGetProperty("prompt_ids", out _))
            Lacks(subject, "runs of encoder-decoder models");
        var actual = EngineBeams.Run(subject.Value.Model, options, Context, Golden.Ints(beam.GetProperty("prompt_ids")), run, out var ends);
        BeamSuite.Compare(c, [.. run.GetProperty("sequences").EnumerateArray().Select(Golden.Ints)], Golden.Doubles(run.GetProperty("sequences_scores")), actual, ends, Bounds.BeamScore);
    }

    private static void Batch(CaseBuilder c, JsonElement golden, int[] ids, Subject subject)
    {
        int[][] prompts = [.. Elements(golden, "greedy").Select(g => Golden.Ints(g.Item1.GetProperty("prompt_ids"))), ids];
        var alone = prompts.Select(p => subject.Logits(p)).ToArray();
        var sequences = prompts.Select(_ => subject.Context.CreateSequence()).ToArray();
        List<(int Prompt, int Position)> rows = [];
        for (var position = 0; position < prompts.Max(p => p.Length); position++)
            rows.AddRange(Enumerable.Range(0, prompts.Length).Where(p => position < prompts[p].Length).Select(p => (p, position)));
        var at = 0;
        subject.Step(rows.Select(r => prompts[r.Prompt][r.Position]).ToArray(), rows.Select(r => sequences[r.Prompt]).ToArray(), rows.Select(r => r.Position).ToArray(),
            rows.Select(_ => (byte)1).ToArray(), (position, logits) =>
            {
                var prompt = rows[at++].Prompt;
                c.That(Bits.Same(alone[prompt].AsSpan(position * subject.Vocabulary, subject.Vocabulary), logits), () => $"prompt {prompt}, position {position} has other bits than alone");
            });
        foreach (var sequence in sequences)
            subject.Context.DropSequence(sequence);
    }
}
