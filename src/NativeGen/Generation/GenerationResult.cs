// What comes back: results, streamed updates, estimates.
using Microsoft.Extensions.AI;

namespace NativeGen;

/// <summary>A token with its log-probability.</summary>
/// <param name="Token">Its id.</param>
/// <param name="Text">Its text by itself; half a character shows as U+FFFD.</param>
/// <param name="Bytes">Its exact bytes, UTF-8 once joined with its neighbours'.</param>
/// <param name="Logprob">
/// The natural logarithm of the probability the model gave it, before temperature and all other options, or after them: see
/// <see cref="GenerationOptions.LogprobsMode"/>.
/// </param>
public sealed record TokenLogprob(int Token, string Text, ReadOnlyMemory<byte> Bytes, float Logprob)
{
    /// <summary>The most likely tokens at this place, best first; as many as TopLogprobs asked for.</summary>
    public IReadOnlyList<TokenLogprob> Top { get; init; } = [];
}

/// <summary>One answer.</summary>
public sealed record GeneratedSequence
{
    /// <summary>Its text, cut before a stop sequence.</summary>
    public required string Text { get; init; }

    /// <summary>All tokens that were generated, one that ended it included.</summary>
    public required IReadOnlyList<int> Tokens { get; init; }

    /// <summary>Why it ended.</summary>
    public required FinishReason FinishReason { get; init; }

    /// <summary>The sum of its tokens' log-probabilities, as the model gave them before temperature and all other options.</summary>
    public double SumLogprob { get; init; }

    /// <summary>
    /// With beams what the answer was ranked by: the sum of its tokens' log-probabilities, as the options have left them, divided by the number
    /// of its tokens to the power of <see cref="GenerationOptions.LengthPenalty"/>. With <see cref="GenerationOptions.BestOf"/> the mean of
    /// <see cref="SumLogprob"/> over its tokens. Else null.
    /// </summary>
    public float? Score { get; init; }

    /// <summary>One entry per token, if the request asked for them.</summary>
    public IReadOnlyList<TokenLogprob>? Logprobs { get; init; }

    /// <summary>What the model thought before it answered, if it marks that off; empty otherwise. Never a part of <see cref="Text"/>.</summary>
    public string Reasoning { get; init; } = "";

    /// <summary>
    /// Tools the model wants to be called, whole calls only. Their ids are the model's own where it writes any. RawRepresentation is the arguments' JSON text.
    /// </summary>
    public IReadOnlyList<FunctionCallContent> ToolCalls { get; init; } = [];
}

/// <summary>Numbers of tokens.</summary>
/// <param name="PromptTokens">Tokens of the prompt, counted once however many answers it has.</param>
/// <param name="CachedTokens">How many of them did not have to be computed.</param>
/// <param name="GeneratedTokens">Tokens of all answers together, of those that BestOf left out, too.</param>
public sealed record GenerationUsage(int PromptTokens, int CachedTokens, int GeneratedTokens);

/// <summary>Where the time went.</summary>
public sealed record GenerationTimings
{
    /// <summary>From the request to the start of its work.</summary>
    public TimeSpan Queued { get; init; }

    /// <summary>From there to the end of its prompt.</summary>
    public TimeSpan Prefill { get; init; }

    /// <summary>From the request to its first token.</summary>
    public TimeSpan FirstToken { get; init; }

    /// <summary>From the first token to the end.</summary>
    public TimeSpan Decode { get; init; }

    /// <summary>Tokens of all answers per second of <see cref="Decode"/>, the first ones not counted; 0 if there are no others.</summary>
    public double TokensPerSecond { get; init; }
}

/// <summary>A finished request.</summary>
public sealed record GenerationResult
{
    /// <summary>The first answer's text.</summary>
    public string Text => Sequences[0].Text;

    /// <summary>Why the first answer ended.</summary>
    public FinishReason FinishReason => Sequences[0].FinishReason;

    /// <summary>All answers, as many as NumReturnSequences asked for; with DistinctSequences perhaps fewer.</summary>
    public required IReadOnlyList<GeneratedSequence> Sequences { get; init; }

    /// <summary>Numbers of tokens.</summary>
    public required GenerationUsage Usage { get; init; }

    /// <summary>Where the time went.</summary>
    public required GenerationTimings Timings { get; init; }

    /// <summary>The seed that was used: with it the same request gives the same text.</summary>
    public required long Seed { get; init; }

    /// <summary>Options that had no effect, and what in an answer was not as its model's format demands, one sentence each.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];
}

/// <summary>A piece of a call of a tool in a streamed answer.</summary>
/// <param name="Index">Counts the answer's calls from 0.</param>
/// <param name="CallId">In a call's first piece: its id.</param>
/// <param name="Name">In a call's first piece: the tool.</param>
/// <param name="Arguments">What the JSON text of its arguments grows by.</param>
public sealed record ToolCallUpdate(int Index, string? CallId, string? Name, string Arguments)
{
    /// <summary>What began as a call turned out to be none: its pieces are to be forgotten, its text follows as text. Cannot happen where the schema is kept.</summary>
    public bool IsWithdrawn { get; init; }
}

/// <summary>A piece of a streamed answer.</summary>
public sealed class GenerationUpdate
{
    /// <summary>What the answer's text grows by: whole grapheme clusters (what a reader takes for one character), never a part of a stop sequence. May be empty in an answer's last update.</summary>
    public string Text { get; init; } = "";

    /// <summary>What the answer's reasoning grows by.</summary>
    public string Reasoning { get; init; } = "";

    /// <summary>What its calls of tools grow by, in order.</summary>
    public IReadOnlyList<ToolCallUpdate> ToolCalls { get; init; } = [];

    /// <summary>Which of the request's answers it belongs to.</summary>
    public int SequenceIndex { get; init; }

    /// <summary>The tokens since the answer's last update.</summary>
    public ReadOnlyMemory<int> Tokens { get; init; }

    /// <summary>One entry per token, if the request asked for them.</summary>
    public IReadOnlyList<TokenLogprob>? Logprobs { get; init; }

    /// <summary>In an answer's last update: why it ended.</summary>
    public FinishReason? FinishReason { get; init; }

    /// <summary>In the stream's last update: numbers of tokens.</summary>
    public GenerationUsage? Usage { get; init; }

    /// <summary>In the stream's last update: where the time went.</summary>
    public GenerationTimings? Timings { get; init; }

    /// <summary>In the stream's last update: the seed that was used.</summary>
    public long? Seed { get; init; }

    /// <summary>In the stream's last update: what <see cref="GenerationResult.Warnings"/> has.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <inheritdoc/>
    public override string ToString() => Text;
}

/// <summary>What a request would take.</summary>
/// <param name="PromptTokens">Tokens of the prompt, exact.</param>
/// <param name="CachedTokens">How many of them are already computed.</param>
/// <param name="KvBytes">KV cache the request takes if all its answers run to their limit (MaxNewTokens, MaxLength or the context): exact, with beams the most it can be.</param>
/// <param name="TimeToFirstToken">Null in this build.</param>
/// <param name="TokensPerSecond">Null in this build.</param>
public sealed record GenerationEstimate(int PromptTokens, int CachedTokens, long KvBytes, TimeSpan? TimeToFirstToken, double? TokensPerSecond);
