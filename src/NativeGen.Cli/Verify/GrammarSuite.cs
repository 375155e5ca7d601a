// grammar/: gbnf.json (texts inside and outside of a language), gbnf_errors.json (what must not be taken), masks.json (tokens allowed next).
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using NativeGen.Constraints;
using NativeGen.Tokenization;

namespace NativeGen.Cli.Verify;

internal static class GrammarSuite
{
    private static readonly TimeSpan LongestCompile = TimeSpan.FromSeconds(1);
    private const long MostCompileBytes = 200_000_000;

    public static bool Reads(JsonElement root) =>
        root.ValueKind == JsonValueKind.Object && root.TryGetProperty("cases", out var cases) && cases.ValueKind == JsonValueKind.Array && cases.GetArrayLength() > 0
        && cases[0].TryGetProperty("gbnf", out _);

    public static void Run(FileReport report, JsonElement root)
    {
        var number = 0;
        foreach (var item in root.GetProperty("cases").EnumerateArray())
        {
            var name = $"{number++} {item.GetProperty("name").GetString()}";
            if (item.TryGetProperty("accepted", out _))
                report.Case(name, c => Language(c, item));
            else if (item.TryGetProperty("expect", out var expect))
                report.Case(name, c => Refusal(c, item, expect.GetString()!));
            else if (item.TryGetProperty("allowed_count", out _))
                report.Case(name, c => Mask(c, report.Path, item));
            else
                report.Unsupported(name, "no format this build knows");
        }
    }

    private static void Language(CaseBuilder c, JsonElement item)
    {
        var automaton = new Automaton(GbnfParser.Parse(item.GetProperty("gbnf").GetString()!));
        foreach (var (kind, alive, complete) in new[] { ("accepted", true, true), ("prefixes", true, false), ("refused", false, false) })
        {
            foreach (var text in item.GetProperty(kind).EnumerateArray())
            {
                var state = automaton.Start;
                foreach (var value in Encoding.UTF8.GetBytes(text.GetString()!))
                    state = state == Automaton.Dead ? state : automaton.Step(state, value);
                var found = (state != Automaton.Dead, automaton.CanStop(state));
                c.That(found == (alive, complete), () => $"{kind} '{text.GetString()}': alive and complete are {found}");
            }
        }
    }

    private static void Refusal(CaseBuilder c, JsonElement item, string expect)
    {
        var watch = Stopwatch.StartNew();
        var before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            _ = new Automaton(GbnfParser.Parse(item.GetProperty("gbnf").GetString()!)).Start;
            c.That(expect != "error", () => "the grammar was taken");
        }
        catch (GrammarException e)
        {
            c.That(e.Message.Length > 10, () => $"its message says nothing: {e.Message}");
        }

        c.AtMost("seconds", watch.Elapsed.TotalSeconds, LongestCompile.TotalSeconds);
        c.AtMost("bytes", GC.GetAllocatedBytesForCurrentThread() - before, MostCompileBytes);
    }

    private static void Mask(CaseBuilder c, string path, JsonElement item)
    {
        var tokenizer = Tokenizers.Open(Golden.Beside(path, Path.Combine("..", "tokenizers", item.GetProperty("vocab").GetString()!)));
        var constraint = new GrammarConstraint(GbnfParser.Parse(item.GetProperty("gbnf").GetString()!), tokenizer);
        foreach (var token in Golden.Ints(item.GetProperty("tokens")))
            constraint.Accept(token);
        var mask = constraint.Allowed();
        var allowed = Enumerable.Range(0, tokenizer.VocabularySize).Where(Has(mask.ToArray())).ToArray();
        var expected = item.TryGetProperty("allowed", out var ids) ? Golden.Ints(ids) : FromBitmap(item.GetProperty("allowed_bitmap_base64").GetBytesFromBase64());
        c.AtMost("allowed tokens", Math.Abs(expected.Length - item.GetProperty("allowed_count").GetInt32()), 0);
        c.Same("allowed tokens", [.. expected.Where(id => IsText(tokenizer, id))], allowed);
    }

    // llama.cpp lets control tokens pass where their names would fit as text, and bytes that begin no scalar of UTF-8. Neither may come here.
    private static bool IsText(Tokenizer tokenizer, int id) =>
        tokenizer.IsEndOfGeneration(id) || (!tokenizer.IsSpecial(id) && tokenizer.Piece(id) is [not (0xC0 or 0xC1 or >= 0xF5), ..]);

    private static Func<int, bool> Has(ulong[] mask) => id => (mask[id >> 6] >> id & 1) != 0;

    private static int[] FromBitmap(byte[] bits) => [.. Enumerable.Range(0, bits.Length * 8).Where(i => (bits[i >> 3] >> (i & 7) & 1) != 0)];
}
