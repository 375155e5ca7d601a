// nativegen tokenize: the tokens of a text.
using System.CommandLine;
using System.Globalization;
using System.Text;
using NativeGen.Cli.Shell;
using NativeGen.Models;
using NativeGen.Tokenization;

namespace NativeGen.Cli.Commands;

internal static class TokenizeCommand
{
    public static Command Create(Terminal terminal)
    {
        var verb = new Verb("tokenize", "Shows the tokens of a text: id and piece, one a line.",
            ("nativegen tokenize \"Once upon a time\"", "ids and pieces"),
            ("nativegen tokenize -m model.gguf -f README.md --ids", "ids only, on one line"),
            ("echo hello | nativegen tokenize --json", "for a script"));
        var text = TextInput.Argument("TEXT", "The text");
        var file = TextInput.File();
        var model = CommonOptions.Model();
        var noAdd = new Option<bool>("--no-add-special") { Description = "Add no BOS or EOS token" };
        var noParse = new Option<bool>("--no-parse-special") { Description = "Take special tokens in the text as plain text" };
        var ids = new Option<bool>("--ids") { Description = "Only the ids, on one line" };
        var json = CommonOptions.Json("Ids and pieces as JSON");
        verb.Add(text);
        foreach (var option in new Option[] { file, model, noAdd, noParse, ids, json })
            verb.Add(option);
        verb.SetAction((parsed, cancel) =>
        {
            var tokenizer = Verify.Tokenizers.Open(ModelLocator.Find(parsed.GetValue(model)));
            var bytes = TextInput.Read(terminal, parsed.GetValue(text), parsed.GetValue(file), cancel);
            var tokens = tokenizer.Encode(bytes, !parsed.GetValue(noAdd), !parsed.GetValue(noParse));
            if (parsed.GetValue(json))
                WriteJson(terminal, tokenizer, tokens);
            else if (parsed.GetValue(ids))
                terminal.WriteLine(string.Join(' ', tokens));
            else
                WriteLines(terminal, tokenizer, tokens);
            return Task.FromResult(ExitCode.Done);
        });
        return verb;
    }

    private static void WriteLines(Terminal terminal, Tokenizer tokenizer, int[] tokens)
    {
        var width = tokens.Length == 0 ? 0 : tokens.Max().ToString(CultureInfo.InvariantCulture).Length;
        var lines = new StringBuilder();
        foreach (var id in tokens)
            lines.Append(id.ToString(CultureInfo.InvariantCulture).PadLeft(width)).Append("  '").Append(Pieces.Show(tokenizer.Piece(id))).Append("'\n");
        terminal.Write(lines.ToString());
    }

    private static void WriteJson(Terminal terminal, Tokenizer tokenizer, int[] tokens) => terminal.WriteJson(json =>
    {
        json.WriteStartObject();
        json.WriteNumber("count", tokens.Length);
        json.WriteStartArray("ids");
        foreach (var id in tokens)
            json.WriteNumberValue(id);
        json.WriteEndArray();
        json.WriteStartArray("pieces");
        foreach (var id in tokens)
            Pieces.Write(json, tokenizer.Piece(id));
        json.WriteEndArray();
        json.WriteEndObject();
    });
}
