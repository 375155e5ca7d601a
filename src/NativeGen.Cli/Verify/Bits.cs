// Comparing floats as bits: what "the same answer" means here. NaNs with equal bits are equal, 0 and -0 are not.
using System.Numerics;
using System.Runtime.InteropServices;

namespace NativeGen.Cli.Verify;

internal static class Bits
{
    public static bool Same(ReadOnlySpan<float> a, ReadOnlySpan<float> b) =>
        MemoryMarshal.Cast<float, int>(a).SequenceEqual(MemoryMarshal.Cast<float, int>(b));

    /// <summary>Folds a row into a running 64-bit hash.</summary>
    public static ulong Hash(ulong hash, ReadOnlySpan<float> values)
    {
        foreach (var bits in MemoryMarshal.Cast<float, uint>(values))
            hash = (BitOperations.RotateLeft(hash, 23) ^ bits) * 0x9E3779B97F4A7C15;
        return hash ^ (hash >> 29);
    }
}
