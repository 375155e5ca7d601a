// Whoever goes first gets on, however little room there is: the loop never sleeps while a request that could run waits.
using CsCheck;
using Microsoft.Extensions.Logging.Abstractions;
using NativeGen.Sampling;
using NativeGen.Scheduling;

namespace NativeGen.Tests.Scheduling;

public sealed class StallTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task APromptHalfReadDoesNotStandInTheWayOfAnOlderRequestForEver()
    {
        RecordingContext context = new(contextLength: 32, batchRows: 4, pages: 8);
        await using DecodeLoop loop = new(context, 8, 64, TimeProvider.System, NullLogger.Instance, "test");
        TestSink old = new() { Room = 1 };
        Submit(loop, old, 20, 8);
        while (loop.Steps < 5)
        {
            await Task.Delay(1, TestContext.Current.CancellationToken);
        }

        // The young one's prompt takes the pages of the old one, whose reader is behind until a part of that prompt has been read.
        var read = 0;
        context.OnStep = _ => old.Room = ++read == 4 ? int.MaxValue : old.Room;
        TestSink young = new();
        Submit(loop, young, 28, 3);
        await young.Done.WaitAsync(Soon, TestContext.Current.CancellationToken);
        await old.Done.WaitAsync(Soon, TestContext.Current.CancellationToken);
        Assert.Equal(context.PagesTotal, context.PagesFree);
    }

    /// <summary>Plain requests and beams in a tiny cache, whose readers fall behind and come back at any step.</summary>
    [Fact]
    public void NobodyWaitsForEver() =>
        Gen.Select(
            Gen.Select(Gen.Int[1, 32], Gen.Int[1, 7], Gen.Int[1, 4], Gen.Int[-1, 1], Gen.Int[0, 3], Gen.Int[1, 30]).Array[2, 6],
            Gen.Int[1, 8], Gen.Int[1, 4], Gen.Int[0, 6]).Sample((wanted, batchRows, pageTokens, extra) =>
        {
            const int ContextLength = 40;
            RecordingContext context = new(32, ContextLength, batchRows, pageTokens, ((ContextLength + pageTokens - 1) / pageTokens) + extra) { Steps = null };
            DecodeLoop loop = new(context, 6, 100, TimeProvider.System, NullLogger.Instance, "test");
            List<(TestSink Sink, int Back)> readers = [];
            foreach (var (length, maxNew, count, priority, room, back) in wanted)
            {
                readers.Add((new() { Room = count == 1 && room > 0 ? room : int.MaxValue }, back));
                Prepare(readers[^1].Sink, length, maxNew, count > 1 ? new() { Beams = count, Returned = count } : null, (GenerationPriority)(priority / 2), readers.Count);
            }

            var steps = 0;
            context.OnStep = _ =>
            {
                steps++;
                foreach (var (sink, back) in readers)
                {
                    sink.Room = steps == back ? int.MaxValue : sink.Room;
                }
            };
            readers.ForEach(reader => loop.Submit(reader.Sink.Request));
            foreach (var (sink, _) in readers)
            {
                for (var patience = 0; !((IAsyncResult)sink.Done).AsyncWaitHandle.WaitOne(10); patience++)
                {
                    if (patience > 1000)
                    {
                        throw new TimeoutException("a request hangs");
                    }

                    readers.ForEach(reader => reader.Sink.Room = int.MaxValue); // all the others pause
                    loop.Wake();
                }
            }

            if (!loop.DrainAsync().Wait(Soon))
            {
                throw new TimeoutException("the loop does not end");
            }

            return context.SequenceCount == 0 && context.PagesFree == context.PagesTotal;
        }, iter: 1000);

    private static void Submit(DecodeLoop loop, TestSink sink, int length, int maxNew)
    {
        Prepare(sink, length, maxNew, null);
        loop.Submit(sink.Request);
    }

    private static void Prepare(TestSink sink, int length, int maxNew, BeamSettings? beams, GenerationPriority priority = GenerationPriority.Normal, int seed = 0) =>
        sink.Request = new LoopRequest
        {
            Prompt = Enumerable.Range(0, length).Select(i => ((i * 7) + seed) % 32).ToArray(), Sink = sink, Sampler = Sampler.Greedy, EndTokens = new bool[32],
            MaxNewTokens = maxNew, SequenceCount = beams?.Beams ?? 1, Beams = beams, Priority = priority, Seed = seed,
        };
}
