// Checks the settings when the application starts. Every message names the key to change.
using Microsoft.Extensions.Options;

namespace NativeGen.Hosting;

/// <param name="path">The configuration path of the settings, "NativeGen" by default.</param>
internal sealed class SettingsValidator(string path) : IValidateOptions<NativeGenOptions>
{
    public ValidateOptionsResult Validate(string? name, NativeGenOptions options)
    {
        List<string> problems = [];
        if (options.EffectiveDefault is not { } chosen)
        {
            problems.Add($"{path}:DefaultModel is missing: it must name one of {Names(options)}.");
        }
        else if (options.Find(chosen) is null)
        {
            problems.Add($"{path}:DefaultModel is '{chosen}', which is not in {path}:Models. Known: {Names(options)}.");
        }

        if (options.MemoryBudget is not null && !string.Equals(options.MemoryBudget, "auto", StringComparison.OrdinalIgnoreCase))
        {
            problems.Add($"{path}:MemoryBudget is '{options.MemoryBudget}'; this build knows 'auto' only.");
        }

        if (!string.IsNullOrEmpty(options.CacheDirectory))
        {
            problems.Add($"{path}:CacheDirectory has no use: this build does not download models.");
        }

        foreach (var (model, settings) in options.Models)
        {
            Validate($"{path}:Models:{model}", settings, problems);
        }

        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }

    private static void Validate(string key, ModelSettings settings, List<string> problems)
    {
        if (string.IsNullOrWhiteSpace(settings.Source))
        {
            problems.Add($"{key}:Source is missing: the path of a GGUF file, or '{NativeGenOptions.BuiltInModel}' for the built-in model.");
        }
        else if (ModelSource.NeedsDownload(settings.Source))
        {
            problems.Add($"{key}:Source is '{settings.Source}', but this build does not download models. Download the .gguf file and set its path.");
        }

        Least(nameof(settings.ContextLength), settings.ContextLength ?? 1, 1);
        Least(nameof(settings.Threads), settings.Threads, 0);
        Least(nameof(settings.MaxConcurrentRequests), settings.MaxConcurrentRequests, 1);
        Least(nameof(settings.MaxQueueLength), settings.MaxQueueLength, 0);
        OneOf(nameof(settings.Device), settings.Device, "auto", "cpu");
        OneOf(nameof(settings.GpuLayers), settings.GpuLayers, "auto", "0");
        if (!Enum.IsDefined(settings.KvCacheType))
        {
            problems.Add($"{key}:KvCacheType is {settings.KvCacheType}; it must be f16, f32 or q8_0.");
        }

        if (settings.IdleUnload is { } idle && (idle <= TimeSpan.Zero || idle.TotalMilliseconds > uint.MaxValue - 1))
        {
            problems.Add($"{key}:IdleUnload is {idle}; it must be more than zero and less than 49 days.");
        }

        try
        {
            OptionCheck.Validate(settings.Defaults ?? new GenerationOptions());
        }
        catch (ArgumentException error)
        {
            problems.Add($"{key}:Defaults:{error.ParamName}: {error.Message}");
        }

        void Least(string setting, int value, int least)
        {
            if (value < least)
            {
                problems.Add($"{key}:{setting} is {value}; it must be at least {least}.");
            }
        }

        void OneOf(string setting, string value, params ReadOnlySpan<string> known)
        {
            foreach (var option in known)
            {
                if (string.Equals(value, option, StringComparison.OrdinalIgnoreCase))
                {
                    return;
                }
            }

            problems.Add($"{key}:{setting} is '{value}'; this build knows {string.Join(" and ", known!)}.");
        }
    }

    private static string Names(NativeGenOptions options) =>
        string.Join(", ", options.Models.Keys.Append(NativeGenOptions.BuiltInModel).Distinct(StringComparer.OrdinalIgnoreCase));
}
