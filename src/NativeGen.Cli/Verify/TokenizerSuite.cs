// tokenizers/: NAME.jsonl (stress texts), NAME.pieces.jsonl, NAME.info.json, NAME.gguf.inp with .out, pretokenizers.json and .jsonl.
// Every id must be equal. A case is one text, one piece or one set of properties.
using System.Text;
using System.Text.Json;
using NativeGen.Tokenization;

namespace NativeGen.Cli.Verify;

internal static class TokenizerSuite
{
    private const string Separator = "__ggml_vocab_test__";

    public static bool ReadsInfo(JsonElement root) => root.ValueKind == JsonValueKind.Object && root.TryGetProperty("vocab", out _) && root.TryGetProperty("eog", out _);

    public static bool ReadsPretokenizers(JsonElement root) => root.ValueKind == JsonValueKind.Object && root.TryGetProperty("base", out _) && root.TryGetProperty("names", out _);

    /// <summary>A file of JSON lines; its first row says which of three kinds.</summary>
    public static void RunRows(FileReport report)
    {
        var number = 0;
        string? vocabulary = null;
        SortedDictionary<string, List<(string Name, string Line)>> byPre = new(StringComparer.Ordinal); // a tokenizer is made once for all of its rows
        foreach (var line in File.ReadLines(report.Path))
        {
            number++;
            if (line.Length == 0)
                continue;
            using var row = JsonDocument.Parse(line);
            var root = row.RootElement;
            vocabulary ??= Vocabulary(report.Path, root);
            var name = $"line {number}";
            if (root.TryGetProperty("piece", out _))
                report.Case(name, c => Piece(c, Tokenizers.Open(vocabulary), root));
            else if (root.TryGetProperty("pre", out var pre))
            {
                if (!byPre.TryGetValue(pre.GetString()!, out var rows))
                    byPre[pre.GetString()!] = rows = [];
                rows.Add((name, line));
            }
            else if (root.TryGetProperty("text", out _))
                report.Case(name, c => Text(c, Tokenizers.Open(vocabulary), root));
            else
                report.Unsupported(name, "no format this build knows");
        }

        foreach (var (pre, rows) in byPre)
        {
            foreach (var (name, line) in rows)
            {
                using var row = JsonDocument.Parse(line);
                report.Case($"{name} ({pre})", c => Text(c, Tokenizers.Open(vocabulary!, pre), row.RootElement));
            }
        }
    }

    /// <summary>llama.cpp's own test: texts between separator lines, a line of ids for each.</summary>
    public static void RunLlamaCppTest(FileReport report)
    {
        var output = Path.ChangeExtension(report.Path, ".out");
        var tokenizer = Tokenizers.Open(Golden.Beside(report.Path, Path.GetFileNameWithoutExtension(report.Path)));
        var texts = File.ReadAllText(report.Path, Encoding.UTF8).Split($"\n{Separator}\n");
        var ids = File.ReadAllLines(Golden.Beside(report.Path, Path.GetFileName(output)));
        // The last text ends with a separator; what follows it is nothing.
        for (var i = 0; i < ids.Length; i++)
        {
            var at = i;
            report.Case($"text {i + 1}", c => c.Same("ids", [.. ids[at].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse)],
                tokenizer.Encode(texts[at], addSpecial: false, parseSpecial: false)));
        }
    }

    /// <summary>Special ids and policies of a vocabulary.</summary>
    public static void RunInfo(FileReport report, JsonElement golden) => report.Case("info", c =>
    {
        var tokenizer = Tokenizers.Open(Golden.Beside(report.Path, golden.GetProperty("gguf").GetString()!));
        void Id(string name, int? actual) => c.That(golden.GetProperty(name).GetInt32() == (actual ?? -1), () => $"{name}: expected {golden.GetProperty(name).GetInt32()}, got {actual ?? -1}");
        void Flag(string name, bool actual) => c.That(golden.GetProperty(name).GetBoolean() == actual, () => $"{name}: expected {!actual}, got {actual}");
        Id("n_vocab", tokenizer.VocabularySize);
        Id("type", (int)tokenizer.Kind);
        Id("bos", tokenizer.BosId);
        Id("eos", tokenizer.EosId);
        Id("eot", tokenizer.EotId);
        Id("sep", tokenizer.SeparatorId);
        Id("pad", tokenizer.PaddingId);
        Flag("add_bos", tokenizer.AddsBos);
        Flag("add_eos", tokenizer.AddsEos);
        c.Same("eog", Golden.Ints(golden.GetProperty("eog")), [.. Enumerable.Range(0, tokenizer.VocabularySize).Where(tokenizer.IsEndOfGeneration)]);
    });

    /// <summary>Names of pre-tokenizers: each must be known.</summary>
    public static void RunPretokenizers(FileReport report, JsonElement golden)
    {
        var vocabulary = Golden.Beside(report.Path, golden.GetProperty("base").GetString()!);
        foreach (var name in golden.GetProperty("names").EnumerateObject())
        {
            foreach (var alias in name.Value.EnumerateArray().Select(a => a.GetString()!).Prepend(name.Name))
                report.Case(alias, c => c.Same("ids", Tokenizers.Open(vocabulary, name.Name).Encode("It's 1234 o'clock", false, false), Tokenizers.Open(vocabulary, alias).Encode("It's 1234 o'clock", false, false)));
        }
    }

    private static void Text(CaseBuilder c, Tokenizer tokenizer, JsonElement row)
    {
        var text = Golden.Text(row.GetProperty("text"));
        var (plain, special) = (tokenizer.Encode(text, addSpecial: false, parseSpecial: false), tokenizer.Encode(text, addSpecial: true, parseSpecial: true));
        if (Golden.IntsOrNull(row, "hf_ids") is not { } alternative || !alternative.AsSpan().SequenceEqual(plain))
            c.Same("ids", Golden.Ints(row.GetProperty("ids")), plain);
        var (golden, goldenSpecial) = (Golden.Ints(row.GetProperty("ids")), Golden.Ints(row.GetProperty("ids_special")));
        c.Same("ids_special", goldenSpecial, special);
        Decoded("detok", golden, removeSpecial: false, showSpecial: false);
        if (!row.TryGetProperty("pre", out _)) // rows of pre-tokenizers have only the first
        {
            Decoded("detok_special", goldenSpecial, removeSpecial: false, showSpecial: true);
            Decoded("detok_skip", goldenSpecial, removeSpecial: true, showSpecial: false);
        }

        void Decoded(string key, int[] ids, bool removeSpecial, bool showSpecial) =>
            SameBytes(c, key, Golden.Text(row.GetProperty(key)), tokenizer.DecodeBytes(ids, removeSpecial, showSpecial));
    }

    private static void Piece(CaseBuilder c, Tokenizer tokenizer, JsonElement row)
    {
        var id = row.GetProperty("id").GetInt32();
        SameBytes(c, "piece", Golden.Text(row.GetProperty("piece")), tokenizer.Piece(id).ToArray());
        var attributes = (TokenAttributes)row.GetProperty("attr").GetInt32();
        c.That(tokenizer.AttributesOf(id) == attributes, () => $"attr: expected {attributes}, got {tokenizer.AttributesOf(id)}");
    }

    private static void SameBytes(CaseBuilder c, string what, byte[] expected, byte[] actual) =>
        c.That(expected.AsSpan().SequenceEqual(actual), () => $"{what}: expected '{Commands.Pieces.Show(expected)}', got '{Commands.Pieces.Show(actual)}'");

    // NAME.jsonl and NAME.anything.jsonl belong to NAME.gguf; rows with "pre" to the base vocabulary of the .json of the same name.
    private static string Vocabulary(string path, JsonElement row)
    {
        if (row.TryGetProperty("pre", out _))
        {
            var list = Path.ChangeExtension(path, ".json");
            if (!File.Exists(list))
                return Golden.Beside(path, "qwen2.gguf");
            using var document = Golden.Json(list);
            return Golden.Beside(path, document.RootElement.GetProperty("base").GetString()!);
        }
        for (var name = Path.GetFileNameWithoutExtension(path); ; name = Path.GetFileNameWithoutExtension(name))
        {
            var gguf = Path.Combine(Path.GetDirectoryName(path)!, name + ".gguf");
            if (File.Exists(gguf))
                return gguf;
            if (!name.Contains('.'))
                throw new GoldenDataException($"the vocabulary {name}.gguf is not beside {Path.GetFileName(path)}");
        }
    }
}
