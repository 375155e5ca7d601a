// --help: the parser library's own layout, then examples, which is what people read.
using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace NativeGen.Cli.Shell;

/// <summary>A verb with examples: each a command line and what it does.</summary>
internal sealed class Verb(string name, string description, params (string Line, string Does)[] examples) : Command(name, description)
{
    public IReadOnlyList<(string Line, string Does)> Examples { get; } = examples;
}

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
        configuration.Output = output;
        new HelpAction().Invoke(parsed);
        configuration.Output = before;
        var verb = parsed.CommandResult.Command;
        var examples = verb is Verb v ? v.Examples : [("nativegen generate \"Once upon a time\"", "a story from the model that comes along")];
        output.WriteLine("Examples:");
        foreach (var (line, does) in examples)
            output.WriteLine($"  # {does}\n  {line}");
        output.WriteLine();
        output.WriteLine(verb is RootCommand
            ? "'nativegen VERB --help' explains a verb.  Exit codes: 0 done, 1 failed, 2 wrong usage, 3 model missing or invalid, 4 out of memory, 130 interrupted."
            : "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 model missing or invalid, 4 out of memory, 130 interrupted.");
    }
}
