// Finds golden files below the given paths, tells their format from what they contain, not from their names, and runs each with its suite.
using System.Text.Json;

namespace NativeGen.Cli.Verify;

internal static class Verifier
{
    /// <summary>Files that have a verdict of their own, sorted by path. Raw arrays, models and texts belong to the JSON that names them.</summary>
    /// <exception cref="FileNotFoundException">A path does not exist.</exception>
    public static IReadOnlyList<string> Find(IEnumerable<string> paths)
    {
        SortedSet<string> found = new(StringComparer.Ordinal);
        foreach (var path in paths)
        {
            if (Directory.Exists(path))
                found.UnionWith(Directory.EnumerateFiles(path, "*", SearchOption.AllDirectories).Where(HasVerdict));
            else if (!File.Exists(path))
                throw new FileNotFoundException($"no such file or folder: {path}", path);
            else if (HasVerdict(path))
                found.Add(path);
            else if (Path.ChangeExtension(path, ".json") is var json && File.Exists(json))
                found.Add(json); // a model stands for the golden data beside it
            else
                throw new FileNotFoundException($"{path} is no golden data (expected a folder, a .json, a .jsonl or a .gguf.inp file)", path);
        }
        return [.. found];
    }

    public static FileReport Run(string path, VerifyOptions options)
    {
        var report = new FileReport(path);
        try
        {
            if (path.EndsWith(".json", StringComparison.Ordinal))
            {
                using var document = Golden.Json(path);
                Run(report, document.RootElement, options);
            }
            else if (path.EndsWith(".inp", StringComparison.Ordinal))
                TokenizerSuite.RunLlamaCppTest(report);
            else
                TokenizerSuite.RunRows(report);
        }
        catch (Exception e) when (e is GoldenDataException or KeyNotFoundException or InvalidOperationException or FormatException or JsonException or IOException)
        {
            report.Failed("data", e is GoldenDataException ? e.Message : $"not in the format this build reads: {e.Message}");
        }
        if (report.Cases.Count == 0)
            report.Failed("data", "holds no case");
        return report;
    }

    private static void Run(FileReport report, JsonElement root, VerifyOptions options)
    {
        if (RealSuite.Reads(root))
            RealSuite.Run(report, root, options);
        else if (ArchSuite.Reads(root))
            ArchSuite.Run(report, root, options);
        else if (BlocksSuite.Reads(root))
            BlocksSuite.Run(report, root);
        else if (TokenizerSuite.ReadsInfo(root))
            TokenizerSuite.RunInfo(report, root);
        else if (TokenizerSuite.ReadsPretokenizers(root))
            TokenizerSuite.RunPretokenizers(report, root);
        else if (BeamSuite.Reads(root))
            BeamSuite.Run(report, root);
        else if (SamplingSuite.Reads(root))
            SamplingSuite.Run(report, root);
        else if (TemplateSuite.Reads(root))
            TemplateSuite.Run(report, root);
        else if (JinjaSuite.Reads(root))
            JinjaSuite.Run(report, root);
        else if (GrammarSuite.Reads(root))
            GrammarSuite.Run(report, root);
        else if (SchemaSuite.Reads(root))
            SchemaSuite.Run(report, root, options);
        else
            Later(report, root);
    }

    private static bool HasVerdict(string path) =>
        path.EndsWith(".json", StringComparison.Ordinal) || path.EndsWith(".jsonl", StringComparison.Ordinal) || path.EndsWith(".gguf.inp", StringComparison.Ordinal);

    // The formats of parts this build does not have: every case counts, with the reason.
    private static void Later(FileReport report, JsonElement root)
    {
        var cases = root.ValueKind == JsonValueKind.Object && root.TryGetProperty("cases", out var list) && list.ValueKind == JsonValueKind.Array ? list : default;
        var reason = root.ValueKind != JsonValueKind.Object ? "no format this build knows"
            : root.TryGetProperty("template", out _) ? "this build has no chat templates yet"
            : root.TryGetProperty("environment", out _) ? "this build has no template engine yet"
            : "no format this build knows";
        var count = Math.Max(cases.ValueKind == JsonValueKind.Array ? cases.GetArrayLength() : 1, 1);
        for (var i = 0; i < count; i++)
            report.Unsupported($"case {i}", reason);
    }
}
