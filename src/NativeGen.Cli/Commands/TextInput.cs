// The text a verb works on: its argument, a file, or stdin.
using System.CommandLine;
using System.Text;
using NativeGen.Cli.Shell;

namespace NativeGen.Cli.Commands;

internal static class TextInput
{
    public static Argument<string?> Argument(string name, string description) =>
        new(name) { Description = description + " [default: stdin]", Arity = ArgumentArity.ZeroOrOne };

    public static Option<string?> File() => new("--file", "-f") { Description = "Read the text from a file", HelpName = "FILE" };

    /// <summary>The bytes as they are; whoever needs UTF-8 checks it.</summary>
    public static byte[] Read(Terminal terminal, string? argument, string? file, CancellationToken cancel)
    {
        if (argument is not null && file is not null)
            throw new CliException(ExitCode.Usage, "give the text as an argument or with --file, not both");
        if (argument is not null)
            return Encoding.UTF8.GetBytes(argument);
        if (file is not null)
            return ReadFile(file);
        if (terminal.InIsTerminal)
            terminal.Note("reading the text from the terminal; end it with Ctrl-D");
        using var stdin = terminal.OpenIn();
        using var bytes = new MemoryStream();
        try
        {
            stdin.CopyTo(bytes);
        }
        catch (IOException e)
        {
            throw new CliException(ExitCode.Usage, "cannot read stdin: " + e.Message);
        }
        cancel.ThrowIfCancellationRequested();
        return bytes.ToArray();
    }

    /// <summary>Text for a model: one newline at the end of a pipe's output is the shell's, not the author's.</summary>
    public static string ReadPrompt(Terminal terminal, string? argument, CancellationToken cancel)
    {
        var bytes = Read(terminal, argument, null, cancel);
        if (argument is null && bytes.Length > 0 && bytes[^1] == '\n')
            bytes = bytes[..(bytes.Length > 1 && bytes[^2] == '\r' ? ^2 : ^1)];
        try
        {
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes);
        }
        catch (DecoderFallbackException e)
        {
            throw new CliException(ExitCode.Usage, $"the prompt is not UTF-8 (byte {e.Index})");
        }
    }

    public static byte[] ReadFile(string path)
    {
        try
        {
            return System.IO.File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CliException(ExitCode.Usage, Directory.Exists(path) ? $"{path} is a folder, not a text"
                : e is FileNotFoundException or DirectoryNotFoundException ? $"no such file: {path}" : $"cannot read {path}: {(e is UnauthorizedAccessException ? "permission denied" : e.Message)}");
        }
    }
}
