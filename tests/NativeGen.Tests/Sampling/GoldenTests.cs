// The sampler's steps against transformers' processors, llama.cpp's samplers, and a chi-square bound on its draws.
using System.Runtime.InteropServices;
using System.Text.Json;
using NativeGen.Sampling;

namespace NativeGen.Tests.Sampling;

public sealed class GoldenTests
{
    [Fact]
    public void StepsAgreeWithTransformers()
    {
        var run = 0;
        foreach (var golden in Cases("hf.json"))
        {
            var keep = golden.TryGetProperty("min_tokens_to_keep", out var minimum) ? minimum.GetInt32() : 1;
            var context = new Context(Ints(golden, "input_ids"), golden.TryGetProperty("prompt_length", out var length) ? length.GetInt32() : 0);
            List<Action<Candidates>> chain = [];
            foreach (var link in golden.GetProperty("chain").EnumerateArray())
            {
                SamplerStep? step = link[0].GetString() switch
                {
                    "temperature" => new TemperatureStep(link[1].GetSingle()),
                    "top_k" => new TopKStep(link[1].GetInt32(), keep),
                    "top_p" => new TopPStep(link[1].GetSingle(), keep),
                    "min_p" => new MinPStep(link[1].GetSingle(), keep),
                    "repetition_penalty" => new RepetitionPenaltyStep(link[1].GetSingle()),
                    "suppress_tokens" => new SuppressTokensStep(link[1].EnumerateArray().Select(id => id.GetInt32())),
                    "min_new_tokens" => new SuppressTokensStep(EndTokens(golden), link[1].GetInt32()),
                    _ => null, // not a step of this build
                };
                if (step is null)
                {
                    chain.Clear();
                    break;
                }

                chain.Add(candidates => step.Apply(candidates, context.Sampling));
            }

            if (chain.Count > 0)
            {
                Check(golden, chain);
                run++;
            }
        }

        Assert.True(run >= 230, $"only {run} cases were run");
    }

    [Fact]
    public void StepsAgreeWithLlamaCpp()
    {
        var run = 0;
        foreach (var golden in Cases("llamacpp.json"))
        {
            var accepted = Ints(golden, "accept");
            List<Action<Candidates>> chain = [];
            foreach (var link in golden.GetProperty("chain").EnumerateArray())
            {
                if (Link(link, accepted) is not { } step)
                {
                    chain.Clear();
                    break;
                }

                chain.Add(step);
            }

            if (chain.Count > 0)
            {
                Check(golden, chain);
                run++;
            }
        }

        Assert.True(run >= 150, $"only {run} cases were run");

        static Action<Candidates>? Link(JsonElement link, int[] accepted)
        {
            switch (link[0].GetString())
            {
                case "temp" when link[1].GetSingle() == 0:
                    return candidates => new TopKStep(1).Apply(candidates, default);
                case "temp":
                    return candidates => new TemperatureStep(link[1].GetSingle()).Apply(candidates, default);
                case "top_k":
                    return candidates => new TopKStep(link[1].GetInt32() is > 0 and var k ? k : int.MaxValue).Apply(candidates, default);
                case "top_p":
                    return candidates => new TopPStep(link[1].GetSingle(), link[2].GetInt32()).Apply(candidates, default);
                case "min_p":
                    return candidates => new MinPStep(link[1].GetSingle(), link[2].GetInt32()).Apply(candidates, default);
                case "logit_bias":
                    var biases = link[1].EnumerateArray().Select(pair => KeyValuePair.Create(pair[0].GetInt32(), Float(pair[1])));
                    return candidates => new LogitBiasStep(biases).Apply(candidates, default);
                case "penalties":
                    // llama.cpp looks at the last n tokens for all three.
                    var window = accepted.TakeLast(link[1].GetInt32()).ToArray();
                    return candidates =>
                    {
                        new RepetitionPenaltyStep(link[2].GetSingle()).Apply(candidates, window);
                        new OccurrencePenaltyStep(link[3].GetSingle(), link[4].GetSingle()).Apply(candidates, window);
                    };
                default:
                    return null; // not a step of this build
            }
        }
    }

    [Fact]
    public void DrawsFollowTheProbabilities()
    {
        foreach (var golden in Cases("chi_square.json"))
        {
            var probabilities = golden.GetProperty("probs").EnumerateArray().Select(p => p.GetDouble()).ToArray();
            var logits = probabilities.Select(p => (float)Math.Log(p)).ToArray();
            var draws = golden.GetProperty("draws").GetInt32();
            var never = Ints(golden, "never");
            Sampler sampler = new([], draw: true);
            Candidates candidates = new(logits.Length);

            // Neighbouring positions, neighbouring sequences and neighbouring seeds must each be independent draws.
            for (var way = 0; way < 3; way++)
            {
                var counts = new int[probabilities.Length];
                for (var i = 0; i < draws; i++)
                {
                    counts[sampler.Sample(logits, new SamplingContext([], 0, way == 0 ? i : 7, way == 1 ? i : 0, way == 2 ? i : 0), candidates)]++;
                }

                var chiSquare = probabilities.Zip(counts).Where(pair => pair.First > 0)
                    .Sum(pair => Math.Pow(pair.Second - (draws * pair.First), 2) / (draws * pair.First));
                Assert.True(chiSquare <= golden.GetProperty("bound").GetDouble(), $"{golden.GetProperty("name")}: {chiSquare}");
                Assert.All(never, id => Assert.Equal(0, counts[id]));
            }
        }
    }

    private static void Check(JsonElement golden, List<Action<Candidates>> chain)
    {
        var logits = Logits.Value[golden.GetProperty("logits").GetString()!];
        Candidates candidates = new(logits.Length);
        candidates.Load(logits);
        chain.ForEach(step => step(candidates));
        var weights = candidates.Weights().ToArray();
        var total = weights.Sum(weight => (double)weight);
        var scores = candidates.Scores.ToArray();
        Dictionary<int, (float Score, double Probability)> kept = [];
        for (var i = 0; i < scores.Length; i++)
        {
            if (!float.IsNegativeInfinity(scores[i]))
            {
                kept.Add(candidates.Id(i), (scores[i], weights[i] / total));
            }
        }

        var where = $"{golden.GetProperty("logits")} {golden.GetProperty("chain")}";
        var expected = golden.GetProperty("expected");
        Assert.True(expected.GetProperty("kept_count").GetInt32() == kept.Count, $"{where}: kept {kept.Count}");
        if (expected.TryGetProperty("kept", out var ids) && ids.ValueKind == JsonValueKind.Array)
        {
            Assert.True(ids.EnumerateArray().Select(id => id.GetInt32()).ToHashSet().SetEquals(kept.Keys), where);
        }

        if (expected.TryGetProperty("kept_bitmap_base64", out var bitmap))
        {
            var bits = bitmap.GetBytesFromBase64();
            Assert.True(kept.Keys.All(id => (bits[id / 8] >> (id % 8) & 1) == 1), where);
        }

        if (expected.TryGetProperty("scores", out var expectedScores))
        {
            foreach (var (id, (score, probability)) in kept)
            {
                Near(expectedScores[id].GetDouble(), score, where);
                Assert.True(Math.Abs(expected.GetProperty("probs")[id].GetDouble() - probability) <= 1e-5, where);
            }
        }

        foreach (var entry in expected.TryGetProperty("top", out var top) ? top.EnumerateArray() : default)
        {
            Near(entry[1].GetDouble(), kept[entry[0].GetInt32()].Score, where);
            Assert.True(Math.Abs(entry[2].GetDouble() - kept[entry[0].GetInt32()].Probability) <= 1e-5, where);
        }
    }

    private static void Near(double expected, double actual, string where) =>
        Assert.True(Math.Abs(expected - actual) <= Math.Max(1e-5, 1e-5 * Math.Abs(expected)), $"{where}: {actual} instead of {expected}");

    private static readonly Lazy<Dictionary<string, float[]>> Logits = new(() =>
    {
        using var json = JsonDocument.Parse(File.ReadAllBytes(TestData.Shared("fixtures", "sampling", "logits.json")));
        return json.RootElement.EnumerateObject().ToDictionary(item => item.Name, item => item.Value.ValueKind == JsonValueKind.Array
            ? item.Value.EnumerateArray().Select(Float).ToArray()
            : MemoryMarshal.Cast<byte, float>(item.Value.GetProperty("f32le_base64").GetBytesFromBase64()).ToArray());
    });

    private static float Float(JsonElement value) => value.ValueKind == JsonValueKind.Null ? float.NegativeInfinity : value.GetSingle();

    private static JsonElement[] Cases(string file)
    {
        using var json = JsonDocument.Parse(File.ReadAllBytes(TestData.Shared("fixtures", "sampling", file)));
        return [.. json.RootElement.Clone().GetProperty("cases").EnumerateArray()];
    }

    private static int[] Ints(JsonElement golden, string name) =>
        golden.TryGetProperty(name, out var items) ? [.. items.EnumerateArray().Select(item => item.GetInt32())] : [];

    private static int[] EndTokens(JsonElement golden) =>
        golden.GetProperty("eos").ValueKind == JsonValueKind.Array ? Ints(golden, "eos") : [golden.GetProperty("eos").GetInt32()];

    private sealed record Context(int[] History, int PromptLength)
    {
        public SamplingContext Sampling => new(History, PromptLength, 0, 0, History.Length);
    }
}
