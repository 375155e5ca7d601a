// From the arguments to the exit code: builds the verbs, turns what the parser dislikes and what a verb throws into one line on stderr.
using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Parsing;
using NativeGen.Cli.Commands;
using NativeGen.Cli.Shell;

namespace NativeGen.Cli;

internal static class App
{
    public static async Task<int> RunAsync(string[] args)
    {
        using var interrupt = new Interrupt();
        var terminal = new Terminal();
        try
        {
            return await interrupt.RunAsync(cancel => InvokeAsync(args, terminal, cancel)).ConfigureAwait(false);
        }
        catch (OutputClosedException)
        {
            return ExitCode.Done;
        }
        catch (OperationCanceledException) when (interrupt.Code != 0)
        {
            return interrupt.Code;
        }
        catch (CliException e)
        {
            terminal.Error(e.Message);
            return e.Code;
        }
        catch (Exception e)
        {
            var (code, message) = Describe(e);
            terminal.Error(message);
            return code;
        }
        finally
        {
            terminal.Finish();
        }
    }

    public static RootCommand Root(Terminal terminal)
    {
        var root = new RootCommand("Runs language models in GGUF files on this computer.")
        {
            GenerateCommand.Create(terminal),
            TokenizeCommand.Create(terminal),
            ScoreCommand.Create(terminal),
            InspectCommand.Create(terminal),
            DoctorCommand.Create(terminal),
            BenchCommand.Create(terminal),
            VerifyCommand.Create(terminal),
        };
        root.Options.Add(CommonOptions.Quiet());
        root.Options.OfType<HelpOption>().Single().Action = new HelpWithExamples();
        return root;
    }

    private static async Task<int> InvokeAsync(string[] args, Terminal terminal, CancellationToken cancel)
    {
        // Prompts may begin with '@' or '-': no response files, no bundles of short options.
        var parsed = Root(terminal).Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null, EnablePosixBundling = false });
        if (args.Length == 0)
        {
            HelpWithExamples.Write(parsed, Console.Error);
            return ExitCode.Usage;
        }
        if (UsageErrors.FirstOf(parsed) is { } complaint)
            throw new CliException(ExitCode.Usage, complaint);
        terminal.Quiet = CommonOptions.IsQuiet(parsed);
        return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null }, cancel).ConfigureAwait(false);
    }

    private static (int Code, string Message) Describe(Exception e) => e switch
    {
        NativeGenException { Code: NativeGenErrorCode.ModelNotFound or NativeGenErrorCode.InvalidModel or NativeGenErrorCode.UnsupportedArchitecture }
            => (ExitCode.Model, e.Message),
        NativeGenException { Code: NativeGenErrorCode.OutOfMemory } => (ExitCode.Memory, e.Message),
        NativeGenException { Code: NativeGenErrorCode.InvalidRequest } => (ExitCode.Usage, e.Message),
        NativeGenException { Code: NativeGenErrorCode.ContextOverflow } => (ExitCode.Failed, e.Message.Replace(nameof(Models.ContextOptions.ContextLength), "--context-length")),
        NativeGenException => (ExitCode.Failed, e.Message),
        OutOfMemoryException => (ExitCode.Memory, "out of memory"),
        ArgumentException => (ExitCode.Usage, UsageErrors.OfArgument((ArgumentException)e)),
        IOException or UnauthorizedAccessException => (ExitCode.Failed, e.Message),
        _ => (ExitCode.Failed, $"{e.GetType().Name}: {e.Message}"),
    };
}
