// One open model that answers requests: checks them, turns them into tokens and samplers, and hands them to the decode loop.
using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using NativeGen.Chat;
using NativeGen.Models;
using NativeGen.Sampling;
using NativeGen.Scheduling;
using NativeGen.Templates;
using NativeGen.Tokenization;

namespace NativeGen;

/// <summary>How a <see cref="TextGenerator"/> works.</summary>
public sealed record TextGeneratorOptions
{
    /// <summary>How the model is loaded.</summary>
    public ModelOptions Model { get; init; } = new();

    /// <summary>
    /// Context length, KV cache and threads. A KV cache of 0 tokens (default) means: room for <see cref="MaxConcurrentRequests"/> requests of
    /// full length, or as many as half of the available memory holds, at least one.
    /// </summary>
    public ContextOptions Context { get; init; } = new();

    /// <summary>The most requests that are worked on at once, at least 1. Default 8.</summary>
    public int MaxConcurrentRequests { get; init; } = 8;

    /// <summary>The most requests that wait; one more is refused as Busy. Default 64.</summary>
    public int MaxQueueLength { get; init; } = 64;

    /// <summary>What requests get that say nothing else.</summary>
    public GenerationOptions? Defaults { get; init; }

    /// <summary>The clock of timings.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>Where failures of the engine are written.</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;
}

/// <summary>An <see cref="ITextGenerator"/> over one model file, for programs without dependency injection.</summary>
/// <remarks>Disposing it ends all requests with an <see cref="ObjectDisposedException"/> and frees the model.</remarks>
public sealed class TextGenerator : ITextGenerator, IAsyncDisposable, IDisposable
{
    private readonly ModelInfo _info;
    private readonly Tokenizer _tokenizer;
    private readonly Func<GenerationOptions?> _defaults;
    private readonly TimeProvider _time;
    private readonly IDisposable? _owned;
    private readonly DecodeLoop _loop;
    private readonly bool[] _endTokens;
    private readonly SamplerChain _samplers;
    private readonly ResponseForm _forms;
    private readonly ChatPrompt _chat;
    private readonly ToolUse _tools;
    private readonly bool _hasTemplate;
    private readonly int _vocabularySize;
    private readonly int _pageTokens;
    private readonly int _pagesTotal;
    private readonly long _pageBytes;

    /// <summary>Starts a generator over a context, which it owns from now on like <paramref name="owned"/>.</summary>
    internal TextGenerator(ModelInfo info, Tokenizer tokenizer, IInferenceContext context, TextGeneratorOptions options,
        Func<GenerationOptions?>? defaults = null, IDisposable? owned = null, string? chatTemplate = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxConcurrentRequests, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(options.MaxQueueLength);
        _info = info;
        _tokenizer = tokenizer;
        _defaults = defaults ?? (() => options.Defaults);
        _time = options.TimeProvider;
        _owned = owned;
        _vocabularySize = context.VocabularySize;
        _pageTokens = context.PageTokens;
        _pagesTotal = context.PagesTotal;
        _pageBytes = context.PageTokens * context.KvBytesPerToken;
        _endTokens = new bool[_vocabularySize];
        for (var id = 0; id < Math.Min(_vocabularySize, tokenizer.VocabularySize); id++)
        {
            _endTokens[id] = tokenizer.IsEndOfGeneration(id);
        }

        _forms = new ResponseForm(tokenizer);
        _chat = new ChatPrompt(tokenizer, chatTemplate, options.TimeProvider);
        _tools = new ToolUse(tokenizer, chatTemplate);
        _hasTemplate = chatTemplate is not null;
        _samplers = new SamplerChain(tokenizer, [.. Enumerable.Range(0, _vocabularySize).Where(id => _endTokens[id])]);
        _loop = new DecodeLoop(context, options.MaxConcurrentRequests, options.MaxQueueLength, _time, options.Logger, info.Name);
    }

    /// <summary>Opens a model file.</summary>
    /// <param name="path">Path of a GGUF file.</param>
    /// <param name="options">How the generator works, null for the defaults.</param>
    /// <param name="progress">Gets a number rising from 0 to 1 while the model loads.</param>
    /// <param name="cancellationToken">Ends loading within 50 ms.</param>
    /// <exception cref="NativeGenException">The model cannot be loaded; the message says why.</exception>
    public static TextGenerator Open(string path, TextGeneratorOptions? options = null, IProgress<float>? progress = null, CancellationToken cancellationToken = default) =>
        Open(path, options ?? new TextGeneratorOptions(), null, progress, cancellationToken);

    internal static TextGenerator Open(string path, TextGeneratorOptions options, Func<GenerationOptions?>? defaults, IProgress<float>? progress,
        CancellationToken cancellationToken)
    {
        OptionCheck.Validate(options.Defaults ?? new GenerationOptions());
        var model = Model.Open(path, options.Model, progress, cancellationToken);
        InferenceContext? context = null;
        try
        {
            context = new InferenceContext(model, SizeCache(path, options));
            return new TextGenerator(model.Info, model.Tokenizer, context, options, defaults, model, model.ChatTemplate);
        }
        catch
        {
            context?.Dispose();
            model.Dispose();
            throw;
        }
    }

    /// <summary>A cache for as many full-length requests as may run at once, or as many as half of the available memory holds.</summary>
    private static ContextOptions SizeCache(string path, TextGeneratorOptions options)
    {
        // 0 tokens are one request of full length already.
        if (options.Context.KvCacheTokens > 0 || options.MaxConcurrentRequests == 1)
        {
            return options.Context;
        }

        var one = Model.EstimateMemory(path, options.Model, options.Context);
        var fit = one.KvCache > 0 ? one.Available / 2 / one.KvCache : 1;
        var requests = (int)Math.Clamp(fit, 1, options.MaxConcurrentRequests);
        var tokens = Math.Min(one.KvCache / Math.Max(one.KvCachePerToken, 1) * requests, int.MaxValue);
        return options.Context with { KvCacheTokens = (int)tokens };
    }

    /// <summary>Requests that are queued or running.</summary>
    internal int Load => _loop.Load;

    /// <inheritdoc/>
    public ValueTask<ModelInfo> GetModelAsync(CancellationToken cancellationToken = default) => ValueTask.FromResult(_info);

    /// <inheritdoc/>
    public async Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var prepared = Prepare(request);
        ResultSink sink = new(prepared.Output, prepared.Sequences);
        var work = prepared.For(sink);
        _loop.Submit(work);
        await using (CancelWith(cancellationToken, work).ConfigureAwait(false))
        {
            return await sink.Result.ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<GenerationUpdate> StreamAsync(GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var prepared = Prepare(request);
        StreamSink sink = new(prepared.Output, prepared.Sequences);
        var work = prepared.For(sink);
        _loop.Submit(work);
        await using var registration = CancelWith(cancellationToken, work).ConfigureAwait(false);
        try
        {
            while (await sink.Updates.WaitToReadAsync(CancellationToken.None).ConfigureAwait(false))
            {
                while (sink.Updates.TryRead(out var update))
                {
                    if (sink.CaughtUp())
                    {
                        _loop.Wake();
                    }

                    cancellationToken.ThrowIfCancellationRequested();
                    yield return update;
                }
            }
        }
        finally
        {
            _loop.Cancel(work); // ends what a reader left behind; after the end it does nothing
        }
    }

    /// <inheritdoc/>
    public ValueTask<GenerationEstimate> EstimateAsync(GenerationRequest request, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var prepared = Prepare(request);
        var prompt = prepared.Prompt.Length;

        // The last token is never computed; whole pages of the prompt are shared by all answers.
        var cached = (int)Math.Min((long)prompt + prepared.MaxNewTokens, _loop.LongestSequence) - 1;
        var shared = prompt / _pageTokens;
        var pages = cached > prompt ? shared + ((long)(prepared.Beams?.Beams ?? prepared.Sequences) * (Pages(cached) - shared)) : Pages(prompt);
        return ValueTask.FromResult(new GenerationEstimate(prompt, 0, Math.Min(pages, _pagesTotal) * _pageBytes, null, null));

        int Pages(int tokens) => (tokens + _pageTokens - 1) / _pageTokens;
    }

    /// <summary>Takes no more requests and returns when the accepted ones are answered; a cancelled token ends those, too.</summary>
    internal async Task DrainAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _loop.DrainAsync().WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // Time is up: DisposeAsync ends what is left.
        }

        await DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>Ends all requests and frees the model.</summary>
    public async ValueTask DisposeAsync()
    {
        await _loop.DisposeAsync().ConfigureAwait(false);
        _owned?.Dispose();
    }

    /// <summary>Ends all requests and frees the model.</summary>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    private CancellationTokenRegistration CancelWith(CancellationToken cancellationToken, LoopRequest work) =>
        cancellationToken.UnsafeRegister((_, token) =>
        {
            work.Sink.Fail(new OperationCanceledException(token));
            _loop.Cancel(work);
        }, null);

    private Prepared Prepare(GenerationRequest request)
    {
        GenerationRequest.Validate(request);
        var asked = request.Options ?? new GenerationOptions();
        var options = asked.Over(_defaults());
        OptionCheck.Validate(options);
        var tools = ToolUse.Of(request);
        var (prompt, end) = Tokens(request.Prompt, request.PromptFormat, tools);
        var reading = end is null ? null : _tools.Reading(tools, prompt.Span, end);
        var warnings = OptionCheck.Warnings(asked, options);
        var form = _forms.Create(options);
        if (!tools.IsEmpty && form is null)
        {
            form = _tools.Constraint(request, reading!, options.Logprobs != true && options.TopLogprobs is null or 0, warnings);
        }

        var seed = options.Seed ?? Random.Shared.Next();
        var maxNewTokens = OptionCheck.MaxNewTokens(options, prompt.Length);
        return new Prepared(
            prompt,
            new OutputSettings(_tokenizer, options, seed, warnings, _time) { Chat = reading },
            _samplers.Create(options, (int)Math.Min((long)prompt.Length + maxNewTokens, int.MaxValue)),
            form,
            maxNewTokens,
            OptionCheck.Answers(options),
            Beams(options, seed),
            request.Priority,
            _endTokens);
    }

    private static BeamSettings? Beams(GenerationOptions options, long seed) => !OptionCheck.HasBeams(options) ? null : new()
    {
        Beams = options.NumBeams!.Value,
        Groups = options.NumBeamGroups ?? 1,
        LengthPenalty = options.LengthPenalty ?? 1,
        StopWhenFull = options.EarlyStopping == EarlyStopping.True,
        StopNever = options.EarlyStopping == EarlyStopping.Never,
        Draw = OptionCheck.Samples(options),
        Returned = options.NumReturnSequences ?? 1,
        Seed = seed,
    };

    // Of a chat also the end of its text, behind all content.
    private (ReadOnlyMemory<int> Tokens, string? ChatEnd) Tokens(GenerationPrompt prompt, PromptFormat format, ToolSet tools)
    {
        if (prompt.Tokens is { } given)
        {
            foreach (var id in given.Span)
            {
                if ((uint)id >= (uint)_vocabularySize)
                {
                    throw new ArgumentException($"The prompt has token {id}, but the model's tokens go from 0 to {_vocabularySize - 1}.", nameof(GenerationRequest.Prompt));
                }
            }

            return (given.ToArray(), null);
        }

        string? end = null;
        int[] tokens;
        if (prompt.Messages is not null || format == PromptFormat.Chat || (!tools.IsEmpty && _hasTemplate))
        {
            var messages = prompt.Messages ?? [new ChatMessage(ChatRole.User, prompt.Text)];
            (tokens, end) = tools.IsEmpty ? _chat.Write(messages, null)
                : _tools.Explains ? _chat.Write(messages, tools.ForTemplate())
                : _chat.Write(ToolUse.Explained(messages, tools), null);
        }
        else if (!tools.IsEmpty)
        {
            end = "";
            tokens = _tokenizer.Encode(tools.Instructions() + "\n\n" + prompt.Text + "\n", addSpecial: true, parseSpecial: true);
        }
        else
        {
            tokens = _tokenizer.Encode(prompt.Text!, addSpecial: true, parseSpecial: true);
        }

        if (tokens.Length == 0 && _tokenizer.BosId is { } begin)
        {
            tokens = [begin];
        }

        foreach (var id in tokens)
        {
            if ((uint)id >= (uint)_vocabularySize)
            {
                throw new NativeGenException(NativeGenErrorCode.InvalidModel,
                    $"The model's tokenizer gives token {id}, but the model itself has {_vocabularySize} tokens. Get the file again, or convert the model anew.");
            }
        }

        return tokens.Length > 0 ? (tokens, end)
            : throw new ArgumentException("The prompt is empty, and the model has no token to begin a text with.", nameof(GenerationRequest.Prompt));
    }

    /// <summary>A request that was found good.</summary>
    private sealed record Prepared(ReadOnlyMemory<int> Prompt, OutputSettings Output, Sampler Sampler, TokenConstraint? Constraint, int MaxNewTokens, int Sequences,
        BeamSettings? Beams, GenerationPriority Priority, bool[] EndTokens)
    {
        public LoopRequest For(TokenSink sink) => new()
        {
            Prompt = Prompt,
            Sink = sink,
            Sampler = Sampler,
            Constraint = Constraint,
            EndTokens = EndTokens,
            MaxNewTokens = MaxNewTokens,
            SequenceCount = Beams?.Beams ?? Sequences,
            Beams = Beams,
            Seed = Output.Seed,
            Priority = Priority,
        };
    }
}
