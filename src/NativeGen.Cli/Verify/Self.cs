// Runs this very tool once more, for what one process can do only once: the instruction set is chosen when the engine is loaded.
using System.Diagnostics;

namespace NativeGen.Cli.Verify;

internal static class Self
{
    /// <returns>its stdout, trimmed</returns>
    public static string Run(string[] args, (string Name, string Value) environment, CancellationToken cancel)
    {
        var start = Start(args);
        start.RedirectStandardOutput = start.RedirectStandardError = true;
        start.Environment[environment.Name] = environment.Value;
        using var process = Process.Start(start)!;
        using var kill = cancel.Register(process.Kill);
        var errors = process.StandardError.ReadToEndAsync(CancellationToken.None);
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        cancel.ThrowIfCancellationRequested();
        return process.ExitCode == 0 ? output.Trim() : throw new InvalidOperationException($"the child process ended with {process.ExitCode}: {errors.Result.Trim()}");
    }

    private static ProcessStartInfo Start(string[] args)
    {
        var assembly = typeof(Self).Assembly.Location;
        if (assembly.Length == 0) // one file
            return new ProcessStartInfo(Environment.ProcessPath!, args);
        var host = Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet" ? Environment.ProcessPath! : Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";
        return new ProcessStartInfo(host, [assembly, .. args]);
    }
}
