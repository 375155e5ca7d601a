// Steps against repetition that look at single tokens or n-grams; DRY, which looks at passages of any length, has a file of its own.
namespace NativeGen.Sampling;

/// <summary>
/// Divides positive and multiplies negative logits of every token of prompt and answer by a penalty, once each (Keskar et al., "CTRL",
/// 2019). 1 does nothing, more than 1 discourages repetition.
/// </summary>
/// <param name="penalty">Above 0.</param>
/// <param name="lastTokens">How many tokens of the history's end count; default: all, as in transformers.</param>
public sealed class RepetitionPenaltyStep(float penalty, int lastTokens = int.MaxValue) : SamplerStep
{
    internal override void Apply(Candidates candidates, in SamplingContext context) =>
        Apply(candidates, context.History[Math.Max(context.History.Length - lastTokens, 0)..], penalty);

    internal static void Apply(Candidates candidates, ReadOnlySpan<int> tokens, float penalty)
    {
        var scores = candidates.MutableScores();
        var seen = candidates.Counts;
        foreach (var id in tokens)
        {
            if (candidates.IndexOf(id) is >= 0 and var index && seen[index] == 0)
            {
                seen[index] = 1;
                scores[index] = scores[index] < 0 ? scores[index] * penalty : scores[index] / penalty;
            }
        }

        foreach (var id in tokens)
        {
            if (candidates.IndexOf(id) is >= 0 and var index)
            {
                seen[index] = 0;
            }
        }
    }
}

/// <summary>
/// More than 1 favours the tokens of the text that is answered (encoder_repetition_penalty, also known as hallucination penalty): the
/// repetition penalty's inverse over <see cref="SamplingContext.Source"/>.
/// </summary>
public sealed class EncoderRepetitionPenaltyStep(float penalty) : SamplerStep
{
    internal override void Apply(Candidates candidates, in SamplingContext context) =>
        RepetitionPenaltyStep.Apply(candidates, context.Source, 1 / penalty);
}

/// <summary>Lowers the logits of tokens that were there already: by <c>frequency</c> for each time, by <c>presence</c> once.</summary>
/// <param name="frequency">Subtracted per occurrence.</param>
/// <param name="presence">Subtracted once.</param>
/// <param name="lastTokens">How many tokens of the history's end count, the prompt's too; null: the answer's, as in OpenAI's API.</param>
public sealed class OccurrencePenaltyStep(float frequency, float presence, int? lastTokens = null) : SamplerStep
{
    internal override void Apply(Candidates candidates, in SamplingContext context)
    {
        var tokens = lastTokens is { } last ? context.History[Math.Max(context.History.Length - last, 0)..] : context.Generated;
        Apply(candidates, tokens, frequency, presence);
    }

    internal static void Apply(Candidates candidates, ReadOnlySpan<int> tokens, float frequency, float presence)
    {
        var scores = candidates.MutableScores();
        var counts = candidates.Counts;
        foreach (var id in tokens)
        {
            if (candidates.IndexOf(id) is >= 0 and var index)
            {
                counts[index]++;
            }
        }

        foreach (var id in tokens)
        {
            if (candidates.IndexOf(id) is >= 0 and var index && counts[index] > 0)
            {
                scores[index] -= (counts[index] * frequency) + presence;
                counts[index] = 0;
            }
        }
    }
}

/// <summary>
/// Keeps groups of beams apart (Vijayakumar et al., "Diverse Beam Search", 2016): lowers what earlier groups have chosen for the same position
/// (<see cref="SamplingContext.GroupTokens"/>), by <c>penalty</c> for each time.
/// </summary>
public sealed class DiversityPenaltyStep(float penalty) : SamplerStep
{
    internal override void Apply(Candidates candidates, in SamplingContext context) =>
        OccurrencePenaltyStep.Apply(candidates, context.GroupTokens, penalty, 0);
}

/// <summary>No passage of n tokens comes twice in prompt and answer: rules out what would complete such an n-gram again.</summary>
public sealed class NoRepeatNgramStep(int size) : SamplerStep
{
    internal override void Apply(Candidates candidates, in SamplingContext context) => Apply(candidates, context.History, context.History, size);

    /// <summary>Rules out every token that follows the history's last size - 1 tokens somewhere in a text. Linear time (Knuth, Morris and Pratt, 1977).</summary>
    internal static void Apply(Candidates candidates, ReadOnlySpan<int> text, ReadOnlySpan<int> history, int size)
    {
        if (history.Length + 1 < size)
        {
            return;
        }

        var scores = candidates.MutableScores();
        var pattern = history[(history.Length + 1 - size)..];
        var borders = Borders(pattern, candidates.Scratch(pattern.Length));
        var matched = 0;
        for (var i = 0; i < text.Length; i++)
        {
            if (matched == pattern.Length)
            {
                if (candidates.IndexOf(text[i]) is >= 0 and var index)
                {
                    scores[index] = float.NegativeInfinity;
                }

                matched = matched > 0 ? borders[matched - 1] : 0;
            }

            while (matched > 0 && text[i] != pattern[matched])
            {
                matched = borders[matched - 1];
            }

            matched += matched < pattern.Length && text[i] == pattern[matched] ? 1 : 0;
        }
    }

    /// <summary>borders[i] = length of the longest proper prefix of pattern[..=i] that is its suffix, too.</summary>
    private static Span<int> Borders(ReadOnlySpan<int> pattern, Span<int> borders)
    {
        var length = 0;
        for (var i = 0; i < pattern.Length; i++)
        {
            while (i > 0 && length > 0 && pattern[i] != pattern[length])
            {
                length = borders[length - 1];
            }

            length += i > 0 && pattern[i] == pattern[length] ? 1 : 0;
            borders[i] = length;
        }

        return borders;
    }
}

/// <summary>Rules out what would complete an n-gram of the text that is answered (<see cref="SamplingContext.Source"/>).</summary>
public sealed class EncoderNoRepeatNgramStep(int size) : SamplerStep
{
    internal override void Apply(Candidates candidates, in SamplingContext context) =>
        NoRepeatNgramStep.Apply(candidates, context.Source, context.History, size);
}
