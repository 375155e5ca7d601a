// What the process says when it ends, and the exception that carries it from where a verb notices to App.RunAsync, which prints one line.
namespace NativeGen.Cli.Shell;

internal static class ExitCode
{
    public const int Done = 0;
    public const int Failed = 1;
    public const int Usage = 2;
    public const int Model = 3;
    public const int Memory = 4;
    public const int Interrupted = 130;
    public const int Terminated = 143;
}

/// <summary>Ends a verb with one line on stderr and a code of <see cref="ExitCode"/>.</summary>
internal sealed class CliException(int code, string message) : Exception(message)
{
    public int Code { get; } = code;
}

/// <summary>The reader of stdout went away (<c>| head</c>): the verb has nothing more to do, and that is no error.</summary>
internal sealed class OutputClosedException(Exception inner) : Exception("stdout is closed", inner);
