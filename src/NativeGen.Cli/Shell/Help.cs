// --help: the parser library's own layout, then groups of rarer options, then examples, which is what people read.
using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace NativeGen.Cli.Shell;

/// <summary>A verb with examples: each a command line and what it does.</summary>
internal sealed class Verb(string name, string description, params (string Line, string Does)[] examples) : Command(name, description)
{
    public IReadOnlyList<(string Line, string Does)> Examples { get; } = examples;

    /// <summary>Options that help lists by themselves, under titles, below those one needs more often.</summary>
    public IReadOnlyList<OptionGroup> Groups { get; set; } = [];
}

internal sealed record OptionGroup(string Title, List<Option> Options);

internal sealed class HelpWithExamples : SynchronousCommandLineAction
{
    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parsed)
    {
        Write(parsed, parsed.InvocationConfiguration.Output);
        return ExitCode.Done;
    }

    public static void Write(ParseResult parsed, TextWriter output)
    {
        var configuration = parsed.InvocationConfiguration;
        var before = configuration.Output;
        var verb = parsed.CommandResult.Command;
        IReadOnlyList<OptionGroup> groups = (verb as Verb)?.Groups ?? [];
        Option[] grouped = [.. groups.SelectMany(group => group.Options)];
        configuration.Output = output;
        foreach (var option in grouped)
            option.Hidden = true;
        new HelpAction().Invoke(parsed);
        foreach (var option in grouped)
            option.Hidden = false;
        configuration.Output = before;
        foreach (var group in groups)
            WriteGroup(group, output);
        var examples = verb is Verb v ? v.Examples : [("nativegen generate \"Once upon a time\"", "a story from the model that comes along")];
        output.WriteLine("Examples:");
        foreach (var (line, does) in examples)
            output.WriteLine($"  # {does}\n  {line}");
        output.WriteLine();
        output.WriteLine(verb is RootCommand
            ? "'nativegen VERB --help' explains a verb.  Exit codes: 0 done, 1 failed, 2 wrong usage, 3 model missing or invalid, 4 out of memory, 130 interrupted."
            : "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 model missing or invalid, 4 out of memory, 130 interrupted.");
    }

    private static void WriteGroup(OptionGroup group, TextWriter output)
    {
        var names = group.Options.Select(option => option.HelpName is { } value ? $"  {option.Name} <{value}>" : $"  {option.Name}").ToArray();
        var width = names.Max(name => name.Length);
        output.WriteLine($"{group.Title}:");
        foreach (var (name, option) in names.Zip(group.Options))
            output.WriteLine($"{name.PadRight(width)}  {option.Description}");
        output.WriteLine();
    }
}
