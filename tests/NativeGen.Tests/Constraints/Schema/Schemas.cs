// What the schema tests share: compiling, matching, and texts drawn at random from a grammar itself.
using System.Text;
using System.Text.Json;
using NativeGen.Cli.Verify;
using NativeGen.Constraints;
using NativeGen.Constraints.Schema;

namespace NativeGen.Tests.Constraints.Schema;

internal static class Schemas
{
    private const int LongText = 300, LongestText = 6_000;

    public static Automaton Automaton(string schema) => new(SchemaCompiler.Compile(schema));

    public static bool Accepts(string schema, string text) => SchemaSuite.Accepts(Automaton(schema), text);

    /// <summary>The refusal; fails if the schema is taken.</summary>
    public static SchemaException Refusal(string schema) => Assert.Throws<SchemaException>(() => SchemaCompiler.Compile(schema));

    /// <summary>All schemas of the shared goldens that are to compile, with a name.</summary>
    public static IEnumerable<(string Name, string Schema)> Golden(params string[] files)
    {
        foreach (string file in files)
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(TestData.Shared("fixtures", "grammar", file)));
            foreach (JsonElement item in document.RootElement.GetProperty("cases").EnumerateArray())
                yield return (item.GetProperty("name").GetString()!, item.GetProperty("schema").GetRawText());
        }
    }

    /// <summary>A whole text by choosing allowed bytes at random; null if it found no end.</summary>
    public static string? Walk(Automaton automaton, Random random)
    {
        automaton.Budget = 200_000_000;
        List<byte> text = [];
        int state = automaton.Start;
        List<byte> allowed = [];
        while (text.Count < LongestText)
        {
            allowed.Clear();
            for (int value = 0; value < 256; value++)
            {
                if (automaton.Step(state, (byte)value) != NativeGen.Constraints.Automaton.Dead)
                    allowed.Add((byte)value);
            }

            if (automaton.CanStop(state) && (allowed.Count == 0 || text.Count > LongText || random.Next(4) == 0))
                return Encoding.UTF8.GetString([.. text]);
            byte next = Choose(allowed, text.Count > LongText, random);
            state = automaton.Step(state, next);
            text.Add(next);
        }

        return null;
    }

    // Ends of strings, lists and objects often, other alphabets seldom; once the text is long, out by the nearest door. Nothing beyond the basic
    // plane: other validators count it twice.
    private static byte Choose(List<byte> allowed, bool hurry, Random random)
    {
        byte[] ends = [.. allowed.Where(b => b is (byte)'"' or (byte)'}' or (byte)']')];
        if (ends.Length > 0 && random.Next(hurry ? 10 : 4) < (hurry ? 9 : 1))
            return ends[random.Next(ends.Length)];
        if (allowed.Exists(b => b < 0xF0))
            allowed.RemoveAll(b => b >= 0xF0);
        byte[] ascii = [.. allowed.Where(b => b < 0x80)];
        return ascii.Length > 0 && random.Next(10) > 0 ? ascii[random.Next(ascii.Length)] : allowed[random.Next(allowed.Count)];
    }
}
