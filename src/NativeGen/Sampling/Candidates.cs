// The tokens still in the running while the chain's steps work on them, in rising order of ids. Buffers for a whole vocabulary, reused.
namespace NativeGen.Sampling;

/// <summary>
/// The tokens a <see cref="Sampler"/> still considers: ids and scores, always in rising order of ids. Made once for a vocabulary and
/// reused for every token; holds about 20 bytes per entry. Not thread safe.
/// </summary>
public sealed class Candidates
{
    private readonly int[] _ids;
    private readonly float[] _scores;
    private readonly float[] _weights;
    private readonly float[] _buffer;
    private readonly int[] _counts;
    private readonly double[] _masses = new double[1 << 11];
    private bool _whole;    // nothing dropped yet: index = token id
    private bool _weighted; // _weights belongs to _scores

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

    /// <summary>How many tokens are left.</summary>
    public int Count { get; private set; }

    /// <summary>Scores of the tokens that are left: logits, as the steps so far have changed them.</summary>
    public ReadOnlySpan<float> Scores => _scores.AsSpan(0, Count);

    /// <summary>The token at an index of <see cref="Scores"/>.</summary>
    public int Id(int index) => _whole ? index : _ids[index];

    /// <summary>Starts over with all tokens of a vocabulary.</summary>
    internal void Load(ReadOnlySpan<float> logits)
    {
        if (logits.Length == 0 || logits.Length > _scores.Length)
        {
            throw new ArgumentException($"{logits.Length} logits for buffers of {_scores.Length}.", nameof(logits));
        }

        logits.CopyTo(_scores);
        Count = logits.Length;
        _whole = true;
        _weighted = false;
    }

    /// <summary>Scores to change in place.</summary>
    internal Span<float> MutableScores()
    {
        _weighted = false;
        return _scores.AsSpan(0, Count);
    }

    /// <summary>The whole vocabulary's scores by token id. Steps that go by id stand before those that drop tokens.</summary>
    internal Span<float> ScoresById()
    {
        if (!_whole)
        {
            throw new InvalidOperationException("A step that changes scores by token id stands after one that drops tokens.");
        }

        return MutableScores();
    }

    /// <summary>Zeros by token id; whoever counts in it leaves zeros behind.</summary>
    internal Span<int> Counts => _counts;

    /// <summary>The best score.</summary>
    internal float Best()
    {
        var best = VectorMath.Max(Scores, out _);
        return !float.IsNegativeInfinity(best) ? best : throw new NativeGenException(NativeGenErrorCode.InvalidRequest,
            "Every token is ruled out by the request's options (LogitBias, SuppressTokens, MinNewTokens): nothing is left to choose from.");
    }

    /// <summary>Softmax numerators: e^(score - best score). The best token's is exactly 1.</summary>
    internal ReadOnlySpan<float> Weights()
    {
        if (!_weighted)
        {
            var best = Best();
            if (float.IsPositiveInfinity(best))
            {
                // A bias or a tiny divisor went beyond what a float holds: only those tokens count, all alike.
                for (var i = 0; i < Count; i++)
                {
                    _weights[i] = float.IsPositiveInfinity(_scores[i]) ? 1 : 0;
                }
            }
            else
            {
                VectorMath.Weights(Scores, best, _weights);
            }

            _weighted = true;
        }

        return _weights.AsSpan(0, Count);
    }

    /// <summary>Keeps the k best and all that tie with the k-th.</summary>
    internal void KeepBest(int k)
    {
        if (k < Count)
        {
            KeepFrom(VectorMath.KthLargest(Scores, k, _buffer), int.MaxValue, 1);
        }
    }

    /// <summary>
    /// Keeps the best tokens until their probabilities sum to p: the one that reaches it included, of equal scores the lower ids first, at
    /// least <paramref name="minimum"/>. The cut is found digit by digit of the scores' bits, one sum of weights per digit: linear time,
    /// nothing is sorted, and every sum has one order.
    /// </summary>
    internal void KeepMass(double p, int minimum)
    {
        var weights = Weights();
        var scores = Scores;
        double wanted = 0, above = 0;
        uint prefix = 0, prefixMask = 0;
        foreach (var (shift, digits) in stackalloc[] { (21, 1 << 11), (10, 1 << 11), (0, 1 << 10) })
        {
            var masses = _masses.AsSpan(0, digits);
            masses.Clear();
            for (var i = 0; i < scores.Length; i++)
            {
                var key = Key(scores[i]);
                if ((key & prefixMask) == prefix)
                {
                    masses[(int)(key >> shift) & (digits - 1)] += weights[i];
                }
            }

            if (prefixMask == 0)
            {
                for (var digit = digits - 1; digit >= 0; digit--)
                {
                    wanted += masses[digit];
                }

                wanted *= p;
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

        var threshold = FromKey(prefix);
        var weight = weights[scores.IndexOf(threshold)];
        KeepFrom(threshold, (int)Math.Clamp(Math.Ceiling((wanted - above) / weight), 1, int.MaxValue), minimum);
    }

    /// <summary>Keeps tokens whose probability is at least p times the best one's, and at least <paramref name="minimum"/>.</summary>
    internal void KeepRelative(float p, int minimum)
    {
        var weights = Weights();
        var threshold = float.PositiveInfinity;
        for (var i = 0; i < Count; i++)
        {
            if (weights[i] >= p && _scores[i] < threshold)
            {
                threshold = _scores[i];
            }
        }

        KeepFrom(threshold, int.MaxValue, minimum);
    }

    /// <summary>
    /// Keeps scores above <paramref name="threshold"/> and the first <paramref name="ties"/> that equal it by rising id, but at least the
    /// <paramref name="minimum"/> best. Negative infinity is never kept.
    /// </summary>
    private void KeepFrom(float threshold, int ties, int minimum)
    {
        if (minimum > 1 || threshold == float.PositiveInfinity)
        {
            var floor = VectorMath.KthLargest(Scores, Math.Max(minimum, 1), _buffer);
            if (floor <= threshold)
            {
                var better = 0;
                foreach (var score in Scores)
                {
                    better += score > floor ? 1 : 0;
                }

                ties = Math.Max(floor == threshold ? ties : 0, minimum - better);
                threshold = floor;
            }
        }

        var kept = 0;
        var scores = _scores.AsSpan(0, Count);
        for (var i = VectorMath.NextAtLeast(scores, 0, threshold); i < Count; i = VectorMath.NextAtLeast(scores, i + 1, threshold))
        {
            var score = scores[i];
            if (float.IsNegativeInfinity(score) || (score == threshold && ties-- <= 0))
            {
                continue;
            }

            _ids[kept] = _whole ? i : _ids[i];
            _scores[kept] = score;
            _weights[kept] = _weights[i];
            kept++;
        }

        Count = kept;
        _whole = false;
    }

    /// <summary>Bits that rise with the value, for any float but NaN. Both zeros are one value and have one key.</summary>
    private static uint Key(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value + 0f);
        return (bits & 0x80000000) != 0 ? ~bits : bits | 0x80000000;
    }

    private static float FromKey(uint key) => BitConverter.UInt32BitsToSingle((key & 0x80000000) != 0 ? key & 0x7FFFFFFF : ~key);
}
