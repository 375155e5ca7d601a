// dotnet run -c Release --project tests/NativeGen.Benchmarks -- --filter '*English*' (or: -- overhead MODEL, see ManagedOverhead.cs)
// Everything runs in this process: nothing else has to be built, and cases follow each other on the same warm machine.
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Exporters;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using NativeGen.Benchmarks;

if (args is ["masks", var vocabulary, .. var schemas])
{
    MaskCosts.Run(vocabulary, schemas);
    return;
}

if (args is ["overhead", .. var rest] && rest.Length > 0)
{
    await ManagedOverhead.RunAsync(rest);
    return;
}

IConfig config = ManualConfig.CreateEmpty()
    .AddJob(Job.Default.WithToolchain(InProcessEmitToolchain.Instance).AsMutator())
    .AddLogger(ConsoleLogger.Default)
    .AddColumnProvider(DefaultColumnProviders.Descriptor, DefaultColumnProviders.Params, DefaultColumnProviders.Metrics)
    .AddColumn(StatisticColumn.Median, StatisticColumn.Min, StatisticColumn.Max, new ThroughputColumn(), BaselineRatioColumn.RatioMean)
    .AddExporter(MarkdownExporter.GitHub)
    .WithArtifactsPath(Path.Combine("artifacts", "benchmarks"));
BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args, config);
