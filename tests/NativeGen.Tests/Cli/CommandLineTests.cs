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

    [Fact]
    public async Task SamplingFlagsReachTheModelAndIdleOnesAreNamed()
    {
        string[] start = ["generate", "--greedy", "-n", "40", "--json", "Once upon a time"];
        Run plain = await RunAsync(null, start);
        Run banned = await RunAsync(null, [.. start, "--bad-words", "little", "--bad-words", "girl", "--no-repeat-ngram-size", "2", "--sequence-bias", "was=-1", "--top-logprobs", "2", "--logprobs-mode", "processed"]);
        Assert.Equal((0, ""), (banned.Code, banned.Error));
        Assert.Contains("little", plain.Out, StringComparison.Ordinal);
        Assert.DoesNotContain("little", banned.Out, StringComparison.Ordinal);
        Assert.Contains("top_logprobs", banned.Out, StringComparison.Ordinal);
        Run idle = await RunAsync(null, [.. start, "--typical-p", "0.9", "--dry-base", "2"]);
        Assert.Equal(plain.Out.Split("tokens_per_second")[0], idle.Out.Split("tokens_per_second")[0]);
        Assert.Contains("TypicalP", idle.Error, StringComparison.Ordinal);
        Assert.Contains("DryBase", idle.Error, StringComparison.Ordinal);
        Run help = await RunAsync(null, "generate", "--help");
        Assert.Contains("Repetition:", help.Out, StringComparison.Ordinal);
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
                { "bench: no number", 2, ["bench", "-p", "8,x"] },
                { "bench: too small a number", 2, ["bench", "-b", "0"] },
                { "bench: no such cache", 2, ["bench", "--type", "q9"] },
                { "bench: nothing to measure", 2, ["bench", "-p", "0", "-n", "0"] },
                { "bench: two formats", 2, ["bench", "--json", "--markdown"] },
                { "bench: deeper than the context", 2, ["bench", "-d", "0,1000000"] },
                { "a decimal comma", 2, ["generate", "--temperature", "0,8", "x"] },
                { "no number", 2, ["generate", "--temperature", "abc", "x"] },
                { "a number too large", 2, ["inspect", "--context-length", "99999999999"] },
                { "too many threads", 2, ["score", "--threads", "100000", "a b"] },
                { "too many texts", 2, ["generate", "--num-return-sequences", "65", "x"] },
                { "an empty stop sequence", 2, ["generate", "--stop", "", "x"] },
                { "no such mirostat", 2, ["generate", "--mirostat", "3", "x"] },
                { "a bias that is none", 2, ["generate", "--sequence-bias", "sea=much", "x"] },
                { "ids that are none", 2, ["generate", "--suppress-tokens", "5,x", "x"] },
                { "half a decay", 2, ["generate", "--exponential-decay-length-penalty", "50", "x"] },
                { "an empty bad word", 2, ["generate", "--bad-words", "", "x"] },
                { "log-probabilities without JSON", 2, ["generate", "--top-logprobs", "3", "x"] },
                { "no such text", 2, ["tokenize", "--file", "/no/such/text"] },
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
        Assert.DoesNotContain("Exception", line, StringComparison.Ordinal);
        Assert.Equal("", run.Out);
    }

    // A closed descriptor's number goes to one of the runtime's own: reading it would wait for ever.
    [Theory]
    [InlineData("generate <&-", 2)]
    [InlineData("inspect >&-", 1)]
    [InlineData("inspect --no-such-option 2>&-", 2)]
    [InlineData("inspect --no-such-option 2>/dev/full", 2)]
    [InlineData("inspect >/dev/full", 1)]
    public async Task StreamsMayBeClosedOrFull(string redirected, int code)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs a shell and /dev/full");
        using Process process = Process.Start(new ProcessStartInfo("sh", ["-c", $"exec dotnet \"$0\" {redirected}", Path.Combine(AppContext.BaseDirectory, "NativeGen.Cli.dll")])
        {
            RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromMinutes(2));
        string error;
        try
        {
            error = await process.StandardError.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token);
        }
        finally
        {
            process.Kill(); // of one that has ended it does nothing
        }
        Assert.Equal(code, process.ExitCode);
        Assert.True(error.Length == 0 || error.StartsWith("error: ", StringComparison.Ordinal) && error.Count(c => c == '\n') == 1, error);
    }

    [Fact]
    public async Task BenchMeasuresEveryCombinationAndGivesItsFigures()
    {
        Run run = await RunAsync(null, "bench", "-p", "8,5", "-n", "3", "-t", "1,2", "-b", "4", "-d", "6,0", "--type", "f32", "--repeats", "2", "--json");
        Assert.Equal((0, ""), (run.Code, run.Error));
        using var json = System.Text.Json.JsonDocument.Parse(run.Out);
        var tests = json.RootElement.EnumerateArray().ToArray();
        string[] names = ["pp8", "pp5", "tg3", "pp8 @ d6", "pp5 @ d6", "tg3 @ d6"];
        Assert.Equal([.. names, .. names], tests.Select(t => t.GetProperty("test").GetString()));
        foreach (var (i, test) in tests.Index())
        {
            Assert.Equal((i / 6 + 1, 4, i % 6 / 3 * 6), (test.GetProperty("n_threads").GetInt32(), test.GetProperty("n_batch").GetInt32(), test.GetProperty("n_depth").GetInt32()));
            Assert.Equal("f32", test.GetProperty("kv_cache_type").GetString());
            double[] samples = [.. test.GetProperty("samples_ts").EnumerateArray().Select(s => s.GetDouble())];
            Assert.Equal(2, samples.Length);
            Assert.Equal((samples.Min(), samples.Max()), (test.GetProperty("min_ts").GetDouble(), test.GetProperty("max_ts").GetDouble()));
            Assert.InRange(test.GetProperty("median_ts").GetDouble(), samples.Min(), samples.Max());
            Assert.All(samples, s => Assert.True(s > 0));
            Assert.True(test.GetProperty("bandwidth_gb_per_s").GetDouble() > 0);
            Assert.Equal(i % 3 == 2, test.TryGetProperty("percent_of_bandwidth", out var share) && share.GetDouble() > 0);
        }
    }

    [Fact]
    public async Task BenchWritesAMarkdownTable()
    {
        Run run = await RunAsync(null, "bench", "-p", "0", "-n", "2", "-t", "1", "--repeats", "1", "--markdown");
        Assert.Equal((0, ""), (run.Code, run.Error));
        string[] lines = run.Out.Split('\n');
        Assert.StartsWith("| model | size | params | isa | threads | batch | test | t/s | min-max | of bandwidth |", lines[0], StringComparison.Ordinal);
        Assert.Equal(lines[0].Count(c => c == '|'), lines[1].Count(c => c == '|'));
        Assert.Contains("| 1 | 512 | tg2 |", lines[2], StringComparison.Ordinal);
        Assert.Equal("", lines[3]);
        Assert.Contains("1 thread reads ", lines[4], StringComparison.Ordinal);
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

    // What the tool writes is more than a pipe holds and nobody reads on, so it cannot finish first, however slow or quick the machine.
    [Fact]
    public async Task InterruptLeavesWith130()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "signals are POSIX's");
        string text = Path.GetTempFileName();
        await File.WriteAllTextAsync(text, string.Concat(Enumerable.Repeat("time ", 100_000)), TestContext.Current.CancellationToken);
        try
        {
            using Process process = Start("tokenize", "--file", text);
            await process.StandardOutput.ReadAsync(new char[1], TestContext.Current.CancellationToken);
            await EndsAfterInterrupt(process);
        }
        finally
        {
            File.Delete(text);
        }
    }

    [Fact]
    public async Task InterruptLeavesWith130WhileStdinIsAwaited()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "signals are POSIX's");
        using Process process = Start("generate");
        await process.StandardInput.WriteAsync("Once upon a time");
        await EndsAfterInterrupt(process);
    }

    private static async Task EndsAfterInterrupt(Process process)
    {
        using Process kill = Process.Start("kill", ["-INT", process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync(TestContext.Current.CancellationToken);
        try
        {
            await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromMinutes(2), TestContext.Current.CancellationToken);
        }
        catch
        {
            process.Kill();
            throw;
        }

        Assert.Equal(130, process.ExitCode);
        Assert.Equal("", await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken));
    }
}
