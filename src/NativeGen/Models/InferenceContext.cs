// A KV cache and the steps over it: the scheduler's side of the native engine, and the lowest public way to run a model.
using NativeGen.Interop;

namespace NativeGen.Models;

/// <summary>
/// Sequences of tokens in a paged KV cache, and steps that extend any number of them at once.
/// </summary>
/// <remarks>
/// One caller at a time: a second one gets a <see cref="NativeGenException"/> with code Busy. Only <see cref="Interrupt"/> and
/// <see cref="Dispose"/> may be called from any thread; disposing during a step takes effect when the step returns.
/// The logits of a row depend on its own sequence only, not on what else is in the batch, how a prompt is cut into steps or the number of threads.
/// Memory is allocated page by page as sequences grow; a step itself allocates nothing.
/// </remarks>
public sealed unsafe class InferenceContext : IInferenceContext
{
    private readonly ContextHandle _handle;
    private readonly NativeTask _task = new();

    /// <summary>Creates a context of a model, which it keeps alive.</summary>
    /// <param name="model">An open model.</param>
    /// <param name="options">How much it holds, null for the defaults.</param>
    /// <exception cref="NativeGenException">OutOfMemory: cache and step buffers do not fit; nothing was allocated.</exception>
    public InferenceContext(Model model, ContextOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        NgContextOptions native = (options ?? new ContextOptions()).ToNative();
        NgError error = new();
        try
        {
            ObjectDisposedException.ThrowIf(model.Handle.IsClosed, model);
            NativeMethods.ng_context_create(model.Handle, native, out _handle, ref error).ThrowIfFailed(error);
        }
        catch
        {
            _task.Dispose();
            throw;
        }
        Model = model;
        ContextStatistics statistics = GetStatistics();
        VocabularySize = model.Info.VocabularySize;
        ContextLength = statistics.ContextLength;
        MaxBatchRows = statistics.MaxBatchRows;
        PageTokens = statistics.PageTokens;
        PagesTotal = statistics.PagesTotal;
        KvBytesPerToken = statistics.KvBytesPerToken;
    }

    /// <summary>The model it runs.</summary>
    public Model Model { get; }

    /// <summary>The length of a row of logits.</summary>
    public int VocabularySize { get; }

    /// <summary>The longest sequence, in tokens.</summary>
    public int ContextLength { get; }

    /// <summary>The most rows of one step.</summary>
    public int MaxBatchRows { get; }

    /// <summary>Tokens of a cache page.</summary>
    public int PageTokens { get; }

    /// <summary>Pages the cache may hold.</summary>
    public int PagesTotal { get; }

    /// <summary>Cache bytes of one token over all layers; a page takes <see cref="PageTokens"/> times that.</summary>
    public long KvBytesPerToken { get; }

    /// <summary>Pages that no sequence holds.</summary>
    public int PagesFree => GetStatistics().PagesFree;

    /// <summary>Counters of this context.</summary>
    /// <exception cref="NativeGenException">Busy: another call is in the context.</exception>
    public ContextStatistics GetStatistics()
    {
        ThrowIfDisposed();
        NgContextStats stats = new();
        NgError error = new();
        NativeMethods.ng_context_get_stats(_handle, ref stats, ref error).ThrowIfFailed(error);
        return new ContextStatistics
        {
            ContextLength = (int)stats.ContextLength,
            MaxBatchRows = (int)stats.BatchRows,
            Threads = (int)stats.Threads,
            PageTokens = (int)stats.PageTokens,
            PagesTotal = (int)stats.PagesTotal,
            PagesFree = (int)stats.PagesFree,
            SequenceCount = (int)stats.SequenceCount,
            KvBytes = (long)stats.KvBytes,
            KvBytesPerToken = (long)stats.KvBytesPerToken,
            ScratchBytes = (long)stats.ScratchBytes,
            Steps = (long)stats.Steps,
            Rows = (long)stats.Rows,
            MatmulVectorRuns = (long)stats.MatmulVectorRuns,
            MatmulMatrixRuns = (long)stats.MatmulMatrixRuns,
        };
    }

    // ---- sequences

    /// <summary>A new, empty sequence; its number is valid until <see cref="DropSequence"/>.</summary>
    public int CreateSequence()
    {
        ThrowIfDisposed();
        NgError error = new();
        ThrowIfNoRoom(NativeMethods.ng_seq_create(_handle, out int sequence, ref error).ThrowIfFailed(error));
        return sequence;
    }

    /// <summary>A new sequence with the first <paramref name="keep"/> tokens of another. Pages are shared until one of them writes.</summary>
    public int ForkSequence(int source, int keep)
    {
        ThrowIfDisposed();
        ArgumentOutOfRangeException.ThrowIfNegative(keep);
        NgError error = new();
        ThrowIfNoRoom(NativeMethods.ng_seq_fork(_handle, source, (uint)keep, out int sequence, ref error).ThrowIfFailed(error));
        return sequence;
    }

    /// <summary>Forgets everything from position <paramref name="keep"/> on.</summary>
    public void CutSequence(int sequence, int keep)
    {
        ThrowIfDisposed();
        ArgumentOutOfRangeException.ThrowIfNegative(keep);
        NgError error = new();
        NativeMethods.ng_seq_cut(_handle, sequence, (uint)keep, ref error).ThrowIfFailed(error);
    }

    /// <summary>Ends a sequence and frees its pages.</summary>
    public void DropSequence(int sequence)
    {
        ThrowIfDisposed();
        NgError error = new();
        NativeMethods.ng_seq_drop(_handle, sequence, ref error).ThrowIfFailed(error);
    }

    /// <summary>Tokens of a sequence: the position of its next row.</summary>
    public int SequenceLength(int sequence)
    {
        ThrowIfDisposed();
        NgError error = new();
        NativeMethods.ng_seq_get_length(_handle, sequence, out uint length, ref error).ThrowIfFailed(error);
        return (int)length;
    }

    /// <summary>Free pages that appending <paramref name="newTokens"/> tokens would take, copies of shared pages included.</summary>
    public int PagesNeeded(int sequence, int newTokens)
    {
        ThrowIfDisposed();
        ArgumentOutOfRangeException.ThrowIfNegative(newTokens);
        NgError error = new();
        NativeMethods.ng_seq_get_pages_needed(_handle, sequence, (uint)newTokens, out uint pages, ref error).ThrowIfFailed(error);
        return (int)pages;
    }

    // ---- steps

    /// <summary>Runs one step: appends each row's token to its sequence and computes the logits of the rows that want them.</summary>
    /// <param name="tokens">[rows] token ids.</param>
    /// <param name="sequences">[rows] the sequence of each row; rows of several sequences may mix.</param>
    /// <param name="positions">[rows] a sequence's rows continue it in order: its length, then one more each.</param>
    /// <param name="outputs">[rows] 1 where logits are wanted, 0 elsewhere; empty = none.</param>
    /// <param name="logits">[wanted rows, <see cref="VocabularySize"/>] in batch order.</param>
    /// <param name="cancellationToken">Ends the step within 50 ms.</param>
    /// <returns>False if the cache has too few free pages; then, as after any exception, every sequence is as it was.</returns>
    /// <exception cref="ArgumentException">Lengths that do not fit each other, an unknown token or sequence, a position out of order.</exception>
    /// <exception cref="NativeGenException">ContextOverflow: a position beyond <see cref="ContextLength"/>. Busy: another call is in the context.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled, or <see cref="Interrupt"/> was called.</exception>
    public bool Decode(ReadOnlySpan<int> tokens, ReadOnlySpan<int> sequences, ReadOnlySpan<int> positions, ReadOnlySpan<byte> outputs, Span<float> logits,
        CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            DecodeStatus status;
            using (_task.CancelWith(cancellationToken))
                status = Decode(tokens, sequences, positions, outputs, logits);
            return status == DecodeStatus.Cancelled ? throw new OperationCanceledException(cancellationToken) : status == DecodeStatus.Done;
        }
        finally
        {
            if (cancellationToken.IsCancellationRequested)
                _task.Reset(); // it may have come too late for this step, and is not meant for the next
        }
    }

    internal DecodeStatus Decode(ReadOnlySpan<int> tokens, ReadOnlySpan<int> sequences, ReadOnlySpan<int> positions, ReadOnlySpan<byte> outputs, Span<float> logits)
    {
        ThrowIfDisposed();
        int rows = tokens.Length;
        if (sequences.Length != rows || positions.Length != rows || (outputs.Length != rows && !outputs.IsEmpty))
            throw new ArgumentException($"A batch of {rows} tokens has {sequences.Length} sequences, {positions.Length} positions and {outputs.Length} outputs; all must be {rows}.");
        NgError error = new();
        NativeStatus status;
        fixed (int* tokenPointer = tokens, sequencePointer = sequences, positionPointer = positions)
        fixed (byte* outputPointer = outputs)
        fixed (float* logitPointer = logits)
        {
            NgBatch batch = new()
            {
                RowCount = (uint)rows,
                Tokens = tokenPointer,
                Sequences = sequencePointer,
                Positions = positionPointer,
                Outputs = outputPointer,
            };
            status = NativeMethods.ng_context_decode(_handle, batch, logitPointer, (nuint)logits.Length, _task.Handle, ref error);
        }
        if (status == NativeStatus.Cancelled)
            _task.Reset();
        return status.ThrowIfFailed(error) switch
        {
            NativeStatus.Ok => DecodeStatus.Done,
            NativeStatus.Cancelled => DecodeStatus.Cancelled,
            _ => DecodeStatus.NoRoom,
        };
    }

    DecodeStatus IInferenceContext.Decode(ReadOnlySpan<int> tokens, ReadOnlySpan<int> sequences, ReadOnlySpan<int> positions, ReadOnlySpan<byte> outputs, Span<float> logits) =>
        Decode(tokens, sequences, positions, outputs, logits);

    /// <summary>Ends the running step, or the next one if none runs, as cancelled, once. Any thread; a running step answers within 50 ms.</summary>
    public void Interrupt() => _task.Cancel();

    // ---- saved sequences

    /// <summary>A sequence's cache as bytes: versioned, checksummed, and bound to the model and the cache type.</summary>
    /// <exception cref="NativeGenException">OutOfMemory: it is larger than an array can be.</exception>
    public byte[] SaveSequence(int sequence)
    {
        ThrowIfDisposed();
        NgError error = new();
        NativeMethods.ng_seq_save(_handle, sequence, null, 0, out nuint needed, ref error).ThrowIfFailed(error);
        if (needed > (nuint)Array.MaxLength)
            throw new NativeGenException(NativeGenErrorCode.OutOfMemory, $"Sequence {sequence} takes {needed} bytes, more than an array holds; save a shorter one.");
        byte[] state = GC.AllocateUninitializedArray<byte>((int)needed);
        fixed (byte* pointer = state)
            NativeMethods.ng_seq_save(_handle, sequence, pointer, (nuint)state.Length, out _, ref error).ThrowIfFailed(error);
        return state;
    }

    /// <summary>A new sequence from bytes of <see cref="SaveSequence"/>, which continues with the same bits.</summary>
    /// <exception cref="NativeGenException">InvalidModel: the bytes are damaged, or belong to another model or cache type. ContextOverflow: too few free pages.</exception>
    public int LoadSequence(ReadOnlySpan<byte> state)
    {
        ThrowIfDisposed();
        NgError error = new();
        fixed (byte* pointer = state)
        {
            ThrowIfNoRoom(NativeMethods.ng_seq_load(_handle, pointer, (nuint)state.Length, out int sequence, ref error).ThrowIfFailed(error));
            return sequence;
        }
    }

    /// <summary>Closes the context; during a step, when the step returns.</summary>
    public void Dispose()
    {
        _handle.Dispose();
        _task.Dispose();
    }

    private void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(_handle.IsClosed, this);

    private static void ThrowIfNoRoom(NativeStatus status)
    {
        if (status == NativeStatus.NoRoom)
            throw new NativeGenException(NativeGenErrorCode.ContextOverflow,
                "The cache has too few free pages; drop or cut sequences, or create the context with more KvCacheTokens.");
    }
}

/// <summary>Counters of an <see cref="InferenceContext"/>.</summary>
public readonly record struct ContextStatistics
{
    /// <summary>The longest sequence, in tokens.</summary>
    public int ContextLength { get; init; }
    /// <summary>The most rows of one step.</summary>
    public int MaxBatchRows { get; init; }
    /// <summary>Threads of a step.</summary>
    public int Threads { get; init; }
    /// <summary>Tokens of a cache page.</summary>
    public int PageTokens { get; init; }
    /// <summary>Pages the cache may hold.</summary>
    public int PagesTotal { get; init; }
    /// <summary>Pages that no sequence holds.</summary>
    public int PagesFree { get; init; }
    /// <summary>Living sequences.</summary>
    public int SequenceCount { get; init; }
    /// <summary>Bytes allocated for pages so far.</summary>
    public long KvBytes { get; init; }
    /// <summary>Cache bytes of one token over all layers.</summary>
    public long KvBytesPerToken { get; init; }
    /// <summary>Bytes of the step buffers.</summary>
    public long ScratchBytes { get; init; }
    /// <summary>Steps done.</summary>
    public long Steps { get; init; }
    /// <summary>Rows of all steps.</summary>
    public long Rows { get; init; }
    /// <summary>Matrix products that took the path for few rows.</summary>
    public long MatmulVectorRuns { get; init; }
    /// <summary>Matrix products that took the path for many rows.</summary>
    public long MatmulMatrixRuns { get; init; }
}
