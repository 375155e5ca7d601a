// nativegen score: the log-probability of every token of a text given those before it.
using System.CommandLine;
using System.Globalization;
using System.Text;
using NativeGen.Cli.Shell;
using NativeGen.Cli.Verify;
using NativeGen.Models;
using NativeGen.Tokenization;

namespace NativeGen.Cli.Commands;

internal static class ScoreCommand
{
    /// <summary>A token of the text. The first has nothing before it, so no log-probability. Top: the most probable ones in its place.</summary>
    private sealed record Scored(int Id, double? Logprob, (int Id, double Logprob)[] Top);

    public static Command Create(Terminal terminal)
    {
        var verb = new Verb("score", "Gives the log-probability of every token of a text, their sum, and the perplexity.",
            ("nativegen score \"Once upon a time, there was a little girl.\"", "how likely the model finds each token"),
            ("nativegen score -m model.gguf -f chapter.txt --json | jq .perplexity", "perplexity of a text"),
            ("nativegen score --ids 0,510,331 --top-logprobs 5", "given token ids, and what would have been likelier"));
        var text = TextInput.Argument("TEXT", "The text");
        var file = TextInput.File();
        var ids = new Option<string?>("--ids") { Description = "Token ids instead of a text, separated by commas; no special tokens are added", HelpName = "1,2,3" };
        var top = CommonOptions.Checked(new Option<int>("--top-logprobs") { Description = "Also the K most probable tokens at each place", HelpName = "K" }, k => k is >= 0 and <= 1000, "from 0 to 1000");
        var model = CommonOptions.Model();
        var context = CommonOptions.ContextLength();
        var kv = CommonOptions.KvCacheType();
        var threads = CommonOptions.Threads();
        var exact = new Option<bool>("--exact") { Description = "Float activations: slow, for comparing with a reference" };
        var json = CommonOptions.Json("The result as JSON");
        verb.Add(text);
        foreach (var option in new Option[] { file, ids, top, model, context, kv, threads, exact, json })
            verb.Add(option);
        verb.SetAction((parsed, cancel) =>
        {
            if (parsed.GetValue(ids) is not null && (parsed.GetValue(text) ?? parsed.GetValue(file)) is not null)
                throw new CliException(ExitCode.Usage, "give a text or --ids, not both");
            using var opened = CommonOptions.Open(terminal, parsed.GetValue(model), new ModelOptions { ExactActivations = parsed.GetValue(exact), Threads = parsed.GetValue(threads) }, cancel);
            var tokens = parsed.GetValue(ids) is { } list
                ? ParseIds(list, opened.Info.VocabularySize)
                : opened.Tokenizer.Encode(TextInput.Read(terminal, parsed.GetValue(text), parsed.GetValue(file), cancel), addSpecial: true, parseSpecial: true);
            if (tokens.Length < 2)
                throw new CliException(ExitCode.Usage, "there is nothing to score: it takes two tokens, each is scored given those before it");
            var options = new ContextOptions { ContextLength = parsed.GetValue(context), KvCacheType = parsed.GetValue(kv), Threads = parsed.GetValue(threads) };
            using var subject = new Subject(opened, new VerifyOptions(Cancel: cancel), options);
            if (tokens.Length > subject.Context.ContextLength)
                throw new CliException(ExitCode.Failed, $"the text has {tokens.Length} tokens, the context holds {subject.Context.ContextLength}{Longer(opened, subject.Context.ContextLength)}");
            var scored = Score(terminal, subject, tokens, parsed.GetValue(top));
            terminal.ClearStatus();
            if (parsed.GetValue(json))
                WriteJson(terminal, opened.Tokenizer, scored);
            else
                WriteTable(terminal, opened.Tokenizer, scored);
            return Task.FromResult(ExitCode.Done);
        });
        return verb;
    }

    private static string Longer(Model model, int length) =>
        model.Info.TrainedContextLength > length ? $"; --context-length allows up to {model.Info.TrainedContextLength}" : "";

    private static int[] ParseIds(string list, int vocabulary)
    {
        var words = list.Split([',', ' '], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var ids = new int[words.Length];
        for (var i = 0; i < ids.Length; i++)
        {
            if (!int.TryParse(words[i], NumberStyles.None, CultureInfo.InvariantCulture, out ids[i]) || ids[i] >= vocabulary)
                throw new CliException(ExitCode.Usage, $"--ids: '{words[i]}' is no token id; the model has {vocabulary}, from 0");
        }
        return ids;
    }

    private static List<Scored> Score(Terminal terminal, Subject subject, int[] tokens, int top)
    {
        List<Scored> scored = [new(tokens[0], null, [])];
        subject.Run(tokens.AsSpan(0, tokens.Length - 1), 0, (position, logits) =>
        {
            if (position % Subject.MaxChunk == 0)
                terminal.Status($"scoring token {position + 1} of {tokens.Length}");
            var norm = Statistics.LogSumExp(logits);
            var next = tokens[position + 1];
            scored.Add(new(next, logits[next] - norm, [.. Best(logits, top).Select(id => id)]));

            (int, double)[] Best(ReadOnlySpan<float> row, int count)
            {
                var best = new PriorityQueue<int, (float, int)>(); // the least probable, of equals the later, comes out first
                for (var id = 0; id < row.Length && count > 0; id++)
                {
                    if (best.Count < count)
                        best.Enqueue(id, (row[id], -id));
                    else if (best.TryPeek(out _, out var least) && row[id] > least.Item1)
                        best.DequeueEnqueue(id, (row[id], -id));
                }
                var result = new (int, double)[best.Count];
                for (var i = result.Length - 1; i >= 0; i--)
                {
                    var id = best.Dequeue();
                    result[i] = (id, row[id] - norm);
                }
                return result;
            }
        });
        return scored;
    }

    private static (double Sum, double Perplexity) Totals(List<Scored> scored)
    {
        var sum = scored.Sum(s => s.Logprob ?? 0);
        return (sum, Math.Exp(-sum / (scored.Count - 1)));
    }

    private static void WriteTable(Terminal terminal, Tokenizer tokenizer, List<Scored> scored)
    {
        var lines = new StringBuilder();
        foreach (var s in scored)
        {
            lines.Append(CultureInfo.InvariantCulture, $"{(s.Logprob is { } l ? l.ToString("0.0000", CultureInfo.InvariantCulture) : ""),10}  {s.Id,6}  '{Pieces.Show(tokenizer.Piece(s.Id))}'");
            if (s.Top.Length > 0)
                lines.Append("   likeliest: ").AppendJoin(", ", s.Top.Select(t => string.Create(CultureInfo.InvariantCulture, $"'{Pieces.Show(tokenizer.Piece(t.Id))}' {t.Logprob:0.00}")));
            lines.Append('\n');
        }
        var (sum, perplexity) = Totals(scored);
        lines.Append(CultureInfo.InvariantCulture, $"{scored.Count} tokens, sum of log-probabilities {sum:0.0000}, perplexity {perplexity:0.####}\n");
        terminal.Write(lines.ToString());
    }

    private static void WriteJson(Terminal terminal, Tokenizer tokenizer, List<Scored> scored) => terminal.WriteJson(json =>
    {
        var (sum, perplexity) = Totals(scored);
        json.WriteStartObject();
        json.WriteStartArray("tokens");
        foreach (var s in scored)
        {
            json.WriteStartObject();
            json.WriteNumber("id", s.Id);
            json.WritePropertyName("piece");
            Pieces.Write(json, tokenizer.Piece(s.Id));
            if (s.Logprob is { } logprob)
                json.WriteNumber("logprob", logprob);
            else
                json.WriteNull("logprob");
            if (s.Top.Length > 0)
            {
                json.WriteStartArray("top_logprobs");
                foreach (var (id, value) in s.Top)
                {
                    json.WriteStartObject();
                    json.WriteNumber("id", id);
                    json.WritePropertyName("piece");
                    Pieces.Write(json, tokenizer.Piece(id));
                    json.WriteNumber("logprob", value);
                    json.WriteEndObject();
                }
                json.WriteEndArray();
            }
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteNumber("sum", sum);
        json.WriteNumber("perplexity", perplexity);
        json.WriteEndObject();
    });
}
