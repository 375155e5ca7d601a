// The decode loop over the real engine: the tokens of the reference, alone and in company, with little room, and cancelled.
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using NativeGen.Models;
using NativeGen.Sampling;
using NativeGen.Scheduling;

namespace NativeGen.Tests.Scheduling;

public sealed class EngineTests
{
    private static readonly Sampler Drawing = new([new TemperatureStep(1.2f), new TopKStep(40), new TopPStep(0.95f)], draw: true);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama")]
    [InlineData("llama3")]
    [InlineData("mistral")]
    public async Task GreedyTokensAreTheReferences(string name)
    {
        using var model = Model.Open(TestData.TinyModel(name), cancellationToken: Stop);
        using var golden = JsonDocument.Parse(File.ReadAllBytes(Path.ChangeExtension(TestData.TinyModel(name), ".json")));
        await using var loop = Loop(new InferenceContext(model, new ContextOptions { KvCacheType = KvCacheType.F32, MaxBatchRows = 16, KvCacheTokens = 512 }));
        List<(TestSink Sink, int[] Expected)> runs = [];
        foreach (var run in golden.RootElement.GetProperty("greedy").EnumerateArray())
        {
            var expected = Ints(run.GetProperty("ids"));
            runs.Add((Submit(loop, Ints(run.GetProperty("prompt_ids")), expected.Length, Sampler.Greedy), expected));
        }

        foreach (var (sink, expected) in runs)
        {
            await sink.Done;
            Assert.Equal(expected, sink.Tokens(0));
        }

        static int[] Ints(JsonElement items) => [.. items.EnumerateArray().Select(item => item.GetInt32())];
    }

    [Fact]
    public async Task TokensAreTheSameAloneInCompanyAndWithLittleRoom()
    {
        using var model = Model.Open(TestData.StoryModel, cancellationToken: Stop);
        int[][] prompts = [.. Enumerable.Range(0, 9).Select(i => Enumerable.Range(0, 3 + (i * 13)).Select(n => (n * 37 + i) % 2048).ToArray())];
        List<int[]> alone = [];
        await using (var loop = Loop(new InferenceContext(model)))
        {
            for (var i = 0; i < prompts.Length; i++)
            {
                var sink = Submit(loop, prompts[i], 30, Drawing, i, 1 + (i % 3));
                await sink.Done;
                alone.AddRange(Enumerable.Range(0, 1 + (i % 3)).Select(sink.Tokens));
            }
        }

        // The cache holds one sequence of full length for all of them, a step 24 rows.
        await using var crowded = Loop(new InferenceContext(model, new ContextOptions { ContextLength = 160, KvCacheTokens = 160, MaxBatchRows = 24 }));
        TestSink[] sinks = [.. prompts.Select((prompt, i) => Submit(crowded, prompt, 30, Drawing, i, 1 + (i % 3)))];
        await Task.WhenAll(sinks.Select(sink => sink.Done));
        Assert.Equal(alone, sinks.SelectMany((sink, i) => Enumerable.Range(0, 1 + (i % 3)).Select(sink.Tokens)));
        Assert.True(crowded.Evictions > 0);
    }

    [Fact]
    public async Task ACancelledPromptIsInterruptedAndItsPagesAreFree()
    {
        using var model = Model.Open(TestData.StoryModel, cancellationToken: Stop);
        InferenceContext context = new(model);
        await using var loop = Loop(context);
        for (var i = 0; i < 5; i++)
        {
            var sink = Submit(loop, [.. Enumerable.Range(0, 500)], 5, Drawing);
            while (!sink.Request.InStep && loop.Load > 0) // it may have ended before anybody looked
            {
                await Task.Yield();
            }

            loop.Cancel(sink.Request);
            while (loop.Load > 0)
            {
                await Task.Delay(1, Stop);
            }
        }

        // Only steps that were done count; the loop is idle, so the context may be asked.
        await Submit(loop, [1, 2, 3], 4, Drawing).Done;
        Assert.Equal(context.PagesTotal, context.PagesFree);
    }

    private static DecodeLoop Loop(InferenceContext context) => new(context, 8, 64, TimeProvider.System, NullLogger.Instance, "engine");

    private static TestSink Submit(DecodeLoop loop, int[] prompt, int maxNew, Sampler sampler, long seed = 0, int sequences = 1)
    {
        TestSink sink = new();
        sink.Request = new LoopRequest
        {
            Prompt = prompt, Sink = sink, Sampler = sampler, EndTokens = ReadOnlyMemory<bool>.Empty, MaxNewTokens = maxNew, SequenceCount = sequences, Seed = seed,
        };
        loop.Submit(sink.Request);
        return sink;
    }
}
