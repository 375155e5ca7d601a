// An ITextGenerator without a model, for tests of code that uses one: it checks requests as the real one does and says what it was told to.
using System.Runtime.CompilerServices;
using NativeGen.Models;
using NativeGen.Sampling;

namespace NativeGen.Testing;

/// <summary>
/// A deterministic generator without a model. Answers come from the first rule that matches a request's prompt, each of a rule's answers
/// once and its last one for ever; else from the queue; else from <see cref="Otherwise"/>.
/// </summary>
/// <remarks>
/// Thread safe. Requests are checked like a real generator's, and stop sequences, MaxNewTokens, cancellation and delays are honoured; delays
/// run on the <see cref="TimeProvider"/> given, so tests with a fake one take no time. With NumReturnSequences each answer takes its own turn.
/// </remarks>
public sealed class ScriptedTextGenerator : ITextGenerator
{
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private readonly List<(Func<GenerationRequest, bool> Matches, Queue<ScriptedAnswer> Answers)> _rules = [];
    private readonly Queue<ScriptedAnswer> _queue = [];
    private readonly List<GenerationRequest> _requests = [];
    private Func<GenerationRequest, ScriptedAnswer>? _otherwise;

    /// <summary>Makes a generator that has nothing to say yet.</summary>
    /// <param name="timeProvider">The clock of delays and timings; null = the system's.</param>
    public ScriptedTextGenerator(TimeProvider? timeProvider = null) => _time = timeProvider ?? TimeProvider.System;

    /// <summary>What <see cref="GetModelAsync"/> answers.</summary>
    public ModelInfo Model { get; init; } = new()
    {
        Path = "scripted", Name = "scripted", Architecture = "scripted", VocabularySize = 32768, TrainedContextLength = 4096, EmbeddingLength = 1,
        LayerCount = 1, HeadCount = 1, ParameterCount = 0, FileBytes = 0, WeightBytes = 0, RepackedBytes = 0, MappedBytes = 0, Hash = 0, InstructionSet = "none",
    };

    /// <summary>All requests so far that were found good, in the order they came.</summary>
    public IReadOnlyList<GenerationRequest> Requests
    {
        get
        {
            lock (_gate)
            {
                return [.. _requests];
            }
        }
    }

    /// <summary>Answers a certain prompt: each answer once, the last one from then on.</summary>
    public ScriptedTextGenerator When(string prompt, params ReadOnlySpan<ScriptedAnswer> answers) =>
        When(request => request.Prompt.Text == prompt, answers);

    /// <summary>Answers requests that match: each answer once, the last one from then on.</summary>
    public ScriptedTextGenerator When(Func<GenerationRequest, bool> matches, params ReadOnlySpan<ScriptedAnswer> answers)
    {
        ArgumentNullException.ThrowIfNull(matches);
        if (answers.IsEmpty)
        {
            throw new ArgumentException("A rule needs at least one answer.", nameof(answers));
        }

        lock (_gate)
        {
            _rules.Add((matches, new Queue<ScriptedAnswer>(answers.ToArray())));
        }

        return this;
    }

    /// <summary>Answers that any request may take that no rule matches, each once.</summary>
    public ScriptedTextGenerator Enqueue(params ReadOnlySpan<ScriptedAnswer> answers)
    {
        lock (_gate)
        {
            foreach (var answer in answers)
            {
                _queue.Enqueue(answer);
            }
        }

        return this;
    }

    /// <summary>What to say when no rule matches and the queue is empty.</summary>
    public ScriptedTextGenerator Otherwise(Func<GenerationRequest, ScriptedAnswer> answer)
    {
        _otherwise = answer;
        return this;
    }

    /// <inheritdoc/>
    public ValueTask<ModelInfo> GetModelAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return ValueTask.FromResult(Model);
    }

    /// <inheritdoc/>
    public ValueTask<GenerationEstimate> EstimateAsync(GenerationRequest request, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        GenerationRequest.Validate(request);
        return ValueTask.FromResult(new GenerationEstimate(CountTokens(request.Prompt), 0, 0, null, null));
    }

    /// <inheritdoc/>
    public async Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default)
    {
        GenerationRequest.Validate(request);
        var answers = new (string Text, List<int> Tokens, FinishReason Reason)[request.Options?.NumReturnSequences ?? 1];
        for (var i = 0; i < answers.Length; i++)
        {
            answers[i] = ("", [], FinishReason.Stop);
        }

        GenerationUpdate? last = null;
        await foreach (var update in StreamAsync(request, cancellationToken).ConfigureAwait(false))
        {
            ref var answer = ref answers[update.SequenceIndex];
            answer.Text += update.Text;
            answer.Tokens.AddRange(update.Tokens.Span);
            answer.Reason = update.FinishReason ?? answer.Reason;
            last = update;
        }

        return new GenerationResult
        {
            Sequences = [.. answers.Select(answer => new GeneratedSequence { Text = answer.Text, Tokens = answer.Tokens, FinishReason = answer.Reason })],
            Usage = last!.Usage!,
            Timings = last.Timings!,
            Seed = last.Seed!.Value,
            Warnings = last.Warnings,
        };
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<GenerationUpdate> StreamAsync(GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        GenerationRequest.Validate(request);
        var options = request.Options ?? new GenerationOptions();
        var count = options.NumReturnSequences ?? 1;
        var most = OptionCheck.MaxNewTokens(options, CountTokens(request.Prompt));
        var script = Take(request, count);
        var started = _time.GetTimestamp();
        TimeSpan? first = null;
        var generated = 0;
        for (var i = 0; i < count; i++)
        {
            var answer = script[i];
            AnswerText text = new(options.StopSequences is { Count: > 0 } stops ? new StopSequences(stops) : StopSequences.None, wholeSentences: options.TrimToSentence == true);
            var pieces = Pieces(answer.Text);
            var reason = pieces.Count > most ? FinishReason.Length : answer.FinishReason;
            List<int> tokens = [];
            for (var n = 0; ; n++)
            {
                if (answer.Failure is not null && n == Math.Min(answer.FailAfterTokens, pieces.Count))
                {
                    throw answer.Failure;
                }

                if (n == Math.Min(pieces.Count, most) || text.Stopped)
                {
                    break;
                }

                var delay = n == 0 ? answer.FirstTokenDelay : answer.TokenDelay;
                if (delay > TimeSpan.Zero)
                {
                    await Task.Delay(delay, _time, cancellationToken).ConfigureAwait(false);
                }

                cancellationToken.ThrowIfCancellationRequested();
                first ??= _time.GetElapsedTime(started);
                generated++;
                tokens.Add(Token(pieces[n]));
                if (text.Append(pieces[n]))
                {
                    reason = FinishReason.StopSequence;
                }
                else if (text.Available > 0)
                {
                    yield return new GenerationUpdate { Text = text.Take(), SequenceIndex = i, Tokens = tokens.ToArray() };
                    tokens.Clear();
                }
            }

            text.End(trim: reason == FinishReason.Length);
            var isLast = i == count - 1;
            var total = _time.GetElapsedTime(started);
            yield return new GenerationUpdate
            {
                Text = text.Take(),
                SequenceIndex = i,
                Tokens = tokens.ToArray(),
                FinishReason = reason,
                Usage = isLast ? new GenerationUsage(CountTokens(request.Prompt), 0, generated) : null,
                Timings = isLast ? new GenerationTimings { FirstToken = first ?? total, Prefill = first ?? total, Decode = total - (first ?? total) } : null,
                Seed = isLast ? options.Seed ?? 0 : null,
                Warnings = isLast ? OptionCheck.Warnings(options, options) : [],
            };
        }
    }

    private ScriptedAnswer[] Take(GenerationRequest request, int count)
    {
        lock (_gate)
        {
            _requests.Add(request);
            var answers = new ScriptedAnswer[count];
            for (var i = 0; i < count; i++)
            {
                answers[i] = Next(request) ?? _otherwise?.Invoke(request)
                    ?? throw new InvalidOperationException($"Nothing is scripted for the prompt '{request.Prompt.Text}', and the queue is empty.");
            }

            return answers;
        }
    }

    private ScriptedAnswer? Next(GenerationRequest request)
    {
        foreach (var (matches, answers) in _rules)
        {
            if (matches(request))
            {
                return answers.Count > 1 ? answers.Dequeue() : answers.Peek();
            }
        }

        return _queue.TryDequeue(out var next) ? next : null;
    }

    private static int CountTokens(GenerationPrompt prompt) => prompt.Tokens?.Length ?? Pieces(prompt.Text!).Count;

    /// <summary>A text's words, each with the white space before it; white space at the end is a piece of its own.</summary>
    private static List<string> Pieces(string text)
    {
        List<string> pieces = [];
        for (var start = 0; start < text.Length;)
        {
            var end = start;
            while (end < text.Length && char.IsWhiteSpace(text[end]))
            {
                end++;
            }

            while (end < text.Length && !char.IsWhiteSpace(text[end]))
            {
                end++;
            }

            pieces.Add(text[start..end]);
            start = end;
        }

        return pieces;
    }

    /// <summary>A token id that is the same wherever the same word stands.</summary>
    private static int Token(string piece)
    {
        var hash = 2166136261u;
        foreach (var unit in piece)
        {
            hash = (hash ^ unit) * 16777619;
        }

        return (int)(hash % 32768);
    }
}
