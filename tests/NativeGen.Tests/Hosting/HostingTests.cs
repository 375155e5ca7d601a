// AddNativeGen in a host: who gets which model, when it loads and leaves, cancelling, draining, settings that change. Models are doubles.
using System.Collections.Concurrent;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Time.Testing;
using NativeGen.Hosting;
using NativeGen.Tests.Generation;

namespace NativeGen.Tests.Hosting;

public sealed class HostingTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task WithoutSettingsTheBuiltInModelIsTheDefault()
    {
        Loader loader = new();
        using var host = Build(loader);
        await host.StartAsync(Stop);
        var generator = host.Services.GetRequiredService<ITextGenerator>();
        Assert.Empty(loader.Loads); // nothing loads before it is needed
        Assert.Equal("I am stories", (await generator.GenerateAsync("Who?", null, Stop)).Text);
        Assert.Same(generator, host.Services.GetRequiredKeyedService<ITextGenerator>("stories"));
        await host.StopAsync(Stop);
    }

    [Fact]
    public async Task EachModelHasAGeneratorByItsName()
    {
        Loader loader = new();
        using var host = Build(loader, ("DefaultModel", "b"), ("Models:a:Source", "a.gguf"), ("Models:b:Source", "b.gguf"));
        await host.StartAsync(Stop);
        Assert.Equal("I am b", (await host.Services.GetRequiredService<ITextGenerator>().GenerateAsync("Who?", null, Stop)).Text);
        Assert.Equal("I am a", (await host.Services.GetRequiredKeyedService<ITextGenerator>("a").GenerateAsync("Who?", null, Stop)).Text);
        Assert.Equal("toy", (await host.Services.GetRequiredKeyedService<ITextGenerator>("a").GetModelAsync(Stop)).Name);
        Assert.True((await host.Services.GetRequiredKeyedService<ITextGenerator>("a").EstimateAsync("Who?", null, Stop)).KvBytes > 0);
        Assert.Equal(["b", "a"], loader.Loads);
        var error = Assert.Throws<NativeGenException>(() => host.Services.GetRequiredKeyedService<ITextGenerator>("c"));
        Assert.Equal(NativeGenErrorCode.ModelNotFound, error.Code);
        Assert.Contains("a, b", error.Message, StringComparison.Ordinal);
        await host.StopAsync(Stop);
    }

    [Fact]
    public async Task ModelsMayLoadWhenTheHostStarts()
    {
        Loader loader = new();
        using var host = Build(loader, ("DefaultModel", "a"), ("Models:a:Source", "a.gguf"), ("Models:a:LoadAtStart", "true"), ("Models:b:Source", "b.gguf"));
        await host.StartAsync(Stop);
        Assert.Equal(["a"], loader.Loads);
        await host.StopAsync(Stop);
    }

    [Fact]
    public async Task CallersThatComeTogetherLoadOnce()
    {
        Loader loader = new() { Hold = new(false) };
        using var host = Build(loader);
        var generator = host.Services.GetRequiredService<ITextGenerator>();
        Task<GenerationResult>[] calls = [.. Enumerable.Range(0, 8).Select(_ => generator.GenerateAsync("Who?", null, Stop))];
        loader.Hold.Set();
        await Task.WhenAll(calls);
        Assert.Single(loader.Loads);
    }

    [Fact]
    public async Task AFailedLoadIsTriedAgainByTheNextRequest()
    {
        Loader loader = new() { Failure = new NativeGenException(NativeGenErrorCode.InvalidModel, "broken") };
        using var host = Build(loader);
        var generator = host.Services.GetRequiredService<ITextGenerator>();
        Assert.Equal("broken", (await Assert.ThrowsAsync<NativeGenException>(() => generator.GenerateAsync("Who?", null, Stop))).Message);
        loader.Failure = null;
        Assert.Equal("I am stories", (await generator.GenerateAsync("Who?", null, Stop)).Text);
    }

    [Fact]
    public async Task CancellingTheOnlyCallerEndsTheLoad()
    {
        Loader loader = new() { Hold = new(false) };
        using var host = Build(loader);
        var generator = host.Services.GetRequiredService<ITextGenerator>();
        using CancellationTokenSource cancel = new();
        var call = generator.GenerateAsync("Who?", null, cancel.Token);
        await Until(() => loader.Loads.Count == 1);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call.WaitAsync(Patience, Stop));
        await Until(() => loader.Cancelled == 1);
        loader.Hold.Set();
        Assert.Equal("I am stories", (await generator.GenerateAsync("Who?", null, Stop)).Text);
    }

    [Fact]
    public async Task CancellingOneOfTwoCallersLeavesTheLoadToTheOther()
    {
        Loader loader = new() { Hold = new(false) };
        using var host = Build(loader);
        var generator = host.Services.GetRequiredService<ITextGenerator>();
        using CancellationTokenSource cancel = new();
        var first = generator.GenerateAsync("Who?", null, cancel.Token);
        var second = generator.GenerateAsync("Who?", null, Stop);
        await Until(() => loader.Loads.Count == 1);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        loader.Hold.Set();
        Assert.Equal("I am stories", (await second.WaitAsync(Patience, Stop)).Text);
        Assert.Equal((1, 0), (loader.Loads.Count, loader.Cancelled));
    }

    [Fact]
    public async Task AnIdleModelLeavesAndComesBack()
    {
        FakeTimeProvider time = new();
        Loader loader = new();
        using var host = Build(loader, time, ("Models:m:Source", "m.gguf"), ("Models:m:IdleUnload", "00:10:00"));
        var generator = host.Services.GetRequiredService<ITextGenerator>();
        await generator.GenerateAsync("Who?", null, Stop);
        time.Advance(TimeSpan.FromMinutes(9));
        await generator.GenerateAsync("Who?", null, Stop);
        time.Advance(TimeSpan.FromMinutes(9));
        Assert.False(loader.Models[0].Context.Disposed);
        await using (var stream = generator.StreamAsync("Who?", null, Stop).GetAsyncEnumerator(Stop))
        {
            Assert.True(await stream.MoveNextAsync());
            time.Advance(TimeSpan.FromMinutes(30));
            Assert.False(loader.Models[0].Context.Disposed); // in use
        }

        time.Advance(TimeSpan.FromMinutes(10));
        Assert.True(loader.Models[0].Context.Disposed);
        await generator.GenerateAsync("Who?", null, Stop);
        Assert.Equal(2, loader.Loads.Count);
    }

    [Fact]
    public async Task StoppingTheHostAnswersWhatWasAccepted()
    {
        Loader loader = new();
        using var host = Build(loader);
        await host.StartAsync(Stop);
        var generator = host.Services.GetRequiredService<ITextGenerator>();
        await generator.GetModelAsync(Stop);
        using ManualResetEventSlim hold = new(false);
        loader.Models[0].Context.OnStep = _ => hold.Wait(Patience);
        var running = generator.GenerateAsync("Who?", null, Stop);
        var stopping = host.StopAsync(Stop);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => generator.GenerateAsync("Who?", null, Stop));
        Assert.False(stopping.IsCompleted);
        hold.Set();
        Assert.Equal("I am stories", (await running).Text);
        await stopping.WaitAsync(Patience, Stop);
        Assert.True(loader.Models[0].Context.Disposed);
    }

    [Fact]
    public async Task WhenTimeIsUpStoppingEndsTheRest()
    {
        Loader loader = new();
        using var host = Build(loader);
        await host.StartAsync(Stop);
        var generator = host.Services.GetRequiredService<ITextGenerator>();
        await generator.GetModelAsync(Stop);
        loader.Models[0].Context.OnStep = interrupted => SpinWait.SpinUntil(interrupted, Patience);
        var running = generator.GenerateAsync("Who?", null, Stop);
        using CancellationTokenSource timeUp = new();
        var stopping = host.StopAsync(timeUp.Token);
        await timeUp.CancelAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => running.WaitAsync(Patience, Stop));
        try
        {
            await stopping.WaitAsync(Patience, Stop);
        }
        catch (OperationCanceledException)
        {
            // the host may report that its time was up
        }

        Assert.True(loader.Models[0].Context.Disposed);
    }

    [Fact]
    public async Task StoppingDuringALoadEndsIt()
    {
        Loader loader = new() { Hold = new(false) };
        using var host = Build(loader);
        await host.StartAsync(Stop);
        var call = host.Services.GetRequiredService<ITextGenerator>().GenerateAsync("Who?", null, Stop);
        await Until(() => loader.Loads.Count == 1);
        await host.StopAsync(Stop).WaitAsync(Patience, Stop);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => call.WaitAsync(Patience, Stop));
        Assert.Equal(1, loader.Cancelled);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AProviderWithoutAHostFreesItsModels(bool sync)
    {
        Loader loader = new();
        var provider = new ServiceCollection().AddSingleton<ModelLoader>(loader.Load).AddNativeGen().Services.BuildServiceProvider();
        await provider.GetRequiredService<ITextGenerator>().GenerateAsync("Who?", null, Stop);
        if (sync)
        {
            provider.Dispose();
        }
        else
        {
            await provider.DisposeAsync();
        }

        Assert.True(loader.Models[0].Context.Disposed);
    }

    [Fact]
    public async Task ChangedDefaultsReachTheNextRequestAndInvalidOnesNobody()
    {
        Loader loader = new();
        using var host = Build(loader, ("Models:m:Source", "m.gguf"), ("Models:m:Defaults:MaxNewTokens", "4"));
        await host.StartAsync(Stop);
        var generator = host.Services.GetRequiredService<ITextGenerator>();
        Assert.Equal("I am", (await generator.GenerateAsync("Who?", null, Stop)).Text);
        await Change("Models:m:Defaults:MaxNewTokens", "1");
        Assert.Equal("I", (await generator.GenerateAsync("Who?", null, Stop)).Text);
        await Change("Models:m:Defaults:MaxNewTokens", "many");
        Assert.Equal("I", (await generator.GenerateAsync("Who?", null, Stop)).Text);
        await Change("Models:m:Defaults:MaxNewTokens", "3");
        Assert.Equal("I a", (await generator.GenerateAsync("Who?", null, Stop)).Text);
        Assert.Single(loader.Loads);
        await host.StopAsync(Stop);

        Task Change(string key, string value)
        {
            var root = (IConfigurationRoot)host.Services.GetRequiredService<IConfiguration>();
            root["NativeGen:" + key] = value;
            try
            {
                root.Reload();
            }
            catch (Exception error) when (error is AggregateException or Microsoft.Extensions.Options.OptionsValidationException)
            {
                // the options system tells whoever triggered the change
            }

            return Task.CompletedTask;
        }
    }

    [Fact]
    public async Task WhatCanNeverBeDoneLoadsNoModel()
    {
        Loader loader = new();
        using var host = Build(loader);
        var generator = host.Services.GetRequiredService<ITextGenerator>();
        await Assert.ThrowsAsync<ArgumentException>(() => generator.GenerateAsync("Who?", new() { NumBeams = 4, NumReturnSequences = 5 }, Stop));
        Assert.Empty(loader.Loads);
    }

    private static IHost Build(Loader loader, params (string Key, string Value)[] settings) => Build(loader, TimeProvider.System, settings);

    private static IHost Build(Loader loader, TimeProvider time, params (string Key, string Value)[] settings)
    {
        var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Configuration.AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create<string, string?>("NativeGen:" + setting.Key, setting.Value)));
        builder.Services.AddSingleton(time);
        builder.Services.AddSingleton<ModelLoader>(loader.Load);
        builder.Services.AddNativeGen(builder.Configuration.GetSection("NativeGen"));
        return builder.Build();
    }

    private static async Task Until(Func<bool> condition)
    {
        using CancellationTokenSource patience = new(Patience);
        while (!condition())
        {
            await Task.Delay(1, patience.Token);
        }
    }

    /// <summary>Stands for files: each model answers "Who?" with its name.</summary>
    private sealed class Loader
    {
        private int _cancelled;

        public ManualResetEventSlim? Hold { get; init; }

        public Exception? Failure { get; set; }

        public int Cancelled => Volatile.Read(ref _cancelled);

        public ConcurrentQueue<string> Loads { get; } = [];

        public List<ToyModel> Models { get; } = [];

        public TextGenerator Load(string name, ModelSettings settings, Func<GenerationOptions?> defaults, CancellationToken cancellationToken)
        {
            Loads.Enqueue(name);
            try
            {
                Hold?.Wait(Patience, cancellationToken);
            }
            catch (OperationCanceledException)
            {
                Interlocked.Increment(ref _cancelled);
                throw;
            }

            if (Failure is not null)
            {
                throw Failure;
            }

            var model = new ToyModel(defaults: defaults).Say("Who?", "I am " + name);
            Models.Add(model);
            return model.Generator;
        }
    }
}
