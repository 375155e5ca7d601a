// The settings of an application, as they stand in its configuration.
using NativeGen.Models;

namespace NativeGen.Hosting;

/// <summary>Which models an application has and which one it means when it names none.</summary>
public sealed class NativeGenOptions
{
    /// <summary>The name of the built-in model, which needs no entry in <see cref="Models"/>.</summary>
    public const string BuiltInModel = "stories";

    /// <summary>
    /// The model behind an <see cref="ITextGenerator"/> without a key. Default: the only one of <see cref="Models"/>, or the built-in
    /// "stories" if there is none.
    /// </summary>
    public string? DefaultModel { get; set; }

    /// <summary>Models by name; each is an <see cref="ITextGenerator"/> with its name as service key. Names are not case-sensitive.</summary>
    public IDictionary<string, ModelSettings> Models { get; } = new Dictionary<string, ModelSettings>(StringComparer.OrdinalIgnoreCase);

    /// <summary>Memory for all models together. Only "auto" in this build: each model is checked against what is available when it loads.</summary>
    public string MemoryBudget { get; set; } = "auto";

    /// <summary>Where downloaded models are kept. This build downloads none: null.</summary>
    public string? CacheDirectory { get; set; }

    /// <summary>What <see cref="DefaultModel"/> comes to; null if it is open which one is meant.</summary>
    internal string? EffectiveDefault => DefaultModel ?? (Models.Count switch
    {
        0 => BuiltInModel,
        1 => Models.Keys.First(),
        _ => null,
    });

    /// <summary>A model's settings, or null for an unknown name.</summary>
    internal ModelSettings? Find(string name) =>
        Models.TryGetValue(name, out var settings) ? settings
        : string.Equals(name, BuiltInModel, StringComparison.OrdinalIgnoreCase) ? new ModelSettings { Source = BuiltInModel }
        : null;
}

/// <summary>One model of an application.</summary>
public sealed class ModelSettings
{
    /// <summary>
    /// The GGUF file: an absolute path; a path relative to the content root, the application's own folder or NATIVEGEN_HOME (the first that has
    /// it); or "stories", the built-in model.
    /// </summary>
    public string? Source { get; set; }

    /// <summary>The longest prompt and answer together, in tokens. Default: the smaller of the model's own and 4096.</summary>
    public int? ContextLength { get; set; }

    /// <summary>Where it runs: "auto" or "cpu", which are the same in this build.</summary>
    public string Device { get; set; } = "auto";

    /// <summary>Layers on a GPU: "auto" or "0", which are the same in this build.</summary>
    public string GpuLayers { get; set; } = "auto";

    /// <summary>The number format of the KV cache. Default F16.</summary>
    public KvCacheType KvCacheType { get; set; } = KvCacheType.F16;

    /// <summary>Threads; 0 (default) = as many as there are cores.</summary>
    public int Threads { get; set; }

    /// <summary>Map the file instead of reading it. Default true; a mapped file must not be overwritten in place while it is in use.</summary>
    public bool MemoryMap { get; set; } = true;

    /// <summary>The most requests that are worked on at once, at least 1. Default 8.</summary>
    public int MaxConcurrentRequests { get; set; } = 8;

    /// <summary>The most requests that wait; one more is refused as Busy. Default 64.</summary>
    public int MaxQueueLength { get; set; } = 64;

    /// <summary>Load the model when the application starts instead of with the first request. Default false.</summary>
    public bool LoadAtStart { get; set; }

    /// <summary>After so much time without a request the model leaves memory, to come back with the next one. Default: it stays.</summary>
    public TimeSpan? IdleUnload { get; set; }

    /// <summary>What requests get that say nothing else. Changes reach the next request at once; all other settings the next load.</summary>
    public GenerationOptions? Defaults { get; set; }
}
