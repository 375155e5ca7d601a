// grammar/schema_*.json: JSON schemas with texts that their grammar must write, must never write, or may do without.
using System.Text;
using System.Text.Json;
using NativeGen.Constraints;
using NativeGen.Constraints.Schema;

namespace NativeGen.Cli.Verify;

internal static class SchemaSuite
{
    public static bool Reads(JsonElement root) =>
        root.ValueKind == JsonValueKind.Object && root.TryGetProperty("cases", out var cases) && cases.ValueKind == JsonValueKind.Array && cases.GetArrayLength() > 0
        && cases[0].TryGetProperty("schema", out _) && (cases[0].TryGetProperty("level", out _) || cases[0].TryGetProperty("expect", out _));

    public static void Run(FileReport report, JsonElement root, VerifyOptions options)
    {
        var tally = new Tally();
        foreach (var item in root.GetProperty("cases").EnumerateArray())
        {
            options.Cancel.ThrowIfCancellationRequested();
            report.Case(item.GetProperty("name").GetString()!, c => Case(c, item, tally));
        }
        report.Note = tally.ToString();
    }

    private static void Case(CaseBuilder c, JsonElement item, Tally tally)
    {
        var wrong = item.TryGetProperty("expect", out var expected);
        var may = wrong ? expected.GetString() == "error, or exact enforcement" : item.GetProperty("level").GetString() == "enforce or refuse the schema";
        Grammar grammar;
        try
        {
            grammar = SchemaCompiler.Compile(item.GetProperty("schema").GetRawText());
        }
        catch (SchemaException e)
        {
            tally.Refused++;
            c.That(wrong || may, () => $"the schema was refused: {e.Message}");
            c.That(e.Message.Contains('#', StringComparison.Ordinal), () => $"the refusal names no place: {e.Message}");
            return;
        }
        tally.Compiled++;
        c.That(!wrong || may, () => "the schema was taken");
        if (wrong)
            return;
        var automaton = new Automaton(grammar);
        foreach (var (text, why) in Texts(item, "valid"))
            c.That(Accepts(automaton, text), () => $"refuses {Show(text)} ({why})");
        foreach (var (text, why) in Texts(item, "invalid"))
            c.That(!Accepts(automaton, text), () => $"accepts {Show(text)} ({why})");
        foreach (var (text, _) in Texts(item, "either"))
            tally.Either.Add(Accepts(automaton, text));
        foreach (var (text, _) in Texts(item, "invalid_hard"))
            tally.Hard.Add(!Accepts(automaton, text));
    }

    /// <summary>Whether a whole text is one of the grammar's.</summary>
    public static bool Accepts(Automaton automaton, string text)
    {
        automaton.Budget = 20_000_000;
        var state = automaton.Start;
        foreach (var value in Encoding.UTF8.GetBytes(text))
        {
            state = automaton.Step(state, value);
            if (state == Automaton.Dead)
                return false;
        }
        return automaton.CanStop(state);
    }

    private static IEnumerable<(string Text, string Why)> Texts(JsonElement item, string kind) => item.TryGetProperty(kind, out var list)
        ? list.EnumerateArray().Select(text => (text.GetProperty("text").GetString()!, text.TryGetProperty("why", out var why) ? why.GetString()! : kind))
        : [];

    private static string Show(string text) => Shell.Terminal.Escape(text.Length > 120 ? text[..120] + "..." : text);

    private sealed class Tally
    {
        public int Compiled, Refused;
        public List<bool> Either = [], Hard = [];

        public override string ToString() =>
            $"{Compiled} schemas compiled, {Refused} refused with a reason; {Count(Either)} texts accepted that need not be; {Count(Hard)} refused that only a calendar or a name service could";

        private static string Count(List<bool> list) => $"{list.Count(yes => yes)} of {list.Count}";
    }
}
