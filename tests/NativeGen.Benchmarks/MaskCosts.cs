// What keeping an answer to a schema costs: the mask of every token of the goldens' texts, the first time and again, and compiling. Everything is
// done five times over, from new; the least time of each counts, so that other processes do not.
// dotnet run -c Release --project tests/NativeGen.Benchmarks -- masks VOCABULARY.gguf SCHEMAS.json...
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using NativeGen.Constraints;
using NativeGen.Constraints.Schema;
using NativeGen.Models;
using NativeGen.Sampling;
using NativeGen.Tokenization;

namespace NativeGen.Benchmarks;

internal static class MaskCosts
{
    private const int Rounds = 5;

    public static void Run(string vocabulary, ReadOnlySpan<string> files)
    {
        Tokenizer tokenizer;
        using (GgufFile file = GgufFile.Open(vocabulary))
            tokenizer = Tokenizer.Create(TokenizerDataReader.Read(file));
        Stopwatch watch = Stopwatch.StartNew();
        Grammar anything = GbnfParser.Parse("root ::= .*");
        GrammarConstraint first = new(anything, tokenizer);
        first.Allowed();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Path.GetFileName(vocabulary)}, {tokenizer.VocabularySize} tokens: trie and first mask {watch.Elapsed.TotalMilliseconds:F1} ms\n"));
        Console.WriteLine("| | texts | tokens | median, us | mean, us | 99 %, us | most, us |\n|---|---|---|---|---|---|---|");
        foreach (string path in files)
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
            Times compile = new(), cold = new(), warm = new();
            int texts = 0;
            for (int round = 0; round < Rounds; round++)
            {
                compile.Begin();
                cold.Begin();
                warm.Begin();
                texts = 0;
                foreach (JsonElement item in document.RootElement.GetProperty("cases").EnumerateArray())
                {
                    if (!item.TryGetProperty("valid", out JsonElement valid))
                        continue;
                    long before = Stopwatch.GetTimestamp();
                    Grammar grammar;
                    try
                    {
                        grammar = SchemaCompiler.Compile(item.GetProperty("schema").GetRawText());
                    }
                    catch (SchemaException)
                    {
                        continue;
                    }

                    compile.Add(Stopwatch.GetElapsedTime(before).TotalMicroseconds);
                    GrammarConstraint start = new(grammar, tokenizer);
                    foreach (JsonElement text in valid.EnumerateArray())
                    {
                        string json = text.ValueKind == JsonValueKind.Object && text.TryGetProperty("text", out JsonElement inner) ? inner.GetString()! : text.ToString();
                        int[] tokens = tokenizer.Encode(json, addSpecial: false);
                        texts++;
                        foreach (Times times in new[] { cold, warm })
                        {
                            TokenConstraint at = start.Fork();
                            foreach (int token in tokens)
                            {
                                before = Stopwatch.GetTimestamp();
                                ReadOnlySpan<ulong> mask = at.Allowed();
                                times.Add(Stopwatch.GetElapsedTime(before).TotalMicroseconds);
                                if ((mask[token >> 6] >> token & 1) == 0)
                                    break;
                                at.Accept(token);
                            }
                        }
                    }
                }
            }

            Print($"{Path.GetFileName(path)}: compile a schema", compile.Count, compile);
            Print($"{Path.GetFileName(path)}: mask, first time", texts, cold);
            Print($"{Path.GetFileName(path)}: mask, again", texts, warm);
        }
    }

    private static void Print(string what, int texts, Times times)
    {
        double[] sorted = [.. times.Least.Order()];
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"| {what} | {texts} | {sorted.Length} | {sorted[sorted.Length / 2]:F1} | {sorted.Average():F1} | {sorted[sorted.Length * 99 / 100]:F1} | {sorted[^1]:F1} |"));
    }

    /// <summary>The same measurements in the same order in each round.</summary>
    private sealed class Times
    {
        private int _at;

        public List<double> Least { get; } = [];

        public int Count => Least.Count;

        public void Begin() => _at = 0;

        public void Add(double time)
        {
            if (_at == Least.Count)
                Least.Add(time);
            Least[_at] = Math.Min(Least[_at], time);
            _at++;
        }
    }
}
