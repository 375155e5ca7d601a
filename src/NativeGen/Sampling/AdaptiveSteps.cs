// Steps whose cut depends on the tokens chosen so far: mirostat steers the surprise, adaptive-p the probability of what is chosen.
namespace NativeGen.Sampling;

/// <summary>
/// Mirostat (Basu et al., 2020): keeps as many of the best tokens as bring the surprise of the chosen ones to a target. Version 1 estimates from
/// the m best how probabilities fall with rank (Zipf's law) and derives how many to keep; version 2 keeps what is no more surprising than mu.
/// </summary>
/// <param name="version">1 or 2.</param>
/// <param name="tau">The target: surprise in bits.</param>
/// <param name="eta">How fast mu follows the error.</param>
/// <param name="m">How many of the best tokens version 1 looks at.</param>
public sealed class MirostatStep(int version, float tau, float eta, int m = 100) : AdaptiveStep
{
    private readonly int _version = version is 1 or 2 ? version : throw new ArgumentOutOfRangeException(nameof(version), version, "1 or 2.");
    private readonly int _m = m is >= 2 and <= 1000 ? m : throw new ArgumentOutOfRangeException(nameof(m), m, "From 2 to 1000.");

    private protected override SamplerState Start => new(0, 2 * tau, 0, 0);

    internal override void Apply(Candidates candidates, in SamplingContext context)
    {
        var mu = Current(context.State).Mu;
        if (_version == 2)
        {
            candidates.KeepWeight(ScalarMath.Pow(2, -mu) * candidates.Total(), 1);
        }
        else
        {
            candidates.KeepBest((int)Math.Clamp(Rank(candidates, mu), 1, candidates.Count), ties: false);
        }
    }

    internal override SamplerState Learn(Candidates candidates, int index, in SamplerState state)
    {
        var current = Current(state);
        var surprise = ScalarMath.Log(candidates.Total() / candidates.Weights()[index]) / ScalarMath.Log(2);
        return current with { Choices = current.Choices + 1, Mu = current.Mu - (eta * (surprise - tau)) };
    }

    /// <summary>How many tokens to keep so that their surprise is about mu, if probabilities fall as Zipf's law says.</summary>
    internal double Rank(Candidates candidates, double mu)
    {
        Span<float> best = stackalloc float[_m];
        best = best[..candidates.BestScores(best)];
        double products = 0, squares = 0;
        for (var i = 0; i + 1 < best.Length && best[i + 1] > float.NegativeInfinity; i++)
        {
            var t = ScalarMath.Log((i + 2.0) / (i + 1));
            products += t * ((double)best[i] - best[i + 1]); // the logarithm of the quotient of two probabilities
            squares += t * t;
        }

        var slope = squares > 0 ? products / squares : 0;
        if (slope <= 1e-9)
        {
            return mu > 0 ? double.PositiveInfinity : 1; // all alike, or there is only one
        }

        var epsilon = slope - 1;
        var spread = Math.Abs(epsilon) < 1e-9 ? 1 / ScalarMath.Log(candidates.VocabularySize) : epsilon / (1 - ScalarMath.Pow(candidates.VocabularySize, -epsilon));
        return ScalarMath.Pow(spread * ScalarMath.Pow(2, mu), 1 / slope);
    }
}

/// <summary>
/// Adaptive-p, as llama.cpp has it: favours tokens whose probability is near a target, which moves so that the decaying mean of the chosen
/// ones' probabilities is the one asked for.
/// </summary>
/// <param name="target">The probability aimed at, 0 to 1; negative is off.</param>
/// <param name="decay">How much of the past stays with each token, 0 to 0.99.</param>
public sealed class AdaptivePStep(float target, float decay) : AdaptiveStep
{
    private const double Width = 0.3, Peak = 5, Sharpness = 10; // the bell around the target; quadratic near it, linear far from it

    private readonly double _decay = Math.Clamp(decay, 0, 0.99f);

    private protected override SamplerState Start => new(0, 0, target / (1 - _decay), 1 / (1 - _decay));

    internal override void Apply(Candidates candidates, in SamplingContext context)
    {
        if (target < 0)
        {
            return;
        }

        var aim = Target(context.State);
        var total = candidates.Total();
        var weights = candidates.Weights();
        var probabilities = candidates.Keys(); // Learn needs that of the chosen token
        var scores = candidates.MutableScores();
        for (var i = 0; i < scores.Length; i++)
        {
            probabilities[i] = (float)(weights[i] / total);
            if (!float.IsNegativeInfinity(scores[i]))
            {
                var distance = Math.Abs(probabilities[i] - aim) / Width;
                scores[i] = (float)(Peak - (Sharpness * distance * distance / (1 + distance)));
            }
        }
    }

    /// <summary>The probability aimed at now: as far beyond the one asked for as the mean of the past is short of it.</summary>
    internal double Target(in SamplerState state)
    {
        var current = Current(state);
        return Math.Clamp((2 * Math.Clamp((double)target, 0, 1)) - (current.WeightedSum / current.TotalWeight), 0, 1);
    }

    internal override SamplerState Learn(Candidates candidates, int index, in SamplerState state)
    {
        if (target < 0)
        {
            return state;
        }

        var current = Current(state);
        return new(current.Choices + 1, 0, candidates.Keys()[index] + (_decay * current.WeightedSum), 1 + (_decay * current.TotalWeight));
    }
}
