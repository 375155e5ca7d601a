// One group of beams: what its rows offer, who goes on, which texts are finished. The arithmetic is transformers' (version 5), in floats as there.
namespace NativeGen.Sampling;

/// <summary>A way a beam can go on.</summary>
/// <param name="Parent">The beam's rank in its group.</param>
/// <param name="Token">Its next token.</param>
/// <param name="Score">The sum of all its tokens' scores.</param>
/// <param name="Key">What it is ranked by: the score, or where tokens are drawn the score with noise.</param>
internal readonly record struct Continuation(int Parent, int Token, float Score, float Key);

/// <summary>The state of one group. Allocates nothing after its making but the texts of hypotheses.</summary>
internal sealed class BeamGroup
{
    private readonly BeamSettings _settings;
    private readonly Continuation[] _offers; // the best so many, best first; of equal ones the first that was offered
    private readonly Continuation[] _next;
    private readonly Hypothesis[] _finished; // best first; behind them one to spare

    /// <param name="settings">The search's.</param>
    /// <param name="first">The first of the slots that are this group's.</param>
    /// <param name="offers">How many continuations are looked at: enough to find a token that ends no text for every beam.</param>
    public BeamGroup(BeamSettings settings, int first, int offers)
    {
        _settings = settings;
        _offers = new Continuation[offers];
        _next = new Continuation[settings.GroupSize];
        _finished = [.. Enumerable.Range(0, settings.GroupSize + 1).Select(_ => new Hypothesis())];
        Slots = [.. Enumerable.Range(first, settings.GroupSize)];
        Scores = new float[settings.GroupSize];
        Live = 1; // all beams begin with the same prompt: one of them stands for it
    }

    /// <summary>Slots by rank: those of the live beams, best first, then the idle ones.</summary>
    public int[] Slots { get; }

    /// <summary>Sums of scores by rank.</summary>
    public float[] Scores { get; }

    /// <summary>How many beams are followed.</summary>
    public int Live { get; set; }

    public bool Done { get; private set; }

    public int OfferCount { get; private set; }

    public int FinishedCount { get; private set; }

    /// <summary>The finished texts, best first.</summary>
    public ReadOnlySpan<Hypothesis> Finished => _finished.AsSpan(0, FinishedCount);

    public ReadOnlySpan<Continuation> Offers => _offers.AsSpan(0, OfferCount);

    /// <summary>Forgets the last step's offers.</summary>
    public void Clear() => OfferCount = 0;

    /// <summary>Takes a row of scores as what the beam of a rank can go on with.</summary>
    public void Offer(int rank, Candidates row, int position)
    {
        var scores = row.Scores;
        var sum = Scores[rank];
        for (var i = VectorMath.NextAtLeast(scores, 0, Bar(sum)); i < scores.Length; i = VectorMath.NextAtLeast(scores, i + 1, Bar(sum)))
        {
            var score = scores[i] + sum;
            var token = row.Id(i);
            var key = _settings.Draw ? score + Noise(Slots[rank], position, token) : score;
            if (OfferCount < _offers.Length)
            {
                OfferCount++;
            }
            else if (!(key > _offers[^1].Key))
            {
                continue;
            }

            var at = OfferCount - 1;
            for (; at > 0 && key > _offers[at - 1].Key; at--)
            {
                _offers[at] = _offers[at - 1];
            }

            _offers[at] = new Continuation(rank, token, score, key);
        }
    }

    /// <summary>A text of so many tokens whose score is this sum is finished. The hypothesis to fill, or null if better ones are there.</summary>
    public Hypothesis? Finish(float sum, int length, FinishReason reason, ReadOnlySpan<int> tokens, ReadOnlySpan<float> logprobs)
    {
        var score = Normalized(sum, length);
        if (FinishedCount == _settings.GroupSize && !(score > _finished[FinishedCount - 1].Score))
        {
            return null;
        }

        var added = _finished[FinishedCount];
        added.Set(score, reason, tokens, logprobs);
        var at = FinishedCount;
        for (; at > 0 && score > _finished[at - 1].Score; at--)
        {
            _finished[at] = _finished[at - 1];
        }

        _finished[at] = added;
        FinishedCount = Math.Min(FinishedCount + 1, _settings.GroupSize); // the worst of too many is the spare one now
        return added;
    }

    /// <summary>Of the continuations that go on, the best as many as there are beams, by score.</summary>
    /// <param name="ended">By place among the offers.</param>
    public ReadOnlySpan<Continuation> Next(ReadOnlySpan<bool> ended)
    {
        var count = 0;
        for (var i = 0; i < OfferCount; i++)
        {
            if (ended[i] || (count == _next.Length && !(_offers[i].Score > _next[^1].Score)))
            {
                continue;
            }

            count = Math.Min(count + 1, _next.Length);
            var at = count - 1;
            for (; at > 0 && _offers[i].Score > _next[at - 1].Score; at--)
            {
                _next[at] = _next[at - 1];
            }

            _next[at] = _offers[i];
        }

        return _next.AsSpan(0, count);
    }

    /// <summary>Decides whether the group has come to its end, after the live beams have got their tokens.</summary>
    /// <param name="length">Generated tokens of a live beam.</param>
    /// <param name="longest">The most there can be.</param>
    public void Settle(int length, int longest)
    {
        var full = FinishedCount == _settings.GroupSize;
        if (Live == 0 || (full && _settings.StopWhenFull))
        {
            Done = true;
            return;
        }

        // The best that the best beam could still become. It is a guess unless the search never stops early.
        var reachable = Normalized(Scores[0], _settings is { StopNever: true, LengthPenalty: > 0 } ? longest : length);
        Done = full && !(reachable > _finished[FinishedCount - 1].Score);
    }

    private float Normalized(float sum, int length) => sum / (float)ScalarMath.Pow(Math.Max(length, 1), _settings.LengthPenalty);

    /// <summary>A score that a row's entry needs to be worth looking at: a little less than what would be the last offer.</summary>
    private float Bar(float sum)
    {
        if (_settings.Draw || OfferCount < _offers.Length)
        {
            return float.MinValue; // tokens that are ruled out are never offered
        }

        var last = _offers[^1].Score;
        return last - sum - (1e-6f * (1 + Math.Abs(last) + Math.Abs(sum)));
    }

    /// <summary>
    /// Gumbel noise: the k best sums of log-probability and noise are k draws without replacement (Kool, van Hoof and Welling, "Stochastic
    /// Beams and Where to Find Them", 2019).
    /// </summary>
    private float Noise(int slot, int position, int token)
    {
        var (a, b, _, _) = Philox.Block((uint)position, (uint)slot, (uint)token, 1, (uint)_settings.Seed, (uint)((ulong)_settings.Seed >> 32));
        var uniform = ((((ulong)a << 32 | b) >> 11) + 0.5) * (1.0 / (1UL << 53)); // never 0 or 1
        return (float)-ScalarMath.Log(-ScalarMath.Log(uniform));
    }
}
