// What the tokenizer benchmarks read: 1 MB of English, and vocabularies. Texts made to be slow are the tests'.
using System.IO.Compression;
using System.Text;
using NativeGen.Models;
using NativeGen.Tokenization;

namespace NativeGen.Benchmarks;

internal static class Texts
{
    public const int Bytes = 1_000_000;

    /// <summary>../shared, with the models and vocabularies of others.</summary>
    public static string Shared(params string[] parts)
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "NativeGen.sln")))
                return Path.Combine([folder.FullName, "..", "shared", .. parts]);
        }

        throw new DirectoryNotFoundException("The benchmarks run inside the repository, with ../shared beside it.");
    }

    public static TokenizerData Vocabulary(string name)
    {
        using GgufFile file = GgufFile.Open(Shared("fixtures", "tokenizers", name + ".gguf"));
        return TokenizerDataReader.Read(file);
    }

    /// <summary>Stories for children; before them, unless <paramref name="plain"/>, licences and documentation (67 kB).</summary>
    public static string English(bool plain)
    {
        using var stories = new StreamReader(new GZipStream(File.OpenRead(Shared("models", "stories-train.txt.gz")), CompressionMode.Decompress));
        var text = new char[Bytes + Bytes / 10];
        stories.ReadBlock(text);
        string story = new string(text).Replace("<|endoftext|>\n", "");
        return Cut(plain ? story : File.ReadAllText(Shared("fixtures", "real", "corpus.shared.txt")) + story);
    }

    private static string Cut(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        int end = Bytes;
        while ((bytes[end] & 0xC0) == 0x80)
            end--;
        return Encoding.UTF8.GetString(bytes, 0, end);
    }
}
