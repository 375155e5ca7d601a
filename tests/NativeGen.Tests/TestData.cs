// Where tests find their data: models and goldens of the repository, and the larger shared ones that may be missing.
namespace NativeGen.Tests;

internal static class TestData
{
    /// <summary>The folder of NativeGen.sln.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>A tiny model of tests/fixtures/arch: "llama", "llama3", "mistral", "gpt2".</summary>
    public static string TinyModel(string name) => Path.Combine(Root, "tests", "fixtures", "arch", name + ".gguf");

    /// <summary>The embedded story model.</summary>
    public static string StoryModel => Path.Combine(Root, "models", "stories.q8_0.gguf");

    /// <summary>A file or folder of ../shared; the test is skipped where it is missing.</summary>
    public static string Shared(params string[] parts)
    {
        string path = Path.Combine([Root, "..", "shared", .. parts]);
        Assert.SkipUnless(Path.Exists(path), $"shared data is not here: {Path.Combine(parts)}");
        return path;
    }

    private static string FindRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "NativeGen.sln")))
                return folder.FullName;
        }
        throw new InvalidOperationException($"NativeGen.sln is not above {AppContext.BaseDirectory}.");
    }
}
