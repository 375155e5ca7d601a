// The generator over a double: texts, updates, usage, limits, cancelling, estimates.
using System.Text;

namespace NativeGen.Tests.Generation;

public sealed class TextGeneratorTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task AnAnswerHasTextTokensUsageAndSeed()
    {
        await using var model = new ToyModel().Say("Hello", ", world!");
        var result = await model.Generator.GenerateAsync("Hello", new() { Seed = 5 }, Stop);
        Assert.Equal(", world!", result.Text);
        Assert.Equal(FinishReason.Stop, result.FinishReason);
        Assert.Equal([.. ", world!".Select(c => (int)c), ToyModel.End], Assert.Single(result.Sequences).Tokens);
        Assert.Equal(new GenerationUsage(5, 0, 9), result.Usage);
        Assert.Equal(5, result.Seed);
        Assert.Empty(result.Warnings);
        Assert.InRange(result.Sequences[0].SumLogprob, -1e-3, 0);
        Assert.True(result.Timings.FirstToken >= result.Timings.Prefill);
        Assert.Null(result.Sequences[0].Logprobs);
    }

    [Fact]
    public async Task AStreamIsTheSameTextInWholeScalars()
    {
        const string Text = "Grüße, 世界! 👩‍🚀 naïve";
        await using var model = new ToyModel().Say("Hi", Text);
        List<GenerationUpdate> updates = await Read(model.Generator.StreamAsync("Hi", new() { Seed = 9 }, Stop));
        Assert.Equal(Text, string.Concat(updates.Select(update => update.Text)));
        Assert.All(updates, update => Assert.True(update.Text.IsNormalized() && !update.Text.Contains('\uFFFD', StringComparison.Ordinal)));
        Assert.All(updates.SkipLast(1), update => Assert.True(update is { Usage: null, FinishReason: null, Text.Length: > 0 }));
        Assert.Equal([.. Encoding.UTF8.GetBytes(Text).Select(b => (int)b), ToyModel.End], updates.SelectMany(update => update.Tokens.ToArray()));
        var last = updates[^1];
        Assert.Equal((FinishReason.Stop, 9), (last.FinishReason, last.Seed));
        Assert.Equal(new GenerationUsage(2, 0, Encoding.UTF8.GetByteCount(Text) + 1), last.Usage);
        Assert.NotNull(last.Timings);
    }

    [Fact]
    public async Task HalfACharacterAtTheEndShowsAsReplacement()
    {
        await using var model = new ToyModel().Say("a", [(byte)'x', 0xE4, 0xB8]);
        Assert.Equal("x\uFFFD", (await model.Generator.GenerateAsync("a", null, Stop)).Text);
    }

    [Fact]
    public async Task StopSequencesCutTheTextAndEndTheWork()
    {
        await using var model = new ToyModel().Say("Q", "one two END three");
        var result = await model.Generator.GenerateAsync("Q", new() { StopSequences = ["END", "never"] }, Stop);
        Assert.Equal("one two ", result.Text);
        Assert.Equal(FinishReason.StopSequence, result.FinishReason);
        Assert.Equal("one two END".Length, result.Usage.GeneratedTokens);

        var updates = await Read(model.Generator.StreamAsync("Q", new() { StopSequences = ["END"] }, Stop));
        Assert.Equal("one two ", string.Concat(updates.Select(update => update.Text)));
        Assert.Equal("one two END".Length, updates.Sum(update => update.Tokens.Length));
        Assert.Equal("one two E", (await model.Generator.GenerateAsync("Q", new() { StopSequences = ["EXIT"], MaxNewTokens = 9 }, Stop)).Text);
    }

    [Fact]
    public async Task ControlTokensShowOnlyWhenAskedFor()
    {
        await using var model = new ToyModel().Say("a", "b");
        Assert.Equal("b", (await model.Generator.GenerateAsync("a", null, Stop)).Text);
        Assert.Equal("b<end>", (await model.Generator.GenerateAsync("a", new() { SkipSpecialTokens = false }, Stop)).Text);
    }

    [Fact]
    public async Task LengthsAreLimitedAsAsked()
    {
        await using var model = new ToyModel().Say("12345", "abcdefghijklmnop");
        var limited = await model.Generator.GenerateAsync("12345", new() { MaxNewTokens = 3 }, Stop);
        Assert.Equal(("abc", FinishReason.Length), (limited.Text, limited.FinishReason));
        Assert.Equal("abcd", (await model.Generator.GenerateAsync("12345", new() { MaxLength = 9 }, Stop)).Text);
        var both = await model.Generator.GenerateAsync("12345", new() { MaxLength = 9, MaxNewTokens = 6 }, Stop);
        Assert.Equal("abcdef", both.Text);
        Assert.StartsWith("MaxLength", Assert.Single(both.Warnings), StringComparison.Ordinal);
        var error = await Assert.ThrowsAsync<ArgumentException>(() => model.Generator.GenerateAsync("12345", new() { MaxLength = 5 }, Stop));
        Assert.Equal("MaxLength", error.ParamName);
    }

    [Fact]
    public async Task MinNewTokensKeepsTheModelGoing()
    {
        await using var model = new ToyModel().Say("a", "b");
        var result = await model.Generator.GenerateAsync("a", new() { MinNewTokens = 5, MaxNewTokens = 8 }, Stop);
        Assert.Equal('b', result.Text[0]);
        Assert.InRange(result.Usage.GeneratedTokens, 6, 8);
        Assert.DoesNotContain(ToyModel.End, result.Sequences[0].Tokens.Take(5));
    }

    [Fact]
    public async Task SettingsApplyWhereTheRequestIsSilent()
    {
        await using var model = new ToyModel(new() { Defaults = new() { MaxNewTokens = 2 } }).Say("a", "bcdef");
        Assert.Equal("bc", (await model.Generator.GenerateAsync("a", null, Stop)).Text);
        Assert.Equal("bcd", (await model.Generator.GenerateAsync("a", new() { MaxNewTokens = 3 }, Stop)).Text);
        Assert.Equal("bcde", (await model.Generator.GenerateAsync("a", new() { MaxLength = 5 }, Stop)).Text);
    }

    [Fact]
    public async Task AnEmptyPromptBeginsAText()
    {
        await using var model = new ToyModel();
        Assert.Equal(1, (await model.Generator.GenerateAsync("", new() { MaxNewTokens = 1 }, Stop)).Usage.PromptTokens);
    }

    [Fact]
    public async Task TokensAreAPromptToo()
    {
        await using var model = new ToyModel().Say("Hello", ", world!");
        Assert.Equal(", world!", (await model.Generator.GenerateAsync(new(new[] { 72, 101, 108, 108, 111 }), Stop)).Text);
        var error = await Assert.ThrowsAsync<ArgumentException>(() => model.Generator.GenerateAsync(new(new[] { 1, ToyModel.Vocabulary }), Stop));
        Assert.Equal("Prompt", error.ParamName);
    }

    [Fact]
    public async Task ManyCallersAtOnceGetWhatEachGetsAlone()
    {
        await using var model = new ToyModel(pages: 400);
        GenerationOptions Options(int i) => new() { Seed = i, MaxNewTokens = 20 + i, NumReturnSequences = 1 + (i % 3), Temperature = 1.5f, LogitBias = new Dictionary<int, float> { [ToyModel.End] = float.NegativeInfinity } };
        List<GenerationResult> alone = [];
        for (var i = 0; i < 12; i++)
        {
            alone.Add(await model.Generator.GenerateAsync($"Prompt number {i}", Options(i), Stop));
        }

        var together = await Task.WhenAll(Enumerable.Range(0, 12).Select(i => i % 2 == 0
            ? model.Generator.GenerateAsync($"Prompt number {i}", Options(i), Stop)
            : Collect(model.Generator.StreamAsync($"Prompt number {i}", Options(i), Stop), 1 + (i % 3))));
        for (var i = 0; i < 12; i++)
        {
            Assert.Equal(alone[i].Sequences.Select(sequence => sequence.Text), together[i].Sequences.Select(sequence => sequence.Text));
            Assert.Equal(alone[i].Sequences.SelectMany(sequence => sequence.Tokens), together[i].Sequences.SelectMany(sequence => sequence.Tokens));
            Assert.Equal(alone[i].Usage, together[i].Usage);
        }
    }

    [Fact]
    public async Task SeedsDecideTheText()
    {
        await using var model = new ToyModel();
        async Task<GenerationResult> Run(long? seed) => await model.Generator.GenerateAsync("x", new() { Seed = seed, MaxNewTokens = 30, Temperature = 2 }, Stop);
        var first = await Run(null);
        Assert.Equal(first.Sequences[0].Tokens, (await Run(first.Seed)).Sequences[0].Tokens);
        Assert.NotEqual(first.Sequences[0].Tokens, (await Run(first.Seed + 1)).Sequences[0].Tokens);
        Assert.NotEqual(first.Seed, (await Run(null)).Seed);
    }

    [Fact]
    public async Task LogprobsAreTheModelsOwn()
    {
        await using var model = new ToyModel();
        var result = await model.Generator.GenerateAsync("x", new() { TopLogprobs = 3, MaxNewTokens = 4, Temperature = 0, LogitBias = new Dictionary<int, float> { [7] = -1 } }, Stop);
        var logprobs = result.Sequences[0].Logprobs!;
        Assert.Equal(result.Sequences[0].Tokens, logprobs.Select(item => item.Token));
        Assert.Equal(result.Sequences[0].SumLogprob, logprobs.Sum(item => (double)item.Logprob), 6);
        Assert.All(logprobs, item =>
        {
            Assert.Equal(3, item.Top.Count);
            Assert.Equal(item.Top.OrderByDescending(top => top.Logprob), item.Top);
            Assert.Equal(item.Token, item.Top[0].Token);
            Assert.Equal([(byte)item.Token], item.Bytes.ToArray());
        });

        var updates = await Read(model.Generator.StreamAsync("x", new() { Logprobs = true, MaxNewTokens = 4, Temperature = 0 }, Stop));
        Assert.Equal(updates.SelectMany(update => update.Tokens.ToArray()), updates.SelectMany(update => update.Logprobs!).Select(item => item.Token));
    }

    [Fact]
    public async Task CancellingEndsARequestWhereverItIs()
    {
        await using var model = new ToyModel(new() { MaxConcurrentRequests = 1 });
        using ManualResetEventSlim inStep = new();
        model.Context.OnStep = interrupted =>
        {
            inStep.Set();
            SpinWait.SpinUntil(() => interrupted() || model.Context.OnStep is null, Patience);
        };
        using CancellationTokenSource running = new(), queued = new(), before = new();
        var first = model.Generator.GenerateAsync("x", null, running.Token);
        Assert.True(inStep.Wait(Patience, Stop));
        var second = model.Generator.GenerateAsync("y", null, queued.Token);
        var third = model.Generator.GenerateAsync("z", new() { MaxNewTokens = 3 }, Stop);
        await queued.CancelAsync();
        Assert.Equal(queued.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second)).CancellationToken);
        await running.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        model.Context.OnStep = null;
        await third.WaitAsync(Patience, Stop);
        await before.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => model.Generator.GenerateAsync("x", null, before.Token));
        Assert.Equal(model.Context.PagesTotal, model.Context.PagesFree);
    }

    [Fact]
    public async Task LeavingAStreamEarlyFreesItsPlace()
    {
        await using var model = new ToyModel();
        await foreach (var update in model.Generator.StreamAsync("x", new() { LogitBias = new Dictionary<int, float> { [ToyModel.End] = float.NegativeInfinity } }, Stop))
        {
            break;
        }

        await Until(() => model.Generator.Load == 0);
        Assert.Equal(model.Context.PagesTotal, model.Context.PagesFree);

        using CancellationTokenSource cancel = new();
        var seen = 0;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var update in model.Generator.StreamAsync("x", null, cancel.Token))
            {
                seen++;
                await cancel.CancelAsync();
            }
        });
        Assert.Equal(1, seen);
        await Until(() => model.Generator.Load == 0);
    }

    [Fact]
    public async Task AReaderThatStopsReadingDoesNotHoldTheOthersUp()
    {
        await using var model = new ToyModel(new() { MaxConcurrentRequests = 1 });
        model.Say("slow", new string('s', 400));
        await using var slow = model.Generator.StreamAsync("slow", null, Stop).GetAsyncEnumerator(Stop);
        Assert.True(await slow.MoveNextAsync());
        for (var i = 0; i < 5; i++)
        {
            await model.Generator.GenerateAsync("other", new() { MaxNewTokens = 40 }, Stop).WaitAsync(Patience, Stop);
        }

        var rest = 1;
        while (await slow.MoveNextAsync().AsTask().WaitAsync(Patience, Stop))
        {
            rest += slow.Current.Text.Length;
        }

        Assert.Equal(400, rest);
    }

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(5, 1, 1)]
    [InlineData(5, 3, 2)]
    [InlineData(8, 9, 3)]
    [InlineData(7, 1, 4)]
    [InlineData(11, 30, 4)]
    public async Task AnEstimateIsWhatTheRequestTakes(int prompt, int maxNew, int sequences)
    {
        await using var model = new ToyModel();
        GenerationOptions options = new() { MaxNewTokens = maxNew, NumReturnSequences = sequences, LogitBias = new Dictionary<int, float> { [ToyModel.End] = float.NegativeInfinity } };
        var least = model.Context.PagesFree;
        model.Context.OnStep = _ => least = Math.Min(least, model.Context.PagesFree);
        var text = new string('p', prompt);
        var estimate = await model.Generator.EstimateAsync(text, options, Stop);
        Assert.Equal((prompt, 0, null, null), (estimate.PromptTokens, estimate.CachedTokens, estimate.TimeToFirstToken, estimate.TokensPerSecond));
        model.Context.LogitsOf = history =>
        {
            least = Math.Min(least, model.Context.PagesFree); // after the pages of the step were taken
            return [.. Enumerable.Range(0, ToyModel.Vocabulary).Select(i => (float)(i % 7))];
        };
        await model.Generator.GenerateAsync(text, options, Stop);
        Assert.Equal(estimate.KvBytes, (model.Context.PagesTotal - least) * model.Context.PageTokens * model.Context.KvBytesPerToken);
    }

    [Fact]
    public async Task TooLongAPromptIsATypedError()
    {
        await using var model = new ToyModel(contextLength: 20);
        var error = await Assert.ThrowsAsync<NativeGenException>(() => model.Generator.GenerateAsync(new string('x', 20), null, Stop));
        Assert.Equal(NativeGenErrorCode.ContextOverflow, error.Code);
        var full = await model.Generator.GenerateAsync(new string('x', 18), new() { LogitBias = new Dictionary<int, float> { [ToyModel.End] = float.NegativeInfinity } }, Stop);
        Assert.Equal((FinishReason.ContextFull, 2), (full.FinishReason, full.Usage.GeneratedTokens));
    }

    [Fact]
    public async Task DisposingEndsRequestsAndLaterCallsSaySo()
    {
        ToyModel model = new();
        model.Context.OnStep = interrupted => SpinWait.SpinUntil(interrupted, Patience);
        var running = model.Generator.GenerateAsync("x", null, Stop);
        await model.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => running);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => model.Generator.GenerateAsync("x", null, Stop));
        await model.DisposeAsync();
        model.Generator.Dispose();
    }

    private static async Task<List<GenerationUpdate>> Read(IAsyncEnumerable<GenerationUpdate> updates)
    {
        List<GenerationUpdate> all = [];
        await foreach (var update in updates)
        {
            all.Add(update);
        }

        return all;
    }

    private static async Task<GenerationResult> Collect(IAsyncEnumerable<GenerationUpdate> updates, int sequences)
    {
        var all = await Read(updates);
        return new GenerationResult
        {
            Sequences = [.. Enumerable.Range(0, sequences).Select(i => all.Where(update => update.SequenceIndex == i).ToList()).Select(own => new GeneratedSequence
            {
                Text = string.Concat(own.Select(update => update.Text)),
                Tokens = [.. own.SelectMany(update => update.Tokens.ToArray())],
                FinishReason = own[^1].FinishReason!.Value,
            })],
            Usage = all[^1].Usage!,
            Timings = all[^1].Timings!,
            Seed = all[^1].Seed!.Value,
        };
    }

    private static async Task Until(Func<bool> condition)
    {
        using CancellationTokenSource patience = new(Patience);
        while (!condition())
        {
            await Task.Delay(1, patience.Token);
        }
    }
}
