// The calls people bring from Hugging Face's first tutorials, on real models: GPT-2's tiny twin and the built-in story model.
using Microsoft.Extensions.DependencyInjection;
using NativeGen.Models;

namespace NativeGen.Tests.Generation;

public sealed class FirstWeekTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public static TheoryData<string> Models { get; } = new("gpt2", "stories");

    [Theory]
    [MemberData(nameof(Models))]
    public async Task ThreeSampledSequencesOfFiftyTokens(string name)
    {
        // model.generate(ids, do_sample=True, max_length=50, top_k=50, top_p=0.95, temperature=1.0, num_return_sequences=3, early_stopping=True)
        await using var model = Open(name);
        GenerationOptions options = new()
        {
            DoSample = true, MaxLength = 50, TopK = 50, TopP = 0.95f, Temperature = 1.0f, NumReturnSequences = 3, EarlyStopping = true, Seed = 42,
        };
        var result = await model.GenerateAsync("Once upon a time", options, Stop);
        Assert.Equal(3, result.Sequences.Count);
        Assert.StartsWith("EarlyStopping", Assert.Single(result.Warnings), StringComparison.Ordinal);
        Assert.All(result.Sequences, sequence =>
        {
            Assert.NotEmpty(sequence.Text);
            Assert.InRange(result.Usage.PromptTokens + sequence.Tokens.Count, result.Usage.PromptTokens + 1, 50);
            Assert.True(sequence.FinishReason == FinishReason.Stop || result.Usage.PromptTokens + sequence.Tokens.Count == 50);
            Assert.True(sequence.SumLogprob < 0);
        });
        Assert.Equal(3, result.Sequences.Select(sequence => sequence.Text).Distinct().Count());
        var again = await model.GenerateAsync("Once upon a time", options, Stop);
        Assert.Equal(result.Sequences.Select(sequence => sequence.Text), again.Sequences.Select(sequence => sequence.Text));
    }

    [Theory]
    [MemberData(nameof(Models))]
    public async Task ATemperatureWithoutSampling(string name)
    {
        // model.generate(ids, do_sample=False, temperature=0.7, max_new_tokens=20)
        await using var model = Open(name);
        var result = await model.GenerateAsync("Once upon a time", new() { DoSample = false, Temperature = 0.7f, MaxNewTokens = 20 }, Stop);
        Assert.StartsWith("Temperature", Assert.Single(result.Warnings), StringComparison.Ordinal);
        var greedy = await model.GenerateAsync("Once upon a time", new() { Temperature = 0, MaxNewTokens = 20 }, Stop);
        Assert.Empty(greedy.Warnings);
        Assert.Equal(greedy.Text, result.Text);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public async Task NoOptionAtAll(string name)
    {
        await using var model = Open(name);
        var result = await model.GenerateAsync("Once upon a time", cancellationToken: Stop);
        Assert.Empty(result.Warnings); // the seed is any: a tiny model may draw its end at once, and the text is empty
        Assert.True(result.FinishReason is FinishReason.Stop or FinishReason.ContextFull);
        Assert.Equal(result.Text, (await model.GenerateAsync("Once upon a time", new() { Seed = result.Seed }, Stop)).Text);
    }

    /// <summary>The call of transformers' own guide to generation: five beams, no n-gram twice, all of them back.</summary>
    [Fact]
    public async Task BeamsComeBackBestFirst()
    {
        await using var model = Open("gpt2");
        GenerationOptions options = new() { NumBeams = 5, NoRepeatNgramSize = 2, EarlyStopping = true, NumReturnSequences = 5, MaxNewTokens = 20, Logprobs = true };
        var result = await model.GenerateAsync("Once upon a time", options, Stop);
        Assert.Empty(result.Warnings);
        Assert.Equal(5, result.Sequences.Count);
        Assert.Equal(result.Sequences.Select(sequence => sequence.Score).OrderDescending(), result.Sequences.Select(sequence => sequence.Score));
        Assert.Equal(5, result.Sequences.Select(sequence => string.Join(' ', sequence.Tokens)).Distinct().Count());
        Assert.All(result.Sequences, sequence =>
        {
            Assert.Equal(sequence.Tokens.Count, sequence.Logprobs!.Count);
            Assert.Equal(sequence.SumLogprob, sequence.Logprobs.Sum(token => (double)token.Logprob), 1e-5);
            Assert.Equal(sequence.SumLogprob / sequence.Tokens.Count, sequence.Score!.Value, 1e-4); // no option has changed a chosen token's score
        });

        // A stream tells the same, each answer at once.
        List<GenerationUpdate> updates = [];
        await foreach (var update in model.StreamAsync("Once upon a time", options, Stop))
        {
            updates.Add(update);
        }

        Assert.Equal([0, 1, 2, 3, 4], updates.Select(update => update.SequenceIndex));
        Assert.Equal(result.Sequences.Select(sequence => sequence.Text), updates.Select(update => update.Text));
        Assert.Equal(result.Usage.GeneratedTokens, updates[^1].Usage!.GeneratedTokens);
    }

    [Fact]
    public async Task BeamsEndAtStopSequencesAndKeepToAForm()
    {
        await using var model = Open("stories");
        GenerationOptions beams = new() { NumBeams = 4, MaxNewTokens = 24, NumReturnSequences = 4 };
        var free = await model.GenerateAsync("Once upon a time", beams, Stop);
        Assert.Null((await model.GenerateAsync("Once upon a time", new() { Temperature = 0, MaxNewTokens = 2 }, Stop)).Sequences[0].Score);

        // A text that the best answer has at its middle, across tokens; with this penalty the shortest are the best.
        var stop = free.Text[20..26];
        var stopped = await model.GenerateAsync("Once upon a time", beams with { StopSequences = [stop], LengthPenalty = -4 }, Stop);
        Assert.Equal(FinishReason.StopSequence, stopped.FinishReason);
        Assert.All(stopped.Sequences, sequence => Assert.DoesNotContain(stop, sequence.Text, StringComparison.Ordinal));

        var chosen = await model.GenerateAsync("Is it so? ", new() { NumBeams = 4, NumReturnSequences = 4, Choices = ["yes", "no", "perhaps"], MaxNewTokens = 24 }, Stop);
        Assert.All(chosen.Sequences, sequence => Assert.Contains(sequence.Text, new[] { "yes", "no", "perhaps" }));
        Assert.Equal(3, chosen.Sequences.Select(sequence => sequence.Text).Distinct().Count());
    }

    [Fact]
    public async Task DrawnBeamsFollowTheirSeedAndGroupsDiffer()
    {
        await using var model = Open("llama");
        GenerationOptions drawn = new() { NumBeams = 3, DoSample = true, Temperature = 1.5f, TopK = 0, TopP = 1, MinP = 0, MaxNewTokens = 12, Seed = 5 };
        var first = await model.GenerateAsync("Once", drawn, Stop);
        Assert.Equal(first.Sequences[0].Tokens, (await model.GenerateAsync("Once", drawn, Stop)).Sequences[0].Tokens);
        List<string> others = [];
        for (var seed = 6; seed < 12; seed++)
        {
            others.Add(string.Join(' ', (await model.GenerateAsync("Once", drawn with { Seed = seed }, Stop)).Sequences[0].Tokens));
        }

        Assert.True(others.Distinct().Count() > 1);
        var groups = await model.GenerateAsync("Once", new() { NumBeams = 4, NumBeamGroups = 4, DiversityPenalty = 100, NumReturnSequences = 4, MaxNewTokens = 4 }, Stop);
        Assert.Equal(4, groups.Sequences.Select(sequence => sequence.Tokens[0]).Distinct().Count());
    }

    /// <summary>The reference's greedy continuations of the story model, computed with float activations on the dequantized weights.</summary>
    [Theory]
    [InlineData("Once upon a time", new[] { 12, 376, 278, 259, 366, 562, 429, 1581, 14, 333, 474, 329, 259, 569, 328, 259, 864, 364, 360, 541, 14, 1581, 354, 259, 743, 599, 718, 14, 295, 599, 469, 1354, 278, 1317, 14, 271, 1433, 431, 350, 444 })]
    [InlineData("The little fox", new[] { 505, 270, 444, 1172, 14, 333, 1536, 505, 1771, 14, 509, 373, 12, 262, 746, 662, 259, 366, 1043, 1018, 259, 355, 1619, 14, 367, 278, 324, 448, 284, 909, 14, 892, 605, 891, 528, 303, 284, 288, 12, 271 })]
    public async Task TheStoryModelTellsItsStories(string prompt, int[] expected)
    {
        await using var model = Open("stories", exact: true);
        var result = await model.GenerateAsync(prompt, new() { Temperature = 0, MaxNewTokens = expected.Length }, Stop);
        Assert.Equal(expected, result.Sequences[0].Tokens);
    }

    [Fact]
    public async Task ManyCallersShareTheModelAndEachHasItsOwnText()
    {
        await using var model = Open("stories");
        string[] prompts = [.. Enumerable.Range(0, 6).Select(i => new[] { "Once upon a time", "The little fox", "One day" }[i % 3])];
        var alone = new List<string>();
        for (var i = 0; i < prompts.Length; i++)
        {
            alone.Add((await model.GenerateAsync(prompts[i], new() { Seed = i, MaxNewTokens = 40 }, Stop)).Text);
        }

        var together = await Task.WhenAll(prompts.Select(async (prompt, i) =>
        {
            var text = "";
            await foreach (var update in model.StreamAsync(prompt, new() { Seed = i, MaxNewTokens = 40 }, Stop))
            {
                text += update.Text;
            }

            return text;
        }));
        Assert.Equal(alone, together);
    }

    [Fact]
    public async Task CancellingALongPromptReturnsAtOnceAndTheModelGoesOn()
    {
        await using var model = Open("stories");
        var longPrompt = string.Concat(Enumerable.Repeat("Once upon a time, there was a little fox. ", 40));
        using CancellationTokenSource cancel = new();
        var call = model.GenerateAsync(longPrompt, new() { MaxNewTokens = 50 }, cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        Assert.NotEmpty((await model.GenerateAsync("Once", new() { MaxNewTokens = 5 }, Stop)).Text);
    }

    [Fact]
    public async Task AWorkerInFifteenLines()
    {
        await using var services = new ServiceCollection().AddNativeGen(options => options.DefaultModel = "stories").Services.BuildServiceProvider();
        var text = services.GetRequiredService<ITextGenerator>();
        Assert.Equal("llama", (await text.GetModelAsync(Stop)).Architecture);
        Assert.NotEmpty((await text.GenerateAsync("Once upon a time", new() { MaxNewTokens = 12, Temperature = 0.2f }, Stop)).Text);
        var estimate = await text.EstimateAsync("Once upon a time", new() { MaxNewTokens = 100 }, Stop);
        Assert.InRange(estimate.PromptTokens, 4, 8);
        Assert.True(estimate.KvBytes > 0);
        var missing = await Assert.ThrowsAsync<NativeGenException>(async () =>
        {
            await using var other = new ServiceCollection().AddNativeGen(options => options.Models["x"] = new() { Source = "no/such.gguf" }).Services.BuildServiceProvider();
            await other.GetRequiredService<ITextGenerator>().GenerateAsync("x", null, Stop);
        });
        Assert.Equal(NativeGenErrorCode.ModelNotFound, missing.Code);
    }

    private static TextGenerator Open(string name, bool exact = false) => TextGenerator.Open(name == "stories" ? TestData.StoryModel : TestData.TinyModel(name), new()
    {
        Model = new() { ExactActivations = exact },
        Context = new() { KvCacheType = exact ? KvCacheType.F32 : KvCacheType.F16 },
    });
}
