// Options that several verbs share, one definition each, and the way from --model to an open model.
using System.CommandLine;
using NativeGen.Cli.Shell;
using NativeGen.Models;

namespace NativeGen.Cli.Commands;

internal static class CommonOptions
{
    private const string QuietName = "--quiet";

    public static Option<string?> Model() => new("--model", "-m") { Description = "A .gguf file, or the name of a model in models/ [default: the story model that comes along]", HelpName = "FILE" };

    public static Option<int> Threads() => AtLeast(new Option<int>("--threads", "-t") { Description = "Threads; 0 = as many as there are cores", HelpName = "N" }, 0);

    public static Option<int> ContextLength() => AtLeast(new Option<int>("--context-length", "-c") { Description = "Longest prompt and text together, in tokens; 0 = the model's, at most 4096", HelpName = "N" }, 0);

    public static Option<KvCacheType> KvCacheType()
    {
        var option = new Option<KvCacheType>("--kv-cache-type")
        {
            Description = "Number format of cached keys and values",
            HelpName = "f16|f32",
            DefaultValueFactory = _ => Models.KvCacheType.F16,
            CustomParser = result => result.Tokens[0].Value switch
            {
                "f16" => Models.KvCacheType.F16,
                "f32" => Models.KvCacheType.F32,
                var other => Refuse(result, $"--kv-cache-type is f16 or f32, not '{other}'", Models.KvCacheType.F16),
            },
        };
        option.CompletionSources.Add("f16", "f32");
        return option;
    }

    public static Option<bool> Json(string description) => new("--json") { Description = description };

    /// <summary>For the root: known to every verb.</summary>
    public static Option<bool> Quiet() => new(QuietName, "-q") { Description = "No progress, notes or statistics; only results and errors", Recursive = true };

    public static bool IsQuiet(ParseResult parsed) => parsed.GetResult(QuietName) is System.CommandLine.Parsing.OptionResult { Implicit: false };

    public static Option<int> AtLeast(Option<int> option, int least) => Checked(option, v => v >= least, $"at least {least}");

    public static Option<int?> AtLeast(Option<int?> option, int least) => Checked(option, v => v >= least, $"at least {least}");

    /// <summary>An option whose value is checked as soon as it is parsed.</summary>
    public static Option<T> Checked<T>(Option<T> option, Func<T, bool> holds, string range)
    {
        option.Validators.Add(result =>
        {
            if (result.Tokens.Count > 0 && !result.Errors.Any() && !holds(result.GetValueOrDefault<T>()!))
                result.AddError($"{option.Name} must be {range}, not {result.Tokens[0].Value}");
        });
        return option;
    }

    public static T Refuse<T>(System.CommandLine.Parsing.SymbolResult result, string complaint, T value)
    {
        result.AddError(complaint);
        return value;
    }

    /// <summary>Opens the model an option names, with progress on the status line.</summary>
    public static Model Open(Terminal terminal, string? name, ModelOptions options, CancellationToken cancel)
    {
        var path = ModelLocator.Find(name);
        return Load(terminal, path, progress => Models.Model.Open(path, options, progress, cancel));
    }

    /// <summary>Loads something from a model file, with progress on the status line.</summary>
    public static T Load<T>(Terminal terminal, string path, Func<IProgress<float>, T> open)
    {
        var loaded = open(new StatusProgress(terminal, $"loading {Path.GetFileName(path)}"));
        terminal.ClearStatus();
        return loaded;
    }

    private sealed class StatusProgress(Terminal terminal, string what) : IProgress<float>
    {
        private readonly long _started = Environment.TickCount64;

        // What is over before anyone could read it is not worth a flicker.
        public void Report(float value)
        {
            if (Environment.TickCount64 - _started > 200)
                terminal.Status($"{what} {value:P0}");
        }
    }
}
