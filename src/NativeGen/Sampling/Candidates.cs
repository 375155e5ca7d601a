// The tokens still in the running while the chain's steps work on them, in rising order of ids. Buffers for a whole vocabulary, reused.
namespace NativeGen.Sampling;

/// <summary>
/// The tokens a <see cref="Sampler"/> still considers: ids and scores, always in rising order of ids. Made once for a vocabulary and
/// reused for every token; holds about 20 bytes per entry. Not thread safe.
/// </summary>
public sealed class Candidates
{
    private const int Head = 1024; // mostly the best so many hold all the mass that is asked for

    private readonly int[] _ids;
    private readonly float[] _scores;
    private readonly float[] _weights;
    private readonly float[] _buffer;
    private readonly int[] _counts;
    private readonly double[] _masses = new double[1 << 11];
    private readonly float[] _headKeys = new float[4 * Head];
    private readonly float[] _headWeights = new float[4 * Head];
    private float[] _keys = [];
    private int[] _scratch = [];
    private bool _whole;    // nothing dropped yet: index = token id
    private bool _weighted; // _weights belongs to _scores
    private double _total;  // the sum of _weights, or NaN: not summed yet

    /// <summary>Makes the buffers.</summary>
    /// <param name="vocabularySize">The most tokens a logits span will have.</param>
    public Candidates(int vocabularySize)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(vocabularySize);
        _ids = new int[vocabularySize];
        _scores = new float[vocabularySize];
        _weights = new float[vocabularySize];
        _buffer = new float[vocabularySize];
        _counts = new int[vocabularySize];
    }

    /// <summary>How many tokens are left; those whose score is negative infinity are among them, though they cannot come.</summary>
    public int Count { get; private set; }

    /// <summary>Scores of the tokens that are left: logits, as the steps so far have changed them.</summary>
    public ReadOnlySpan<float> Scores => _scores.AsSpan(0, Count);

    /// <summary>The size of the vocabulary they come from.</summary>
    internal int VocabularySize { get; private set; }

    /// <summary>The token at an index of <see cref="Scores"/>.</summary>
    public int Id(int index) => _whole ? index : _ids[index];

    /// <summary>The index of a token in <see cref="Scores"/>, or -1 if it was dropped or does not exist.</summary>
    public int IndexOf(int id) => _whole ? ((uint)id < (uint)Count ? id : -1) : Math.Max(_ids.AsSpan(0, Count).BinarySearch(id), -1);

    /// <summary>The natural logarithm of the probability that a token has among those that are left; negative infinity if it cannot come.</summary>
    public float LogProbability(int id) => IndexOf(id) is >= 0 and var index ? (float)(_scores[index] - LogNormalizer()) : float.NegativeInfinity;

    /// <summary>Starts over with all tokens of a vocabulary.</summary>
    internal void Load(ReadOnlySpan<float> logits)
    {
        if (logits.Length == 0 || logits.Length > _scores.Length)
        {
            throw new ArgumentException($"{logits.Length} logits for buffers of {_scores.Length}.", nameof(logits));
        }

        logits.CopyTo(_scores);
        Count = VocabularySize = logits.Length;
        _whole = true;
        _weighted = false;
    }

    /// <summary>Rules out the tokens that have no bit in a mask; right after <see cref="Load"/>.</summary>
    /// <exception cref="NativeGenException"><see cref="NativeGenErrorCode.InvalidRequest"/>: no token has one.</exception>
    internal void Restrict(ReadOnlySpan<ulong> allowed)
    {
        if (allowed.IndexOfAnyExcept(0ul) < 0)
        {
            throw new NativeGenException(NativeGenErrorCode.InvalidRequest,
                "No token of the model's vocabulary goes on as the form that was asked for demands: it needs characters that the model cannot write.");
        }

        var scores = MutableScores();
        for (var word = 0; word * 64 < scores.Length; word++)
        {
            var bits = word < allowed.Length ? allowed[word] : 0;
            var part = scores.Slice(word * 64, Math.Min(64, scores.Length - (word * 64)));
            if (bits == 0)
            {
                part.Fill(float.NegativeInfinity);
                continue;
            }

            for (bits = ~bits; bits != 0; bits &= bits - 1)
            {
                var i = System.Numerics.BitOperations.TrailingZeroCount(bits);
                if (i < part.Length)
                {
                    part[i] = float.NegativeInfinity;
                }
            }
        }
    }

    /// <summary>Scores to change in place.</summary>
    internal Span<float> MutableScores()
    {
        _weighted = false;
        return _scores.AsSpan(0, Count);
    }

    /// <summary>The whole vocabulary's scores by token id, to change in place: tokens that were dropped are back with negative infinity.</summary>
    internal Span<float> ScoresById()
    {
        if (!_whole)
        {
            // Ids rise and are never less than their index, so that moving from the back overwrites nothing that is still needed.
            var end = VocabularySize;
            for (var i = Count - 1; i >= 0; i--)
            {
                var (id, score) = (_ids[i], _scores[i]);
                _scores.AsSpan((id + 1)..end).Fill(float.NegativeInfinity);
                _scores[id] = score;
                end = id;
            }

            _scores.AsSpan(0, end).Fill(float.NegativeInfinity);
            Count = VocabularySize;
            _whole = true;
        }

        return MutableScores();
    }

    /// <summary>Zeros by index; whoever counts in it leaves zeros behind.</summary>
    internal Span<int> Counts => _counts;

    /// <summary>Room for a number per candidate, for a step's own use; what it holds stays until a step uses it again.</summary>
    internal Span<float> Keys()
    {
        if (_keys.Length == 0)
        {
            _keys = new float[_scores.Length];
        }

        return _keys.AsSpan(0, Count);
    }

    /// <summary>Room for a step that looks at the history; grows with it, doubling.</summary>
    internal Span<int> Scratch(int length)
    {
        if (_scratch.Length < length)
        {
            _scratch = new int[Math.Max(length, Math.Max(256, 2 * _scratch.Length))];
        }

        return _scratch.AsSpan(0, length);
    }

    /// <summary>The best score.</summary>
    internal float Best()
    {
        var best = VectorMath.Max(Scores, out _);
        if (float.IsPositiveInfinity(best))
        {
            // A bias or a tiny divisor went beyond what a float holds: only those tokens count, all alike.
            _scores.AsSpan(0, Count).Replace(float.PositiveInfinity, float.MaxValue);
            return float.MaxValue;
        }

        return !float.IsNegativeInfinity(best) ? best : throw new NativeGenException(NativeGenErrorCode.InvalidRequest,
            "Every token is ruled out by the request's options (LogitBias, BadWords, SuppressTokens, NoRepeatNgramSize, MinNewTokens ...): nothing is left to choose from.");
    }

    /// <summary>Softmax numerators: e^(score - best score). The best token's is exactly 1.</summary>
    internal ReadOnlySpan<float> Weights()
    {
        if (!_weighted)
        {
            VectorMath.Weights(Scores, Best(), _weights);
            _weighted = true;
            _total = double.NaN;
        }

        return _weights.AsSpan(0, Count);
    }

    /// <summary>The sum of <see cref="Weights"/>: a weight divided by it is a probability.</summary>
    internal double Total()
    {
        var weights = Weights();
        return double.IsNaN(_total) ? _total = VectorMath.Sum(weights) : _total;
    }

    /// <summary>A score minus this is a log-probability.</summary>
    internal double LogNormalizer()
    {
        var total = Total();
        return Best() + ScalarMath.Log(total);
    }

    /// <summary>The mean of score - best score under the candidates' probabilities: how far the expected logarithm lies under the best one's.</summary>
    internal double MeanDistance()
    {
        var total = Total();
        return VectorMath.WeightedSum(Scores, Best(), _weights) / total;
    }

    /// <summary>The entropy of the candidates' probabilities, in nats.</summary>
    internal double Entropy() => ScalarMath.Log(Total()) - MeanDistance();

    /// <summary>The best scores, best first, as many as fit; returns how many there are.</summary>
    internal int BestScores(Span<float> best)
    {
        var count = Math.Min(best.Length, Count);
        best = best[..count];
        var scores = Scores;
        var last = VectorMath.KthLargest(scores, count, _buffer);
        var filled = 0;
        for (var i = VectorMath.NextAtLeast(scores, 0, last); i < scores.Length; i = VectorMath.NextAtLeast(scores, i + 1, last))
        {
            if (scores[i] > last)
            {
                best[filled++] = scores[i];
            }
        }

        best[filled..].Fill(last);
        best[..filled].Sort();
        best[..filled].Reverse();
        return count;
    }

    /// <summary>Keeps the k best.</summary>
    /// <param name="ties">Whether all stay that tie with the k-th; if not, the lower ids do.</param>
    internal void KeepBest(int k, bool ties = true)
    {
        if (k >= Count)
        {
            return;
        }

        var scores = Scores;
        var last = VectorMath.KthLargest(scores, k, _buffer);
        KeepFrom(scores, last, ties ? int.MaxValue : k - VectorMath.CountAbove(scores, last), 1);
    }

    /// <summary>
    /// Keeps the best tokens until their probabilities sum to p: the one that reaches it included, of equal scores the lower ids first, at
    /// least <paramref name="minimum"/>.
    /// </summary>
    internal void KeepMass(double p, int minimum)
    {
        var (threshold, missing) = MassCut(Scores, p);
        var weight = _weights[Scores.IndexOf(threshold)];
        KeepFrom(Scores, threshold, (int)Math.Clamp(Math.Ceiling(missing / weight), 1, int.MaxValue), minimum);
    }

    /// <summary>
    /// Keeps the tokens with the highest keys (in <see cref="Keys"/>) until their probabilities sum to p, the one that reaches it and all with
    /// its key included, and at least <paramref name="minimum"/>.
    /// </summary>
    internal void KeepMassByKeys(double p, int minimum)
    {
        KeepFrom(Keys(), MassCut(Keys(), p).Key, int.MaxValue, minimum);
        _weighted = false; // the best score may be gone
    }

    /// <summary>Keeps tokens whose weight is at least <paramref name="least"/>, and at least the <paramref name="minimum"/> best.</summary>
    internal void KeepWeight(double least, int minimum)
    {
        var weights = Weights();
        KeepFrom(Scores, VectorMath.LeastWhere(Scores, weights, least), int.MaxValue, minimum);
    }

    /// <summary>
    /// Of the tokens whose weight is at least <paramref name="least"/> keeps only the worst (of equal ones the highest id), if there are several
    /// and at least <paramref name="minimum"/> tokens are left then.
    /// </summary>
    internal void DropBest(double least, int minimum)
    {
        var weights = Weights();
        var (worst, above, last) = (float.PositiveInfinity, 0, 0);
        for (var i = 0; i < weights.Length; i++)
        {
            if (weights[i] >= least && !float.IsNegativeInfinity(_scores[i]))
            {
                above++;
                (worst, last) = _scores[i] <= worst ? (_scores[i], i) : (worst, last);
            }
        }

        if (above < 2 || Count - (above - 1) < minimum)
        {
            return;
        }

        var kept = 0;
        for (var i = 0; i < Count; i++)
        {
            if (_scores[i] < worst || i == last)
            {
                _ids[kept] = Id(i);
                _scores[kept++] = _scores[i];
            }
        }

        Count = kept;
        _whole = _weighted = false;
    }

    /// <summary>Where the tokens with the highest keys reach a part of all weights: the key of the one that reaches it, and the mass it has to bring.</summary>
    private (float Key, double Missing) MassCut(ReadOnlySpan<float> keys, double p)
    {
        var wanted = p * Total();
        var weights = Weights();
        if (keys.Length > _headKeys.Length)
        {
            var (count, bar) = (0, VectorMath.KthLargest(keys, Head, _buffer));
            for (var i = VectorMath.NextAtLeast(keys, 0, bar); i < keys.Length && count < _headKeys.Length; i = VectorMath.NextAtLeast(keys, i + 1, bar))
            {
                (_headKeys[count], _headWeights[count]) = (keys[i], weights[i]);
                count++;
            }

            // All that lies above the cut is among these, in the same order: the answer is the same, bit for bit.
            if (count < _headKeys.Length && VectorMath.Sum(_headWeights.AsSpan(0, count)) > wanted * (1 + 1e-9))
            {
                return MassCut(_headKeys.AsSpan(0, count), _headWeights, wanted);
            }
        }

        return MassCut(keys, weights, wanted);
    }

    /// <summary>
    /// The same for a mass. The cut is found digit by digit of the keys' bits, one sum of weights per digit: linear time, nothing is sorted, and
    /// every sum has one order.
    /// </summary>
    private (float Key, double Missing) MassCut(ReadOnlySpan<float> keys, ReadOnlySpan<float> weights, double wanted)
    {
        var above = 0.0;
        uint prefix = 0, prefixMask = 0;
        foreach (var (shift, digits) in stackalloc[] { (21, 1 << 11), (10, 1 << 11), (0, 1 << 10) })
        {
            var masses = _masses.AsSpan(0, digits);
            masses.Clear();
            for (var i = 0; i < keys.Length; i++)
            {
                var bits = Bits(keys[i]);
                if ((bits & prefixMask) == prefix)
                {
                    masses[(int)(bits >> shift) & (digits - 1)] += weights[i];
                }
            }

            var cut = -1; // the digit in which the wanted mass is reached; `above` is what lies over it
            for (var digit = digits - 1; digit >= 0 && (cut < 0 || above + masses[cut] < wanted); digit--)
            {
                if (masses[digit] > 0)
                {
                    above += cut < 0 ? 0 : masses[cut];
                    cut = digit;
                }
            }

            prefix |= (uint)cut << shift;
            prefixMask = ~0u << shift;
        }

        return (FromBits(prefix), wanted - above);
    }

    /// <summary>
    /// Keeps keys above <paramref name="threshold"/> and the first <paramref name="ties"/> that equal it by rising id, but at least the
    /// <paramref name="minimum"/> best.
    /// </summary>
    private void KeepFrom(ReadOnlySpan<float> keys, float threshold, int ties, int minimum)
    {
        if (minimum > 1 || threshold == float.PositiveInfinity)
        {
            var floor = VectorMath.KthLargest(keys, Math.Max(minimum, 1), _buffer);
            if (floor <= threshold)
            {
                ties = Math.Max(floor == threshold ? ties : 0, minimum - VectorMath.CountAbove(keys, floor));
                threshold = floor;
            }
        }

        var kept = 0;
        for (var i = VectorMath.NextAtLeast(keys, 0, threshold); i < Count; i = VectorMath.NextAtLeast(keys, i + 1, threshold))
        {
            if (keys[i] == threshold && ties-- <= 0)
            {
                continue;
            }

            _ids[kept] = Id(i);
            _scores[kept] = _scores[i];
            _weights[kept] = _weights[i];
            kept++;
        }

        Count = kept;
        _whole = false;
        _total = double.NaN;
    }

    /// <summary>Bits that rise with the value, for any float but NaN. Both zeros are one value and have the same bits.</summary>
    private static uint Bits(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value + 0f);
        return (bits & 0x80000000) != 0 ? ~bits : bits | 0x80000000;
    }

    private static float FromBits(uint bits) => BitConverter.UInt32BitsToSingle((bits & 0x80000000) != 0 ? bits & 0x7FFFFFFF : ~bits);
}
