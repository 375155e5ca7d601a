// The decode loop over a recording double: who shares a step, who waits, who gives way, and that no token ever depends on it.
using CsCheck;
using Microsoft.Extensions.Logging.Abstractions;
using NativeGen.Sampling;
using NativeGen.Scheduling;

namespace NativeGen.Tests.Scheduling;

public sealed class DecodeLoopTests
{
    private static readonly Sampler Drawing = new([new TemperatureStep(0.9f), new TopKStep(8)], draw: true);
    private static readonly TimeSpan Patience = TestSink.Patience;

    [Fact]
    public async Task OneRequestGetsTheTokensOfAPlainLoop()
    {
        RecordingContext context = new();
        await using var loop = Loop(context);
        var sink = Submit(loop, [1, 2, 3, 4, 5], maxNew: 10, seed: 7);
        await sink.Done;
        Assert.Equal(Expected([1, 2, 3, 4, 5], 10, 7), sink.Tokens(0));
        Assert.Equal(FinishReason.Length, sink.Reasons[0]);
        Assert.Equal(0, context.SequenceCount);
        Assert.Equal(context.PagesTotal, context.PagesFree);
        Assert.Equal([5, .. Enumerable.Repeat(1, 9)], context.Steps!.Select(step => step.Length)); // the last token is not computed
    }

    [Fact]
    public async Task PromptsAreCutIntoTheRowsThatDecodingLeaves()
    {
        RecordingContext context = new(batchRows: 6);
        await using var loop = Loop(context);
        using var gate = Gate(context);
        var first = Submit(loop, [1, 2], maxNew: 8);
        gate.Pass(1);
        var second = Submit(loop, [.. Enumerable.Range(0, 13)], maxNew: 2);
        gate.Open();
        await Task.WhenAll(first.Done, second.Done);
        // prompt; (one old row + 5 of the prompt) twice; the last 3; and one row each. The double's next step sees what came before it began.
        Assert.Equal([2, 1, 6, 6, 4, 2], context.Steps!.Take(6).Select(step => step.Length).ToArray());
        Assert.All(context.Steps!.Skip(2).Take(3), step => Assert.Equal(0, step[0].Sequence)); // decoding rows come first
        Assert.Equal(Expected([1, 2], 8), first.Tokens(0));
        Assert.Equal(Expected([.. Enumerable.Range(0, 13)], 2), second.Tokens(0));
    }

    [Fact]
    public async Task SequencesOfARequestShareItsPromptsPages()
    {
        RecordingContext context = new(pages: 16);
        await using var loop = Loop(context);
        int[] prompt = [.. Enumerable.Range(1, 10)]; // two whole pages and a half one
        var sink = Submit(loop, prompt, maxNew: 6, seed: 3, sequences: 3);
        await sink.Done;
        Assert.Equal(10, context.Steps![0].Length); // the prompt was computed once
        Assert.Equal(10 + (3 * 5), context.Steps.Sum(step => step.Length));
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(Expected(prompt, 6, 3, i), sink.Tokens(i));
        }

        Assert.Equal(3, Enumerable.Range(0, 3).Select(i => string.Join(' ', sink.Tokens(i))).Distinct().Count());
        Assert.Equal(context.PagesTotal, context.PagesFree);
    }

    [Fact]
    public async Task ASequenceMayEndWithItsFirstTokenWhileItsSiblingsGoOn()
    {
        RecordingContext context = new();
        await using var loop = Loop(context);
        int[] prompt = [4, 5, 6];
        var end = Expected(prompt, 1, 11, 0)[0];
        var sink = Submit(loop, prompt, maxNew: 12, seed: 11, sequences: 4, end: end);
        await sink.Done;
        Assert.Equal([end], sink.Tokens(0));
        Assert.Equal(FinishReason.Stop, sink.Reasons[0]);
        for (var i = 1; i < 4; i++)
        {
            Assert.Equal(Expected(prompt, 12, 11, i, end), sink.Tokens(i));
        }

        Assert.Equal(context.PagesTotal, context.PagesFree);
    }

    [Fact]
    public async Task AnAnswerThatFillsTheContextSaysSo()
    {
        RecordingContext context = new(contextLength: 12);
        await using var loop = Loop(context);
        var sink = Submit(loop, [1, 2, 3], maxNew: 100);
        await sink.Done;
        Assert.Equal(FinishReason.ContextFull, sink.Reasons[0]);
        Assert.Equal(9, sink.Tokens(0).Length);
    }

    [Fact]
    public async Task APromptThatDoesNotFitIsRefusedWithBothFigures()
    {
        await using var loop = Loop(new RecordingContext(contextLength: 12));
        var error = Assert.Throws<NativeGenException>(() => Submit(loop, new int[12], maxNew: 1));
        Assert.Equal(NativeGenErrorCode.ContextOverflow, error.Code);
        Assert.Contains("12 tokens", error.Message, StringComparison.Ordinal);
        Assert.Contains("holds 12", error.Message, StringComparison.Ordinal);
        await Submit(loop, new int[11], maxNew: 1).Done;
    }

    [Fact]
    public async Task AFullQueueIsBusy()
    {
        RecordingContext context = new();
        await using var loop = Loop(context, concurrent: 1, queued: 2);
        using var gate = Gate(context);
        TestSink[] sinks = [.. Enumerable.Range(0, 3).Select(_ => Submit(loop, [1], maxNew: 3))];
        var error = Assert.Throws<NativeGenException>(() => Submit(loop, [1], maxNew: 3));
        Assert.Equal(NativeGenErrorCode.Busy, error.Code);
        gate.Open();
        await Task.WhenAll(sinks.Select(sink => sink.Done));
        await Submit(loop, [1], maxNew: 3).Done;
    }

    [Fact]
    public async Task NoMoreThanTheConcurrentRequestsShareAStep()
    {
        RecordingContext context = new(batchRows: 32, pages: 100);
        await using var loop = Loop(context, concurrent: 2, queued: 10);
        using var gate = Gate(context);
        TestSink[] sinks = [.. Enumerable.Range(0, 5).Select(i => Submit(loop, [i], maxNew: 4))];
        gate.Open();
        await Task.WhenAll(sinks.Select(sink => sink.Done));
        Assert.All(context.Steps!, step => Assert.InRange(step.Select(row => row.Sequence).Distinct().Count(), 1, 2));
        Assert.Equal(sinks.OrderBy(sink => sink.EndOrder), sinks); // first come, first served
    }

    [Fact]
    public async Task HigherPrioritiesGoFirstAndTakeTheSlotOfALowerOne()
    {
        RecordingContext context = new();
        await using var loop = Loop(context, concurrent: 1, queued: 10);
        using var gate = Gate(context);
        var background = Submit(loop, [1, 2], maxNew: 10, seed: 1, priority: GenerationPriority.Background);
        gate.Pass(4);
        var normal = Submit(loop, [3], maxNew: 4);
        var interactive = Submit(loop, [4], maxNew: 4, priority: GenerationPriority.Interactive);
        gate.Open();
        await Task.WhenAll(background.Done, normal.Done, interactive.Done);
        Assert.True(interactive.EndOrder < normal.EndOrder && normal.EndOrder < background.EndOrder);
        Assert.Equal(Expected([1, 2], 10, 1), background.Tokens(0)); // computed again, and the same
        Assert.True(loop.Evictions >= 1);
    }

    [Fact]
    public async Task OutOfPagesTheYoungestGivesWayAndLaterHasTheSameText()
    {
        // Two requests need 2 x 6 pages at the end, eight are there.
        RecordingContext context = new(pages: 8, contextLength: 32);
        await using var loop = Loop(context);
        using var gate = Gate(context);
        var old = Submit(loop, [1, 2, 3, 4], maxNew: 20, seed: 1);
        gate.Pass(1);
        var young = Submit(loop, [5, 6, 7, 8], maxNew: 20, seed: 2);
        gate.Open();
        await Task.WhenAll(old.Done, young.Done);
        Assert.True(loop.Evictions >= 1);
        Assert.True(old.EndOrder < young.EndOrder);
        Assert.Equal(Expected([1, 2, 3, 4], 20, 1), old.Tokens(0));
        Assert.Equal(Expected([5, 6, 7, 8], 20, 2), young.Tokens(0));
    }

    [Fact]
    public async Task SequencesThatDoNotFitTogetherRunOneAfterAnother()
    {
        RecordingContext context = new(pages: 8, contextLength: 32);
        await using var loop = Loop(context);
        int[] prompt = [1, 2, 3, 4, 5, 6];
        var sink = Submit(loop, prompt, maxNew: 100, seed: 5, sequences: 3);
        await sink.Done;
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(Expected(prompt, 26, 5, i), sink.Tokens(i));
            Assert.Equal(FinishReason.ContextFull, sink.Reasons[i]);
        }
    }

    [Fact]
    public async Task ASlowReaderSlowsOnlyItself()
    {
        RecordingContext context = new(pages: 12, contextLength: 48);
        await using var loop = Loop(context, concurrent: 1);
        var slow = Submit(loop, [1, 2], maxNew: 20, seed: 1, room: 3);
        while (slow.Tokens(0).Length < 3)
        {
            await Task.Delay(1, TestContext.Current.CancellationToken);
        }

        // Its slot and, when they are needed, its pages are for others.
        var other = Submit(loop, [3, 4], maxNew: 45, seed: 2);
        await other.Done;
        Assert.Equal(3, slow.Tokens(0).Length);
        slow.Room = int.MaxValue;
        loop.Wake();
        await slow.Done;
        Assert.Equal(Expected([1, 2], 20, 1), slow.Tokens(0));
        Assert.Equal(Expected([3, 4], 45, 2), other.Tokens(0));
    }

    [Fact]
    public async Task CancellingInMidPromptInterruptsTheStepAndSparesTheOthers()
    {
        RecordingContext context = new();
        await using var loop = Loop(context);
        using ManualResetEventSlim inStep = new();
        context.OnStep = interrupted =>
        {
            inStep.Set();
            SpinWait.SpinUntil(interrupted, Patience);
            context.OnStep = null;
        };
        var cancelled = Submit(loop, [1, 2, 3, 4, 5, 6, 7, 8], maxNew: 5);
        Assert.True(inStep.Wait(Patience, TestContext.Current.CancellationToken));
        var other = Submit(loop, [9], maxNew: 5, seed: 4);
        loop.Cancel(cancelled.Request);
        await other.Done;
        Assert.Equal(Expected([9], 5, 4), other.Tokens(0));
        Assert.False(cancelled.Done.IsCompleted); // who cancels knows; the sink hears nothing more
        Assert.Empty(cancelled.Tokens(0));
        Assert.Equal(context.PagesTotal, context.PagesFree);
        Assert.Equal(0, loop.Load);
    }

    [Fact]
    public async Task CancellingInTheQueueFreesItsPlace()
    {
        RecordingContext context = new();
        await using var loop = Loop(context, concurrent: 1, queued: 1);
        using var gate = Gate(context);
        var first = Submit(loop, [1], maxNew: 4);
        var waiting = Submit(loop, [2], maxNew: 4);
        loop.Cancel(waiting.Request);
        gate.Open();
        await first.Done;
        await Submit(loop, [3], maxNew: 4).Done;
        Assert.Empty(waiting.Tokens(0));
        Assert.DoesNotContain(context.Steps!, step => step.Any(row => row is { Token: 2, Position: 0 }));
    }

    [Fact]
    public async Task DrainingAnswersWhatWasAcceptedAndNothingMore()
    {
        RecordingContext context = new();
        var loop = Loop(context, concurrent: 1, queued: 5);
        using var gate = Gate(context);
        TestSink[] sinks = [.. Enumerable.Range(0, 3).Select(i => Submit(loop, [i], maxNew: 4))];
        var drained = loop.DrainAsync();
        Assert.Throws<ObjectDisposedException>(() => Submit(loop, [1], maxNew: 1));
        gate.Open();
        await drained.WaitAsync(Patience, TestContext.Current.CancellationToken);
        Assert.All(sinks, sink => Assert.True(sink.Done.IsCompletedSuccessfully));
        Assert.True(context.Disposed);
        await loop.DisposeAsync();
        loop.Cancel(sinks[0].Request); // late calls are harmless
    }

    [Fact]
    public async Task DisposingEndsEverythingAtOnce()
    {
        RecordingContext context = new();
        var loop = Loop(context, concurrent: 1, queued: 5);
        context.OnStep = interrupted => SpinWait.SpinUntil(interrupted, Patience);
        TestSink[] sinks = [.. Enumerable.Range(0, 3).Select(i => Submit(loop, [i], maxNew: 4))];
        await loop.DisposeAsync();
        foreach (var sink in sinks)
        {
            await Assert.ThrowsAsync<ObjectDisposedException>(() => sink.Done);
        }

        Assert.True(context.Disposed);
    }

    [Fact]
    public async Task AFailureEndsItsOwnRequestsOnly()
    {
        RecordingContext context = new();
        context.LogitsOf = history => history[0] == 9 && history.Count > 3 ? [.. Enumerable.Repeat(float.NaN, 32)] : Plain(history);
        await using var loop = Loop(context);
        using var gate = Gate(context);
        var broken = Submit(loop, [9, 9], maxNew: 8, sequences: 2);
        var sound = Submit(loop, [1, 2], maxNew: 8, seed: 2);
        gate.Open();
        var error = await Assert.ThrowsAsync<NativeGenException>(() => broken.Done);
        Assert.Equal(NativeGenErrorCode.InvalidModel, error.Code);
        await sound.Done;
        Assert.Equal(Expected([1, 2], 8, 2), sound.Tokens(0));
        Assert.Equal(context.PagesTotal, context.PagesFree);

        gate.Dispose();
        context.OnStep = _ => throw new NativeGenException(NativeGenErrorCode.Internal, "the engine failed");
        await Assert.ThrowsAsync<NativeGenException>(() => Submit(loop, [1], maxNew: 1).Done);
        context.OnStep = null;
        await Submit(loop, [1], maxNew: 1).Done;

        float[] Plain(IReadOnlyList<int> history)
        {
            var logits = new float[32];
            new RecordingContext().Fill([.. history], logits);
            return logits;
        }
    }

    [Fact]
    public async Task AnEngineWithoutRoomCostsNoTextUnlessItStaysSo()
    {
        RecordingContext context = new(batchRows: 32, pages: 100);
        await using var loop = Loop(context);
        using var gate = Gate(context);
        TestSink[] sinks = [.. Enumerable.Range(0, 3).Select(i => Submit(loop, [i, 1, 2], maxNew: 10, seed: i))];
        gate.Pass(3);
        context.RefuseSteps = 2;
        gate.Open();
        await Task.WhenAll(sinks.Select(sink => sink.Done));
        Assert.Equal(2, context.Refusals);
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(Expected([i, 1, 2], 10, i), sinks[i].Tokens(0));
        }

        context.RefuseSteps = int.MaxValue;
        var error = await Assert.ThrowsAsync<NativeGenException>(() => Submit(loop, [1], maxNew: 3).Done);
        Assert.Equal(NativeGenErrorCode.OutOfMemory, error.Code);
    }

    /// <summary>Any requests, any sizes of cache and batch, slow readers and cancelling ones: everybody else has the text of a plain loop.</summary>
    [Fact]
    public void NoTokenDependsOnCompany() =>
        Gen.Select(
            Gen.Select(Gen.Int[1, 25], Gen.Int[1, 30], Gen.Int[1, 3], Gen.Int[-1, 1], Gen.Int[0, 5]).Array[1, 7],
            Gen.Int[1, 12], Gen.Int[1, 4], Gen.Int[0, 40], Gen.Int[1, 6], Gen.Long).Sample((wanted, batchRows, pageTokens, extra, concurrent, seed) =>
        {
            const int ContextLength = 40;
            RecordingContext context = new(32, ContextLength, batchRows, pageTokens, ((ContextLength + pageTokens - 1) / pageTokens) + extra) { Steps = null };
            var loop = Loop(context, concurrent, 100);
            List<(TestSink Sink, int[] Prompt, int MaxNew, int Kind)> requests = [];
            foreach (var (length, maxNew, sequences, priority, kind) in wanted)
            {
                int[] prompt = [.. Enumerable.Range(0, length).Select(i => (int)(((ulong)seed >> i % 50) % 32))];
                var sink = Submit(loop, prompt, maxNew, seed, sequences, (GenerationPriority)priority, end: 31, room: kind == 0 ? 2 : int.MaxValue);
                if (kind == 1)
                {
                    loop.Cancel(sink.Request);
                }

                requests.Add((sink, prompt, maxNew, kind));
            }

            foreach (var (sink, prompt, maxNew, kind) in requests.Where(request => request.Kind != 1).OrderBy(request => request.Kind == 0))
            {
                if (kind == 0)
                {
                    sink.Room = int.MaxValue;
                    loop.Wake();
                }

                if (!sink.Done.Wait(Patience))
                {
                    throw new TimeoutException("a request hangs");
                }

                for (var i = 0; i < sink.Request.SequenceCount; i++)
                {
                    if (!Expected(prompt, Math.Min(maxNew, ContextLength - prompt.Length), seed, i, 31).SequenceEqual(sink.Tokens(i)))
                    {
                        return false;
                    }
                }
            }

            if (!loop.DrainAsync().Wait(Patience))
            {
                throw new TimeoutException("the loop does not end");
            }

            return context is { SequenceCount: 0, Disposed: true, Refusals: 0 } && context.PagesFree == context.PagesTotal;
        }, iter: 300);

    [Fact]
    public async Task NothingIsAllocatedPerToken()
    {
        RecordingContext context = new(contextLength: 600, pages: 400) { Steps = null };
        await using var loop = Loop(context);
        long before = 0, after = 0;
        TestSink sink = new()
        {
            OnToken = sequence =>
            {
                var allocated = GC.GetAllocatedBytesForCurrentThread() - context.AllocatedBytes;
                before = sequence.Generated == 50 ? allocated : before;
                after = sequence.Generated == 150 ? allocated : after;
            },
        };
        Submit(loop, sink, [1, 2, 3], maxNew: 200, seed: 1, sequences: 1);
        await sink.Done;
        Assert.Equal(0, after - before);
    }

    private static DecodeLoop Loop(RecordingContext context, int concurrent = 8, int queued = 64) =>
        new(context, concurrent, queued, TimeProvider.System, NullLogger.Instance, "test");

    private static TestSink Submit(DecodeLoop loop, int[] prompt, int maxNew, long seed = 0, int sequences = 1,
        GenerationPriority priority = GenerationPriority.Normal, int end = -1, int room = int.MaxValue) =>
        Submit(loop, new TestSink { Room = room }, prompt, maxNew, seed, sequences, priority, end);

    private static TestSink Submit(DecodeLoop loop, TestSink sink, int[] prompt, int maxNew, long seed, int sequences,
        GenerationPriority priority = GenerationPriority.Normal, int end = -1)
    {
        var ends = new bool[32];
        if (end >= 0)
        {
            ends[end] = true;
        }

        sink.Request = new LoopRequest
        {
            Prompt = prompt, Sink = sink, Sampler = Drawing, EndTokens = ends, MaxNewTokens = maxNew, SequenceCount = sequences, Seed = seed, Priority = priority,
        };
        loop.Submit(sink.Request);
        return sink;
    }

    /// <summary>What a loop of one sequence without batches, chunks or pages would say.</summary>
    private static int[] Expected(int[] prompt, int count, long seed = 0, int sequence = 0, int end = -1)
    {
        RecordingContext context = new();
        Candidates candidates = new(32);
        List<int> tokens = [.. prompt];
        var logits = new float[32];
        while (tokens.Count < prompt.Length + count && (tokens.Count == prompt.Length || tokens[^1] != end))
        {
            context.Fill(tokens, logits);
            tokens.Add(Drawing.Sample(logits, new SamplingContext(tokens.ToArray(), prompt.Length, seed, sequence, tokens.Count), candidates));
        }

        return [.. tokens.Skip(prompt.Length)];
    }

    private static StepGate Gate(RecordingContext context) => new(context);

    /// <summary>Holds every step until it is let through.</summary>
    private sealed class StepGate : IDisposable
    {
        private readonly SemaphoreSlim _steps = new(0);
        private readonly SemaphoreSlim _waiting = new(0);
        private volatile bool _open;

        public StepGate(RecordingContext context) => context.OnStep = _ =>
        {
            if (!_open)
            {
                _waiting.Release();
                Assert.True(_steps.Wait(Patience));
            }
        };

        /// <summary>Lets so many steps through and returns when the next one has been planned and waits.</summary>
        public void Pass(int steps)
        {
            for (var i = 0; i <= steps; i++)
            {
                Assert.True(_waiting.Wait(Patience));
                if (i < steps)
                {
                    _steps.Release();
                }
            }

            _waiting.Release(); // the one that waits still does
        }

        public void Open()
        {
            _open = true;
            _steps.Release(100);
        }

        public void Dispose() => Open();
    }
}
