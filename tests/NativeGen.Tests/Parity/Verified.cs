// Golden data of a file through the code of `nativegen verify`.
using NativeGen.Cli.Verify;

namespace NativeGen.Tests.Parity;

internal static class Verified
{
    /// <summary>Runs a golden file; no case may fail. Returns the report.</summary>
    public static FileReport Check(string path, VerifyOptions? options = null)
    {
        FileReport report = Verifier.Run(path, (options ?? new()) with { Cancel = TestContext.Current.CancellationToken });
        string[] failures = [.. report.Cases.Where(c => c.Outcome == Outcome.Failed).Select(c => $"{c.Name}: {c.Detail} {string.Join(", ", c.Checks)}")];
        Assert.True(failures.Length == 0, $"{path}: {failures.Length} of {report.Cases.Count} failed\n{string.Join('\n', failures.Take(10))}");
        TestContext.Current.TestOutputHelper?.WriteLine($"{Path.GetFileName(path)}: {report.Count(Outcome.Passed)} passed, {report.Count(Outcome.Unsupported)} unsupported; {report.Worst}");
        return report;
    }

    /// <summary>The same; every case must pass.</summary>
    public static void CheckAll(string path)
    {
        FileReport report = Check(path);
        Assert.Equal(report.Cases.Count, report.Count(Outcome.Passed));
    }
}
