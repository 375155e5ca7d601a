// What the decode loop works on: a request, its sequences, and the sink that takes their tokens.
using NativeGen.Sampling;

namespace NativeGen.Scheduling;

/// <summary>
/// Takes a request's tokens. All but <see cref="HasRoom"/> and <see cref="Fail"/> are called on the loop's thread, one at a time, and must be
/// quick and not throw.
/// </summary>
internal abstract class TokenSink
{
    /// <summary>False while the reader is behind: the request's sequences pause until <see cref="DecodeLoop.Wake"/>.</summary>
    public abstract bool HasRoom { get; }

    /// <summary>A sequence got one more token, already at the end of its tokens.</summary>
    /// <param name="logits">What it was chosen from, as the model gave them; empty if the model was not asked, because nothing else could come.</param>
    /// <param name="chosenFrom">What the sampler's steps had left of them when it was chosen. Free for use during the call.</param>
    /// <returns>Why its text ends the sequence (a stop sequence, a loop), or null.</returns>
    public abstract FinishReason? Accept(LoopSequence sequence, ReadOnlySpan<float> logits, Candidates chosenFrom);

    /// <summary>A sequence has ended.</summary>
    public abstract void Finish(LoopSequence sequence, FinishReason reason);

    /// <summary>Whether a text that a search follows would be ended by one more token, for a stop sequence.</summary>
    public abstract bool Ends(LoopSequence sequence, int token);

    /// <summary>A search has found a sequence, which has ended: the first and only time that the sink hears of it.</summary>
    public abstract void Deliver(LoopSequence sequence, FinishReason reason);

    /// <summary>All sequences have ended.</summary>
    public abstract void Complete(LoopRequest request);

    /// <summary>The request has ended without a result. May be called from any thread, and again after the end.</summary>
    public abstract void Fail(Exception error);
}

/// <summary>One request: a prompt that one or several sequences continue.</summary>
internal sealed class LoopRequest
{
    private LoopSequence[]? _sequences;
    private LoopSequence[]? _results;

    public required ReadOnlyMemory<int> Prompt { get; init; }

    public required TokenSink Sink { get; init; }

    public required Sampler Sampler { get; init; }

    /// <summary>What keeps each sequence to a form, at its beginning; each has a fork of it. Null: the text is free.</summary>
    public TokenConstraint? Constraint { get; init; }

    /// <summary>By token id: true ends a sequence.</summary>
    public required ReadOnlyMemory<bool> EndTokens { get; init; }

    /// <summary>The most tokens of an answer; the context may end it earlier.</summary>
    public int MaxNewTokens { get; init; } = int.MaxValue;

    /// <summary>How many sequences continue the prompt (num_return_sequences, or num_beams).</summary>
    public int SequenceCount { get; init; } = 1;

    /// <summary>The search that chooses the tokens of all sequences together, one beam in each. Null: each goes its own way.</summary>
    public BeamSettings? Beams { get; init; }

    /// <summary>The search's state, from its first step on.</summary>
    public BeamRun? Search { get; set; }

    public long Seed { get; init; }

    public GenerationPriority Priority { get; init; }

    /// <summary>Timestamps of the loop's TimeProvider; 0 = not yet.</summary>
    public long SubmittedAt { get; set; }

    public long StartedAt { get; set; }

    public long FirstTokenAt { get; set; }

    public long EndedAt { get; set; }

    /// <summary>Order of arrival within the loop.</summary>
    public long Arrival { get; set; }

    public LoopSequence[] Sequences => _sequences ??= CreateSequences();

    /// <summary>The answers: the sequences themselves, or what a search has found.</summary>
    public LoopSequence[] Results
    {
        get => _results ?? Sequences;
        set => _results = value;
    }

    /// <summary>Set by <see cref="DecodeLoop.Cancel"/> from any thread.</summary>
    public volatile bool CancelRequested;

    /// <summary>Rows of it are in the step that runs now.</summary>
    public volatile bool InStep;

    private LoopSequence[] CreateSequences()
    {
        var sequences = new LoopSequence[SequenceCount];
        for (var i = 0; i < sequences.Length; i++)
        {
            sequences[i] = new LoopSequence(this, i) { Constraint = Constraint?.Fork(), Waits = Beams is not null && i > 0 };
        }

        return sequences;
    }
}

/// <summary>
/// One sequence: the prompt's tokens and those generated so far, of which the first <see cref="Computed"/> are in the KV cache. What is left
/// to compute is a prompt, a new token, or everything again after the sequence had to give its pages up: the loop does not tell them apart.
/// </summary>
internal sealed class LoopSequence
{
    private int[] _tokens;

    public LoopSequence(LoopRequest request, int index)
    {
        Request = request;
        Index = index;
        Length = request.Prompt.Length;
        _tokens = new int[Length + Math.Min(request.MaxNewTokens, 256)];
        request.Prompt.CopyTo(_tokens);
    }

    public LoopRequest Request { get; }

    /// <summary>Its place among the request's sequences.</summary>
    public int Index { get; }

    /// <summary>The context's number for it, or -1 while it holds no pages.</summary>
    public int Native { get; set; } = -1;

    public int Length { get; private set; }

    public int Computed { get; set; }

    public bool Finished { get; set; }

    /// <summary>What the sampler's adaptive step has learnt from this sequence; a fork has a copy.</summary>
    public SamplerState SamplerState { get; set; }

    /// <summary>Where the generated text stands in its form.</summary>
    public TokenConstraint? Constraint { get; set; }

    /// <summary>A beam that has nothing to compute until its siblings have come as far, or that follows no text now.</summary>
    public bool Waits { get; set; }

    /// <summary>Of a sequence that a search has found: what it was ranked by.</summary>
    public float? Score { get; init; }

    /// <summary>Of a sequence that a search has found: what the model gave each generated token.</summary>
    public float[] Logprobs { get; init; } = [];

    public int PromptLength => Request.Prompt.Length;

    public int Generated => Length - PromptLength;

    public int Pending => Length - Computed;

    /// <summary>Rows planned for the next step.</summary>
    public int Planned { get; set; }

    /// <summary>Whether the last of them asks for logits: then nothing is left to compute but the token to come.</summary>
    public bool HasOutput { get; set; }

    public ReadOnlySpan<int> Tokens => _tokens.AsSpan(0, Length);

    /// <summary>A slice of the tokens that stays as it is while more are appended.</summary>
    public ReadOnlyMemory<int> Slice(int start) => _tokens.AsMemory(start, Length - start);

    public void Append(int token)
    {
        if (Length == _tokens.Length)
        {
            Array.Resize(ref _tokens, _tokens.Length * 2);
        }

        _tokens[Length++] = token;
    }

    /// <summary>Takes another one's text.</summary>
    public void CopyFrom(LoopSequence other)
    {
        if (_tokens.Length <= other.Length)
        {
            _tokens = new int[other._tokens.Length];
        }

        other.Tokens.CopyTo(_tokens);
        Length = other.Length;
        Constraint = other.Constraint?.Fork();
    }

    /// <summary>Negative if this one goes before the other: higher priority, then earlier arrival, then lower index.</summary>
    public int CompareRank(LoopSequence other)
    {
        var order = other.Request.Priority.CompareTo(Request.Priority);
        order = order != 0 ? order : Request.Arrival.CompareTo(other.Request.Arrival);
        return order != 0 ? order : Index.CompareTo(other.Index);
    }
}
