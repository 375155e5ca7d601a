// What a GGUF file lists: metadata entries and tensors, described but not read.
using System.Collections.Immutable;

namespace NativeGen.Models;

/// <summary>The value types of GGUF metadata, numbered as in the format.</summary>
public enum GgufType
{
    /// <summary>Unsigned 8-bit integer.</summary>
    UInt8 = 0,
    /// <summary>Signed 8-bit integer.</summary>
    Int8 = 1,
    /// <summary>Unsigned 16-bit integer.</summary>
    UInt16 = 2,
    /// <summary>Signed 16-bit integer.</summary>
    Int16 = 3,
    /// <summary>Unsigned 32-bit integer.</summary>
    UInt32 = 4,
    /// <summary>Signed 32-bit integer.</summary>
    Int32 = 5,
    /// <summary>32-bit floating point.</summary>
    Float32 = 6,
    /// <summary>Boolean.</summary>
    Bool = 7,
    /// <summary>UTF-8 text, or bytes that are meant as such.</summary>
    String = 8,
    /// <summary>Elements of one type.</summary>
    Array = 9,
    /// <summary>Unsigned 64-bit integer.</summary>
    UInt64 = 10,
    /// <summary>Signed 64-bit integer.</summary>
    Int64 = 11,
    /// <summary>64-bit floating point.</summary>
    Float64 = 12,
}

/// <summary>One metadata key of a GGUF file and the shape of its value.</summary>
/// <param name="Key">The key, e.g. "llama.context_length".</param>
/// <param name="Type">The value's type.</param>
/// <param name="ItemType">The type of an array's elements, otherwise the same as <paramref name="Type"/>.</param>
/// <param name="Count">Elements of an array, otherwise 1.</param>
/// <param name="Bytes">Size of the value in bytes; for strings in an array eight more each, for the length.</param>
public sealed record GgufEntry(string Key, GgufType Type, GgufType ItemType, long Count, long Bytes)
{
    internal ulong Index { get; init; }

    /// <summary>"uint32", "string", "array of float32 [320]".</summary>
    public override string ToString()
    {
        string item = ItemType.ToString().ToLowerInvariant();
        return Type == GgufType.Array ? $"array of {item} [{Count}]" : item;
    }
}

/// <summary>One tensor of a GGUF file.</summary>
/// <param name="Name">Its name, e.g. "blk.0.attn_q.weight".</param>
/// <param name="Type">ggml's type number.</param>
/// <param name="TypeName">The type's name, e.g. "Q4_K", or "type 99" for one that this build has never heard of.</param>
/// <param name="IsSupported">Whether this build reads values of the type.</param>
/// <param name="Shape">Elements per dimension, the contiguous one first.</param>
/// <param name="Offset">Where its data begins, in bytes from the start of its file.</param>
/// <param name="Bytes">Size of its data, 0 if the type is unknown.</param>
/// <param name="File">Index of the split file that holds it, 0 for a single file.</param>
public sealed record GgufTensor(string Name, int Type, string TypeName, bool IsSupported, ImmutableArray<long> Shape, long Offset, long Bytes, int File)
{
    /// <summary>The product of <see cref="Shape"/>.</summary>
    public long ElementCount => Shape.Aggregate(1L, static (product, n) => unchecked(product * n));
}
