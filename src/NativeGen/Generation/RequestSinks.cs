// Where the decode loop's tokens become text: one sink collects whole answers, one streams them through a bounded channel.
using System.Text;
using System.Threading.Channels;
using NativeGen.Sampling;
using NativeGen.Scheduling;
using NativeGen.Tokenization;

namespace NativeGen;

/// <summary>What a request asked for that concerns its output.</summary>
internal sealed record OutputSettings(Tokenizer Tokenizer, StopSequences Stops, bool SkipSpecialTokens, bool Logprobs, int TopLogprobs,
    long Seed, IReadOnlyList<string> Warnings, TimeProvider Time);

/// <summary>The text, log-probabilities and end of each of a request's answers.</summary>
internal abstract class RequestSink : TokenSink
{
    protected RequestSink(OutputSettings settings, int sequences)
    {
        Settings = settings;
        Answers = new Answer[sequences];
        for (var i = 0; i < sequences; i++)
        {
            Answers[i] = new Answer(settings);
        }
    }

    protected OutputSettings Settings { get; }

    protected Answer[] Answers { get; }

    public override bool Accept(LoopSequence sequence, ReadOnlySpan<float> logits, Candidates buffers)
    {
        var answer = Answers[sequence.Index];
        var token = sequence.Tokens[^1];
        var normalizer = Sampler.LogNormalizer(logits);
        answer.SumLogprob += Sampler.LogProbability(logits, token, normalizer);
        answer.Logprobs?.Add(Describe(token, logits, normalizer) with { Top = Top(logits, normalizer, buffers) });
        var stopped = HasText(token) && answer.Append(token);
        Publish(sequence, answer);
        return stopped;
    }

    public override void Finish(LoopSequence sequence, FinishReason reason)
    {
        var answer = Answers[sequence.Index];
        answer.End();
        answer.FinishReason = reason;
        PublishEnd(sequence, answer);
    }

    protected virtual void Publish(LoopSequence sequence, Answer answer)
    {
    }

    protected virtual void PublishEnd(LoopSequence sequence, Answer answer)
    {
    }

    protected static GenerationUsage Usage(LoopRequest request) =>
        new(request.Prompt.Length, 0, request.Sequences.Sum(sequence => sequence.Generated));

    protected GenerationTimings Timings(LoopRequest request)
    {
        var time = Settings.Time;
        var decode = time.GetElapsedTime(request.FirstTokenAt, request.EndedAt);
        var more = request.Sequences.Sum(sequence => sequence.Generated) - request.SequenceCount;
        return new GenerationTimings
        {
            Queued = time.GetElapsedTime(request.SubmittedAt, request.StartedAt),
            Prefill = time.GetElapsedTime(request.StartedAt, request.FirstTokenAt),
            FirstToken = time.GetElapsedTime(request.SubmittedAt, request.FirstTokenAt),
            Decode = decode,
            TokensPerSecond = more > 0 && decode > TimeSpan.Zero ? more / decode.TotalSeconds : 0,
        };
    }

    /// <summary>False for a token that ends the answer, be it control or not, and for one that only fills up the model's vocabulary.</summary>
    private bool HasText(int token) =>
        token < Settings.Tokenizer.VocabularySize && !(Settings.SkipSpecialTokens && Settings.Tokenizer.IsEndOfGeneration(token));

    private IReadOnlyList<TokenLogprob> Top(ReadOnlySpan<float> logits, double normalizer, Candidates buffers)
    {
        if (Settings.TopLogprobs == 0)
        {
            return [];
        }

        var best = Sampler.Best(logits, Settings.TopLogprobs, buffers);
        var top = new TokenLogprob[best.Length];
        for (var i = 0; i < top.Length; i++)
        {
            top[i] = Describe(best[i], logits, normalizer);
        }

        return top;
    }

    private TokenLogprob Describe(int token, ReadOnlySpan<float> logits, double normalizer)
    {
        byte[] bytes = token < Settings.Tokenizer.VocabularySize ? Settings.Tokenizer.Piece(token).ToArray() : [];
        return new TokenLogprob(token, Encoding.UTF8.GetString(bytes), bytes, Sampler.LogProbability(logits, token, normalizer));
    }

    /// <summary>One answer in the making.</summary>
    protected sealed class Answer(OutputSettings settings)
    {
        private readonly Detokenizer _detokenizer = new(settings.Tokenizer, settings.SkipSpecialTokens);

        public AnswerText Text { get; } = new(settings.Stops);

        public double SumLogprob { get; set; }

        public List<TokenLogprob>? Logprobs { get; } = settings.Logprobs ? [] : null;

        public FinishReason FinishReason { get; set; }

        public bool Append(int token) => Text.Append(_detokenizer.Append(token));

        public void End()
        {
            Text.Append(_detokenizer.Flush());
            Text.End();
        }
    }
}

/// <summary>Collects whole answers.</summary>
internal sealed class ResultSink(OutputSettings settings, int sequences) : RequestSink(settings, sequences)
{
    private readonly TaskCompletionSource<GenerationResult> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task<GenerationResult> Result => _result.Task;

    public override bool HasRoom => true;

    public override void Complete(LoopRequest request) => _result.TrySetResult(new GenerationResult
    {
        Sequences = [.. Answers.Zip(request.Sequences, static (answer, sequence) => new GeneratedSequence
        {
            Text = answer.Text.Take(),
            Tokens = sequence.Tokens[sequence.PromptLength..].ToArray(),
            FinishReason = answer.FinishReason,
            SumLogprob = answer.SumLogprob,
            Logprobs = answer.Logprobs,
        })],
        Usage = Usage(request),
        Timings = Timings(request),
        Seed = Settings.Seed,
        Warnings = Settings.Warnings,
    });

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

        // A step adds at most an update per answer and an end per answer, after HasRoom was asked.
        _updates = Channel.CreateBounded<GenerationUpdate>(new BoundedChannelOptions(Capacity + (2 * sequences)) { SingleReader = true, SingleWriter = true });
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

    public override void Complete(LoopRequest request)
    {
        Write(new GenerationUpdate
        {
            Text = _last!.Text,
            SequenceIndex = _last.SequenceIndex,
            Tokens = _last.Tokens,
            Logprobs = _last.Logprobs,
            FinishReason = _last.FinishReason,
            Usage = Usage(request),
            Timings = Timings(request),
            Seed = Settings.Seed,
            Warnings = Settings.Warnings,
        });
        _updates.Writer.TryComplete();
    }

    public override void Fail(Exception error) => _updates.Writer.TryComplete(error);

    protected override void Publish(LoopSequence sequence, Answer answer)
    {
        if (answer.Text.Available > 0 && !answer.Text.Stopped)
        {
            Write(Next(sequence, answer, null));
        }
    }

    protected override void PublishEnd(LoopSequence sequence, Answer answer)
    {
        var update = Next(sequence, answer, answer.FinishReason);
        if (--_open == 0)
        {
            _last = update; // Complete adds what only the stream's last update has
        }
        else
        {
            Write(update);
        }
    }

    private GenerationUpdate Next(LoopSequence sequence, Answer answer, FinishReason? reason)
    {
        var from = _reported[sequence.Index];
        _reported[sequence.Index] = sequence.Generated;
        return new GenerationUpdate
        {
            Text = answer.Text.Take(),
            SequenceIndex = sequence.Index,
            Tokens = sequence.Slice(sequence.PromptLength + from),
            Logprobs = answer.Logprobs?[from..],
            FinishReason = reason,
        };
    }

    /// <summary>There is room, as HasRoom counts it; only a stream that has failed takes nothing more.</summary>
    private void Write(GenerationUpdate update) => _updates.Writer.TryWrite(update);
}
