// How a model is opened and how much a context holds; the memory both will take.
using NativeGen.Interop;

namespace NativeGen.Models;

/// <summary>How <see cref="Model.Open"/> loads a model.</summary>
public sealed record ModelOptions
{
    /// <summary>
    /// Map the file (default) instead of reading it: opens at once and shares memory between processes. A mapped file must not be
    /// overwritten in place while it is in use, which ends the process on Unix; replacing it by rename is safe. False is safe against both.
    /// </summary>
    public bool MemoryMap { get; init; } = true;

    /// <summary>Keep a copy of the weights in the order the kernels like best (default). False takes less memory and is slower.</summary>
    public bool Repack { get; init; } = true;

    /// <summary>Compute with float activations, never quantizing them: slow, for comparing with a reference. Default false. Implies no repacking.</summary>
    public bool ExactActivations { get; init; }

    /// <summary>Threads for opening; 0 (default) = as many as there are cores.</summary>
    public int Threads { get; init; }

    internal NgModelOptions ToNative()
    {
        ArgumentOutOfRangeException.ThrowIfNegative(Threads);
        NgModelFlags flags = (MemoryMap ? 0 : NgModelFlags.NoMmap) | (Repack ? 0 : NgModelFlags.NoRepack) | (ExactActivations ? NgModelFlags.Exact : 0);
        return new NgModelOptions { Flags = flags, Threads = (uint)Threads };
    }
}

/// <summary>The number format of keys and values in the cache.</summary>
public enum KvCacheType
{
    /// <summary>16-bit floats: half the memory.</summary>
    F16 = 0,
    /// <summary>32-bit floats.</summary>
    F32 = 1,
    /// <summary>8-bit integers with a 16-bit scale for every 32 values of a head: about half of F16's memory, slightly less exact.</summary>
    Q8_0 = 2,
}

/// <summary>How much an <see cref="InferenceContext"/> holds.</summary>
public sealed record ContextOptions
{
    /// <summary>The longest sequence, in tokens; 0 (default) = the smaller of the model's own and 4096.</summary>
    public int ContextLength { get; init; }

    /// <summary>Tokens the cache holds over all sequences together, rounded up to pages; 0 (default) = <see cref="ContextLength"/>.</summary>
    public int KvCacheTokens { get; init; }

    /// <summary>The most rows of one step; 0 (default) = 512.</summary>
    public int MaxBatchRows { get; init; }

    /// <summary>The cache's number format, default <see cref="Models.KvCacheType.F16"/>.</summary>
    public KvCacheType KvCacheType { get; init; } = KvCacheType.F16;

    /// <summary>Threads of a step; 0 (default) = as many as there are cores.</summary>
    public int Threads { get; init; }

    internal NgContextOptions ToNative()
    {
        ArgumentOutOfRangeException.ThrowIfNegative(ContextLength);
        ArgumentOutOfRangeException.ThrowIfNegative(KvCacheTokens);
        ArgumentOutOfRangeException.ThrowIfNegative(MaxBatchRows);
        ArgumentOutOfRangeException.ThrowIfNegative(Threads);
        return new NgContextOptions
        {
            ContextLength = (uint)ContextLength,
            CacheTokens = (uint)KvCacheTokens,
            BatchRows = (uint)MaxBatchRows,
            KvType = (uint)KvCacheType,
            Threads = (uint)Threads,
        };
    }
}

/// <summary>The memory a model and one context take, in bytes: exact, known before anything is loaded.</summary>
/// <param name="WeightsMapped">File pages read in place; they are shared, and the system may drop them.</param>
/// <param name="WeightsOwned">Repacked weights, or all of them when the file is read instead of mapped.</param>
/// <param name="KvCache">The whole cache; it is allocated page by page as it is used.</param>
/// <param name="KvCachePerToken">Cache bytes of one token.</param>
/// <param name="Scratch">The buffers of a step.</param>
/// <param name="Total">All of the above.</param>
/// <param name="Available">What the machine, the container and the limits of the process leave now.</param>
/// <param name="PageTokens">Tokens of a cache page.</param>
public sealed record MemoryEstimate(long WeightsMapped, long WeightsOwned, long KvCache, long KvCachePerToken, long Scratch, long Total, long Available, int PageTokens);
