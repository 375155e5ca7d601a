// What the steps of a sampler's chain have in common, the seam for users' own processors, and the order the product runs them in.
namespace NativeGen.Sampling;

/// <summary>
/// One step of a <see cref="Sampler"/>'s chain: changes scores, or drops tokens. Immutable and thread safe. Formulas and the treatment of ties
/// are those of Hugging Face transformers where it has the step, else llama.cpp's.
/// </summary>
/// <remarks>
/// The order in which requests run them is that of <c>generate()</c>, with the steps it does not have where they fit:
/// <see cref="LogitBiasStep"/>, <see cref="SequenceBiasStep"/>, <see cref="DiversityPenaltyStep"/>, <see cref="EncoderRepetitionPenaltyStep"/>,
/// <see cref="RepetitionPenaltyStep"/>, <see cref="OccurrencePenaltyStep"/>, <see cref="DryStep"/>, <see cref="NoRepeatNgramStep"/>,
/// <see cref="EncoderNoRepeatNgramStep"/>, <see cref="SequenceBiasStep.Ban"/> (bad words), <see cref="MinLengthStep"/>,
/// <see cref="SuppressTokensStep"/> (minimum of new tokens), <see cref="ForcedTokensStep"/>, <see cref="LengthDecayStep"/>,
/// <see cref="SuppressTokensStep"/>, <see cref="LogitsProcessorStep"/>, and when tokens are drawn <see cref="TemperatureStep"/> or
/// <see cref="DynamicTemperatureStep"/>, <see cref="TopNSigmaStep"/>, <see cref="TopHStep"/>, <see cref="TopKStep"/>, <see cref="TopPStep"/>,
/// <see cref="MinPStep"/>, <see cref="TypicalPStep"/>, <see cref="EpsilonCutoffStep"/>, <see cref="EtaCutoffStep"/>, <see cref="XtcStep"/>,
/// then <see cref="RenormalizeStep"/> and <see cref="AdaptivePStep"/>; <see cref="MirostatStep"/> takes the place of all that drop tokens.
/// A <see cref="Sampler"/> of one's own may have them in any order.
/// </remarks>
public abstract class SamplerStep
{
    private protected SamplerStep()
    {
    }

    internal abstract void Apply(Candidates candidates, in SamplingContext context);
}

/// <summary>A step that learns from the chosen token: the last one of its chain.</summary>
public abstract class AdaptiveStep : SamplerStep
{
    private protected AdaptiveStep()
    {
    }

    /// <summary>What it knows before its first token.</summary>
    private protected abstract SamplerState Start { get; }

    /// <summary>What it knows now.</summary>
    internal SamplerState Current(in SamplerState state) => state.Choices == 0 ? Start : state;

    /// <summary>What it knows after a token was chosen.</summary>
    /// <param name="candidates">As <see cref="SamplerStep.Apply"/> left them.</param>
    /// <param name="index">The chosen one's index.</param>
    /// <param name="state">What it knew when it was applied.</param>
    internal abstract SamplerState Learn(Candidates candidates, int index, in SamplerState state);
}

/// <summary>A step of the user's own making: changes the scores of tokens before temperature and all that drops tokens.</summary>
/// <remarks>
/// Called on the model's loop for every token, also for those of other requests that share its steps: it must be quick. The same input must give the same
/// scores, or a seed no longer stands for a text; what it needs to know of a sequence is in the context. An exception ends the request with it.
/// </remarks>
public interface ILogitsProcessor
{
    /// <summary>Changes the scores in place.</summary>
    /// <param name="scores">One per token of the vocabulary, by id. Negative infinity rules a token out; NaN is refused.</param>
    /// <param name="context">The tokens so far, and where the choice stands.</param>
    void Process(Span<float> scores, in SamplingContext context);
}

/// <summary>Runs a user's own processor. After a step that has dropped tokens it sees those with negative infinity.</summary>
public sealed class LogitsProcessorStep(ILogitsProcessor processor) : SamplerStep
{
    internal override void Apply(Candidates candidates, in SamplingContext context)
    {
        var scores = candidates.ScoresById();
        processor.Process(scores, context);
        if (VectorMath.HasNaN(scores))
        {
            throw new NativeGenException(NativeGenErrorCode.InvalidRequest,
                $"The logits processor {processor.GetType().Name} has made a score NaN at position {context.Position}.");
        }
    }
}
