// Which file --model means. Nothing given: the story model, beside the tool when installed, in models/ of the repository when run from there.
using NativeGen.Cli.Shell;

namespace NativeGen.Cli.Commands;

internal static class ModelLocator
{
    public const string DefaultModel = "stories.q8_0.gguf";

    public static string Find(string? name) => Find(name, AppContext.BaseDirectory);

    public static string Find(string? name, string appFolder)
    {
        if (name is null)
            return InModels(appFolder, [DefaultModel], out var tried)
                ?? throw new CliException(ExitCode.Model, $"the story model {DefaultModel} is missing (looked in {string.Join(", ", tried)}); name a model with --model FILE");
        if (File.Exists(name))
            return name;
        if (Directory.Exists(name))
        {
            var inside = Directory.EnumerateFiles(name, "*.gguf").Select(Path.GetFileName).Order(StringComparer.Ordinal).Take(3).ToArray();
            throw new CliException(ExitCode.Model, $"{name} is a folder; name the .gguf file{(inside.Length > 0 ? $" in it ({string.Join(", ", inside)})" : "")}");
        }
        // A bare name: models/NAME, with the ending or up to its first dot ("stories" for stories.q8_0.gguf).
        if (name.AsSpan().IndexOfAny('/', '\\') < 0 && InModels(appFolder, [name, name + ".gguf", name + ".*.gguf"], out _) is { } path)
            return path;
        throw new CliException(ExitCode.Model, $"no model '{name}': no such file{(Path.IsPathRooted(name) ? "" : $" in {Directory.GetCurrentDirectory()}")}, and no model of that name comes with nativegen");
    }

    private static string? InModels(string appFolder, string[] patterns, out List<string> tried)
    {
        tried = [];
        for (DirectoryInfo? folder = new(appFolder); folder is not null; folder = folder.Parent)
        {
            var models = Path.Combine(folder.FullName, "models");
            // Above the tool's own folder only a repository of NativeGen counts, not anyone's models/.
            if (tried.Count > 0 && !File.Exists(Path.Combine(folder.FullName, "NativeGen.sln")))
                continue;
            tried.Add(models);
            if (!Directory.Exists(models))
                continue;
            foreach (var pattern in patterns)
            {
                if (Directory.EnumerateFiles(models, pattern).Order(StringComparer.Ordinal).FirstOrDefault() is { } found)
                    return found;
            }
        }
        return null;
    }
}
