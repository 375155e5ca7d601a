// services.AddNativeGen(...): the way into an application.
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using NativeGen;
using NativeGen.Hosting;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds text generation to an application.</summary>
public static class NativeGenServiceCollectionExtensions
{
    /// <summary>
    /// Registers an <see cref="ITextGenerator"/> for the default model, and one per model with its name as service key, from settings such as
    /// <c>{ "DefaultModel": "chat", "Models": { "chat": { "Source": "models/chat.gguf" } } }</c>. Without any settings the built-in story
    /// model is the default. The settings are checked when the host starts, and read again when they change.
    /// </summary>
    /// <param name="services">The application's services.</param>
    /// <param name="configuration">The section with the settings, usually "NativeGen".</param>
    public static NativeGenBuilder AddNativeGen(this IServiceCollection services, IConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configuration);
        var path = configuration is IConfigurationSection section ? section.Path : "NativeGen";
        services.AddSingleton<IOptionsChangeTokenSource<NativeGenOptions>>(
            new ConfigurationChangeTokenSource<NativeGenOptions>(Options.Options.DefaultName, configuration));
        return Add(services, path, options => SettingsReader.Read(configuration, options));
    }

    /// <summary>
    /// Registers an <see cref="ITextGenerator"/> for the default model, and one per model with its name as service key. Without any settings
    /// the built-in story model is the default. The settings are checked when the host starts.
    /// </summary>
    /// <param name="services">The application's services.</param>
    /// <param name="configure">Sets the settings; null leaves the defaults.</param>
    public static NativeGenBuilder AddNativeGen(this IServiceCollection services, Action<NativeGenOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        return Add(services, "NativeGen", configure ?? (_ => { }));
    }

    private static NativeGenBuilder Add(IServiceCollection services, string path, Action<NativeGenOptions> configure)
    {
        services.AddOptions<NativeGenOptions>().Configure(configure).ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<NativeGenOptions>, SettingsValidator>(_ => new SettingsValidator(path)));
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton(static provider => new ModelRegistry(
            provider.GetRequiredService<IOptionsMonitor<NativeGenOptions>>(),
            provider.GetService<ModelLoader>(),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetService<ILoggerFactory>(),
            provider.GetService<IHostEnvironment>()));
        services.TryAddSingleton(static provider => provider.GetRequiredService<ModelRegistry>().Default);
        services.TryAddKeyedSingleton<ITextGenerator>(KeyedService.AnyKey, static (provider, key) =>
            provider.GetRequiredService<ModelRegistry>().Get(key as string ?? throw new ArgumentException($"A model's service key is its name, not {key}.", nameof(key))));
        services.AddHostedService<NativeGenService>();
        return new NativeGenBuilder(services);
    }
}
