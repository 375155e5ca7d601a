// What this machine offers and what this build makes of it: the facts behind `doctor`, logs and health.
using System.Collections.Immutable;
using NativeGen.Interop;

namespace NativeGen.Models;

/// <summary>The processor as this process may use it.</summary>
/// <param name="Brand">Its name, e.g. "Intel(R) Core(TM) i7-1260P".</param>
/// <param name="LogicalProcessors">Processors this process may run on; affinity and container limits are honoured.</param>
/// <param name="PhysicalCores">Cores behind them, hardware threads of one core counted once.</param>
/// <param name="DefaultThreads">What 0 threads means in options.</param>
/// <param name="InstructionSet">The kernel set models get, e.g. "avx2"; the environment variable NATIVEGEN_ISA forces one.</param>
/// <param name="AvailableInstructionSets">All kernel sets that run here, best first.</param>
/// <param name="Features">Processor features that were found.</param>
public sealed record CpuInfo(string Brand, int LogicalProcessors, int PhysicalCores, int DefaultThreads, string InstructionSet,
    ImmutableArray<string> AvailableInstructionSets, ImmutableArray<string> Features)
{
    /// <summary>Asks the native library.</summary>
    /// <exception cref="NativeGenException">DeviceUnavailable: NATIVEGEN_ISA names a set that this machine or build lacks.</exception>
    public static unsafe CpuInfo Read()
    {
        NgCpuInfo info = new();
        NgError error = new();
        NativeMethods.ng_cpu_get_info(ref info, ref error).ThrowIfFailed(error);
        return new CpuInfo(Utf8.Read(info.Brand, 64), (int)info.LogicalProcessors, (int)info.PhysicalCores, (int)info.Threads, Utf8.Read(info.Isa, 16),
            Split(Utf8.Read(info.IsaAvailable, 64), ','), Split(Utf8.Read(info.Features, 256), ' '));

        static ImmutableArray<string> Split(string list, char separator) =>
            [.. list.Split(separator, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)];
    }

    /// <summary>Measures how fast memory can be read in sequence, in GB/s (10^9 bytes): the ceiling of decoding. Takes well under a second.</summary>
    /// <param name="threads">Reading threads, 0 = default.</param>
    /// <param name="bytes">How much memory is read, 0 = 256 MiB; it should exceed the caches.</param>
    /// <exception cref="NativeGenException">OutOfMemory: that much memory is not available.</exception>
    public static double MeasureBandwidth(int threads = 0, long bytes = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(threads);
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        NgError error = new();
        NativeMethods.ng_bandwidth_measure((uint)threads, (ulong)bytes, out double gbPerSecond, ref error).ThrowIfFailed(error);
        return gbPerSecond;
    }
}

/// <summary>The native library in use and the processor it runs on.</summary>
/// <param name="RuntimeIdentifier">The platform, e.g. "linux-x64".</param>
/// <param name="LibraryPath">Where the native library lies; null if the runtime's own search found it.</param>
/// <param name="Build">Version, compiler and target of the native library.</param>
/// <param name="Cpu">The processor.</param>
public sealed record DeviceReport(string RuntimeIdentifier, string? LibraryPath, string Build, CpuInfo Cpu)
{
    /// <summary>Collects the report.</summary>
    /// <exception cref="NativeGenException">DeviceUnavailable: no native library for this platform, or NATIVEGEN_ISA names a set that is not there.</exception>
    public static unsafe DeviceReport Create()
    {
        const int Capacity = 256;
        byte* build = stackalloc byte[Capacity];
        NativeMethods.ng_build_info(build, Capacity);
        return new DeviceReport(NativeLibraryLoader.RuntimeIdentifier, NativeLibraryLoader.LoadedPath, Utf8.Read(build, Capacity), CpuInfo.Read());
    }
}
