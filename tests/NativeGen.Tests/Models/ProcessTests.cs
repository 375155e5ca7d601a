// What concerns the whole process: memory after many opens and closes, a limit on memory, a forced instruction set.
using System.Globalization;
using System.Runtime.InteropServices;
using NativeGen.Models;
using NativeGen.Tests.Interop;

namespace NativeGen.Tests.Models;

[Collection(nameof(Alone))]
public sealed partial class ProcessTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(1), InlineData(8)]
    public void A_thousand_opens_and_closes_keep_memory_flat(int threads)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        OpenAndClose(400, threads); // pools, arenas and compiled code reach their size
        (long memory, int files, int maps) = Measure();
        OpenAndClose(1000, threads);
        (long memoryAfter, int filesAfter, int mapsAfter) = Measure();
        // One KV page of these models is 16 KiB, the metadata ten times that: a leak of the smaller shows as 16 MB.
        Assert.InRange(memoryAfter - memory, long.MinValue, 8 << 20);
        Assert.InRange(filesAfter - files, int.MinValue, 4);
        Assert.InRange(mapsAfter - maps, int.MinValue, 100);
    }

    private static void OpenAndClose(int count, int threads)
    {
        string[] models = ["llama", "gpt2"];
        Parallel.For(0, count, new ParallelOptions { MaxDegreeOfParallelism = threads }, i =>
        {
            using Model model = Model.Open(TestData.TinyModel(models[i % 2]), new ModelOptions { MemoryMap = i % 3 != 0, Threads = 1 }, cancellationToken: Stop);
            using InferenceContext context = new(model, new ContextOptions { ContextLength = 64, MaxBatchRows = 8, Threads = 1 });
            int sequence = context.CreateSequence();
            Assert.True(context.Decode([1, 2], [sequence, sequence], [0, 1], [], [], Stop));
        });
    }

    private static (long Memory, int Files, int Maps) Measure()
    {
        GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        GC.WaitForPendingFinalizers();
        GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        long pages = long.Parse(File.ReadAllText("/proc/self/statm").Split(' ')[1], CultureInfo.InvariantCulture);
        return (pages * Environment.SystemPageSize, Directory.GetFiles("/proc/self/fd").Length, File.ReadAllLines("/proc/self/maps").Length);
    }

    [Fact]
    public void A_limit_on_the_process_is_an_out_of_memory_error_before_anything_is_allocated()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "uses setrlimit");
        using Model model = Model.Open(TestData.StoryModel, cancellationToken: Stop);
        ContextOptions large = new() { ContextLength = 1 << 20, MaxBatchRows = 8, KvCacheType = KvCacheType.F32 };
        MemoryEstimate unlimited = Model.EstimateMemory(TestData.StoryModel, null, large);
        Assert.True(unlimited.KvCache > 512 << 20, "the test needs a cache that is larger than the limit");

        const long Slack = 256 << 20; // for the runtime, which goes on meanwhile
        WithAddressSpace(Slack, () =>
        {
            MemoryEstimate limited = Model.EstimateMemory(TestData.StoryModel, null, large);
            Assert.InRange(limited.Available, 1, Slack);
            NativeGenException e = Assert.Throws<NativeGenException>(() => new InferenceContext(model, large));
            Assert.Equal(NativeGenErrorCode.OutOfMemory, e.Code);
            Assert.Contains("MiB", e.Message);
            using InferenceContext small = new(model, new ContextOptions { ContextLength = 64, MaxBatchRows = 8 });
            Assert.True(small.Decode([1], [small.CreateSequence()], [0], [], [], Stop));
        });

        string real = TestData.Shared("models", "smollm2-135m-instruct.q4_1.gguf");
        WithAddressSpace(64 << 20, () => // less than the file
        {
            foreach (ModelOptions options in new ModelOptions[] { new(), new() { MemoryMap = false }, new() { ExactActivations = true } })
                Assert.Equal(NativeGenErrorCode.OutOfMemory, Assert.Throws<NativeGenException>(() => Model.Open(real, options, cancellationToken: Stop)).Code);
        });
        using Model opened = Model.Open(real, cancellationToken: Stop);
    }

    [Fact]
    public void A_forced_instruction_set_that_is_not_there_is_an_error_and_one_that_is_counts()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "uses setenv");
        const string Name = "NATIVEGEN_ISA";
        string? before = Environment.GetEnvironmentVariable(Name);
        try
        {
            Assert.Equal(0, setenv(Name, "avx1024", 1));
            foreach (Action call in new Action[] { () => CpuInfo.Read(), () => Model.Open(TestData.StoryModel, cancellationToken: Stop), () => Model.EstimateMemory(TestData.StoryModel) })
            {
                NativeGenException e = Assert.Throws<NativeGenException>(call);
                Assert.Equal(NativeGenErrorCode.DeviceUnavailable, e.Code);
                Assert.Contains("avx1024", e.Message);
                Assert.Contains("scalar", e.Message);
            }
            Assert.Equal(0, setenv(Name, "scalar", 1));
            Assert.Equal("scalar", CpuInfo.Read().InstructionSet);
            using Model model = Model.Open(TestData.StoryModel, cancellationToken: Stop);
            Assert.Equal("scalar", model.Info.InstructionSet);
        }
        finally
        {
            if (before is null)
                unsetenv(Name);
            else
                setenv(Name, before, 1);
        }
    }

    // ---- the C library

    private static void WithAddressSpace(long slack, Action action)
    {
        const int RlimitAs = 9;
        Assert.Equal(0, getrlimit(RlimitAs, out Limit before));
        long used = long.Parse(File.ReadAllText("/proc/self/statm").Split(' ')[0], CultureInfo.InvariantCulture) * Environment.SystemPageSize;
        Assert.Equal(0, setrlimit(RlimitAs, before with { Current = (nuint)(used + slack) }));
        try
        {
            action();
        }
        finally
        {
            Assert.Equal(0, setrlimit(RlimitAs, before));
        }
    }

    private record struct Limit(nuint Current, nuint Maximum);

    [LibraryImport("libc")] private static partial int getrlimit(int resource, out Limit limit);
    [LibraryImport("libc")] private static partial int setrlimit(int resource, in Limit limit);
    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)] private static partial int setenv(string name, string value, int overwrite);
    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)] private static partial int unsetenv(string name);
}
