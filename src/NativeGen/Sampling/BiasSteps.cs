// Steps that favour, rule out or force tokens by their ids, whatever their scores.
namespace NativeGen.Sampling;

/// <summary>Adds to the logits of single tokens; negative infinity rules a token out. Ids the model does not have are ignored.</summary>
public sealed class LogitBiasStep(IEnumerable<KeyValuePair<int, float>> biases) : SamplerStep
{
    private readonly KeyValuePair<int, float>[] _biases = [.. biases];

    internal override void Apply(Candidates candidates, in SamplingContext context)
    {
        var scores = candidates.MutableScores();
        foreach (var (id, bias) in _biases)
        {
            if (candidates.IndexOf(id) is >= 0 and var index)
            {
                scores[index] += bias;
            }
        }
    }
}

/// <summary>
/// Adds to the logit of a sequence's last token wherever the tokens before it are the history's last ones; negative infinity forbids the sequence.
/// A sequence that is given twice has its last bias.
/// </summary>
public sealed class SequenceBiasStep : SamplerStep
{
    private readonly (int[] Prefix, int Token, float Bias)[] _sequences;

    /// <summary>Takes the sequences, none of them empty.</summary>
    public SequenceBiasStep(IEnumerable<KeyValuePair<IReadOnlyList<int>, float>> biases)
    {
        Dictionary<string, (int[], int, float)> distinct = new(StringComparer.Ordinal);
        foreach (var (sequence, bias) in biases)
        {
            ArgumentOutOfRangeException.ThrowIfZero(sequence.Count, nameof(biases));
            distinct[string.Join(' ', sequence)] = ([.. sequence.SkipLast(1)], sequence[^1], bias);
        }

        _sequences = [.. distinct.Values];
    }

    /// <summary>Forbids sequences of tokens ("bad words"). Single tokens that end an answer are left out: nothing could end it otherwise.</summary>
    public static SequenceBiasStep Ban(IEnumerable<IReadOnlyList<int>> sequences, IReadOnlyCollection<int> endTokens) =>
        new(sequences.Where(sequence => sequence.Count != 1 || !endTokens.Contains(sequence[0]))
            .Select(sequence => KeyValuePair.Create(sequence, float.NegativeInfinity)));

    internal override void Apply(Candidates candidates, in SamplingContext context)
    {
        var scores = candidates.MutableScores();
        foreach (var (prefix, token, bias) in _sequences)
        {
            if (context.History.EndsWith(prefix) && candidates.IndexOf(token) is >= 0 and var index)
            {
                scores[index] += bias;
            }
        }
    }
}

/// <summary>Rules tokens out, always or as long as the answer has fewer than <c>minNewTokens</c> tokens (1: at its beginning).</summary>
public sealed class SuppressTokensStep(IEnumerable<int> tokens, int minNewTokens = int.MaxValue) : SamplerStep
{
    private readonly int[] _tokens = [.. tokens];

    internal override void Apply(Candidates candidates, in SamplingContext context)
    {
        if (context.Generated.Length < minNewTokens)
        {
            Suppress(candidates, _tokens);
        }
    }

    internal static void Suppress(Candidates candidates, ReadOnlySpan<int> tokens)
    {
        var scores = candidates.MutableScores();
        foreach (var id in tokens)
        {
            if (candidates.IndexOf(id) is >= 0 and var index)
            {
                scores[index] = float.NegativeInfinity;
            }
        }
    }
}

/// <summary>Rules the tokens out that end an answer, as long as prompt and answer together have fewer than <c>minLength</c> tokens.</summary>
public sealed class MinLengthStep(IEnumerable<int> endTokens, int minLength) : SamplerStep
{
    private readonly int[] _endTokens = [.. endTokens];

    internal override void Apply(Candidates candidates, in SamplingContext context)
    {
        if (context.History.Length < minLength)
        {
            SuppressTokensStep.Suppress(candidates, _endTokens);
        }
    }
}

/// <summary>
/// Where prompt and answer together have <c>length</c> tokens, only the given ones may come, all alike: 1 and a token that begins a text
/// is transformers' forced_bos_token_id, the longest length less 1 and the tokens that end a text its forced_eos_token_id.
/// </summary>
public sealed class ForcedTokensStep(IEnumerable<int> tokens, int length) : SamplerStep
{
    private readonly int[] _tokens = [.. tokens];

    internal override void Apply(Candidates candidates, in SamplingContext context)
    {
        if (context.History.Length != length)
        {
            return;
        }

        var scores = candidates.ScoresById();
        scores.Fill(float.NegativeInfinity);
        foreach (var id in _tokens)
        {
            if ((uint)id < (uint)scores.Length)
            {
                scores[id] = 0;
            }
        }
    }
}

/// <summary>
/// Makes the end likelier the longer the answer gets (exponential_decay_length_penalty): from its n-th token after <c>start</c> on, the
/// logits of the tokens that end it rise by their absolute value times factor^n - 1. A factor below 1 makes the end less likely.
/// </summary>
public sealed class LengthDecayStep(IEnumerable<int> endTokens, int start, float factor) : SamplerStep
{
    private readonly int[] _endTokens = [.. endTokens];

    internal override void Apply(Candidates candidates, in SamplingContext context)
    {
        var beyond = context.Generated.Length - start;
        if (beyond <= 0)
        {
            return;
        }

        var scores = candidates.MutableScores();
        var rise = Math.Min(ScalarMath.Power(factor, beyond), float.MaxValue) - 1;
        foreach (var id in _endTokens)
        {
            if (candidates.IndexOf(id) is >= 0 and var index && !float.IsNegativeInfinity(scores[index]))
            {
                scores[index] = (float)(scores[index] + (Math.Abs((double)scores[index]) * rise));
            }
        }
    }
}
