// All models of an application by name. Made once per service provider; every ITextGenerator of it comes from here.
using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using NativeGen.Models;

namespace NativeGen.Hosting;

internal sealed class ModelRegistry : IAsyncDisposable, IDisposable
{
    private readonly IOptionsMonitor<NativeGenOptions> _options;
    private readonly ModelLoader _load;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ConcurrentDictionary<string, Lazy<ModelHost>> _hosts = new(StringComparer.OrdinalIgnoreCase);
    private NativeGenOptions _valid;

    public ModelRegistry(IOptionsMonitor<NativeGenOptions> options, ModelLoader? load, TimeProvider time, ILoggerFactory? loggers, IHostEnvironment? environment)
    {
        _options = options;
        _time = time;
        _logger = loggers?.CreateLogger("NativeGen") ?? NullLogger.Instance;
        _load = load ?? ((name, settings, defaults, cancellationToken) => Load(settings, defaults, environment?.ContentRootPath, cancellationToken));
        _valid = options.CurrentValue;
    }

    /// <summary>The settings as they are now; if a change made them invalid, as they were before it.</summary>
    public NativeGenOptions Options
    {
        get
        {
            try
            {
                _valid = _options.CurrentValue;
            }
            catch (OptionsValidationException error)
            {
                HostingLog.SettingsRejected(_logger, error);
            }

            return _valid;
        }
    }

    public ITextGenerator Default => Get(Options.EffectiveDefault!);

    /// <exception cref="NativeGenException">ModelNotFound: no model has this name.</exception>
    public ModelHost Get(string name)
    {
        if (Options.Find(name) is null)
        {
            throw new NativeGenException(NativeGenErrorCode.ModelNotFound,
                $"There is no model '{name}'. Known: {string.Join(", ", Options.Models.Keys.DefaultIfEmpty(NativeGenOptions.BuiltInModel))}.");
        }

        return _hosts.GetOrAdd(name, static (name, registry) => new Lazy<ModelHost>(() => registry.CreateHost(name)), this).Value;
    }

    /// <summary>Loads what is set to be loaded at start.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var (name, settings) in Options.Models)
        {
            if (settings.LoadAtStart)
            {
                await Get(name).GetModelAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Answers what was accepted, then frees all models; a cancelled token ends the requests that are left.</summary>
    public Task StopAsync(CancellationToken cancellationToken) =>
        Task.WhenAll(_hosts.Values.Select(host => host.Value.StopAsync(cancellationToken)));

    public async ValueTask DisposeAsync() => await StopAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);

    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    private ModelHost CreateHost(string name)
    {
        var last = Options.Find(name)!;
        return new ModelHost(name, () => last = Options.Find(name) ?? last, _load, _time, _logger);
    }

    private TextGenerator Load(ModelSettings settings, Func<GenerationOptions?> defaults, string? contentRoot, CancellationToken cancellationToken)
    {
        var path = ModelSource.Resolve(settings.Source!, contentRoot, AppContext.BaseDirectory, Environment.GetEnvironmentVariable("NATIVEGEN_HOME"));
        return TextGenerator.Open(path, new TextGeneratorOptions
        {
            Model = new ModelOptions { MemoryMap = settings.MemoryMap, Threads = settings.Threads },
            Context = new ContextOptions { ContextLength = settings.ContextLength ?? 0, KvCacheType = settings.KvCacheType, Threads = settings.Threads },
            MaxConcurrentRequests = settings.MaxConcurrentRequests,
            MaxQueueLength = settings.MaxQueueLength,
            TimeProvider = _time,
            Logger = _logger,
        }, defaults, null, cancellationToken);
    }
}

/// <summary>Ties the models to the host: loads at start what should be, drains at the end.</summary>
internal sealed class NativeGenService(ModelRegistry registry) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken) => registry.StartAsync(cancellationToken);

    public Task StopAsync(CancellationToken cancellationToken) => registry.StopAsync(cancellationToken);
}
