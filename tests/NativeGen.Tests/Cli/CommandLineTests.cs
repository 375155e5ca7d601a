// The tool as a process: what is on stdout, what is on stderr, and the exit code, for good and for bad input.
using System.Diagnostics;
using NativeGen.Models;

namespace NativeGen.Tests.Cli;

public sealed class CommandLineTests
{
    private sealed record Run(int Code, string Out, string Error);

    private static Process Start(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "NativeGen.Cli.dll"), .. arguments])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = Path.GetTempPath(),
        };
        return Process.Start(start)!;
    }

    private static async Task<Run> RunAsync(string? input, params string[] arguments)
    {
        using Process process = Start(arguments);
        await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken), error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return new(process.ExitCode, await output, await error);
    }

    [Fact]
    public async Task GenerateWritesTheStoryAndNothingElse()
    {
        Run run = await RunAsync(null, "generate", "--greedy", "-n", "40", "Once upon a time");
        Assert.Equal((0, ""), (run.Code, run.Error));
        Assert.StartsWith("Once upon a time, there was a little girl named", run.Out, StringComparison.Ordinal);
        Run again = await RunAsync("Once upon a time\n", "generate", "--greedy", "-n", "40");
        Assert.Equal(run.Out, again.Out);
    }

    [Fact]
    public async Task TheSameSeedGivesTheSameText()
    {
        string[] arguments = ["generate", "--seed", "7", "-n", "30", "--json", "One day"];
        Run first = await RunAsync(null, arguments), second = await RunAsync(null, arguments);
        Assert.Equal(0, first.Code);
        using var a = System.Text.Json.JsonDocument.Parse(first.Out);
        using var b = System.Text.Json.JsonDocument.Parse(second.Out);
        Assert.Equal(a.RootElement.GetProperty("sequences").ToString(), b.RootElement.GetProperty("sequences").ToString());
    }

    // The bits of the logits do not depend on the instruction set, so neither does what is written.
    [Fact]
    public async Task ScalarAndTheBestInstructionSetAgreeBitForBit()
    {
        Run best = await RunAsync(null, "verify", "--fingerprint", TestData.StoryModel);
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "NativeGen.Cli.dll"), "verify", "--fingerprint", TestData.StoryModel]) { RedirectStandardOutput = true };
        start.Environment["NATIVEGEN_ISA"] = "scalar";
        using Process process = Process.Start(start)!;
        string scalar = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, best.Code);
        Assert.NotEqual("", best.Out.Trim());
        Assert.Equal(best.Out, scalar);
    }

    public static TheoryData<string, int, string[]> Mistakes
    {
        get
        {
            string folder = Directory.CreateTempSubdirectory("nativegen-cli").FullName;
            string Damaged(string name, byte[] bytes)
            {
                string path = Path.Combine(folder, name);
                File.WriteAllBytes(path, bytes);
                return path;
            }

            byte[] story = File.ReadAllBytes(TestData.StoryModel);
            return new()
            {
                { "no such file", 3, ["generate", "-m", "/no/such/model.gguf", "x"] },
                { "not a GGUF", 3, ["generate", "-m", Damaged("text.gguf", "hello, this is a text"u8.ToArray()), "x"] },
                { "zero bytes", 3, ["generate", "-m", Damaged("empty.gguf", []), "x"] },
                { "truncated", 3, ["generate", "-m", Damaged("cut.gguf", story[..(story.Length / 2)]), "x"] },
                { "a folder", 3, ["generate", "-m", folder, "x"] },
                { "wrong option", 2, ["generate", "--no-such-option", "x"] },
                { "wrong number", 2, ["generate", "--top-p", "7", "x"] },
                { "contradiction", 2, ["generate", "--greedy", "--do-sample", "x"] },
                { "no verb", 2, ["paint"] },
                { "prompt longer than the context", 1, ["generate", string.Join(' ', Enumerable.Repeat("time", 2000))] },
            };
        }
    }

    [Theory, MemberData(nameof(Mistakes))]
    public async Task AMistakeIsOneLineAndItsCode(string what, int code, string[] arguments)
    {
        Run run = await RunAsync(null, arguments);
        Assert.True(run.Code == code, $"{what}: code {run.Code}: {run.Error}");
        string line = Assert.Single(run.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.StartsWith("error: ", line, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", line, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("inspect")]
    [InlineData("tokenize")]
    [InlineData("score")]
    [InlineData("generate")]
    [InlineData("bench")]
    [InlineData("doctor")]
    [InlineData("verify")]
    public async Task EveryVerbHasHelpWithExamples(string verb)
    {
        Run run = await RunAsync(null, verb, "--help");
        Assert.Equal(0, run.Code);
        Assert.Contains($"nativegen {verb}", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AnUnknownArchitectureIsNamedAndCanBeInspected()
    {
        string path = TestData.Shared("fixtures", "arch", "mamba.gguf");
        Run generate = await RunAsync(null, "generate", "-m", path, "x");
        Assert.Equal(3, generate.Code);
        Assert.Contains("'mamba'", generate.Error, StringComparison.Ordinal);
        Run inspect = await RunAsync(null, "inspect", path);
        Assert.Equal(0, inspect.Code);
        Assert.Contains("mamba", inspect.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task InterruptLeavesWith130()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "signals are POSIX's");
        using Process process = Start("generate", "-n", "400", "--temperature", "2", "--num-return-sequences", "8", "Once");
        await process.StandardOutput.ReadAsync(new char[1], TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(1), TestContext.Current.CancellationToken).ContinueWith(_ => { }, TaskScheduler.Default);
        if (!process.HasExited)
        {
            using Process kill = Process.Start("kill", ["-INT", process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
            await kill.WaitForExitAsync(TestContext.Current.CancellationToken);
        }

        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(process.ExitCode is 130 or 0, $"code {process.ExitCode}");
    }
}
