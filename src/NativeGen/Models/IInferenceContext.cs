// What the scheduler sees of an inference context: sequences, KV pages and one batched step. InferenceContext implements it over the
// native engine; the scheduler's tests use a recording double.
namespace NativeGen.Models;

/// <summary>How a step ended. After anything but <see cref="Done"/> every sequence is as it was.</summary>
internal enum DecodeStatus
{
    Done,

    /// <summary>Too few free KV pages for the step.</summary>
    NoRoom,

    /// <summary><see cref="IInferenceContext.Interrupt"/> was called.</summary>
    Cancelled,
}

/// <summary>A KV cache of pages, the sequences in it, and steps over batches of rows. One caller at a time, except for <see cref="Interrupt"/>.</summary>
internal interface IInferenceContext : IDisposable
{
    int VocabularySize { get; }

    /// <summary>The longest sequence, in tokens.</summary>
    int ContextLength { get; }

    /// <summary>The most rows one step takes.</summary>
    int MaxBatchRows { get; }

    /// <summary>Tokens of a KV page.</summary>
    int PageTokens { get; }

    /// <summary>KV bytes of one token over all layers; a page is <see cref="PageTokens"/> times that.</summary>
    long KvBytesPerToken { get; }

    int PagesTotal { get; }

    int PagesFree { get; }

    int CreateSequence();

    /// <summary>A new sequence with the first <paramref name="keep"/> tokens of another; their pages are shared copy-on-write.</summary>
    int ForkSequence(int source, int keep);

    /// <summary>Forgets everything from position <paramref name="keep"/> on.</summary>
    void CutSequence(int sequence, int keep);

    void DropSequence(int sequence);

    int SequenceLength(int sequence);

    /// <summary>Free pages that appending <paramref name="newTokens"/> tokens would take, copies of shared pages included.</summary>
    int PagesNeeded(int sequence, int newTokens);

    /// <summary>One step. All row spans have one length; the rows of a sequence continue it in order.</summary>
    /// <param name="outputs">1 = logits of this row are wanted.</param>
    /// <param name="logits">[wanted rows, VocabularySize], in batch order; written only when the step is done.</param>
    /// <exception cref="NativeGenException">The engine failed; every sequence is as it was.</exception>
    DecodeStatus Decode(ReadOnlySpan<int> tokens, ReadOnlySpan<int> sequences, ReadOnlySpan<int> positions, ReadOnlySpan<byte> outputs, Span<float> logits);

    /// <summary>
    /// Ends the running step, or the next one if none runs, with <see cref="DecodeStatus.Cancelled"/>, once. May be called from any thread;
    /// a running step answers within 50 ms.
    /// </summary>
    void Interrupt();

    /// <summary>A sequence's KV as bytes: versioned, checksummed and bound to the model.</summary>
    byte[] SaveSequence(int sequence);

    /// <summary>A new sequence from saved bytes, which continues with the same bits.</summary>
    int LoadSequence(ReadOnlySpan<byte> state);
}
