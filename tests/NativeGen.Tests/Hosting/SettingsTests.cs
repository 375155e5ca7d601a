// Settings: how they are read, what is refused at start and by which words, and which file a source means.
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using NativeGen.Hosting;
using NativeGen.Models;

namespace NativeGen.Tests.Hosting;

public sealed class SettingsTests
{
    [Fact]
    public void EverySettingIsRead()
    {
        NativeGenOptions options = new();
        SettingsReader.Read(Json("""
            {
              "DefaultModel": "chat",
              "Models": {
                "stories": { "Source": "models/stories.q8_0.gguf" },
                "chat": { "Source": "chat.gguf", "ContextLength": 8192, "Device": "auto", "GpuLayers": "auto", "KvCacheType": "f32", "Threads": 2,
                          "MemoryMap": false, "MaxConcurrentRequests": 3, "MaxQueueLength": 4, "LoadAtStart": true, "IdleUnload": "00:10:00",
                          "Defaults": { "Temperature": 0.6, "topk": 7, "DoSample": true, "Seed": 123456789012, "StopSequences": [ "a", "b" ],
                                        "SuppressTokens": [ 3, 4 ], "LogitBias": { "12": -1.5 }, "ContextOverflow": "Error" } }
              },
              "MemoryBudget": "auto", "CacheDirectory": null
            }
            """), options);
        Assert.Equal("chat", options.DefaultModel);
        Assert.Equal("models/stories.q8_0.gguf", options.Models["Stories"].Source);
        var chat = options.Models["chat"];
        Assert.Equal(("chat.gguf", 8192, "auto", "auto", KvCacheType.F32, 2, false), (chat.Source, chat.ContextLength, chat.Device, chat.GpuLayers, chat.KvCacheType, chat.Threads, chat.MemoryMap));
        Assert.Equal((3, 4, true, TimeSpan.FromMinutes(10)), (chat.MaxConcurrentRequests, chat.MaxQueueLength, chat.LoadAtStart, chat.IdleUnload));
        var defaults = chat.Defaults!;
        Assert.Equal((0.6f, 7, true, 123456789012, ContextOverflow.Error), (defaults.Temperature, defaults.TopK, defaults.DoSample, defaults.Seed, defaults.ContextOverflow));
        Assert.Equal(["a", "b"], defaults.StopSequences!);
        Assert.Equal([3, 4], defaults.SuppressTokens!);
        Assert.Equal(-1.5f, defaults.LogitBias![12]);
        Assert.Null(defaults.TopP);
        Assert.True(new SettingsValidator("NativeGen").Validate(null, options).Succeeded);
    }

    /// <summary>A new option of GenerationOptions is a setting, too, but for those that are no plain values.</summary>
    [Fact]
    public void EveryGenerationOptionIsASetting()
    {
        foreach (var property in typeof(GenerationOptions).GetProperties().Where(property => property.Name is not ("ResponseFormat" or "LogitsProcessors")))
        {
            NativeGenOptions options = new();
            var type = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
            var (suffix, value) = type == typeof(bool) || type == typeof(EarlyStopping) ? ("", "true") : type == typeof(ContextOverflow) ? ("", "Error")
                : type == typeof(IReadOnlyList<string>) || type == typeof(IReadOnlyList<int>) ? (":0", "1")
                : type == typeof(IReadOnlyDictionary<int, float>) || type == typeof(IReadOnlyDictionary<string, float>) ? (":1", "1")
                : type == typeof(LengthDecay) ? (":Start", "1") : ("", "1");
            var second = type == typeof(LengthDecay) ? ":Factor" : suffix;
            SettingsReader.Read(Config([.. new[] { suffix, second }.Distinct().Select(end => ($"Models:m:Defaults:{property.Name}{end}", value))]), options);
            Assert.NotNull(property.GetValue(options.Models["m"].Defaults));
        }
    }

    [Theory]
    [InlineData("NativeGen:Models:m:ContextLength", "many", "whole number")]
    [InlineData("NativeGen:Models:m:ContextLength", "0", "at least 1")]
    [InlineData("NativeGen:Models:m:Threads", "-1", "at least 0")]
    [InlineData("NativeGen:Models:m:MaxConcurrentRequests", "0", "at least 1")]
    [InlineData("NativeGen:Models:m:MaxQueueLength", "-1", "at least 0")]
    [InlineData("NativeGen:Models:m:Device", "cuda:0", "auto and cpu")]
    [InlineData("NativeGen:Models:m:GpuLayers", "20", "auto and 0")]
    [InlineData("NativeGen:Models:m:KvCacheType", "q5_0", "F16, F32, Q8_0")]
    [InlineData("NativeGen:Models:m:IdleUnload", "soon", "a time")]
    [InlineData("NativeGen:Models:m:IdleUnload", "00:00:00", "more than zero")]
    [InlineData("NativeGen:Models:m:LoadAtStart", "perhaps", "true or false")]
    [InlineData("NativeGen:Models:m:Source", "hf:Qwen/Qwen3-0.6B-GGUF:Q8_0", "does not download")]
    [InlineData("NativeGen:Models:m:Source", "https://example.org/m.gguf", "does not download")]
    [InlineData("NativeGen:Models:other:Source", "", "is missing")]
    [InlineData("NativeGen:Models:m:Sauce", "x", "not a setting")]
    [InlineData("NativeGen:Models:m:Defaults:Temprature", "1", "not a setting")]
    [InlineData("NativeGen:Models:m:Defaults:Temperature", "-1", "at least 0")]
    [InlineData("NativeGen:Models:m:Defaults:NumBeams", "0", "from 1 to 64")]
    [InlineData("NativeGen:Models:m:Defaults:EarlyStopping", "soon", "true, false or never")]
    [InlineData("NativeGen:Models:m:Defaults:LogitBias:x", "1", "not a token id")]
    [InlineData("NativeGen:Models:m:Defaults:SequenceBias:x", "much", "a number")]
    [InlineData("NativeGen:Models:m:Defaults:ExponentialDecayLengthPenalty:Start", "1", "both Start and Factor")]
    [InlineData("NativeGen:Models:m:Defaults:LogprobsMode", "Cooked", "Raw, Processed")]
    [InlineData("NativeGen:DefaultModel", "chatt", "stories")]
    [InlineData("NativeGen:MemoryBudget", "4GB", "'auto'")]
    [InlineData("NativeGen:CacheDirectory", "/tmp", "does not download")]
    [InlineData("NativeGen:Modells:m:Source", "x", "not a setting")]
    public async Task AWrongSettingStopsTheStartAndIsNamed(string key, string value, string says)
    {
        var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Configuration.AddInMemoryCollection([new("NativeGen:DefaultModel", "m"), new("NativeGen:Models:m:Source", "m.gguf")]).AddInMemoryCollection([new(key, value)]);
        builder.Services.AddNativeGen(builder.Configuration.GetSection("NativeGen"));
        using var host = builder.Build();
        var error = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync(TestContext.Current.CancellationToken));
        var named = key.StartsWith("NativeGen:Modells", StringComparison.Ordinal) ? "NativeGen:Modells" : key.Replace(":Start", "", StringComparison.Ordinal);
        Assert.Contains(named, error.Message, StringComparison.Ordinal);
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void SeveralModelsNeedADefault()
    {
        NativeGenOptions options = new();
        Assert.Equal("stories", options.EffectiveDefault);
        options.Models["a"] = new() { Source = "a.gguf" };
        Assert.Equal("a", options.EffectiveDefault);
        options.Models["b"] = new() { Source = "b.gguf" };
        Assert.Contains("NativeGen:DefaultModel is missing", new SettingsValidator("NativeGen").Validate(null, options).FailureMessage, StringComparison.Ordinal);
        options.DefaultModel = "B";
        Assert.True(new SettingsValidator("NativeGen").Validate(null, options).Succeeded);
        Assert.Equal("b.gguf", options.Find("B")!.Source);
        Assert.Equal("stories", options.Find("stories")!.Source);
        Assert.Null(options.Find("c"));
    }

    [Fact]
    public void RelativeSourcesAreTriedInOrderAndTheErrorTellsAll()
    {
        var root = Directory.CreateTempSubdirectory("nativegen-");
        try
        {
            string[] folders = [.. new[] { "content", "app", "home" }.Select(name => root.CreateSubdirectory(name).FullName)];
            string Resolve(string source) => ModelSource.Resolve(source, folders[0], folders[1], folders[2]);
            foreach (var folder in folders.Reverse())
            {
                File.WriteAllText(Path.Combine(folder, "m.gguf"), "");
                Assert.Equal(Path.Combine(folder, "m.gguf"), Resolve("m.gguf"));
            }

            var error = Assert.Throws<NativeGenException>(() => Resolve("x/y.gguf"));
            Assert.Equal(NativeGenErrorCode.ModelNotFound, error.Code);
            Assert.All(folders, folder => Assert.Contains(Path.Combine(folder, "x", "y.gguf"), error.Message, StringComparison.Ordinal));

            var absolute = Path.Combine(root.FullName, "none.gguf");
            Assert.Contains(absolute, Assert.Throws<NativeGenException>(() => Resolve(absolute)).Message, StringComparison.Ordinal);
            Assert.Throws<NativeGenException>(() => ModelSource.Resolve("m.gguf", null, folders[1] + "x", null));
        }
        finally
        {
            root.Delete(recursive: true);
        }
    }

    [Fact]
    public void TheBuiltInModelIsFoundFromTheAppAndFromTheRepository()
    {
        Assert.EndsWith("stories.q8_0.gguf", ModelSource.Resolve("stories", null, AppContext.BaseDirectory, null), StringComparison.Ordinal);
        var inside = Path.Combine(TestData.Root, "src", "NativeGen", "bin", "Nowhere");
        Assert.Equal(TestData.StoryModel, ModelSource.Resolve("Stories", null, inside, null));
    }

    private static IConfiguration Json(string json) =>
        new ConfigurationBuilder().AddJsonStream(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(json))).Build();

    private static IConfiguration Config(params (string Key, string Value)[] settings) =>
        new ConfigurationBuilder().AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create<string, string?>(setting.Key, setting.Value))).Build();
}
