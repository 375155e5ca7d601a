// Properties of single steps and of any chain of them: never empty, blind to the order of ids, equal to slow twins, linear in the history.
using CsCheck;
using NativeGen.Sampling;

namespace NativeGen.Tests.Sampling;

public sealed class StepTests
{
    private static readonly Gen<float[]> AnyLogits =
        Gen.Frequency((20, Gen.Int[-400, 400].Select(i => i / 20f)), (1, Gen.Const(float.NegativeInfinity))).Array[1, 300]
            .Where(logits => logits.Any(float.IsFinite));

    private static readonly Gen<float> Part = Gen.Int[0, 100].Select(i => i / 100f);

    private static readonly Gen<SamplerStep> AnyCut = Gen.OneOf(
        Gen.Int[1, 400].Select(k => (SamplerStep)new TopKStep(k)),
        Gen.Int[1, 400].Select(k => (SamplerStep)new TopKStep(k, ties: false)),
        Part.Select(p => (SamplerStep)new TopPStep(p)),
        Part.Select(p => (SamplerStep)new MinPStep(p)),
        Part.Select(p => (SamplerStep)new TypicalPStep(p)),
        Part.Select(p => (SamplerStep)new EpsilonCutoffStep(p)),
        Part.Select(p => (SamplerStep)new EtaCutoffStep(p)),
        Part.Select(p => (SamplerStep)new TopHStep(p)),
        Part.Select(p => (SamplerStep)new TopNSigmaStep(3 * p)),
        Gen.Select(Part, Part).Select((p, t) => (SamplerStep)new XtcStep(p, t)),
        Part.Select(t => (SamplerStep)new TemperatureStep(2 * t)),
        Gen.Select(Part, Part, Part).Select((t, r, x) => (SamplerStep)new DynamicTemperatureStep(t, r, x)),
        Gen.Const((SamplerStep)new RenormalizeStep()));

    private static readonly Gen<SamplerStep[]> AnyEnd = Gen.OneOf(
        Gen.Const(Array.Empty<SamplerStep>()),
        Gen.Select(Gen.Int[1, 2], Part).Select((version, tau) => new SamplerStep[] { new MirostatStep(version, 10 * tau, 0.1f) }),
        Gen.Select(Part, Part).Select((target, decay) => new SamplerStep[] { new AdaptivePStep(target, decay) }));

    [Fact]
    public void AnyChainLeavesATokenThatCanCome() =>
        Gen.Select(AnyLogits, AnyCut.Array[0, 5], AnyEnd, Gen.Int[0, 10_000], Gen.Double[-5, 15]).Sample((logits, cuts, end, position, mu) =>
        {
            Sampler sampler = new([.. cuts, .. end], draw: true);
            Candidates candidates = new(logits.Length);
            SamplingContext context = new([], 0, 1, 0, position) { State = new(1, mu, 5, 10) };
            var token = sampler.Sample(logits, context, candidates, out var next);
            return float.IsFinite(logits[token]) && candidates.IndexOf(token) >= 0 && float.IsFinite(candidates.LogProbability(token))
                && double.IsFinite(next.Mu + next.WeightedSum + next.TotalWeight);
        });

    [Fact]
    public void KeptTokensDoNotDependOnTheOrderOfIds() =>
        Gen.Select(Gen.Int[1, 200].SelectMany(n => Gen.Shuffle(Enumerable.Range(0, n).ToArray())), AnyCut.Array[1, 4], Gen.Int[0, 1000]).Sample((order, cuts, position) =>
        {
            // Distinct scores: with ties ids do decide.
            var logits = order.Select(i => ((i * 37 % 211) / 12f) - (i / 1000f)).ToArray();
            var sorted = logits.Order().ToArray();
            float[] Kept(float[] values)
            {
                Candidates candidates = new(values.Length);
                new Sampler(cuts, draw: false).Process(values, new SamplingContext([], 0, 1, 0, position), candidates);
                return [.. Enumerable.Range(0, candidates.Count).Where(i => float.IsFinite(candidates.Scores[i])).Select(i => values[candidates.Id(i)]).Order()];
            }

            return Kept(logits).SequenceEqual(Kept(sorted)) || NearABorder(sorted, cuts);
        });

    /// <summary>Sums in another order round otherwise; a cut that a hair decides may then fall elsewhere.</summary>
    private static bool NearABorder(float[] logits, SamplerStep[] cuts)
    {
        Candidates one = new(logits.Length), other = new(logits.Length);
        new Sampler(cuts, draw: false).Process(logits, default, one);
        new Sampler(cuts, draw: false).Process([.. logits.Select(x => x * 1.000001f)], default, other);
        return one.Count != other.Count;
    }

    [Fact]
    public void TopPOfALargeVocabularyEqualsSorting()
    {
        var random = new Random(5);
        foreach (var width in new[] { 0.01, 1, 3, 12 })
        {
            float[] logits = [.. Enumerable.Range(0, 20_000).Select(_ => (float)(random.NextDouble() * width))];
            foreach (var p in new[] { 0.05f, 0.5f, 0.95f, 0.999f })
            {
                var best = logits.Max();
                var total = logits.Sum(x => Math.Exp(x - best));
                var order = Enumerable.Range(0, logits.Length).OrderByDescending(i => logits[i]).ThenBy(i => i).ToArray();
                var (sum, count) = (0.0, 0);
                while (sum < p * total)
                {
                    sum += Math.Exp(logits[order[count++]] - best);
                }

                Candidates candidates = new(logits.Length);
                new Sampler([new TopPStep(p)], draw: false).Process(logits, default, candidates);
                Assert.InRange(candidates.Count, count - 1, count + 1); // exp of floats differs in its last places
                Assert.Equal(order.Take(Math.Min(count, candidates.Count)).Order().Take(count - 1), Enumerable.Range(0, candidates.Count).Select(candidates.Id).Take(count - 1), new AlmostTheSame());
            }
        }
    }

    [Fact]
    public void StepsThatAreOffChangeNothing()
    {
        float[] logits = [5, 3, -200, float.NegativeInfinity, 4];
        SamplerStep[] off =
        [
            new TopPStep(1), new TypicalPStep(1), new MinPStep(0), new TopKStep(5), new TopNSigmaStep(0), new EpsilonCutoffStep(0), new EtaCutoffStep(0), new XtcStep(0, 0.1f), new XtcStep(1, 0.6f),
            new TemperatureStep(1), new DynamicTemperatureStep(1, 0), new RepetitionPenaltyStep(1), new EncoderRepetitionPenaltyStep(1), new OccurrencePenaltyStep(0, 0), new DryStep(0, 2, 1),
            new LogitBiasStep([]), new SuppressTokensStep([0], 0), new AdaptivePStep(-1, 0.9f),
        ];
        foreach (var step in off)
        {
            Candidates candidates = new(5);
            new Sampler([step], draw: false).Process(logits, new SamplingContext([0, 1, 0, 1, 0], 2, 0, 0, 5), candidates);
            Assert.True(candidates.Count == 5 && candidates.Scores.SequenceEqual(logits), step.GetType().Name);
        }
    }

    [Fact]
    public void ADrawIsTheTokenInWhosePartTheNumberFalls() =>
        Gen.Select(Gen.Int[1, 5000], Gen.Int[0, 100_000], Gen.Long).Sample((size, position, seed) =>
        {
            float[] logits = [.. Enumerable.Range(0, size).Select(i => i % 3 == 0 ? float.NegativeInfinity : (float)Math.Sin(i * 1.7) * 4)];
            logits[^1] = 1;
            Candidates candidates = new(size);
            var token = new Sampler([], draw: true).Sample(logits, new SamplingContext([], 0, seed, 2, position), candidates);
            var weights = logits.Select(x => Math.Exp(x)).ToArray();
            var target = Philox.Uniform(seed, 2, position) * weights.Sum();
            return weights.Take(token).Sum() <= target + 1e-3 && weights.Take(token + 1).Sum() >= target - 1e-3;
        });

    [Fact]
    public void DryEqualsItsDefinition() =>
        Gen.Select(Gen.Int[0, 4].Array[0, 60], Gen.Int[1, 4], Gen.Int[0, 2], Gen.Int[1, 70]).Sample((history, allowed, breakers, last) =>
        {
            int[][] sequences = [.. new int[][] { [4], [3, 2] }.Take(breakers)];
            float[] logits = [0, 0, 0, 0, 0, 0];
            Candidates candidates = new(logits.Length);
            new Sampler([new DryStep(1, 2, allowed, last, sequences)], draw: false).Process(logits, new SamplingContext(history, 0, 0, 0, 0), candidates);
            var tokens = history.TakeLast(last).ToArray();
            var n = tokens.Length;
            var limit = Enumerable.Range(0, n + 1).First(i => i == n || sequences.Any(s => i >= s.Length && tokens[(n - i)..(n - i + s.Length)].SequenceEqual(s)));
            limit = n > 0 && limit < n ? limit - sequences.Where(s => limit >= s.Length && tokens[(n - limit)..(n - limit + s.Length)].SequenceEqual(s)).Max(s => s.Length) : n;
            for (var token = 0; token < logits.Length; token++)
            {
                var longest = -1;
                for (var at = 0; at < n; at++)
                {
                    var length = 0;
                    while (tokens[at] == token && length < Math.Min(at, limit) && tokens[at - 1 - length] == tokens[n - 1 - length])
                    {
                        length++;
                    }

                    longest = tokens[at] == token && at > 0 && length >= allowed ? Math.Max(longest, length) : longest;
                }

                var expected = n > allowed && limit >= allowed && longest >= 0 && !sequences.Any(s => s is [var one] && one == token) ? -Math.Pow(2, longest - allowed) : 0;
                if (Math.Abs(candidates.Scores[token] - expected) > 1e-4)
                {
                    return false;
                }
            }

            return true;
        });

    [Fact]
    public void NoRepeatNgramEqualsItsDefinition() =>
        Gen.Select(Gen.Int[0, 3].Array[0, 40], Gen.Int[0, 3].Array[0, 40], Gen.Int[1, 5]).Sample((history, source, size) =>
        {
            HashSet<int> Banned(int[] text) => history.Length < size - 1 ? []
                : [.. Enumerable.Range(0, Math.Max(text.Length - size + 1, 0)).Where(i => text[i..(i + size - 1)].SequenceEqual(history[^(size - 1)..])).Select(i => text[i + size - 1])];
            bool Agrees(SamplerStep step, HashSet<int> banned)
            {
                Candidates candidates = new(5);
                new Sampler([step], draw: false).Process([1, 2, 3, 4, 5], new SamplingContext(history, 0, 0, 0, 0) { Source = source }, candidates);
                return Enumerable.Range(0, 5).All(id => float.IsNegativeInfinity(candidates.Scores[id]) == banned.Contains(id));
            }

            return Agrees(new NoRepeatNgramStep(size), Banned(history)) && Agrees(new EncoderNoRepeatNgramStep(size), Banned(source));
        });

    /// <summary>Quadratic time would take hours here.</summary>
    [Fact]
    public void WorstHistoriesTakeLinearTime()
    {
        var history = new int[2_000_000];
        history[^1] = 1;
        history[1000] = 1;
        Candidates candidates = new(4);
        Sampler sampler = new([new DryStep(1, 1.75f, 2), new NoRepeatNgramStep(500_000), new EncoderNoRepeatNgramStep(500_000), new RepetitionPenaltyStep(1.1f)], draw: false);
        sampler.Process([1, 2, 3, 4], new SamplingContext(history.AsSpan(..^1), history.Length / 2, 0, 0, 0), candidates);
        Assert.True(candidates.Scores[0] is float.NegativeInfinity or < -1e30f);
        sampler.Process([1, 2, 3, 4], new SamplingContext(history, history.Length / 2, 0, 0, 0), candidates);
        Assert.Equal(4, candidates.Scores[3]);
    }

    [Fact]
    public void StepsByIdWorkAfterStepsThatDrop()
    {
        Candidates candidates = new(6);
        SamplerStep[] steps = [new TopKStep(3), new LogitBiasStep([new(2, 1), new(0, 100)]), new RepetitionPenaltyStep(2), new SuppressTokensStep([4]), new LogitsProcessorStep(new Recorder())];
        new Sampler(steps, draw: false).Process([1, 2, 3, 4, 5, 0], new SamplingContext([3, 9, 0], 1, 0, 0, 3), candidates);
        Assert.Equal([float.NegativeInfinity, float.NegativeInfinity, 5, 3, float.NegativeInfinity, float.NegativeInfinity], candidates.Scores.ToArray());
    }

    private sealed class Recorder : ILogitsProcessor
    {
        public void Process(Span<float> scores, in SamplingContext context)
        {
            foreach (ref var score in scores)
            {
                score += context.PromptLength;
            }
        }
    }

    private sealed class Broken : ILogitsProcessor
    {
        public void Process(Span<float> scores, in SamplingContext context) => scores[2] = float.NaN;
    }

    [Fact]
    public void TopChoicesAreExcludedAsOftenAsAskedWhateverTokenIsDrawn()
    {
        Sampler sampler = new([new XtcStep(0.25f, 0.2f)], draw: true);
        Candidates candidates = new(4);
        var (excluded, both) = (0, 0);
        for (var position = 0; position < 20_000; position++)
        {
            var token = sampler.Sample([1, 0.9f, -3, -3.1f], new SamplingContext([], 0, 1, 0, position), candidates);
            var without = candidates.Count == 3;
            excluded += without ? 1 : 0;
            both += without && token == 1 ? 1 : 0;
        }

        Assert.InRange(excluded, 4700, 5300);
        Assert.InRange(both / (double)excluded, 0.94, 0.98); // e^0.9 of e^0.9 + e^-3 + e^-3.1: the two draws know nothing of each other
    }

    [Fact]
    public void ExcludingTopChoicesNeverLeavesOnlyWhatIsRuledOut()
    {
        Candidates candidates = new(3);
        Assert.Equal(1, new Sampler([new SuppressTokensStep([2]), new XtcStep(1, 0)], draw: true).Sample([3, 2, 1], default, candidates));
    }

    [Fact]
    public void AProcessorThatMakesNaNIsNamed()
    {
        Sampler sampler = new([new LogitsProcessorStep(new Broken())], draw: true);
        var error = Assert.Throws<NativeGenException>(() => sampler.Sample([1, 2, 3], default, new Candidates(3)));
        Assert.Equal(NativeGenErrorCode.InvalidRequest, error.Code);
        Assert.Contains(nameof(Broken), error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AnAdaptiveStepIsTheLastOne() =>
        Assert.Throws<ArgumentException>(() => new Sampler([new MirostatStep(2, 5, 0.1f), new TopKStep(5)], draw: true));

    /// <summary>The state is all there is: a copy of it goes on as the original does, and nothing else is remembered.</summary>
    [Theory]
    [InlineData("mirostat")]
    [InlineData("mirostat2")]
    [InlineData("adaptive")]
    public void AStateCanBeForkedAndTakenUpAgain(string which)
    {
        SamplerStep Step() => which switch { "mirostat" => new MirostatStep(1, 3, 0.3f), "mirostat2" => new MirostatStep(2, 3, 0.3f), _ => new AdaptivePStep(0.3f, 0.8f) };
        static float[] Logits(int position) => [.. Enumerable.Range(0, 30).Select(i => (float)Math.Sin((i + 1) * (position + 1.3)) * 3)];
        (int[] Tokens, SamplerState State) Run(Sampler sampler, Candidates candidates, int from, int to, SamplerState state)
        {
            List<int> tokens = [];
            for (var position = from; position < to; position++)
            {
                tokens.Add(sampler.Sample(Logits(position), new SamplingContext([], 0, 3, 0, position) { State = state }, candidates, out state));
            }

            return ([.. tokens], state);
        }

        var whole = Run(new Sampler([Step()], draw: true), new Candidates(30), 0, 40, default);
        var begun = Run(new Sampler([Step()], draw: true), new Candidates(30), 0, 15, default);
        var ended = Run(new Sampler([Step()], draw: true), new Candidates(900), 15, 40, begun.State with { });
        Assert.Equal(whole.Tokens, begun.Tokens.Concat(ended.Tokens).ToArray());
        Assert.Equal(whole.State, ended.State);
        Assert.Equal(40, whole.State.Choices);
        Assert.NotEqual(whole.Tokens[15..], Run(new Sampler([Step()], draw: true), new Candidates(30), 15, 40, default).Tokens);
    }

    [Fact]
    public void MirostatBringsTheSurpriseToItsTarget()
    {
        var logits = Enumerable.Range(0, 5000).Select(i => (float)(-1.2 * Math.Log(i + 1))).ToArray(); // Zipf's law
        foreach (var version in new[] { 1, 2 })
        {
            Sampler sampler = new([new MirostatStep(version, 4, 0.05f)], draw: true);
            Candidates candidates = new(logits.Length);
            SamplerState state = default;
            var bits = 0.0;
            for (var position = 0; position < 2000; position++)
            {
                var token = sampler.Sample(logits, new SamplingContext([], 0, 1, 0, position) { State = state }, candidates, out state);
                bits += position < 500 ? 0 : -candidates.LogProbability(token) / Math.Log(2);
            }

            Assert.InRange(bits / 1500, 3.8, 4.2);
        }
    }

    [Fact]
    public void ScalarFunctionsAgreeWithTheLibrarys()
    {
        for (var x = 1e-300; x < 1e300; x *= 1.37)
        {
            Assert.Equal(Math.Log(x), ScalarMath.Log(x), 1e-14 * Math.Max(1, Math.Abs(Math.Log(x))));
        }

        for (var x = -699.0; x < 699; x += 0.731)
        {
            Assert.InRange(ScalarMath.Exp(x) / Math.Exp(x), 1 - 1e-14, 1 + 1e-14);
        }

        Assert.Equal((double.NegativeInfinity, double.PositiveInfinity, 0.0), (ScalarMath.Log(0), ScalarMath.Exp(800), ScalarMath.Exp(-800)));
        Assert.True(double.IsNaN(ScalarMath.Log(-1)) && double.IsNaN(ScalarMath.Exp(double.NaN)));
        Assert.Equal(Math.Log(5e-324), ScalarMath.Log(5e-324), 1e-12);
        Assert.Equal(1024, ScalarMath.Power(2, 10));
        Assert.Equal(2 * Math.Sqrt(2), ScalarMath.Pow(2, 1.5), 1e-15);
    }

    [Fact]
    public void AChainOfAllStepsAllocatesNothing()
    {
        var logits = Enumerable.Range(0, 50_000).Select(i => (float)Math.Sin(i * 12.9898) * 10).ToArray();
        int[] history = [.. Enumerable.Range(0, 3000).Select(i => i * i % 17)];
        Candidates candidates = new(logits.Length);
        foreach (SamplerStep end in new SamplerStep[] { new RenormalizeStep(), new MirostatStep(1, 5, 0.1f), new MirostatStep(2, 5, 0.1f), new AdaptivePStep(0.4f, 0.9f) })
        {
            Sampler sampler = new(
            [
                new LogitBiasStep([new(5, 1)]), new SequenceBiasStep([new([1, 2], 3)]), new DiversityPenaltyStep(1), new EncoderRepetitionPenaltyStep(1.1f), new RepetitionPenaltyStep(1.1f),
                new OccurrencePenaltyStep(0.1f, 0.1f), new DryStep(0.8f, 1.75f, 2, breakers: [[16], [4, 9]]), new NoRepeatNgramStep(30), new EncoderNoRepeatNgramStep(3),
                SequenceBiasStep.Ban([[7], [8, 9]], [0]), new MinLengthStep([0], 9), new SuppressTokensStep([1]), new ForcedTokensStep([5], 1), new LengthDecayStep([0], 1, 1.01f),
                new LogitsProcessorStep(new Recorder()), new DynamicTemperatureStep(1, 0.5f), new TopNSigmaStep(2), new TopHStep(1), new TopKStep(50), new TopPStep(0.95f), new MinPStep(0.01f),
                new TypicalPStep(0.95f), new EpsilonCutoffStep(0.001f), new EtaCutoffStep(0.001f), new XtcStep(0.5f, 0.1f), end,
            ], draw: true);
            SamplerState state = default;
            long before = 0;
            for (var i = 0; i < 12; i++)
            {
                before = i == 2 ? GC.GetAllocatedBytesForCurrentThread() : before;
                var token = sampler.Sample(logits, new SamplingContext(history, 2000, 1, 0, i) { State = state }, candidates, out state);
                candidates.LogProbability(token);
            }

            Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        }
    }

    /// <summary>Two lists that differ in one place at most.</summary>
    private sealed class AlmostTheSame : IEqualityComparer<IEnumerable<int>>
    {
        public bool Equals(IEnumerable<int>? x, IEnumerable<int>? y) => x!.Except(y!).Count() <= 1;

        public int GetHashCode(IEnumerable<int> obj) => 0;
    }
}
