// One configured model: loads it with the first request, keeps it while requests use it, lets it go when it is idle or the application stops.
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using NativeGen.Models;

namespace NativeGen.Hosting;

/// <summary>Everything that differs between loading a real model and a test's.</summary>
internal delegate TextGenerator ModelLoader(string name, ModelSettings settings, Func<GenerationOptions?> defaults, CancellationToken cancellationToken);

internal sealed class ModelHost : ITextGenerator
{
    private readonly string _name;
    private readonly Func<ModelSettings> _settings;
    private readonly ModelLoader _load;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;

    private readonly Lock _gate = new();
    private TextGenerator? _loaded;            // under _gate, like all below
    private Task<TextGenerator>? _loading;
    private CancellationTokenSource? _loadingCancel;
    private int _waiting;                      // callers of _loading that still want it
    private int _users;
    private ITimer? _idle;
    private bool _stopped;

    /// <param name="settings">The model's settings as they are now.</param>
    public ModelHost(string name, Func<ModelSettings> settings, ModelLoader load, TimeProvider time, ILogger logger)
    {
        _name = name;
        _settings = settings;
        _load = load;
        _time = time;
        _logger = logger;
    }

    public bool IsLoaded
    {
        get
        {
            lock (_gate)
            {
                return _loaded is not null;
            }
        }
    }

    public async ValueTask<ModelInfo> GetModelAsync(CancellationToken cancellationToken = default)
    {
        using var lease = await UseAsync(cancellationToken).ConfigureAwait(false);
        return await lease.Generator.GetModelAsync(cancellationToken).ConfigureAwait(false);
    }

    public async Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default)
    {
        GenerationRequest.Validate(request); // what can never be done is no reason to load a model
        using var lease = await UseAsync(cancellationToken).ConfigureAwait(false);
        return await lease.Generator.GenerateAsync(request, cancellationToken).ConfigureAwait(false);
    }

    public async IAsyncEnumerable<GenerationUpdate> StreamAsync(GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        GenerationRequest.Validate(request);
        using var lease = await UseAsync(cancellationToken).ConfigureAwait(false);
        await foreach (var update in lease.Generator.StreamAsync(request, cancellationToken).ConfigureAwait(false))
        {
            yield return update;
        }
    }

    public async ValueTask<GenerationEstimate> EstimateAsync(GenerationRequest request, CancellationToken cancellationToken = default)
    {
        GenerationRequest.Validate(request);
        using var lease = await UseAsync(cancellationToken).ConfigureAwait(false);
        return await lease.Generator.EstimateAsync(request, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Takes no more requests and returns when the accepted ones are answered, or ends them when the token is cancelled.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        TextGenerator? loaded;
        Task<TextGenerator>? loading;
        lock (_gate)
        {
            _stopped = true;
            _idle?.Dispose();
            _loadingCancel?.Cancel();
            (loaded, _loaded) = (_loaded, null);
            loading = _loading;
        }

        if (loading is not null)
        {
            await ((Task)loading).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        if (loaded is not null)
        {
            await loaded.DrainAsync(cancellationToken).ConfigureAwait(false);
            HostingLog.Unloaded(_logger, _name);
        }
    }

    /// <summary>The loaded generator, kept loaded until the lease is disposed.</summary>
    private async ValueTask<Lease> UseAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Task<TextGenerator> loading;
            lock (_gate)
            {
                ObjectDisposedException.ThrowIf(_stopped, typeof(ITextGenerator));
                if (_loaded is not null)
                {
                    _users++;
                    _idle?.Dispose();
                    _idle = null;
                    return new Lease(this, _loaded);
                }

                if (_loading is null)
                {
                    CancellationTokenSource cancel = new();
                    _loadingCancel = cancel;
                    _loading = Task.Factory.StartNew(() => Load(cancel), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
                    _waiting = 0;
                }

                loading = _loading;
                _waiting++;
            }

            try
            {
                await loading.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                // Whoever began this load gave it up, or the host stops: the next turn tells.
            }
            finally
            {
                lock (_gate)
                {
                    if (_loading == loading && --_waiting == 0)
                    {
                        _loadingCancel!.Cancel(); // nobody wants it any more; without effect once it is done
                        _loading = null;
                    }
                }
            }
        }
    }

    private TextGenerator Load(CancellationTokenSource cancel)
    {
        HostingLog.Loading(_logger, _name);
        var start = _time.GetTimestamp();
        TextGenerator? generator = null;
        try
        {
            generator = _load(_name, _settings(), () => _settings().Defaults, cancel.Token);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            HostingLog.LoadFailed(_logger, error, _name);
            throw;
        }
        finally
        {
            lock (_gate)
            {
                if (_loadingCancel == cancel)
                {
                    _loading = null; // after a failure the next request tries again
                    _loadingCancel = null;
                    _loaded = _stopped ? null : generator;
                    RestIfIdle();
                }
            }
        }

        lock (_gate)
        {
            if (_loaded == generator)
            {
                HostingLog.Loaded(_logger, _name, _time.GetElapsedTime(start));
                return generator;
            }
        }

        generator.Dispose(); // nobody waits for it any more
        throw new OperationCanceledException();
    }

    private void Release()
    {
        lock (_gate)
        {
            _users--;
            RestIfIdle();
        }
    }

    /// <summary>Starts the idle clock; under _gate.</summary>
    private void RestIfIdle()
    {
        if (_users == 0 && !_stopped && _loaded is not null && _settings().IdleUnload is { } idle)
        {
            _idle?.Dispose();
            _idle = _time.CreateTimer(static host => ((ModelHost)host!).Unload(), this, idle, Timeout.InfiniteTimeSpan);
        }
    }

    private void Unload()
    {
        TextGenerator idle;
        lock (_gate)
        {
            if (_users > 0 || _loaded is null || _stopped)
            {
                return;
            }

            (idle, _loaded) = (_loaded, null);
            _idle?.Dispose();
            _idle = null;
        }

        idle.Dispose();
        HostingLog.Unloaded(_logger, _name);
    }

    private readonly struct Lease(ModelHost host, TextGenerator generator) : IDisposable
    {
        public TextGenerator Generator => generator;

        public void Dispose() => host.Release();
    }
}

internal static partial class HostingLog
{
    [LoggerMessage(10, LogLevel.Information, "Loading model {Model}.")]
    public static partial void Loading(ILogger logger, string model);

    [LoggerMessage(11, LogLevel.Information, "Model {Model} is ready after {Elapsed}.")]
    public static partial void Loaded(ILogger logger, string model, TimeSpan elapsed);

    [LoggerMessage(12, LogLevel.Error, "Model {Model} could not be loaded.")]
    public static partial void LoadFailed(ILogger logger, Exception error, string model);

    [LoggerMessage(13, LogLevel.Information, "Model {Model} was unloaded.")]
    public static partial void Unloaded(ILogger logger, string model);

    [LoggerMessage(14, LogLevel.Error, "The changed settings are not valid; the last valid ones stay in force.")]
    public static partial void SettingsRejected(ILogger logger, Exception error);
}
