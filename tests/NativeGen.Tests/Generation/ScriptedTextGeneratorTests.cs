// The generator for users' own tests: it says what it was told, checks what the real one checks, and waits on a fake clock.
using Microsoft.Extensions.Time.Testing;
using NativeGen.Testing;

namespace NativeGen.Tests.Generation;

public sealed class ScriptedTextGeneratorTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task RulesComeBeforeTheQueueAndTheRest()
    {
        var text = new ScriptedTextGenerator()
            .When("a", "first", "second")
            .When(request => request.Prompt.Text!.StartsWith('b'), "for b")
            .Enqueue("queued")
            .Otherwise(request => "no idea about " + request.Prompt.Text);
        string[] said = [.. await Task.WhenAll(new[] { "a", "a", "a", "bc", "x", "y" }.Select(async prompt => (await text.GenerateAsync(prompt, null, Stop)).Text))];
        Assert.Equal(["first", "second", "second", "for b", "queued", "no idea about y"], said);
        Assert.Equal(["a", "a", "a", "bc", "x", "y"], text.Requests.Select(request => request.Prompt.Text));
        await Assert.ThrowsAsync<InvalidOperationException>(() => new ScriptedTextGenerator().GenerateAsync("a", null, Stop));
    }

    [Fact]
    public async Task ItCutsAtTheSentenceAsTheRealOneDoes()
    {
        var text = new ScriptedTextGenerator().When("a", "One. Two three four");
        Assert.Equal("One.", (await text.GenerateAsync("a", new() { MaxNewTokens = 3, TrimToSentence = true }, Stop)).Text);
        Assert.Equal("One. Two three", (await text.GenerateAsync("a", new() { MaxNewTokens = 3 }, Stop)).Text);
        Assert.Equal("One. Two three four", (await text.GenerateAsync("a", new() { TrimToSentence = true }, Stop)).Text);
    }

    [Fact]
    public async Task WordsAreItsTokens()
    {
        var text = new ScriptedTextGenerator().When("a b", "one two  three ");
        var result = await text.GenerateAsync("a b", new() { Seed = 3 }, Stop);
        Assert.Equal(("one two  three ", FinishReason.Stop, 3), (result.Text, result.FinishReason, result.Seed));
        Assert.Equal(new GenerationUsage(2, 0, 4), result.Usage);
        List<string> pieces = [];
        await foreach (var update in text.StreamAsync("a b", null, Stop))
        {
            pieces.Add(update.Text);
        }

        Assert.Equal(["one", " two", "  three", " ", ""], pieces);
    }

    [Fact]
    public async Task LimitsAndStopSequencesHold()
    {
        var text = new ScriptedTextGenerator().When("p", "one two three four");
        var limited = await text.GenerateAsync("p", new() { MaxNewTokens = 2 }, Stop);
        Assert.Equal(("one two", FinishReason.Length), (limited.Text, limited.FinishReason));
        Assert.Equal("one two three", (await text.GenerateAsync("p", new() { MaxLength = 4 }, Stop)).Text);
        var stopped = await text.GenerateAsync("p", new() { StopSequences = ["o three"] }, Stop);
        Assert.Equal(("one tw", FinishReason.StopSequence), (stopped.Text, stopped.FinishReason));
        var several = await text.GenerateAsync("p", new() { NumReturnSequences = 2, EarlyStopping = true }, Stop);
        Assert.Equal(2, several.Sequences.Count);
        Assert.Single(several.Warnings);
    }

    [Fact]
    public async Task RequestsAreCheckedAsByTheRealOne()
    {
        var text = new ScriptedTextGenerator().Otherwise(_ => "x");
        Assert.Equal("Temperature", (await Assert.ThrowsAsync<ArgumentException>(() => text.GenerateAsync("a", new() { Temperature = -1 }, Stop))).ParamName);
        Assert.Equal("NumBeams", (await Assert.ThrowsAsync<ArgumentException>(() => text.GenerateAsync("a", new() { NumBeams = 0 }, Stop))).ParamName);
        Assert.Equal("MaxLength", (await Assert.ThrowsAsync<ArgumentException>(() => text.GenerateAsync("a b", new() { MaxLength = 2 }, Stop))).ParamName);
        await Assert.ThrowsAsync<ArgumentNullException>(() => text.GenerateAsync((GenerationRequest)null!, Stop));
        Assert.Empty(text.Requests);
        Assert.Equal("scripted", (await text.GetModelAsync(Stop)).Name);
        Assert.Equal(2, (await text.EstimateAsync("a b", null, Stop)).PromptTokens);
    }

    [Fact]
    public async Task DelaysRunOnTheGivenClockAndCanBeCancelled()
    {
        FakeTimeProvider time = new();
        var text = new ScriptedTextGenerator(time).When("a", new ScriptedAnswer("one two") { FirstTokenDelay = TimeSpan.FromMinutes(5), TokenDelay = TimeSpan.FromMinutes(1) });
        var call = text.GenerateAsync("a", null, Stop);
        Assert.False(call.IsCompleted);
        time.Advance(TimeSpan.FromMinutes(5));
        time.Advance(TimeSpan.FromMinutes(1));
        var result = await call;
        Assert.Equal((TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(1)), (result.Timings.FirstToken, result.Timings.Decode));

        using CancellationTokenSource cancel = new();
        var cancelled = text.GenerateAsync("a", null, cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
    }

    [Fact]
    public async Task FailuresComeWhereTheyWereScripted()
    {
        var text = new ScriptedTextGenerator().When("a", ScriptedAnswer.Failing(new NativeGenException(NativeGenErrorCode.Busy, "later"), "one two three", afterTokens: 2));
        var seen = "";
        var error = await Assert.ThrowsAsync<NativeGenException>(async () =>
        {
            await foreach (var update in text.StreamAsync("a", null, Stop))
            {
                seen += update.Text;
            }
        });
        Assert.Equal(("one two", NativeGenErrorCode.Busy), (seen, error.Code));
    }
}
