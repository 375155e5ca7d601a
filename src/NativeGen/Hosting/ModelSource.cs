// From a model's Source setting to a file.
namespace NativeGen.Hosting;

internal static class ModelSource
{
    private const string BuiltInFile = "stories.q8_0.gguf";

    public static bool NeedsDownload(string source) =>
        source.StartsWith("hf:", StringComparison.OrdinalIgnoreCase)
        || source.StartsWith("https:", StringComparison.OrdinalIgnoreCase)
        || source.StartsWith("http:", StringComparison.OrdinalIgnoreCase);

    /// <summary>The file a source means.</summary>
    /// <param name="contentRoot">The host's content root, if there is a host.</param>
    /// <param name="appFolder">The application's own folder.</param>
    /// <param name="home">NATIVEGEN_HOME, if it is set.</param>
    /// <exception cref="NativeGenException">ModelNotFound, with everything that was tried.</exception>
    public static string Resolve(string source, string? contentRoot, string appFolder, string? home)
    {
        List<string> tried = [];
        IEnumerable<string> candidates = string.Equals(source, NativeGenOptions.BuiltInModel, StringComparison.OrdinalIgnoreCase)
            ? BuiltIn(appFolder, home)
            : Path.IsPathRooted(source) ? [source]
            : new[] { contentRoot, appFolder, home }.OfType<string>().Where(folder => folder.Length > 0).Select(folder => Path.Combine(folder, source));
        foreach (var candidate in candidates.Select(Path.GetFullPath).Distinct(StringComparer.Ordinal))
        {
            if (File.Exists(candidate))
            {
                return candidate;
            }

            tried.Add(candidate);
        }

        throw new NativeGenException(NativeGenErrorCode.ModelNotFound,
            $"The model file '{source}' was not found. Tried: {string.Join(", ", tried)}. Give an absolute path, or set NATIVEGEN_HOME to the folder it is relative to.");
    }

    /// <summary>The built-in model lies in models/ beside the application, or in that of the repository the application was built in.</summary>
    private static IEnumerable<string> BuiltIn(string appFolder, string? home)
    {
        for (var folder = new DirectoryInfo(appFolder); folder is not null; folder = folder.Parent)
        {
            yield return Path.Combine(folder.FullName, "models", BuiltInFile);
        }

        if (!string.IsNullOrEmpty(home))
        {
            yield return Path.Combine(home, "models", BuiltInFile);
        }
    }
}
