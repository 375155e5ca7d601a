// A double of the inference context: it counts pages as the engine does (shared until one owner writes), checks every rule of the contract,
// records each step, and makes logits out of a sequence's tokens alone, so that any mistake with sequences changes the text.
using NativeGen.Models;

namespace NativeGen.Tests.Scheduling;

internal sealed class RecordingContext(int vocabulary = 32, int contextLength = 64, int batchRows = 16, int pageTokens = 4, int pages = 16) : IInferenceContext
{
    private sealed class Page
    {
        public int Owners = 1;
    }

    private sealed record Cached(List<int> Tokens, List<Page> Pages);

    private readonly Dictionary<int, Cached> _sequences = [];
    private readonly Dictionary<int, int> _rowsOf = [];
    private int _nextSequence;
    private int _pagesTaken;
    private int _inCall;
    private volatile bool _interrupted;

    public int VocabularySize => vocabulary;

    public int ContextLength => contextLength;

    public int MaxBatchRows => batchRows;

    public int PageTokens => pageTokens;

    public long KvBytesPerToken => 10;

    public int PagesTotal => pages;

    public int PagesFree => pages - _pagesTaken;

    /// <summary>What the double itself allocated.</summary>
    public long AllocatedBytes { get; private set; }

    public bool Disposed { get; private set; }

    public int SequenceCount => _sequences.Count;

    /// <summary>The rows of each step that was done, in batch order. Null = not recorded.</summary>
    public List<(int Sequence, int Position, int Token)[]>? Steps { get; set; } = [];

    /// <summary>Called within each step, before anything changes, with a probe for "interrupted".</summary>
    public Action<Func<bool>>? OnStep { get; set; }

    /// <summary>Replaces the logits of a history.</summary>
    public Func<IReadOnlyList<int>, float[]>? LogitsOf { get; set; }

    /// <summary>How many of the next steps find no room whatever the pages say.</summary>
    public int RefuseSteps { get; set; }

    /// <summary>Steps that found no room.</summary>
    public int Refusals { get; private set; }

    /// <summary>Steps that ended as cancelled.</summary>
    public int Interruptions { get; private set; }

    public int CreateSequence()
    {
        using var call = Enter();
        _sequences.Add(_nextSequence, new Cached([], []));
        return _nextSequence++;
    }

    public int ForkSequence(int source, int keep)
    {
        using var call = Enter();
        var cached = _sequences[source];
        Assert.InRange(keep, 0, cached.Tokens.Count);
        Cached fork = new([.. cached.Tokens.Take(keep)], [.. cached.Pages.Take((keep + pageTokens - 1) / pageTokens)]);
        fork.Pages.ForEach(page => page.Owners++);
        _sequences.Add(_nextSequence, fork);
        return _nextSequence++;
    }

    public void CutSequence(int sequence, int keep) => throw new NotSupportedException();

    public void DropSequence(int sequence)
    {
        using var call = Enter();
        Assert.True(_sequences.Remove(sequence, out var dropped), $"sequence {sequence} was dropped twice");
        dropped!.Pages.ForEach(Release);
    }

    public int SequenceLength(int sequence)
    {
        using var call = Enter();
        return _sequences[sequence].Tokens.Count;
    }

    public int PagesNeeded(int sequence, int newTokens)
    {
        using var call = Enter();
        return Needed(_sequences[sequence], newTokens);
    }

    public DecodeStatus Decode(ReadOnlySpan<int> tokens, ReadOnlySpan<int> sequences, ReadOnlySpan<int> positions, ReadOnlySpan<byte> outputs, Span<float> logits)
    {
        using var call = Enter();
        Assert.InRange(tokens.Length, 1, batchRows);
        Assert.True(sequences.Length == tokens.Length && positions.Length == tokens.Length && outputs.Length == tokens.Length);
        _rowsOf.Clear();
        for (var i = 0; i < tokens.Length; i++)
        {
            Assert.InRange(tokens[i], 0, vocabulary - 1);
            var row = _rowsOf.GetValueOrDefault(sequences[i]);
            Assert.Equal(_sequences[sequences[i]].Tokens.Count + row, positions[i]);
            Assert.InRange(positions[i], 0, contextLength - 1);
            _rowsOf[sequences[i]] = row + 1;
        }

        OnStep?.Invoke(() => _interrupted);
        if (_interrupted)
        {
            _interrupted = false;
            Interruptions++;
            return DecodeStatus.Cancelled;
        }

        var needed = 0;
        foreach (var (sequence, rows) in _rowsOf)
        {
            needed += Needed(_sequences[sequence], rows);
        }

        if (needed > PagesFree || RefuseSteps > 0)
        {
            RefuseSteps = Math.Max(0, RefuseSteps - 1);
            Refusals++;
            return DecodeStatus.NoRoom;
        }

        Steps?.Add(new (int, int, int)[tokens.Length]);
        var output = 0;
        for (var i = 0; i < tokens.Length; i++)
        {
            var cached = _sequences[sequences[i]];
            Append(cached, tokens[i]);
            if (Steps is not null)
            {
                Steps[^1][i] = (sequences[i], positions[i], tokens[i]);
            }

            if (outputs[i] != 0)
            {
                Fill(cached.Tokens, logits.Slice(output++ * vocabulary, vocabulary));
            }
        }

        Assert.Equal(output * vocabulary, logits.Length);
        return DecodeStatus.Done;
    }

    public void Interrupt() => _interrupted = true;

    public byte[] SaveSequence(int sequence) => throw new NotSupportedException();

    public int LoadSequence(ReadOnlySpan<byte> state) => throw new NotSupportedException();

    public void Dispose()
    {
        Assert.False(Disposed);
        Disposed = true;
    }

    /// <summary>The logits after a history: a hash of all its tokens.</summary>
    public void Fill(List<int> history, Span<float> logits)
    {
        if (LogitsOf is not null)
        {
            LogitsOf(history).CopyTo(logits);
            return;
        }

        var hash = 14695981039346656037UL;
        foreach (var token in history)
        {
            hash = (hash ^ (uint)token) * 1099511628211;
        }

        for (var i = 0; i < logits.Length; i++)
        {
            var mixed = (hash + ((ulong)i * 0x9E3779B97F4A7C15)) * 0xBF58476D1CE4E5B9;
            mixed = (mixed ^ (mixed >> 31)) * 0x94D049BB133111EB;
            logits[i] = (mixed >> 40) / (float)(1 << 22);
        }
    }

    private int Needed(Cached cached, int newTokens)
    {
        var length = cached.Tokens.Count;
        var copy = newTokens > 0 && length % pageTokens != 0 && cached.Pages[^1].Owners > 1 ? 1 : 0;
        return ((length + newTokens + pageTokens - 1) / pageTokens) - cached.Pages.Count + copy;
    }

    private void Append(Cached cached, int token)
    {
        if (cached.Tokens.Count % pageTokens == 0)
        {
            cached.Pages.Add(Take());
        }
        else if (cached.Pages[^1].Owners > 1)
        {
            Release(cached.Pages[^1]);
            cached.Pages[^1] = Take();
        }

        cached.Tokens.Add(token);
    }

    private Page Take()
    {
        Assert.True(PagesFree > 0, "a page was taken that is not there");
        _pagesTaken++;
        return new Page();
    }

    private void Release(Page page)
    {
        if (--page.Owners == 0)
        {
            _pagesTaken--;
        }
    }

    private Call Enter()
    {
        var allocated = GC.GetAllocatedBytesForCurrentThread();
        Assert.Equal(1, Interlocked.Increment(ref _inCall)); // one caller at a time
        Assert.False(Disposed);
        return new Call(this, allocated);
    }

    private readonly struct Call(RecordingContext context, long allocated) : IDisposable
    {
        public void Dispose()
        {
            Interlocked.Decrement(ref context._inCall);
            context.AllocatedBytes += GC.GetAllocatedBytesForCurrentThread() - allocated;
        }
    }
}
