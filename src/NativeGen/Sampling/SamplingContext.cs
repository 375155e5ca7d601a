// What a choice depends on besides the logits.
namespace NativeGen.Sampling;

/// <summary>What a step may look at besides the scores. Together with the logits it decides the token: there is no other state.</summary>
/// <param name="history">All tokens so far, the prompt's and the generated ones.</param>
/// <param name="promptLength">How many of them are the prompt's.</param>
/// <param name="seed">The request's seed.</param>
/// <param name="sequence">Index of the sequence within the request.</param>
/// <param name="position">Position of the token to choose, counted from the prompt's start.</param>
public readonly ref struct SamplingContext(ReadOnlySpan<int> history, int promptLength, long seed, int sequence, int position)
{
    private readonly ReadOnlySpan<int> _source;
    private readonly bool _hasSource;

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

    /// <summary>The text that is answered: the encoder's input where the model has an encoder, else the prompt.</summary>
    public ReadOnlySpan<int> Source
    {
        get => _hasSource ? _source : History[..PromptLength];
        init
        {
            _source = value;
            _hasSource = true;
        }
    }

    /// <summary>What earlier groups of beams have chosen for this very position; empty without groups.</summary>
    public ReadOnlySpan<int> GroupTokens { get; init; }

    /// <summary>What the sequence's last call of <see cref="Sampler.Sample(ReadOnlySpan{float}, in SamplingContext, Candidates, out SamplerState)"/> gave; default at its first token.</summary>
    public SamplerState State { get; init; }
}

/// <summary>
/// What steps that adapt (mirostat, adaptive-p) carry from one token of a sequence to the next. A plain value: whoever copies it forks it, and
/// with the tokens it is all that has to be kept to go on later. It could be had again from the logits of the tokens so far.
/// </summary>
/// <param name="Choices">How many tokens it stands for; 0 is the beginning, whatever the rest says.</param>
/// <param name="Mu">Mirostat's bound on the surprise of a token, in bits.</param>
/// <param name="WeightedSum">Adaptive-p's decaying sum of the probabilities of the chosen tokens.</param>
/// <param name="TotalWeight">What to divide it by for their mean.</param>
public readonly record struct SamplerState(int Choices, double Mu, double WeightedSum, double TotalWeight);
