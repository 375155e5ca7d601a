// Texts that are made to be slow: long words, long runs, nothing that is a token. The benchmarks read them too.
using System.Text;

namespace NativeGen.Tests.Tokenization;

internal static class HostileTexts
{
    public static IReadOnlyList<string> Names { get; } =
        ["a", "spaces", "newlines", "emoji", "one CJK character", "combining marks", "random bytes", "start of a special token", "digits", "spaces and letters"];

    /// <summary>The text of a name with at most so many bytes: whole units of it.</summary>
    public static byte[] Make(string name, int bytes) => name switch
    {
        "a" => Repeat("a", bytes),
        "spaces" => Repeat(" ", bytes),
        "newlines" => Repeat("\n", bytes),
        "emoji" => Repeat("\U0001F600", bytes),
        "one CJK character" => Repeat("\u6F22", bytes),
        "combining marks" => Repeat("\u0301", bytes),
        "random bytes" => Random(bytes),
        "start of a special token" => Repeat("<|im_start", bytes),
        "digits" => Repeat("7", bytes),
        "spaces and letters" => Repeat("                                               x", bytes),
        _ => throw new ArgumentException(name),
    };

    private static byte[] Repeat(string unit, int bytes)
    {
        byte[] part = Encoding.UTF8.GetBytes(unit), text = new byte[bytes / part.Length * part.Length];
        for (int i = 0; i < text.Length; i++)
            text[i] = part[i % part.Length];
        return text;
    }

    private static byte[] Random(int bytes)
    {
        var text = new byte[bytes];
        new Random(1).NextBytes(text);
        return text;
    }
}
