// What the tokenizer benchmarks read: English, and texts that are made to be slow. All have Texts.Bytes bytes, a few less where a character would be cut.
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

    /// <summary>Prose, licences and documentation (67 kB), then stories for children.</summary>
    public static string English()
    {
        using var stories = new StreamReader(new GZipStream(File.OpenRead(Shared("models", "stories-train.txt.gz")), CompressionMode.Decompress));
        var text = new char[Bytes];
        stories.ReadBlock(text);
        return Cut(File.ReadAllText(Shared("fixtures", "real", "corpus.shared.txt")).TrimStart() + new string(text));
    }

    public static IEnumerable<string> HostileNames =>
        ["a", "spaces", "newlines", "emoji", "one CJK character", "combining marks", "random bytes", "start of a special token", "digits", "spaces and letters"];

    public static byte[] Hostile(string name) => name switch
    {
        "a" => Repeat("a"),
        "spaces" => Repeat(" "),
        "newlines" => Repeat("\n"),
        "emoji" => Repeat("\U0001F600"),
        "one CJK character" => Repeat("\u6F22"),
        "combining marks" => Repeat("\u0301"),
        "random bytes" => RandomBytes(),
        "start of a special token" => Repeat("<|im_start"),
        "digits" => Repeat("7"),
        "spaces and letters" => Repeat("                                               x"),
        _ => throw new ArgumentException(name),
    };

    private static byte[] Repeat(string part)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(part), text = new byte[Bytes / bytes.Length * bytes.Length];
        for (int i = 0; i < text.Length; i++)
            text[i] = bytes[i % bytes.Length];
        return text;
    }

    private static byte[] RandomBytes()
    {
        var bytes = new byte[Bytes];
        new Random(1).NextBytes(bytes);
        return bytes;
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
