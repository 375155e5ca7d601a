// The search by itself, where the golden data does not reach: groups, draws, ties, and what is found when little is possible.
using NativeGen.Sampling;

namespace NativeGen.Tests.Sampling;

public sealed class BeamSearchTests
{
    private const int Vocabulary = 24;

    [Fact]
    public void GroupsWithoutPenaltyEachFindWhatTheSameBeamsFindAlone()
    {
        var alone = Find(new() { Beams = 3, Returned = 3 });
        var groups = Find(new() { Beams = 6, Groups = 2, Returned = 6 });
        Assert.Equal(alone.SelectMany(text => new[] { text, text }), groups);
    }

    [Fact]
    public void APenaltyKeepsGroupsApart()
    {
        Sampler sampler = new([new DiversityPenaltyStep(1000)], draw: false);
        var search = Run(new() { Beams = 4, Groups = 4, Returned = 4 }, 3, sampler);
        var texts = search.Best().Select(found => found.Tokens.ToArray()).ToArray();
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(4, texts.Select(text => text[i]).Distinct().Count());
        }

        // The first group is told of nobody: it finds the greedy text, without a penalty in its score.
        Assert.Equal(Find(new() { Beams = 1 }, 3)[0], Text(search.Best()[0]));
    }

    /// <summary>A step at a time, by the definition: all sums of all beams sorted, no end tokens, no lists kept.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void BeamsAreTheBestSumsAtEveryStep(int beams)
    {
        List<(int[] Tokens, double Sum)> live = [([], 0)];
        for (var step = 0; step < 6; step++)
        {
            live = [.. live.SelectMany(beam => LogSoftmax(Logits([1, .. beam.Tokens])).Select((p, id) => (Tokens: (int[])[.. beam.Tokens, id], Sum: beam.Sum + p)))
                .OrderByDescending(beam => beam.Sum).Take(beams)];
        }

        Assert.Equal(live.Select(beam => string.Join(' ', beam.Tokens)), Find(new() { Beams = beams, Returned = beams }, 6));
    }

    /// <summary>One beam that is drawn for one step is a plain draw: a chi-square test, wrong once in a million runs for a right sampler.</summary>
    [Fact]
    public void DrawsFollowTheProbabilities()
    {
        const int Draws = 20000;
        var counts = new int[Vocabulary];
        for (var seed = 0; seed < Draws; seed++)
        {
            counts[Run(new() { Beams = 1, Draw = true, Seed = seed }, 1, Sampler.Greedy).Best()[0].Tokens[0]]++;
        }

        var expected = LogSoftmax(Logits([1])).Select(p => Draws * Math.Exp(p)).ToArray();
        Assert.True(expected.Zip(counts, (e, n) => (n - e) * (n - e) / e).Sum() < 72.6); // 23 degrees of freedom, 1e-6
        Assert.All(expected.Zip(counts), pair => Assert.True(pair.First > 5));
    }

    [Fact]
    public void DrawsAreWithoutReplacementAndOfEverySeedTheirOwn()
    {
        HashSet<string> seen = [];
        for (var seed = 0; seed < 20; seed++)
        {
            var found = Find(new() { Beams = 4, Returned = 4, Draw = true, Seed = seed }, 5);
            Assert.Equal(4, found.Distinct().Count());
            seen.UnionWith(found);
        }

        Assert.True(seen.Count > 40);
    }

    [Fact]
    public void OfEqualScoresTheLowerTokenComesFirst()
    {
        var search = Run(new() { Beams = 3, Returned = 3 }, 1, Sampler.Greedy, _ => new float[Vocabulary]);
        Assert.Equal(["0", "1", "2"], search.Best().Select(Text));
    }

    [Fact]
    public void FewerTextsThanWereAskedForWhereNoMoreArePossible()
    {
        // Two tokens may come, then the text is over: two texts, not four.
        var search = Run(new() { Beams = 4, Returned = 4 }, 5, Sampler.Greedy, tokens =>
        {
            var logits = Enumerable.Repeat(float.NegativeInfinity, Vocabulary).ToArray();
            if (tokens.Count == 1)
            {
                (logits[3], logits[5]) = (1, 2);
            }
            else
            {
                logits[7] = 0;
            }

            return logits;
        }, end: 7);
        Assert.Equal(["5 7", "3 7"], search.Best().Select(Text));

        Sampler nothing = new([new SuppressTokensStep(Enumerable.Range(0, Vocabulary))], draw: false);
        Assert.Equal(NativeGenErrorCode.InvalidRequest, Assert.Throws<NativeGenException>(() => Run(new() { Beams = 2 }, 3, nothing)).Code);
        Assert.Equal(NativeGenErrorCode.InvalidModel, Assert.Throws<NativeGenException>(() => Run(new() { Beams = 2 }, 3, Sampler.Greedy, _ => [float.NaN, .. new float[Vocabulary - 1]])).Code);
    }

    [Fact]
    public void LogprobsAreTheModelsOwnWhateverTheStepsDo()
    {
        Sampler sampler = new([new RepetitionPenaltyStep(3), new NoRepeatNgramStep(3)], draw: false);
        foreach (var found in Run(new() { Beams = 4, Returned = 4 }, 300, sampler).Best()) // longer than the buffers begin with
        {
            List<int> tokens = [1];
            for (var i = 0; i < found.Length; i++)
            {
                Assert.Equal(LogSoftmax(Logits(tokens))[found.Tokens[i]], found.Logprobs[i], 1e-5);
                tokens.Add(found.Tokens[i]);
            }
        }
    }

    private static string Text(Hypothesis found) => string.Join(' ', found.Tokens.ToArray());

    private static string[] Find(BeamSettings settings, int longest = 8) => [.. Run(settings, longest, Sampler.Greedy).Best().Select(Text)];

    private static BeamSearch Run(BeamSettings settings, int longest, Sampler sampler, Func<List<int>, float[]>? model = null, int end = -1)
    {
        var ends = new bool[Vocabulary];
        if (end >= 0)
        {
            ends[end] = true;
        }

        BeamSearch search = new(settings, 1, longest, ends, Vocabulary);
        Lists texts = new([.. Enumerable.Range(0, settings.Beams).Select(_ => new List<int> { 1 })]);
        Candidates candidates = new(Vocabulary);
        while (!search.Done)
        {
            for (var slot = 0; slot < settings.Beams; slot++)
            {
                if (search.Needs(slot) && search.Feed(slot, (model ?? Logits)(texts.Of[slot])))
                {
                    search.Advance(sampler, texts, candidates);
                }
            }
        }

        return search;
    }

    /// <summary>A made-up model that looks at all its tokens.</summary>
    private static float[] Logits(List<int> tokens)
    {
        var hash = tokens.Aggregate(17u, (h, token) => (h * 31) + (uint)token + 1);
        return [.. Enumerable.Range(0, Vocabulary).Select(id => ((hash ^ (uint)id) * 2654435761u >> 8) / (float)(1 << 23))];
    }

    private static double[] LogSoftmax(float[] logits)
    {
        var sum = Math.Log(logits.Sum(logit => Math.Exp(logit)));
        return [.. logits.Select(logit => logit - sum)];
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
