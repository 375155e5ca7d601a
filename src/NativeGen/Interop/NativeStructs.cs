// The structs of nativegen.h, field by field. `new` sets StructSize; a test compares every size with the library's own.
using System.Runtime.CompilerServices;

namespace NativeGen.Interop;

internal unsafe struct NgCpuInfo
{
    public uint StructSize;
    public uint LogicalProcessors;
    public uint PhysicalCores;
    public uint Threads;
    public fixed byte Brand[64];
    public fixed byte Isa[16];
    public fixed byte IsaAvailable[64];
    public fixed byte Features[256];

    public NgCpuInfo() => StructSize = (uint)sizeof(NgCpuInfo);
}

internal unsafe struct NgGgufInfo
{
    public uint StructSize;
    public uint Version;
    public ulong KvCount;
    public ulong TensorCount;
    public ulong FileCount;
    public ulong FileBytes;
    public ulong Alignment;

    public NgGgufInfo() => StructSize = (uint)sizeof(NgGgufInfo);
}

internal unsafe struct NgGgufKv
{
    public uint StructSize;
    public uint Type;
    public uint ItemType;
    public uint Reserved;
    public ulong Count;
    public ulong Bytes;

    public NgGgufKv() => StructSize = (uint)sizeof(NgGgufKv);
}

internal unsafe struct NgGgufTensor
{
    public uint StructSize;
    public uint Type;
    public uint DimensionCount;
    public uint File;
    public Shape Ne;
    public ulong Offset;
    public ulong Bytes;

    public NgGgufTensor() => StructSize = (uint)sizeof(NgGgufTensor);
}

[InlineArray(4)]
internal struct Shape
{
    private ulong _first;
}

internal unsafe struct NgTypeInfo
{
    public uint StructSize;
    public uint BlockElements;
    public uint BlockBytes;
    public uint Supported;
    public fixed byte Name[16];

    public NgTypeInfo() => StructSize = (uint)sizeof(NgTypeInfo);
}

[Flags]
internal enum NgModelFlags : uint
{
    None = 0,
    NoMmap = 1,
    NoRepack = 2,
    Exact = 4,
}

internal unsafe struct NgModelOptions
{
    public uint StructSize;
    public NgModelFlags Flags;
    public uint Threads;
    public uint Reserved;

    public NgModelOptions() => StructSize = (uint)sizeof(NgModelOptions);
}

internal unsafe struct NgModelInfo
{
    public uint StructSize;
    public uint VocabularySize;
    public uint TrainedContextLength;
    public uint EmbeddingLength;
    public uint LayerCount;
    public uint HeadCount;
    public ulong ParameterCount;
    public ulong FileBytes;
    public ulong WeightBytes;
    public ulong RepackedBytes;
    public ulong MappedBytes;
    public ulong Hash;
    public fixed byte Arch[32];
    public fixed byte Isa[16];

    public NgModelInfo() => StructSize = (uint)sizeof(NgModelInfo);
}

internal unsafe struct NgContextOptions
{
    public uint StructSize;
    public uint ContextLength;
    public uint CacheTokens;
    public uint BatchRows;
    public uint KvType;
    public uint Threads;

    public NgContextOptions() => StructSize = (uint)sizeof(NgContextOptions);
}

internal unsafe struct NgMemoryEstimate
{
    public uint StructSize;
    public uint PageTokens;
    public ulong WeightsMapped;
    public ulong WeightsOwned;
    public ulong KvBytes;
    public ulong KvBytesPerToken;
    public ulong ScratchBytes;
    public ulong TotalBytes;
    public ulong AvailableBytes;

    public NgMemoryEstimate() => StructSize = (uint)sizeof(NgMemoryEstimate);
}

internal unsafe struct NgContextStats
{
    public uint StructSize;
    public uint ContextLength;
    public uint BatchRows;
    public uint Threads;
    public uint PageTokens;
    public uint PagesTotal;
    public uint PagesFree;
    public uint SequenceCount;
    public ulong KvBytes;
    public ulong KvBytesPerToken;
    public ulong ScratchBytes;
    public ulong Steps;
    public ulong Rows;
    public ulong MatmulVectorRuns;
    public ulong MatmulMatrixRuns;

    public NgContextStats() => StructSize = (uint)sizeof(NgContextStats);
}

internal unsafe struct NgBatch
{
    public uint StructSize;
    public uint RowCount;
    public int* Tokens;    // [RowCount]
    public int* Sequences; // [RowCount]
    public int* Positions; // [RowCount]
    public byte* Outputs;  // [RowCount] or null: no logits wanted

    public NgBatch() => StructSize = (uint)sizeof(NgBatch);
}
