// What a beam search is asked for, and the seam to whoever keeps its texts.
namespace NativeGen.Sampling;

/// <summary>How to search. The names are those of transformers' GenerationConfig, in words.</summary>
internal sealed record BeamSettings
{
    /// <summary>Texts that are followed at once (num_beams), all groups together.</summary>
    public required int Beams { get; init; }

    /// <summary>Groups that search on their own (num_beam_groups); divides <see cref="Beams"/>.</summary>
    public int Groups { get; init; } = 1;

    /// <summary>The exponent of the length that a finished text's score is divided by (length_penalty).</summary>
    public float LengthPenalty { get; init; } = 1;

    /// <summary>Ends as soon as there are as many finished texts as beams (early_stopping = true).</summary>
    public bool StopWhenFull { get; init; }

    /// <summary>Ends only when no beam can become better than the finished texts, however long it gets (early_stopping = "never").</summary>
    public bool StopNever { get; init; }

    /// <summary>Draws what goes on, without replacement, instead of taking the best (do_sample).</summary>
    public bool Draw { get; init; }

    /// <summary>How many of the finished texts are wanted (num_return_sequences).</summary>
    public int Returned { get; init; } = 1;

    public long Seed { get; init; }

    public int GroupSize => Beams / Groups;
}

/// <summary>The texts of a search's beams, one in each of <see cref="BeamSettings.Beams"/> slots. In the decode loop a slot is a sequence.</summary>
internal interface IBeamTexts
{
    /// <summary>Prompt and generated tokens.</summary>
    ReadOnlySpan<int> Tokens(int slot);

    /// <summary>What keeps the text to a form, or null.</summary>
    TokenConstraint? Constraint(int slot);

    /// <summary>Whether one more token would end the text, though it is no end token: a stop sequence.</summary>
    bool Ends(int slot, int token);

    /// <summary>A slot that is not in use becomes a copy of another one's text.</summary>
    void Fork(int from, int to);

    /// <summary>A text gets one more token.</summary>
    void Append(int slot, int token);

    /// <summary>A slot's text is not followed any more.</summary>
    void Drop(int slot);
}

/// <summary>A finished text.</summary>
internal sealed class Hypothesis
{
    private int[] _tokens = [];
    private float[] _logprobs = [];

    /// <summary>The sum of its tokens' scores, divided by its length to the power of the length penalty.</summary>
    public float Score { get; private set; }

    public FinishReason Reason { get; private set; }

    /// <summary>How many tokens were generated, one that ended it included.</summary>
    public int Length { get; private set; }

    public ReadOnlySpan<int> Tokens => _tokens.AsSpan(0, Length);

    /// <summary>Of each token the log-probability that the model itself gave it.</summary>
    public ReadOnlySpan<float> Logprobs => _logprobs.AsSpan(0, Length);

    public void Set(float score, FinishReason reason, ReadOnlySpan<int> tokens, ReadOnlySpan<float> logprobs)
    {
        if (_tokens.Length < tokens.Length + 1)
        {
            _tokens = new int[Math.Max(64, 2 * tokens.Length)];
            _logprobs = new float[_tokens.Length];
        }

        tokens.CopyTo(_tokens);
        logprobs.CopyTo(_logprobs);
        (Score, Reason, Length) = (score, reason, tokens.Length);
    }

    public void Add(int token, float logprob)
    {
        _tokens[Length] = token;
        _logprobs[Length++] = logprob;
    }
}
