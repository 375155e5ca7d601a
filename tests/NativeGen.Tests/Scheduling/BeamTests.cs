// Beams in the decode loop over the recording double: the texts of a search without batches or pages, whatever the company and however little room.
using CsCheck;
using Microsoft.Extensions.Logging.Abstractions;
using NativeGen.Sampling;
using NativeGen.Scheduling;

namespace NativeGen.Tests.Scheduling;

public sealed class BeamTests
{
    private static readonly Sampler Steps = new([new NoRepeatNgramStep(2)], draw: false);
    private static readonly TimeSpan Patience = TestSink.Patience;

    [Fact]
    public async Task AStepIsOneBatchWithARowPerBeam()
    {
        RecordingContext context = new(pages: 40);
        await using var loop = Loop(context);
        int[] prompt = [1, 2, 3, 4, 5, 6];
        var sink = Submit(loop, prompt, 10, new() { Beams = 4, Returned = 4 }, ends: false);
        await sink.Done;
        Assert.Equal(PlainBeams.Texts(prompt, 10, sink.Request), Found(sink));
        Assert.Equal([6, .. Enumerable.Repeat(4, 9)], context.Steps!.Select(step => step.Length));
        Assert.All(sink.Reasons.Values, reason => Assert.Equal(FinishReason.Length, reason));
        Assert.Equal(0, context.SequenceCount);
        Assert.Equal(context.PagesTotal, context.PagesFree);
        Assert.Equal(0, loop.Evictions);
    }

    [Fact]
    public async Task GroupsDrawsEndsAndFormsAreThePlainSearchs()
    {
        RecordingContext context = new(pages: 60);
        await using var loop = Loop(context);
        int[] prompt = [7, 8, 9];
        foreach (var settings in new BeamSettings[]
        {
            new() { Beams = 6, Groups = 3, Returned = 6 },
            new() { Beams = 4, Draw = true, Seed = 11, Returned = 3 },
            new() { Beams = 3, StopNever = true, LengthPenalty = 2, Returned = 3 },
            new() { Beams = 5, StopWhenFull = true, LengthPenalty = -1, Returned = 5 },
        })
        {
            foreach (var constraint in new TokenConstraint?[] { null, new Parity([]) })
            {
                foreach (var stops in new[] { -1, 4 })
                {
                    var sink = Submit(loop, prompt, 12, settings, constraint, stops);
                    await sink.Done;
                    Assert.Equal(PlainBeams.Texts(prompt, 12, sink.Request), Found(sink));
                }
            }
        }

        Assert.Equal(context.PagesTotal, context.PagesFree);
    }

    [Fact]
    public async Task BeamsThatDoNotFitTogetherTakeTurns()
    {
        // One beam's whole text fits, four do not.
        RecordingContext context = new(contextLength: 32, pages: 8);
        await using var loop = Loop(context);
        int[] prompt = [3, 1, 4, 1, 5];
        var sink = Submit(loop, prompt, 100, new() { Beams = 4, Returned = 4 }, ends: false);
        await sink.Done;
        Assert.Equal(PlainBeams.Texts(prompt, 27, sink.Request), Found(sink));
        Assert.All(sink.Reasons.Values, reason => Assert.Equal(FinishReason.ContextFull, reason));
        Assert.True(loop.Evictions > 0);
        Assert.Equal(context.PagesTotal, context.PagesFree);
    }

    [Fact]
    public async Task CancellingASearchFreesItsPages()
    {
        RecordingContext context = new(pages: 40);
        await using var loop = Loop(context);
        var steps = 0;
        TestSink? sink = null;
        context.OnStep = _ =>
        {
            if (++steps == 6)
            {
                loop.Cancel(sink!.Request);
            }
        };
        sink = Submit(loop, [1, 2, 3], 50, new() { Beams = 4 });
        var other = Submit(loop, [4, 5], 8, new() { Beams = 2, Returned = 2 });
        await other.Done;
        Assert.Equal(PlainBeams.Texts([4, 5], 8, other.Request), Found(other));
        Assert.Equal(context.PagesTotal, context.PagesFree);
        Assert.Equal(0, loop.Load);
    }

    [Fact]
    public async Task ASearchInWhichNothingMayComeSaysSo()
    {
        await using var loop = Loop(new RecordingContext());
        var sink = Submit(loop, [1], 5, new() { Beams = 2 }, new Parity([]) { Never = true });
        var error = await Assert.ThrowsAsync<NativeGenException>(() => sink.Done);
        Assert.Equal(NativeGenErrorCode.InvalidRequest, error.Code);
    }

    [Fact]
    public async Task NothingIsAllocatedPerStep()
    {
        RecordingContext context = new(contextLength: 600, pages: 800) { Steps = null };
        await using var loop = Loop(context);
        long before = 0, after = 0;
        TestSink sink = new()
        {
            OnEnds = (sequence, _) =>
            {
                var allocated = GC.GetAllocatedBytesForCurrentThread() - context.AllocatedBytes;
                before = sequence.Generated == 50 ? allocated : before;
                after = sequence.Generated == 150 ? allocated : after;
                return false;
            },
        };
        sink.Request = new LoopRequest { Prompt = new[] { 1, 2, 3 }, Sink = sink, Sampler = Sampler.Greedy, EndTokens = new bool[32], MaxNewTokens = 200, SequenceCount = 4, Beams = new() { Beams = 4 } };
        loop.Submit(sink.Request);
        await sink.Done;
        Assert.True(after > 0);
        Assert.Equal(0, after - before);
    }

    /// <summary>Searches and plain requests of any kind, any sizes of cache and batch: everybody has the text it has alone.</summary>
    [Fact]
    public void NoBeamDependsOnCompany() =>
        Gen.Select(
            Gen.Select(Gen.Int[1, 20], Gen.Int[1, 25], Gen.Int[1, 5], Gen.Int[-1, 1], Gen.Int[0, 6]).Array[1, 6],
            Gen.Int[1, 12], Gen.Int[1, 4], Gen.Int[0, 40], Gen.Int[1, 6], Gen.Long).Sample((wanted, batchRows, pageTokens, extra, concurrent, seed) =>
        {
            const int ContextLength = 40;
            RecordingContext context = new(32, ContextLength, batchRows, pageTokens, ((ContextLength + pageTokens - 1) / pageTokens) + extra) { Steps = null };
            DecodeLoop loop = new(context, concurrent, 100, TimeProvider.System, NullLogger.Instance, "test");
            List<(TestSink Sink, int[] Prompt, int MaxNew, int Kind)> requests = [];
            foreach (var (length, maxNew, beams, priority, kind) in wanted)
            {
                int[] prompt = [.. Enumerable.Range(0, length).Select(i => (int)(((ulong)seed >> i % 50) % 32))];
                BeamSettings? settings = kind == 5 ? null : new()
                {
                    Beams = beams, Groups = kind == 4 ? beams : 1, Returned = beams, Draw = kind == 3, Seed = seed, StopWhenFull = kind == 2, LengthPenalty = 1.5f,
                };
                var sink = Submit(loop, prompt, maxNew, settings, kind == 1 ? new Parity([]) : null, priority: (GenerationPriority)priority);
                if (kind == 6)
                {
                    loop.Cancel(sink.Request);
                }

                requests.Add((sink, prompt, maxNew, kind));
            }

            foreach (var (sink, prompt, maxNew, kind) in requests.Where(request => request.Kind != 6))
            {
                if (!((IAsyncResult)sink.Done).AsyncWaitHandle.WaitOne(Patience))
                {
                    throw new TimeoutException("a request hangs");
                }

                if (kind == 5)
                {
                    sink.Done.GetAwaiter().GetResult();
                    continue;
                }

                string[] alone;
                try
                {
                    alone = PlainBeams.Texts(prompt, Math.Min(maxNew, ContextLength - prompt.Length), sink.Request);
                }
                catch (NativeGenException error)
                {
                    alone = [error.Message]; // a dead end for every beam
                }

                if (!alone.SequenceEqual(sink.Done.Exception is { } failed ? [failed.InnerException!.Message] : Found(sink)))
                {
                    return false;
                }
            }

            if (!loop.DrainAsync().Wait(Patience))
            {
                throw new TimeoutException("the loop does not end");
            }

            return context is { SequenceCount: 0, Disposed: true, Refusals: 0 } && context.PagesFree == context.PagesTotal;
        }, iter: 300);

    private static DecodeLoop Loop(RecordingContext context) => new(context, 8, 64, TimeProvider.System, NullLogger.Instance, "test");

    private static string[] Found(TestSink sink) => [.. sink.Request.Results.Select((found, i) => $"{string.Join(' ', sink.Tokens(i))} : {found.Score}")];

    private static TestSink Submit(DecodeLoop loop, int[] prompt, int maxNew, BeamSettings? settings, TokenConstraint? constraint = null, int stopsAt = -1,
        GenerationPriority priority = GenerationPriority.Normal, bool ends = true)
    {
        var endTokens = new bool[32];
        endTokens[31] = endTokens[30] = ends;
        TestSink sink = new() { OnEnds = stopsAt < 0 ? null : (sequence, token) => PlainBeams.Stops(sequence.Tokens, token, stopsAt) };
        sink.Request = new LoopRequest
        {
            Prompt = prompt, Sink = sink, Sampler = settings?.Groups > 1 ? new Sampler([new DiversityPenaltyStep(1.5f)], draw: false) : Steps, EndTokens = endTokens,
            MaxNewTokens = maxNew, SequenceCount = settings?.Beams ?? 1, Beams = settings, Constraint = constraint, Priority = priority,
        };
        loop.Submit(sink.Request);
        return sink;
    }

    /// <summary>Lets tokens come whose sum with all before is even. Knows only what it was told, so that a fork in the wrong place shows.</summary>
    internal sealed class Parity(List<int> told) : TokenConstraint
    {
        private readonly ulong[] _mask = new ulong[1];

        public bool Never { get; init; }

        public override bool IsOver => false;

        public override ReadOnlySpan<ulong> Allowed()
        {
            // Now and then nothing goes on: a dead end.
            _mask[0] = Never || told.Sum() % 37 == 36 ? 0 : Enumerable.Range(0, 32).Where(id => (told.Sum(t => (t * 7) + 3) + id) % 3 != 0).Aggregate(0ul, (mask, id) => mask | (1ul << id));
            return _mask;
        }

        public override void Accept(int token) => told.Add(token);

        public override TokenConstraint Fork() => new Parity([.. told]) { Never = Never };
    }
}

/// <summary>The search by itself, over the double's logits.</summary>
internal static class PlainBeams
{
    public static bool Stops(ReadOnlySpan<int> tokens, int token, int at) => (tokens[^1] + token) % 9 == at;

    public static string[] Texts(int[] prompt, int longest, LoopRequest request)
    {
        var settings = request.Beams!;
        BeamSearch search = new(settings, prompt.Length, longest, request.EndTokens, 32);
        Lists texts = new(prompt, request);
        RecordingContext model = new();
        Candidates candidates = new(32);
        var logits = new float[32];
        while (!search.Done)
        {
            for (var slot = 0; slot < settings.Beams; slot++)
            {
                if (search.Needs(slot))
                {
                    model.Fill(texts.Of[slot], logits);
                    if (search.Feed(slot, logits))
                    {
                        search.Advance(request.Sampler, texts, candidates);
                    }
                }
            }
        }

        return [.. search.Best().Select(found => $"{string.Join(' ', found.Tokens.ToArray())} : {found.Score}")];
    }

    private sealed class Lists(int[] prompt, LoopRequest request) : IBeamTexts
    {
        private readonly TokenConstraint?[] _constraints = [.. request.Sequences.Select(_ => request.Constraint?.Fork())];

        public List<int>[] Of { get; } = [.. request.Sequences.Select(_ => prompt.ToList())];

        public ReadOnlySpan<int> Tokens(int slot) => System.Runtime.InteropServices.CollectionsMarshal.AsSpan(Of[slot]);

        public TokenConstraint? Constraint(int slot) => _constraints[slot];

        public bool Ends(int slot, int token) => request.Sink.Ends(At(slot), token);

        public void Fork(int from, int to) => (Of[to], _constraints[to]) = ([.. Of[from]], _constraints[from]?.Fork());

        public void Append(int slot, int token)
        {
            Of[slot].Add(token);
            _constraints[slot]?.Accept(token);
        }

        public void Drop(int slot) => Of[slot] = [];

        private LoopSequence At(int slot)
        {
            LoopSequence sequence = new(request, slot);
            foreach (var token in Of[slot].Skip(request.Prompt.Length))
            {
                sequence.Append(token);
            }

            return sequence;
        }
    }
}
