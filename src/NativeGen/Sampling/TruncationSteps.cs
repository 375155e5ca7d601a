// Steps that make the distribution flatter or steeper, and steps that cut off what should not come.
namespace NativeGen.Sampling;

/// <summary>
/// Divides the scores by a temperature: below 1 the likely become likelier, above 1 all become more alike. Less than 1e-5, which would leave
/// the range of a float, keeps the best token alone.
/// </summary>
public sealed class TemperatureStep(float temperature) : SamplerStep
{
    /// <summary>Below this a temperature takes the best token.</summary>
    internal const float Least = 1e-5f;

    internal override void Apply(Candidates candidates, in SamplingContext context) => Apply(candidates, temperature);

    internal static void Apply(Candidates candidates, float temperature)
    {
        if (temperature < Least)
        {
            candidates.KeepBest(1, ties: false);
        }
        else
        {
            VectorMath.Divide(candidates.MutableScores(), temperature);
        }
    }
}

/// <summary>
/// A temperature between temperature - range (at least 0) and temperature + range: low where the model is sure, high where it is not. Where
/// between is the entropy's part of that of as many equally likely tokens as there are candidates, to a power.
/// </summary>
public sealed class DynamicTemperatureStep(float temperature, float range, float exponent = 1) : SamplerStep
{
    internal override void Apply(Candidates candidates, in SamplingContext context)
    {
        if (range <= 0)
        {
            TemperatureStep.Apply(candidates, temperature);
        }
        else if (candidates.Count > 1)
        {
            var (least, most) = (Math.Max(0, temperature - range), temperature + range);
            var part = Math.Clamp(candidates.Entropy() / ScalarMath.Log(candidates.Count), 0, 1);
            TemperatureStep.Apply(candidates, (float)(least + ((most - least) * ScalarMath.Pow(part, exponent))));
        }
    }
}

/// <summary>Keeps scores within n standard deviations (of all scores) of the best one (Tang et al., "Top-nσ", 2024); 0 is off.</summary>
public sealed class TopNSigmaStep(float n) : SamplerStep
{
    internal override void Apply(Candidates candidates, in SamplingContext context)
    {
        if (n <= 0 || candidates.Count < 2)
        {
            return;
        }

        var least = (float)(candidates.Best() - (n * VectorMath.Moments(candidates.Scores).Deviation));
        VectorMath.DropBelow(candidates.MutableScores(), least);
    }
}

/// <summary>
/// Keeps the best tokens whose entropies, of the distribution over the 100 best, sum to at most a part of it (Baghaei Potraghloo et al., "Top-H
/// decoding", 2025); the best one always.
/// </summary>
public sealed class TopHStep(float h) : SamplerStep
{
    private const int Most = 100;

    internal override void Apply(Candidates candidates, in SamplingContext context)
    {
        Span<float> best = stackalloc float[Most];
        best = best[..candidates.BestScores(best)];
        Span<double> entropies = stackalloc double[best.Length];
        var total = 0.0;
        for (var i = 0; i < best.Length; i++)
        {
            entropies[i] = ScalarMath.Exp((double)best[i] - best[0]);
            total += entropies[i];
        }

        var (all, logTotal) = (0.0, ScalarMath.Log(total));
        for (var i = 0; i < best.Length; i++)
        {
            entropies[i] = entropies[i] == 0 ? 0 : entropies[i] / total * (logTotal - ((double)best[i] - best[0]));
            all += entropies[i];
        }

        var (sum, kept) = (entropies[0], 1);
        while (kept < best.Length && !float.IsNegativeInfinity(best[kept]) && (sum += entropies[kept]) <= h * all)
        {
            kept++;
        }

        candidates.KeepBest(kept, ties: false);
    }
}

/// <summary>Keeps the k best tokens, and all that tie with the k-th.</summary>
/// <param name="k">At least 1.</param>
/// <param name="minTokensToKeep">A lower bound of k.</param>
/// <param name="ties">False keeps exactly k, of equal scores those with the lower ids (llama.cpp).</param>
public sealed class TopKStep(int k, int minTokensToKeep = 1, bool ties = true) : SamplerStep
{
    internal override void Apply(Candidates candidates, in SamplingContext context) => candidates.KeepBest(Math.Max(k, minTokensToKeep), ties);
}

/// <summary>
/// Nucleus sampling (Holtzman et al., 2019): keeps the best tokens until their probabilities sum to p, the one that reaches it included. Of
/// tokens with equal scores at the border the lower ids stay. 1 is off.
/// </summary>
public sealed class TopPStep(float p, int minTokensToKeep = 1) : SamplerStep
{
    internal override void Apply(Candidates candidates, in SamplingContext context)
    {
        if (p < 1)
        {
            candidates.KeepMass(p, minTokensToKeep);
        }
    }
}

/// <summary>Keeps tokens whose probability is at least p times that of the best one; the best one always.</summary>
public sealed class MinPStep(float p, int minTokensToKeep = 1) : SamplerStep
{
    internal override void Apply(Candidates candidates, in SamplingContext context) => candidates.KeepWeight(p, minTokensToKeep);
}

/// <summary>
/// Locally typical sampling (Meister et al., 2022): keeps the tokens whose surprise is nearest to the expected one, the entropy, until their
/// probabilities sum to p, with all that are as near as the last. 1 is off.
/// </summary>
public sealed class TypicalPStep(float p, int minTokensToKeep = 1) : SamplerStep
{
    internal override void Apply(Candidates candidates, in SamplingContext context)
    {
        if (p >= 1)
        {
            return;
        }

        // -log p - entropy = mean distance - own distance from the best score: the normalizer cancels.
        var middle = candidates.MeanDistance();
        VectorMath.NegativeDistances(candidates.Scores, candidates.Best(), middle, candidates.Keys());
        candidates.KeepMassByKeys(p, minTokensToKeep);
    }
}

/// <summary>Epsilon sampling (Hewitt et al., 2022): keeps tokens whose probability is at least epsilon.</summary>
public sealed class EpsilonCutoffStep(float epsilon, int minTokensToKeep = 1) : SamplerStep
{
    internal override void Apply(Candidates candidates, in SamplingContext context) =>
        candidates.KeepWeight(epsilon * candidates.Total(), minTokensToKeep);
}

/// <summary>
/// Eta sampling (Hewitt et al., 2022): keeps tokens whose probability is at least the smaller of epsilon and sqrt(epsilon) e^-entropy, so that
/// more may come where the model is unsure.
/// </summary>
public sealed class EtaCutoffStep(float epsilon, int minTokensToKeep = 1) : SamplerStep
{
    internal override void Apply(Candidates candidates, in SamplingContext context)
    {
        var eta = Math.Min(epsilon, Math.Sqrt(epsilon) * ScalarMath.Exp(-candidates.Entropy()));
        candidates.KeepWeight(eta * candidates.Total(), minTokensToKeep);
    }
}

/// <summary>
/// Exclude top choices (p-e-w, 2024): with a probability, drops all tokens at least as likely as the threshold but the least likely of them. A
/// threshold above 0.5 is off.
/// </summary>
public sealed class XtcStep(float probability, float threshold, int minTokensToKeep = 1) : SamplerStep
{
    private const uint Stream = 1; // the choice of the token is 0

    internal override void Apply(Candidates candidates, in SamplingContext context)
    {
        if (probability > 0 && threshold <= 0.5f && candidates.Count > 1
            && Philox.Uniform(context.Seed, context.Sequence, context.Position, Stream) <= probability)
        {
            candidates.DropBest(threshold * candidates.Total(), minTokensToKeep);
        }
    }
}

/// <summary>Makes the scores log-probabilities: no draw changes, but what is summed up over them does (beams).</summary>
public sealed class RenormalizeStep : SamplerStep
{
    internal override void Apply(Candidates candidates, in SamplingContext context)
    {
        var normalizer = candidates.LogNormalizer();
        foreach (ref var score in candidates.MutableScores())
        {
            score = (float)(score - normalizer);
        }
    }
}
