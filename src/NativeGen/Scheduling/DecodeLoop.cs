// The loop that turns requests into tokens: one thread per context. Requests come in through a bounded queue, join and leave between steps,
// and share every step's batch; tokens leave through each request's sink.
using Microsoft.Extensions.Logging;
using NativeGen.Models;
using NativeGen.Sampling;

namespace NativeGen.Scheduling;

internal sealed partial class DecodeLoop : IAsyncDisposable
{
    private readonly IInferenceContext _context;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly int _maxConcurrent;
    private readonly int _maxQueued;
    private readonly StepPlanner _planner;
    private readonly Candidates _candidates;
    private readonly List<LoopRequest> _running = [];
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private float[] _logits = [];
    private int _refused; // steps in a row that the engine had no room for

    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _signal = new(0, 1);
    private readonly List<LoopRequest> _queue = []; // under _gate, like all below
    private long _arrivals;
    private int _accepted;                          // queued and running
    private bool _stopping;
    private bool _aborting;
    private bool _closed;

    /// <summary>Starts a loop over a context, which it owns from now on.</summary>
    public DecodeLoop(IInferenceContext context, int maxConcurrent, int maxQueued, TimeProvider time, ILogger logger, string name)
    {
        _context = context;
        _maxConcurrent = maxConcurrent;
        _maxQueued = maxQueued;
        _time = time;
        _logger = logger;
        _planner = new StepPlanner(context);
        _candidates = new Candidates(context.VocabularySize);
        new Thread(Run) { IsBackground = true, Name = $"NativeGen {name}" }.Start();
    }

    /// <summary>The most tokens one sequence may have.</summary>
    public int LongestSequence => _planner.LongestSequence;

    /// <summary>Requests queued or running.</summary>
    public int Load => Volatile.Read(ref _accepted);

    /// <summary>Steps computed so far.</summary>
    public long Steps { get; private set; }

    /// <summary>How often a sequence had to give up its pages.</summary>
    public int Evictions => _planner.Evictions;

    /// <summary>Hands a request in. Its sink hears of it from the loop's thread.</summary>
    /// <exception cref="NativeGenException">
    /// <see cref="NativeGenErrorCode.ContextOverflow"/>: the prompt leaves no room for an answer; <see cref="NativeGenErrorCode.Busy"/>: the
    /// queue is full.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The loop is shutting down.</exception>
    public void Submit(LoopRequest request)
    {
        if (request.Prompt.Length >= LongestSequence)
        {
            throw new NativeGenException(NativeGenErrorCode.ContextOverflow,
                $"The prompt has {request.Prompt.Length} tokens, but the context holds {LongestSequence}, prompt and answer together. "
                + "Shorten the prompt, or raise ContextLength if the model allows it.");
        }

        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_stopping, this);
            if (_accepted >= _maxConcurrent + _maxQueued)
            {
                throw new NativeGenException(NativeGenErrorCode.Busy,
                    $"{_accepted} requests are running or waiting: MaxConcurrentRequests is {_maxConcurrent}, MaxQueueLength {_maxQueued}. Try again later.");
            }

            request.Arrival = _arrivals++;
            request.SubmittedAt = _time.GetTimestamp();
            _accepted++;
            _queue.Add(request);
        }

        Wake();
    }

    /// <summary>Ends a request wherever it is, without another call to its sink. Any thread; returns at once, the step ends within 50 ms.</summary>
    public void Cancel(LoopRequest request)
    {
        request.CancelRequested = true;
        Interlocked.MemoryBarrier(); // the loop sets InStep, then reads CancelRequested: one of the two sees the other
        if (request.InStep)
        {
            Interrupt();
        }

        Wake();
    }

    /// <summary>Something changed that a waiting loop should look at. Any thread.</summary>
    public void Wake()
    {
        lock (_gate)
        {
            if (_signal.CurrentCount == 0)
            {
                _signal.Release();
            }
        }
    }

    /// <summary>Takes no more requests, and ends when the accepted ones have their answers.</summary>
    public Task DrainAsync()
    {
        lock (_gate)
        {
            _stopping = true;
        }

        Wake();
        return _ended.Task;
    }

    /// <summary>Ends at once: whatever is queued or running fails with <see cref="ObjectDisposedException"/>.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            _stopping = _aborting = true;
        }

        Interrupt();
        Wake();
        await _ended.Task.ConfigureAwait(false);
    }

    private void Interrupt()
    {
        lock (_gate)
        {
            if (!_closed)
            {
                _context.Interrupt();
            }
        }
    }

    private void Run()
    {
        try
        {
            while (true)
            {
                DropCancelled();
                if (!Admit())
                {
                    break;
                }

                try
                {
                    if (!Step())
                    {
                        _signal.Wait();
                    }
                }
                catch (Exception error)
                {
                    FailStep(error);
                }
            }
        }
        finally
        {
            lock (_gate)
            {
                _closed = true;
            }

            _context.Dispose();
            _ended.SetResult();
        }
    }

    private void DropCancelled()
    {
        lock (_gate)
        {
            _accepted -= _queue.RemoveAll(static request => request.CancelRequested);
        }

        for (var i = _running.Count - 1; i >= 0; i--)
        {
            if (_running[i].CancelRequested)
            {
                End(_running[i]);
            }
        }
    }

    /// <summary>Lets queued requests in, by priority, then arrival. False when the loop has come to its end.</summary>
    private bool Admit()
    {
        while (true)
        {
            LoopRequest? next = null;
            lock (_gate)
            {
                if (_aborting)
                {
                    _running.AddRange(_queue);
                    _queue.Clear();
                }
                else
                {
                    foreach (var request in _queue)
                    {
                        next = next is null || request.Sequences[0].CompareRank(next.Sequences[0]) < 0 ? request : next;
                    }

                    if (next is null)
                    {
                        return !_stopping || _running.Count > 0;
                    }
                }
            }

            if (next is null)
            {
                while (_running.Count > 0)
                {
                    Fail(_running[^1], new ObjectDisposedException("NativeGen", "The model was closed before the request was done."));
                }

                return false;
            }

            if (!HasSlot(next))
            {
                return true;
            }

            lock (_gate)
            {
                _queue.Remove(next);
            }

            next.StartedAt = next.StartedAt == 0 ? _time.GetTimestamp() : next.StartedAt;
            _running.Add(next);
            foreach (var sequence in next.Sequences)
            {
                if (!sequence.Finished)
                {
                    _planner.Add(sequence);
                }
            }
        }
    }

    /// <summary>
    /// Whether a request may start: a request whose reader is behind holds no slot, and one of lower priority goes back to the queue.
    /// </summary>
    private bool HasSlot(LoopRequest next)
    {
        var slots = _maxConcurrent;
        LoopRequest? lowest = null;
        foreach (var request in _running)
        {
            if (request.Sink.HasRoom)
            {
                slots--;
                lowest = lowest is null || request.Sequences[0].CompareRank(lowest.Sequences[0]) > 0 ? request : lowest;
            }
        }

        if (slots > 0)
        {
            return true;
        }

        if (lowest is null || lowest.Priority >= next.Priority)
        {
            return false;
        }

        foreach (var sequence in lowest.Sequences)
        {
            _planner.Evict(sequence);
            _planner.Remove(sequence);
        }

        _running.Remove(lowest);
        lock (_gate)
        {
            _queue.Add(lowest);
        }

        return true;
    }

    /// <summary>Takes a running request out and frees what it holds.</summary>
    private void End(LoopRequest request)
    {
        foreach (var sequence in request.Sequences)
        {
            sequence.Finished = true;
            _planner.Remove(sequence);
        }

        _running.Remove(request);
        lock (_gate)
        {
            _accepted--;
        }
    }

    private void Fail(LoopRequest request, Exception error)
    {
        End(request);
        request.Sink.Fail(error);
    }

    /// <summary>A step failed as a whole: its requests end with the error, the others go on.</summary>
    private void FailStep(Exception error)
    {
        SchedulingLog.StepFailed(_logger, error);
        LoopRequest[] failed = [.. _planner.Planned.Select(sequence => sequence.Request).Distinct()];
        _planner.Clear();
        foreach (var request in failed.Length > 0 ? failed : [.. _running])
        {
            if (_running.Contains(request))
            {
                Fail(request, error);
            }
        }
    }
}

internal static partial class SchedulingLog
{
    [LoggerMessage(1, LogLevel.Error, "A decode step failed; the requests in it end with the error.")]
    public static partial void StepFailed(ILogger logger, Exception error);
}
