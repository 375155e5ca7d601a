// Options that several verbs share, one definition each, and the way from --model to an open model.
using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Numerics;
using NativeGen.Cli.Shell;
using NativeGen.Models;

namespace NativeGen.Cli.Commands;

internal static class CommonOptions
{
    private const string QuietName = "--quiet";

    public static Option<string?> Model() => new("--model", "-m") { Description = "A .gguf file, or the name of a model in models/ [default: the story model that comes along]", HelpName = "FILE" };

    public static Option<int> Threads() => Checked(new Option<int>("--threads", "-t") { Description = "Threads; 0 = as many as there are cores", HelpName = "N" }, n => n is >= 0 and <= 256, "from 0 to 256");

    public static Option<int> ContextLength() => AtLeast(new Option<int>("--context-length", "-c") { Description = "Longest prompt and text together, in tokens; 0 = the model's, at most 4096", HelpName = "N" }, 0);

    public static Option<KvCacheType> KvCacheType()
    {
        var option = new Option<KvCacheType>("--kv-cache-type")
        {
            Description = "Number format of cached keys and values",
            HelpName = "f16|f32|q8_0",
            DefaultValueFactory = _ => Models.KvCacheType.F16,
            CustomParser = result => result.Tokens[0].Value switch
            {
                "f16" => Models.KvCacheType.F16,
                "f32" => Models.KvCacheType.F32,
                "q8_0" => Models.KvCacheType.Q8_0,
                var other => Refuse(result, $"--kv-cache-type is f16, f32 or q8_0, not '{other}'", Models.KvCacheType.F16),
            },
        };
        option.CompletionSources.Add("f16", "f32", "q8_0");
        return option;
    }

    public static Option<bool> Json(string description) => new("--json") { Description = description };

    /// <summary>For the root: known to every verb.</summary>
    public static Option<bool> Quiet() => new(QuietName, "-q") { Description = "No progress, notes or statistics; only results and errors", Recursive = true };

    public static bool IsQuiet(ParseResult parsed) => parsed.GetResult(QuietName) is OptionResult { Implicit: false };

    public static Option<int> AtLeast(Option<int> option, int least) => Checked(option, v => v >= least, $"at least {least}");

    public static Option<int?> AtLeast(Option<int?> option, int least) => Checked(option, v => v >= least, $"at least {least}");

    /// <summary>An option whose value is checked as soon as it is parsed.</summary>
    public static Option<T> Checked<T>(Option<T> option, Func<T, bool> holds, string range) where T : struct, INumber<T>, IMinMaxValue<T>
    {
        option.CustomParser = result => ParseNumber(result, option.Name, holds, range);
        return option;
    }

    /// <summary>The same where no value means the model's own.</summary>
    public static Option<T?> Checked<T>(Option<T?> option, Func<T, bool> holds, string range) where T : struct, INumber<T>, IMinMaxValue<T>
    {
        option.CustomParser = result => ParseNumber(result, option.Name, holds, range);
        return option;
    }

    private static T ParseNumber<T>(ArgumentResult result, string name, Func<T, bool> holds, string range) where T : struct, INumber<T>, IMinMaxValue<T>
    {
        var word = result.Tokens[0].Value;
        var style = T.IsZero(T.CreateTruncating(0.5)) ? NumberStyles.AllowLeadingSign : NumberStyles.Float; // no thousands: "0,8" is not 8
        if (!T.TryParse(word, style, CultureInfo.InvariantCulture, out var value))
        {
            var kind = typeof(T) == typeof(float) ? "a number" : $"a whole number up to {T.MaxValue}";
            return Refuse(result, $"{name} takes {kind}, not '{word}'", default(T));
        }
        return holds(value) ? value : Refuse(result, $"{name} must be {range}, not {word}", default(T));
    }

    public static T Refuse<T>(SymbolResult result, string complaint, T value)
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
