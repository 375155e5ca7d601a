// The steps a sampler's chain is made of. Each is a small pure function over the candidates; formulas and the treatment of ties are those
// of Hugging Face transformers where it has the step, and the order in which SamplerChain builds them is generate()'s.
namespace NativeGen.Sampling;

/// <summary>What a step may look at besides the scores. Together with the logits it decides the token: there is no other state.</summary>
/// <param name="history">All tokens so far, the prompt's and the generated ones.</param>
/// <param name="promptLength">How many of them are the prompt's.</param>
/// <param name="seed">The request's seed.</param>
/// <param name="sequence">Index of the sequence within the request.</param>
/// <param name="position">Position of the token to choose, counted from the prompt's start.</param>
public readonly ref struct SamplingContext(ReadOnlySpan<int> history, int promptLength, long seed, int sequence, int position)
{
    /// <summary>All tokens so far.</summary>
    public ReadOnlySpan<int> History { get; } = history;

    /// <summary>How many of <see cref="History"/> are the prompt's.</summary>
    public int PromptLength { get; } = promptLength;

    /// <summary>The request's seed.</summary>
    public long Seed { get; } = seed;

    /// <summary>Index of the sequence within the request.</summary>
    public int Sequence { get; } = sequence;

    /// <summary>Position of the token to choose.</summary>
    public int Position { get; } = position;

    /// <summary>The tokens generated so far.</summary>
    public ReadOnlySpan<int> Generated => History[PromptLength..];
}

/// <summary>One step of a <see cref="Sampler"/>'s chain: changes scores, or drops tokens. Immutable and thread safe.</summary>
public abstract class SamplerStep
{
    private protected SamplerStep()
    {
    }

    internal abstract void Apply(Candidates candidates, in SamplingContext context);
}

/// <summary>Adds to the logits of single tokens; negative infinity rules a token out. Ids the model does not have are ignored.</summary>
public sealed class LogitBiasStep(IEnumerable<KeyValuePair<int, float>> biases) : SamplerStep
{
    private readonly KeyValuePair<int, float>[] _biases = [.. biases];

    internal override void Apply(Candidates candidates, in SamplingContext context)
    {
        var scores = candidates.ScoresById();
        foreach (var (id, bias) in _biases)
        {
            if ((uint)id < (uint)scores.Length)
            {
                scores[id] += bias;
            }
        }
    }
}

/// <summary>
/// Divides positive and multiplies negative logits of every token of prompt and answer by a penalty, once each (Keskar et al., "CTRL",
/// 2019). 1 does nothing, more than 1 discourages repetition.
/// </summary>
public sealed class RepetitionPenaltyStep(float penalty) : SamplerStep
{
    internal override void Apply(Candidates candidates, in SamplingContext context) => Apply(candidates, context.History);

    internal void Apply(Candidates candidates, ReadOnlySpan<int> tokens)
    {
        var scores = candidates.ScoresById();
        var seen = candidates.Counts;
        foreach (var id in tokens)
        {
            if ((uint)id < (uint)scores.Length && seen[id] == 0)
            {
                seen[id] = 1;
                scores[id] = scores[id] < 0 ? scores[id] * penalty : scores[id] / penalty;
            }
        }

        foreach (var id in tokens)
        {
            if ((uint)id < (uint)scores.Length)
            {
                seen[id] = 0;
            }
        }
    }
}

/// <summary>
/// Lowers the logits of tokens the answer already has: by <c>frequency</c> for each time, by <c>presence</c> once. As in OpenAI's API the
/// prompt does not count.
/// </summary>
public sealed class OccurrencePenaltyStep(float frequency, float presence) : SamplerStep
{
    internal override void Apply(Candidates candidates, in SamplingContext context) => Apply(candidates, context.Generated);

    internal void Apply(Candidates candidates, ReadOnlySpan<int> tokens)
    {
        var scores = candidates.ScoresById();
        var counts = candidates.Counts;
        foreach (var id in tokens)
        {
            if ((uint)id < (uint)scores.Length)
            {
                counts[id]++;
            }
        }

        foreach (var id in tokens)
        {
            if ((uint)id < (uint)scores.Length && counts[id] > 0)
            {
                scores[id] -= (counts[id] * frequency) + presence;
                counts[id] = 0;
            }
        }
    }
}

/// <summary>Rules tokens out, always or as long as the answer has fewer than <c>minNewTokens</c> tokens.</summary>
public sealed class SuppressTokensStep(IEnumerable<int> tokens, int minNewTokens = int.MaxValue) : SamplerStep
{
    private readonly int[] _tokens = [.. tokens];

    internal override void Apply(Candidates candidates, in SamplingContext context)
    {
        if (context.Generated.Length >= minNewTokens)
        {
            return;
        }

        var scores = candidates.ScoresById();
        foreach (var id in _tokens)
        {
            if ((uint)id < (uint)scores.Length)
            {
                scores[id] = float.NegativeInfinity;
            }
        }
    }
}

/// <summary>Divides the scores by a temperature above 0: below 1 the likely become likelier, above 1 all become more alike.</summary>
public sealed class TemperatureStep(float temperature) : SamplerStep
{
    internal override void Apply(Candidates candidates, in SamplingContext context) =>
        VectorMath.Divide(candidates.MutableScores(), temperature);
}

/// <summary>Keeps the k best tokens, and all that tie with the k-th.</summary>
public sealed class TopKStep(int k, int minTokensToKeep = 1) : SamplerStep
{
    internal override void Apply(Candidates candidates, in SamplingContext context) => candidates.KeepBest(Math.Max(k, minTokensToKeep));
}

/// <summary>
/// Nucleus sampling (Holtzman et al., 2019): keeps the best tokens until their probabilities sum to p, the one that reaches it included. Of
/// tokens with equal scores at the border the lower ids stay.
/// </summary>
public sealed class TopPStep(float p, int minTokensToKeep = 1) : SamplerStep
{
    internal override void Apply(Candidates candidates, in SamplingContext context) => candidates.KeepMass(p, minTokensToKeep);
}

/// <summary>Keeps tokens whose probability is at least p times that of the best one.</summary>
public sealed class MinPStep(float p, int minTokensToKeep = 1) : SamplerStep
{
    internal override void Apply(Candidates candidates, in SamplingContext context) => candidates.KeepRelative(p, minTokensToKeep);
}
