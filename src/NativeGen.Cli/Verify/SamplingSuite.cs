// sampling/: the sampler's steps against transformers' processors and llama.cpp's samplers, steps that adapt, and the spread of its draws.
using System.Runtime.InteropServices;
using System.Text.Json;
using NativeGen.Sampling;

namespace NativeGen.Cli.Verify;

internal static class SamplingSuite
{
    public static bool Reads(JsonElement root) =>
        root.ValueKind == JsonValueKind.Object && (First(root) is { ValueKind: JsonValueKind.Object } first
            ? first.TryGetProperty("chain", out _) || first.TryGetProperty("sampler", out _) || first.TryGetProperty("draws", out _)
            : root.EnumerateObject().Any() && root.EnumerateObject().All(item => IsLogits(item.Value)));

    public static void Run(FileReport report, JsonElement golden)
    {
        var first = First(golden);
        if (first.ValueKind != JsonValueKind.Object)
        {
            report.Case("arrays", c => Arrays(c, golden));
            return;
        }
        var logits = first.TryGetProperty("draws", out _) ? null : Logits(report.Path);
        var cases = golden.GetProperty("cases").EnumerateArray().ToArray();
        var llamaCpp = cases.Any(item => item.TryGetProperty("chain", out var chain) && chain.EnumerateArray().Any(link => LlamaCppOnly.Contains(link[0].GetString())));
        foreach (var (i, item) in cases.Index())
        {
            if (item.TryGetProperty("draws", out _))
                report.Case($"draws {item.GetProperty("name").GetString()}", c => Draws(c, item));
            else if (item.TryGetProperty("sampler", out var sampler))
                report.Case($"{sampler.GetString()} {i}", c => Replay(c, item, logits![item.GetProperty("logits").GetString()!]));
            else
                report.Case($"{string.Join('+', item.GetProperty("chain").EnumerateArray().Select(link => link[0].GetString()))} {i}",
                    c => Chain(c, item, logits![item.GetProperty("logits").GetString()!], llamaCpp));
        }
    }

    // ---- chains ----

    private static readonly string?[] LlamaCppOnly = ["temp", "temp_ext", "typical", "top_n_sigma", "xtc", "penalties", "dry", "logit_bias"];

    private static void Chain(CaseBuilder c, JsonElement item, float[] logits, bool llamaCpp)
    {
        SamplerStep[] Steps(IEnumerable<JsonElement> links) => [.. links.SelectMany(link => llamaCpp ? LlamaCpp(link) : [HuggingFace(link, item)])];
        var history = Ints(item, llamaCpp ? "accept" : "input_ids");
        var promptLength = item.TryGetProperty("prompt_length", out var length) ? length.GetInt32() : 0;
        var context = new SamplingContext(history, promptLength, seed: 0, sequence: 0, history.Length)
        {
            Source = Ints(item, "encoder_input_ids"),
            GroupTokens = Ints(item, "previous_group_tokens"),
        };
        var candidates = new Candidates(logits.Length);
        var links = item.GetProperty("chain").EnumerateArray().ToArray();
        new Sampler(Steps(links), draw: false).Process(logits, context, candidates);
        Compare(c, item.GetProperty("expected"), candidates);
        if (c.Holds)
            return;
        foreach (var (i, link) in links.Index())
        {
            new Sampler(Steps(links[..i]), draw: false).Process(logits, context, candidates);
            if (Accident(link, candidates) is { } reason)
                throw new UnsupportedException(reason);
        }
    }

    /// <summary>Where a reference's answer is an accident of its arithmetic, not its sampler's definition: looked at only where ours is another one.</summary>
    private static string? Accident(JsonElement link, Candidates before) => link[0].GetString() switch
    {
        "typical" when before.Scores.Contains(float.NegativeInfinity)
            => "llama.cpp's entropy is NaN where a token is ruled out, and what its typical sampler keeps is how std::sort leaves such numbers",
        "temp_ext" when link[2].GetSingle() > 0 && Math.Sqrt(before.Count) * Math.Pow(2, -24) / before.Entropy() > Bounds.SamplingScore
            => $"of an entropy of {before.Entropy():0.0e+00} llama.cpp's sums in single precision have fewer digits than the bound",
        "top_h" when link[1].GetSingle() == 1
            => "with top_h 1 the last token stays or goes by how torch rounds two sums that are equal",
        _ => null,
    };

    private static SamplerStep HuggingFace(JsonElement link, JsonElement item)
    {
        var value = link[1];
        var keep = item.TryGetProperty("min_tokens_to_keep", out var minimum) ? minimum.GetInt32() : 1;
        return link[0].GetString() switch
        {
            "sequence_bias" => new SequenceBiasStep(value.EnumerateArray().Select(pair => KeyValuePair.Create<IReadOnlyList<int>, float>(Golden.Ints(pair[0]), pair[1].GetSingle()))),
            "diversity_penalty" => new DiversityPenaltyStep(value.GetSingle()),
            "encoder_repetition_penalty" => new EncoderRepetitionPenaltyStep(value.GetSingle()),
            "repetition_penalty" => new RepetitionPenaltyStep(value.GetSingle()),
            "no_repeat_ngram_size" => new NoRepeatNgramStep(value.GetInt32()),
            "encoder_no_repeat_ngram_size" => new EncoderNoRepeatNgramStep(value.GetInt32()),
            "bad_words_ids" => SequenceBiasStep.Ban(value.EnumerateArray().Select(Golden.Ints), EndTokens(item)),
            "min_length" => new MinLengthStep(EndTokens(item), value.GetInt32()),
            "min_new_tokens" => new SuppressTokensStep(EndTokens(item), value.GetInt32()),
            "forced_bos_token_id" => new ForcedTokensStep([value.GetInt32()], 1),
            "forced_eos_token_id" => new ForcedTokensStep(OneOrMore(value), item.GetProperty("max_length").GetInt32() - 1),
            "exponential_decay_length_penalty" => new LengthDecayStep(EndTokens(item), value[0].GetInt32(), value[1].GetSingle()),
            "suppress_tokens" => new SuppressTokensStep(Golden.Ints(value)),
            "begin_suppress_tokens" => new SuppressTokensStep(Golden.Ints(value), 1),
            "temperature" => new TemperatureStep(value.GetSingle()),
            "top_h" => new TopHStep(value.GetSingle()),
            "top_k" => new TopKStep(value.GetInt32(), keep),
            "top_p" => new TopPStep(value.GetSingle(), keep),
            "min_p" => new MinPStep(value.GetSingle(), keep),
            "typical_p" => new TypicalPStep(value.GetSingle(), keep),
            "epsilon_cutoff" => new EpsilonCutoffStep(value.GetSingle(), keep),
            "eta_cutoff" => new EtaCutoffStep(value.GetSingle(), keep),
            "renormalize_logits" => new RenormalizeStep(),
            var name => throw new UnsupportedException($"this build has no step '{name}'"),
        };
    }

    private static SamplerStep[] LlamaCpp(JsonElement link)
    {
        float Number(int i) => link[i].GetSingle();
        int Keep(int i) => Math.Max(link[i].GetInt32(), 1);
        int Last(int i) => link[i].GetInt32() is >= 0 and var n ? n : int.MaxValue; // -1 is all
        return link[0].GetString() switch
        {
            "temp" => [new TemperatureStep(Number(1))],
            "temp_ext" => [new DynamicTemperatureStep(Number(1), Number(2), Number(3))],
            "top_k" => [new TopKStep(link[1].GetInt32() is > 0 and var k ? k : int.MaxValue, ties: false)],
            "top_p" => [new TopPStep(Number(1), Keep(2))],
            "min_p" => [new MinPStep(Number(1), Keep(2))],
            "typical" => [new TypicalPStep(Number(1), Keep(2))],
            "top_n_sigma" => [new TopNSigmaStep(Number(1))],
            "xtc" => [new XtcStep(Number(1), Number(2), Keep(3))],
            "logit_bias" => [new LogitBiasStep(link[1].EnumerateArray().Select(pair => KeyValuePair.Create(pair[0].GetInt32(), Float(pair[1]))))],
            "penalties" => [new RepetitionPenaltyStep(Number(2), Last(1)), new OccurrencePenaltyStep(Number(3), Number(4), Last(1))],
            "dry" => [new DryStep(Number(1), Number(2), link[3].GetInt32(), Last(4), link[5].EnumerateArray().Select(Golden.Ints))],
            var name => throw new UnsupportedException($"this build has no step '{name}'"),
        };
    }

    /// <summary>Everything that is left: which tokens, their scores, their probabilities.</summary>
    private static void Compare(CaseBuilder c, JsonElement expected, Candidates candidates)
    {
        var scores = candidates.Scores;
        var kept = Enumerable.Range(0, scores.Length).Where(i => !float.IsNegativeInfinity(candidates.Scores[i])).Select(candidates.Id).ToArray();
        Kept(c, expected, kept);
        var (error, distance) = (0.0, 0.0); // of scores as a part of their bound, of probabilities
        if (expected.TryGetProperty("scores", out var all))
        {
            for (var id = 0; id < all.GetArrayLength(); id++)
            {
                var score = candidates.IndexOf(id) is >= 0 and var index ? scores[index] : float.NegativeInfinity;
                error = Statistics.Largest(error, Error(Float(all[id]), score));
            }
        }
        if (expected.TryGetProperty("probs", out var probabilities))
        {
            for (var id = 0; id < probabilities.GetArrayLength(); id++)
                distance = Statistics.Largest(distance, Math.Abs(probabilities[id].GetDouble() - Math.Exp(candidates.LogProbability(id))));
        }
        foreach (var entry in expected.TryGetProperty("top", out var top) ? top.EnumerateArray() : default)
        {
            var id = entry[0].GetInt32();
            error = Statistics.Largest(error, candidates.IndexOf(id) is >= 0 and var index ? Error(entry[1].GetDouble(), scores[index]) : double.PositiveInfinity);
            distance = Statistics.Largest(distance, Math.Abs(entry[2].GetDouble() - Math.Exp(candidates.LogProbability(id))));
        }
        foreach (var entry in expected.TryGetProperty("changed", out var changed) ? changed.EnumerateArray() : default)
            error = Statistics.Largest(error, candidates.IndexOf(entry[0].GetInt32()) is >= 0 and var index ? Error(Float(entry[1]), scores[index]) : double.IsNegativeInfinity(Float(entry[1])) ? 0 : double.PositiveInfinity);
        c.AtMost("scores' relative error", error, Bounds.SamplingScore);
        c.AtMost("probabilities' error", distance, Bounds.SamplingProbability);
    }

    private static void Kept(CaseBuilder c, JsonElement expected, int[] kept)
    {
        c.That(expected.GetProperty("kept_count").GetInt32() == kept.Length, () => $"{kept.Length} tokens are kept, not {expected.GetProperty("kept_count").GetInt32()}");
        if (expected.TryGetProperty("kept", out var ids) && ids.ValueKind == JsonValueKind.Array)
            c.Same("kept tokens", [.. Golden.Ints(ids).Order()], kept);
        if (expected.TryGetProperty("kept_bitmap_base64", out var bitmap))
        {
            var bits = bitmap.GetBytesFromBase64();
            c.Same("kept tokens", [.. Enumerable.Range(0, 8 * bits.Length).Where(id => (bits[id / 8] >> (id % 8) & 1) == 1)], kept);
        }
    }

    /// <summary>Relative, or absolute where that is less.</summary>
    private static double Error(double expected, double actual) =>
        expected.Equals(actual) ? 0 : Math.Abs(expected - actual) / Math.Max(1, Math.Abs(expected));

    // ---- steps that adapt ----

    private static void Replay(CaseBuilder c, JsonElement item, float[] logits)
    {
        var parameters = item.GetProperty("params");
        float Number(string name) => parameters.GetProperty(name).GetSingle();
        AdaptiveStep step = item.GetProperty("sampler").GetString() switch
        {
            "mirostat" => new MirostatStep(1, Number("tau"), Number("eta"), parameters.GetProperty("m").GetInt32()),
            "mirostat_v2" => new MirostatStep(2, Number("tau"), Number("eta")),
            "adaptive_p" => new AdaptivePStep(Number("target"), Number("decay")),
            var name => throw new UnsupportedException($"this build has no sampler '{name}'"),
        };
        var sampler = new Sampler([step], draw: true);
        var candidates = new Candidates(logits.Length);
        SamplerState state = default;
        var (error, distance) = (0.0, 0.0);
        foreach (var expected in item.GetProperty("steps").EnumerateArray())
        {
            void Near(string name, double actual)
            {
                if (expected.TryGetProperty(name, out var value))
                    error = Statistics.Largest(error, Error(value.GetDouble(), actual));
            }

            Near("mu_before", step.Current(state).Mu);
            if (expected.TryGetProperty("mu_before", out var mu))
                state = step.Current(state) with { Choices = Math.Max(state.Choices, 1), Mu = mu.GetDouble() };
            Near("adapted_target", step is AdaptivePStep adaptive ? adaptive.Target(state) : 0);
            sampler.Process(logits, new SamplingContext([], 0, 0, 0, 0) { State = state }, candidates);
            if (step is MirostatStep zipf && expected.TryGetProperty("mu_before", out mu) && ZipfOverflows(zipf, logits, mu.GetDouble()) && expected.GetProperty("kept_count").GetInt32() == 1)
                throw new UnsupportedException("llama.cpp's number of tokens to keep does not fit an int here and becomes 1; all are meant");
            Kept(c, expected, [.. Enumerable.Range(0, candidates.Count).Where(i => !float.IsNegativeInfinity(candidates.Scores[i])).Select(candidates.Id)]);
            var selected = expected.GetProperty("selected").GetInt32();
            var index = candidates.IndexOf(selected);
            if (index < 0)
            {
                c.That(false, () => $"token {selected} was dropped");
                return;
            }
            distance = Statistics.Largest(distance, Math.Abs(expected.GetProperty("p_selected").GetDouble() - Math.Exp(candidates.LogProbability(selected))));
            if (expected.TryGetProperty("probs", out var probabilities))
            {
                for (var id = 0; id < probabilities.GetArrayLength(); id++)
                    distance = Statistics.Largest(distance, Math.Abs(probabilities[id].GetDouble() - Math.Exp(candidates.LogProbability(id))));
            }
            state = step.Learn(candidates, index, state);
            Near("mu_after", state.Mu);
            Near("weighted_sum_after", step.Current(state).WeightedSum);
            Near("total_weight_after", step.Current(state).TotalWeight);
        }
        c.AtMost("state's relative error", error, Bounds.SamplingScore);
        c.AtMost("probabilities' error", distance, Bounds.SamplingProbability);
    }

    private static bool ZipfOverflows(MirostatStep step, float[] logits, double mu)
    {
        var all = new Candidates(logits.Length);
        Sampler.Greedy.Process(logits, default, all);
        return step.Rank(all, mu) > int.MaxValue;
    }

    // ---- draws ----

    /// <summary>Neighbouring positions, neighbouring sequences and neighbouring seeds must each be independent draws.</summary>
    private static void Draws(CaseBuilder c, JsonElement item)
    {
        var probabilities = Golden.Doubles(item.GetProperty("probs"));
        var logits = probabilities.Select(p => (float)Math.Log(p)).ToArray();
        var draws = item.GetProperty("draws").GetInt32();
        var sampler = new Sampler([], draw: true);
        var candidates = new Candidates(logits.Length);
        foreach (var way in new[] { "positions", "sequences", "seeds" })
        {
            var counts = new int[probabilities.Length];
            for (var i = 0; i < draws; i++)
                counts[sampler.Sample(logits, new SamplingContext([], 0, way == "seeds" ? i : 7, way == "sequences" ? i : 0, way == "positions" ? i : 0), candidates)]++;
            var chiSquare = probabilities.Zip(counts).Where(pair => pair.First > 0).Sum(pair => Math.Pow(pair.Second - (draws * pair.First), 2) / (draws * pair.First));
            c.AtMost($"chi-square over {way}", chiSquare, item.GetProperty("bound").GetDouble());
            foreach (var never in Ints(item, "never"))
                c.That(counts[never] == 0, () => $"token {never} was drawn {counts[never]} times");
        }
    }

    // ---- data ----

    /// <summary>The arrays that the other files name; ties would make their kept sets a matter of taste.</summary>
    private static void Arrays(CaseBuilder c, JsonElement golden)
    {
        foreach (var (name, values) in Arrays(golden))
        {
            var finite = values.Where(float.IsFinite).ToArray();
            c.That(finite.Length > 0 && values.All(v => float.IsFinite(v) || float.IsNegativeInfinity(v)), () => $"{name} has NaN or infinity, or nothing else");
            c.That(name.StartsWith('p') || finite.Distinct().Count() == finite.Length, () => $"{name} has equal entries");
        }
    }

    private static Dictionary<string, float[]> Logits(string beside)
    {
        using var json = Golden.Json(Golden.Beside(beside, "logits.json"));
        return Arrays(json.RootElement);
    }

    private static Dictionary<string, float[]> Arrays(JsonElement root) =>
        root.EnumerateObject().ToDictionary(item => item.Name, item => item.Value.ValueKind == JsonValueKind.Array
            ? item.Value.EnumerateArray().Select(Float).ToArray()
            : MemoryMarshal.Cast<byte, float>(item.Value.GetProperty("f32le_base64").GetBytesFromBase64()).ToArray(), StringComparer.Ordinal);

    private static bool IsLogits(JsonElement value) =>
        value.ValueKind == JsonValueKind.Array || (value.ValueKind == JsonValueKind.Object && value.TryGetProperty("f32le_base64", out _));

    private static JsonElement First(JsonElement root) =>
        root.TryGetProperty("cases", out var cases) && cases.ValueKind == JsonValueKind.Array && cases.GetArrayLength() > 0 ? cases[0] : default;

    private static float Float(JsonElement value) => value.ValueKind == JsonValueKind.Null ? float.NegativeInfinity : value.GetSingle();

    private static int[] Ints(JsonElement item, string name) => Golden.IntsOrNull(item, name) ?? [];

    private static int[] EndTokens(JsonElement item) => OneOrMore(item.GetProperty("eos"));

    private static int[] OneOrMore(JsonElement value) => value.ValueKind == JsonValueKind.Array ? Golden.Ints(value) : [value.GetInt32()];
}
