// The sampler's steps against transformers' processors, llama.cpp's samplers, and a chi-square bound on its draws: the code of `nativegen verify`.
using NativeGen.Cli.Verify;
using NativeGen.Tests.Parity;

namespace NativeGen.Tests.Sampling;

public sealed class GoldenTests
{
    // What the references' own accidents decide is counted as unsupported, each with its reason; no more cases than these.
    [Theory]
    [InlineData("hf.json", 2)]
    [InlineData("llamacpp.json", 15)]
    [InlineData("stateful.json", 2)]
    [InlineData("chi_square.json", 0)]
    [InlineData("logits.json", 0)]
    public void Goldens(string file, int accidents)
    {
        FileReport report = Verified.Check(TestData.Shared("fixtures", "sampling", file));
        foreach (var topic in report.Cases.GroupBy(c => c.Name.Split(' ')[0].Split('+') is [var only] ? only : "chains of several"))
        {
            TestContext.Current.TestOutputHelper?.WriteLine($"  {topic.Key}: {topic.Count(c => c.Outcome == Outcome.Passed)} of {topic.Count()} passed");
        }

        Assert.True(report.Count(Outcome.Unsupported) <= accidents, string.Join('\n', report.Cases.Where(c => c.Outcome == Outcome.Unsupported).Select(c => $"{c.Name}: {c.Detail}")));
    }
}
