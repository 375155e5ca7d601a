// sampling/beams.json: transformers' generate() with beams on a made-up model whose logits are looked up in a table.
using System.Text.Json;
using NativeGen.Sampling;

namespace NativeGen.Cli.Verify;

internal static class BeamSuite
{
    public static bool Reads(JsonElement root) =>
        root.ValueKind == JsonValueKind.Object && root.TryGetProperty("tables", out _) && root.TryGetProperty("steps", out _) && root.TryGetProperty("cases", out _);

    public static void Run(FileReport report, JsonElement golden)
    {
        foreach (var (i, item) in golden.GetProperty("cases").EnumerateArray().Index())
        {
            var name = item.GetProperty("table").GetString()!;
            report.Case($"{name} {i}", c => Case(c, item, new TableModel(golden.GetProperty("tables").GetProperty(name), golden.GetProperty("steps").GetProperty(name))));
        }
    }

    private static void Case(CaseBuilder c, JsonElement item, TableModel model)
    {
        var options = item.GetProperty("options");
        var prompt = Golden.Ints(item.GetProperty("prompt"));
        var longest = options.GetProperty("max_new_tokens").GetInt32();
        var ends = OneOrMore(options, "eos_token_id");
        var settings = new BeamSettings
        {
            Beams = options.GetProperty("num_beams").GetInt32(),
            Returned = options.GetProperty("num_return_sequences").GetInt32(),
            LengthPenalty = options.TryGetProperty("length_penalty", out var penalty) ? penalty.GetSingle() : 1,
            StopWhenFull = options.TryGetProperty("early_stopping", out var stop) && stop.ValueKind == JsonValueKind.True,
            StopNever = stop.ValueKind == JsonValueKind.String,
        };
        Sampler sampler = new(Steps(options, ends, prompt.Length + longest), draw: false);
        (int[] Tokens, double Score)[] actual = settings.Beams == 1
            ? [(model.Greedy(prompt, longest, ends, sampler), 0)]
            : [.. model.Search(settings, prompt, longest, ends, sampler).Select(found => (found.Tokens.ToArray(), (double)found.Score))];
        var expected = item.GetProperty("sequences").EnumerateArray().Select(Golden.Ints).ToArray();
        var scores = item.TryGetProperty("sequences_scores", out var given) ? Golden.Doubles(given) : null;
        // With beams generate() fills up with `pad_token_id or eos_token_id[0]`: an id of 0 counts as none.
        var pad = options.GetProperty("pad_token_id").GetInt32();
        Compare(c, expected, scores, actual, ends, Bounds.BeamScore, pad == 0 && settings.Beams > 1 && ends.Length > 0 ? ends[0] : pad);
    }

    /// <summary>Sequences, padded to the longest of them as transformers returns them, and their scores.</summary>
    public static void Compare(CaseBuilder c, int[][] expected, double[]? scores, (int[] Tokens, double Score)[] actual, int[] ends, double bound, int pad = -1)
    {
        c.That(expected.Length == actual.Length, () => $"{actual.Length} sequences, not {expected.Length}");
        for (var i = 0; i < Math.Min(expected.Length, actual.Length); i++)
        {
            int[] padded = pad < 0 ? actual[i].Tokens : [.. actual[i].Tokens, .. Enumerable.Repeat(pad, Math.Max(0, expected[i].Length - actual[i].Tokens.Length))];
            c.Same($"sequence {i}", expected[i], padded);
            var ended = actual[i].Tokens.Length > 0 && ends.Contains(actual[i].Tokens[^1]);
            c.That(ended || padded.Length == actual[i].Tokens.Length, () => "a sequence is shorter than the longest without an end token");
            if (scores is not null)
                c.AtMost($"score {i}", Math.Abs(scores[i] - actual[i].Score), bound + HalfDigit(scores[i]));
        }
    }

    /// <summary>What rounding to six digits, as scores are recorded, may have changed.</summary>
    private static double HalfDigit(double recorded) => recorded == 0 ? 0 : 0.5 * Math.Pow(10, Math.Floor(Math.Log10(Math.Abs(recorded))) - 5);

    /// <summary>generate()'s processors in its order, without those of SamplingSuite that beams' cases do not have.</summary>
    private static IEnumerable<SamplerStep> Steps(JsonElement options, int[] ends, int maxLength)
    {
        if (options.TryGetProperty("repetition_penalty", out var value))
            yield return new RepetitionPenaltyStep(value.GetSingle());
        if (options.TryGetProperty("no_repeat_ngram_size", out value))
            yield return new NoRepeatNgramStep(value.GetInt32());
        if (options.TryGetProperty("bad_words_ids", out value))
            yield return SequenceBiasStep.Ban(value.EnumerateArray().Select(Golden.Ints), ends);
        if (options.TryGetProperty("min_new_tokens", out value))
            yield return new SuppressTokensStep(ends, value.GetInt32());
        if (options.TryGetProperty("forced_eos_token_id", out value))
            yield return new ForcedTokensStep(OneOrMore(options, "forced_eos_token_id"), maxLength - 1);
        if (options.TryGetProperty("exponential_decay_length_penalty", out value))
            yield return new LengthDecayStep(ends, value[0].GetInt32(), value[1].GetSingle());
        if (options.TryGetProperty("suppress_tokens", out value))
            yield return new SuppressTokensStep(Golden.Ints(value));
        if (options.TryGetProperty("renormalize_logits", out value) && value.GetBoolean())
            yield return new RenormalizeStep();
        var others = options.EnumerateObject().Select(option => option.Name).Except(["repetition_penalty", "no_repeat_ngram_size", "bad_words_ids", "min_new_tokens",
            "forced_eos_token_id", "exponential_decay_length_penalty", "suppress_tokens", "renormalize_logits", "max_new_tokens", "num_beams",
            "num_return_sequences", "do_sample", "pad_token_id", "early_stopping", "length_penalty", "eos_token_id"]).ToArray();
        if (others.Length > 0 || options.GetProperty("do_sample").GetBoolean())
            throw new UnsupportedException($"this suite has no {(others.Length > 0 ? string.Join(", ", others) : "reference for draws")}");
    }

    private static int[] OneOrMore(JsonElement options, string name) =>
        !options.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null ? []
        : value.ValueKind == JsonValueKind.Array ? Golden.Ints(value) : [value.GetInt32()];

    /// <summary>logits = table[last token] + steps[(length - 1) mod 7]</summary>
    private sealed class TableModel(JsonElement table, JsonElement steps)
    {
        private readonly float[][] _table = Rows(table), _steps = Rows(steps);

        private int Vocabulary => _table[0].Length;

        public int[] Greedy(int[] prompt, int longest, int[] ends, Sampler sampler)
        {
            List<int> tokens = [.. prompt];
            Candidates candidates = new(Vocabulary);
            do
                tokens.Add(sampler.Sample(Logits(tokens), new SamplingContext(tokens.ToArray(), prompt.Length, 0, 0, tokens.Count), candidates));
            while (!ends.Contains(tokens[^1]) && tokens.Count < prompt.Length + longest);
            return [.. tokens.Skip(prompt.Length)];
        }

        public Hypothesis[] Search(BeamSettings settings, int[] prompt, int longest, int[] ends, Sampler sampler)
        {
            var endTokens = new bool[Vocabulary];
            foreach (var end in ends)
                endTokens[end] = true;
            BeamSearch search = new(settings, prompt.Length, longest, endTokens, Vocabulary);
            Lists texts = new([.. Enumerable.Range(0, settings.Beams).Select(_ => prompt.ToList())]);
            Candidates candidates = new(Vocabulary);
            while (!search.Done)
            {
                for (var slot = 0; slot < settings.Beams; slot++)
                {
                    if (search.Needs(slot) && search.Feed(slot, Logits(texts.Of[slot])))
                        search.Advance(sampler, texts, candidates);
                }
            }
            return search.Best();
        }

        private float[] Logits(List<int> tokens)
        {
            var (row, step) = (_table[tokens[^1]], _steps[(tokens.Count - 1) % 7]);
            return [.. row.Zip(step, (a, b) => a + b)];
        }

        private static float[][] Rows(JsonElement rows) => [.. rows.EnumerateArray().Select(row => row.EnumerateArray().Select(value => value.GetSingle()).ToArray())];
    }

    private sealed class Lists(List<int>[] of) : IBeamTexts
    {
        public List<int>[] Of => of;

        public ReadOnlySpan<int> Tokens(int slot) => System.Runtime.InteropServices.CollectionsMarshal.AsSpan(of[slot]);

        public TokenConstraint? Constraint(int slot) => null;

        public bool Ends(int slot, int token) => false;

        public void Fork(int from, int to) => of[to] = [.. of[from]];

        public void Append(int slot, int token) => of[slot].Add(token);

        public void Drop(int slot) => of[slot] = [];
    }
}
