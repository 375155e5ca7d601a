// Where the decode loop's tokens become text: one sink collects whole answers, one streams them through a bounded channel.
using System.Text;
using System.Threading.Channels;
using Microsoft.Extensions.AI;
using NativeGen.Chat;
using NativeGen.Sampling;
using NativeGen.Scheduling;
using NativeGen.Tokenization;

namespace NativeGen;

/// <summary>What a request asked for that concerns its output.</summary>
internal sealed record OutputSettings(Tokenizer Tokenizer, GenerationOptions Options, long Seed, IReadOnlyList<string> Warnings, TimeProvider Time)
{
    public StopSequences Stops { get; } = Options.StopSequences is { Count: > 0 } stops ? new StopSequences(stops) : StopSequences.None;

    public bool SkipSpecialTokens { get; } = Options.SkipSpecialTokens ?? true;

    /// <summary>How many answers the caller gets.</summary>
    public int Returned { get; } = Options.NumReturnSequences ?? 1;

    public int TopLogprobs { get; } = Options.TopLogprobs ?? 0;

    public bool Logprobs { get; } = Options.Logprobs == true || Options.TopLogprobs > 0;

    /// <summary>Log-probabilities are those the token was chosen by.</summary>
    public bool Processed { get; } = Options.LogprobsMode == LogprobsMode.Processed;

    /// <summary>How answers are told apart into text, reasoning and calls; null: all is text.</summary>
    public AnswerFormat? Chat { get; init; }

    public bool TrimToSentence { get; } = Options.TrimToSentence == true;
}

/// <summary>The text, log-probabilities and end of each of a request's answers.</summary>
internal abstract class RequestSink : TokenSink
{
    protected RequestSink(OutputSettings settings, int sequences)
    {
        Settings = settings;
        Answers = new Answer[sequences];
        for (var i = 0; i < sequences; i++)
        {
            Answers[i] = new Answer(settings, i);
        }
    }

    private StopBytes? _stopBytes;

    protected OutputSettings Settings { get; }

    protected Answer[] Answers { get; }

    /// <summary>More answers are drawn than are returned: which, is known when all have ended.</summary>
    protected bool Picks => Answers.Length > Settings.Returned;

    public override FinishReason? Accept(LoopSequence sequence, ReadOnlySpan<float> logits, Candidates chosenFrom)
    {
        var answer = Answers[sequence.Index];
        var token = sequence.Tokens[^1];
        if (!logits.IsEmpty)
        {
            var normalizer = Sampler.LogNormalizer(logits);
            answer.SumLogprob += Sampler.LogProbability(logits, token, normalizer);
            answer.Logprobs?.Add(Settings.Processed ? Describe(token, chosenFrom) : Describe(token, logits, normalizer, chosenFrom));
        }

        var stopped = HasText(token) && answer.Append(token);
        var loops = answer.Loops?.Append(sequence.Tokens[sequence.PromptLength..]) == true;
        Publish(sequence, answer);
        return stopped ? FinishReason.StopSequence : loops ? FinishReason.Repetition : null;
    }

    public override void Finish(LoopSequence sequence, FinishReason reason)
    {
        var answer = Answers[sequence.Index];
        answer.End(trim: reason is FinishReason.Length or FinishReason.ContextFull);
        answer.FinishReason = reason == FinishReason.Stop && answer.Parts?.Calls.Count > 0 ? FinishReason.ToolCalls : reason;
        PublishEnd(sequence, answer);
    }

    public override bool Ends(LoopSequence sequence, int token) =>
        !Settings.Stops.IsEmpty && HasText(token) && (_stopBytes ??= new StopBytes(Settings)).Completes(sequence.Tokens[sequence.PromptLength..], token);

    public override void Deliver(LoopSequence sequence, FinishReason reason)
    {
        var answer = Answers[sequence.Index];
        var tokens = sequence.Tokens[sequence.PromptLength..];
        for (var i = 0; i < tokens.Length; i++)
        {
            answer.SumLogprob += sequence.Logprobs[i];
            answer.Logprobs?.Add(Describe(tokens[i], sequence.Logprobs[i]));
            if (HasText(tokens[i]))
            {
                answer.Append(tokens[i]);
            }
        }

        Finish(sequence, reason);
    }

    protected virtual void Publish(LoopSequence sequence, Answer answer)
    {
    }

    protected virtual void PublishEnd(LoopSequence sequence, Answer answer)
    {
    }

    /// <summary>The answers to return with what they were picked by, best first (a stable sort); or all as they are.</summary>
    protected IEnumerable<(Answer Answer, LoopSequence Sequence, float? Score)> Picked(LoopRequest request)
    {
        var all = Answers.Zip(request.Results);
        return !Picks ? all.Select(static one => (one.First, one.Second, one.Second.Score)) : all
            .Select(static one => (one.First, one.Second, Score: (float?)(one.First.SumLogprob / one.Second.Generated)))
            .OrderByDescending(static one => one.Score).Take(Settings.Returned);
    }

    protected static GenerationUsage Usage(LoopRequest request) =>
        new(request.Prompt.Length, 0, request.Results.Sum(sequence => sequence.Generated));

    protected GenerationTimings Timings(LoopRequest request)
    {
        var time = Settings.Time;
        var decode = time.GetElapsedTime(request.FirstTokenAt, request.EndedAt);
        var more = request.Results.Sum(sequence => sequence.Generated) - request.Results.Length;
        return new GenerationTimings
        {
            Queued = time.GetElapsedTime(request.SubmittedAt, request.StartedAt),
            Prefill = time.GetElapsedTime(request.StartedAt, request.FirstTokenAt),
            FirstToken = time.GetElapsedTime(request.SubmittedAt, request.FirstTokenAt),
            Decode = decode,
            TokensPerSecond = more > 0 && decode > TimeSpan.Zero ? more / decode.TotalSeconds : 0,
        };
    }

    /// <summary>What had no effect, what the answers' formats were not kept to, and whether a search has found less than was asked for.</summary>
    protected IReadOnlyList<string> Warnings(LoopRequest request) =>
        request.Results.Length == Answers.Length && !Answers.Any(answer => answer.Parts?.Diagnostics.Count > 0) ? Settings.Warnings
        : [.. Settings.Warnings, .. Answers.SelectMany(answer => answer.Parts?.Diagnostics ?? []), .. request.Results.Length == Answers.Length ? (ReadOnlySpan<string>)[]
            : [$"The beams have found {request.Results.Length} answers, not the {Answers.Length} of NumReturnSequences: no others are possible."]];

    /// <summary>False for a token that ends the answer, be it control or not, and for one that only fills up the model's vocabulary.</summary>
    private bool HasText(int token) =>
        token < Settings.Tokenizer.VocabularySize && !(Settings.SkipSpecialTokens && Settings.Tokenizer.IsEndOfGeneration(token));

    /// <summary>A token and its best rivals with the log-probabilities the model gave them.</summary>
    private TokenLogprob Describe(int token, ReadOnlySpan<float> logits, double normalizer, Candidates buffers)
    {
        var best = Settings.TopLogprobs == 0 ? [] : Sampler.Best(logits, Settings.TopLogprobs, buffers);
        var top = new TokenLogprob[best.Length];
        for (var i = 0; i < top.Length; i++)
        {
            top[i] = Describe(best[i], Sampler.LogProbability(logits, best[i], normalizer));
        }

        return Describe(token, Sampler.LogProbability(logits, token, normalizer)) with { Top = top };
    }

    /// <summary>The same with those that the token was chosen by.</summary>
    private TokenLogprob Describe(int token, Candidates chosenFrom)
    {
        var own = chosenFrom.LogProbability(token);
        var normalizer = chosenFrom.LogNormalizer();
        var best = Settings.TopLogprobs == 0 ? [] : Sampler.Best(Settings.TopLogprobs, chosenFrom); // drops the others: what is known of all comes before
        List<TokenLogprob> top = new(best.Length);
        foreach (var id in best)
        {
            if (chosenFrom.Scores[chosenFrom.IndexOf(id)] is > float.NegativeInfinity and var score)
            {
                top.Add(Describe(id, (float)(score - normalizer)));
            }
        }

        return Describe(token, own) with { Top = top };
    }

    private TokenLogprob Describe(int token, float logprob)
    {
        byte[] bytes = token < Settings.Tokenizer.VocabularySize ? Settings.Tokenizer.Piece(token).ToArray() : [];
        return new TokenLogprob(token, Encoding.UTF8.GetString(bytes), bytes, logprob);
    }

    /// <summary>One answer in the making.</summary>
    protected sealed class Answer
    {
        private readonly Detokenizer _detokenizer;

        public Answer(OutputSettings settings, int index)
        {
            _detokenizer = new Detokenizer(settings.Tokenizer, settings.SkipSpecialTokens);
            Text = new AnswerText(settings.Stops, wholeGraphemes: true, settings.TrimToSentence);
            Parts = settings.Chat is { } format ? new AnswerParts(format, Text, settings.Seed, index) : null;
            Loops = settings.Options.MaxRepeats is > 1 and var repeats ? new LoopDetector(repeats) : null;
            Logprobs = settings.Logprobs ? [] : null;
        }

        public AnswerText Text { get; }

        /// <summary>Reasoning and calls, if they are told apart.</summary>
        public AnswerParts? Parts { get; }

        public LoopDetector? Loops { get; }

        public double SumLogprob { get; set; }

        public List<TokenLogprob>? Logprobs { get; }

        public FinishReason FinishReason { get; set; }

        public bool Append(int token)
        {
            if (Parts is null)
            {
                return Text.Append(_detokenizer.Append(token));
            }

            if (!Parts.AppendControl(token))
            {
                Parts.Append(_detokenizer.Append(token));
            }

            return Text.Stopped;
        }

        public void End(bool trim)
        {
            if (Parts is null)
            {
                Text.Append(_detokenizer.Flush());
            }
            else
            {
                Parts.Append(_detokenizer.Flush());
                Parts.End();
            }

            Text.End(trim);
        }
    }
}

/// <summary>Collects whole answers.</summary>
internal sealed class ResultSink(OutputSettings settings, int sequences) : RequestSink(settings, sequences)
{
    private readonly TaskCompletionSource<GenerationResult> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task<GenerationResult> Result => _result.Task;

    public override bool HasRoom => true;

    public override void Complete(LoopRequest request)
    {
        GeneratedSequence[] all = [.. Picked(request).Select(static one => new GeneratedSequence
        {
            Text = one.Answer.Text.Take(),
            Tokens = one.Sequence.Tokens[one.Sequence.PromptLength..].ToArray(),
            FinishReason = one.Answer.FinishReason,
            SumLogprob = one.Answer.SumLogprob,
            Score = one.Score,
            Logprobs = one.Answer.Logprobs,
            Reasoning = one.Answer.Parts?.Reasoning.Take() ?? "",
            ToolCalls = one.Answer.Parts?.Calls ?? [],
        })];
        GeneratedSequence[] kept = Settings.Options.DistinctSequences == true ? [.. all.DistinctBy(sequence => (sequence.Text, string.Join('\0', sequence.ToolCalls.Select(call => $"{call.Name}{call.RawRepresentation}"))))] : all;
        _result.TrySetResult(new GenerationResult
        {
            Sequences = kept,
            Usage = Usage(request),
            Timings = Timings(request),
            Seed = Settings.Seed,
            Warnings = [.. Warnings(request), .. kept.Length == all.Length ? (ReadOnlySpan<string>)[]
                : [$"{all.Length - kept.Length} of {all.Length} answers had the text of another one and were left out (DistinctSequences)."]],
        });
    }

    public override void Fail(Exception error)
    {
        if (error is OperationCanceledException cancelled)
        {
            _result.TrySetCanceled(cancelled.CancellationToken);
        }
        else
        {
            _result.TrySetException(error);
        }
    }
}

/// <summary>Streams answers: an update whenever an answer has text to show. Per token at most its text and one update are allocated.</summary>
internal sealed class StreamSink : RequestSink
{
    private const int Capacity = 64;

    private readonly Channel<GenerationUpdate> _updates;
    private readonly int[] _reported; // tokens of each answer that updates have told of
    private GenerationUpdate? _last;
    private int _open;
    private volatile bool _paused;

    public StreamSink(OutputSettings settings, int sequences)
        : base(settings, sequences)
    {
        _reported = new int[sequences];
        _open = sequences;

        // A step adds at most an update per token of an answer and an end per answer, after HasRoom was asked.
        _updates = Channel.CreateBounded<GenerationUpdate>(new BoundedChannelOptions(Capacity + ((TokenConstraint.MostForced + 2) * sequences)) { SingleReader = true, SingleWriter = true });
    }

    public ChannelReader<GenerationUpdate> Updates => _updates.Reader;

    public override bool HasRoom
    {
        get
        {
            if (_updates.Reader.Count < Capacity)
            {
                return true;
            }

            _paused = true;
            return _updates.Reader.Count < Capacity; // the reader may have caught up before it could see the flag
        }
    }

    /// <summary>Asked by the reader after each update: whether the loop waits for it and should be woken.</summary>
    public bool CaughtUp()
    {
        if (!_paused || _updates.Reader.Count > Capacity / 2)
        {
            return false;
        }

        _paused = false;
        return true;
    }

    public override void Deliver(LoopSequence sequence, FinishReason reason)
    {
        _open = sequence.Request.Results.Length - sequence.Index; // a search may have found fewer than were asked for
        base.Deliver(sequence, reason);
    }

    public override void Complete(LoopRequest request)
    {
        foreach (var ((answer, sequence, _), rank) in Picks ? Picked(request).Select(static (one, rank) => (one, rank)) : [])
        {
            if (_last is not null)
            {
                Write(_last);
            }

            _last = Next(sequence, rank, answer, answer.FinishReason);
        }

        Write(new GenerationUpdate
        {
            Text = _last!.Text,
            Reasoning = _last.Reasoning,
            ToolCalls = _last.ToolCalls,
            SequenceIndex = _last.SequenceIndex,
            Tokens = _last.Tokens,
            Logprobs = _last.Logprobs,
            FinishReason = _last.FinishReason,
            Usage = Usage(request),
            Timings = Timings(request),
            Seed = Settings.Seed,
            Warnings = Settings.Options.DistinctSequences == true
                ? [.. Warnings(request), "DistinctSequences has no effect while streaming: what was shown cannot be taken back."]
                : Warnings(request),
        });
        _updates.Writer.TryComplete();
    }

    public override void Fail(Exception error) => _updates.Writer.TryComplete(error);

    protected override void Publish(LoopSequence sequence, Answer answer)
    {
        if ((answer.Text.Available > 0 || answer.Parts?.HasNews == true) && !answer.Text.Stopped && !Picks)
        {
            Write(Next(sequence, sequence.Index, answer, null));
        }
    }

    protected override void PublishEnd(LoopSequence sequence, Answer answer)
    {
        if (Picks)
        {
            return;
        }

        var update = Next(sequence, sequence.Index, answer, answer.FinishReason);
        if (--_open == 0)
        {
            _last = update; // Complete adds what only the stream's last update has
        }
        else
        {
            Write(update);
        }
    }

    private GenerationUpdate Next(LoopSequence sequence, int index, Answer answer, FinishReason? reason)
    {
        var from = _reported[sequence.Index];
        _reported[sequence.Index] = sequence.Generated;
        return new GenerationUpdate
        {
            Text = answer.Text.Take(),
            Reasoning = answer.Parts?.Reasoning.Take() ?? "",
            ToolCalls = answer.Parts?.TakeUpdates() ?? [],
            SequenceIndex = index,
            Tokens = sequence.Slice(sequence.PromptLength + from),
            Logprobs = answer.Logprobs?[from..],
            FinishReason = reason,
        };
    }

    /// <summary>There is room, as HasRoom counts it; only a stream that has failed takes nothing more.</summary>
    private void Write(GenerationUpdate update) => _updates.Writer.TryWrite(update);
}
