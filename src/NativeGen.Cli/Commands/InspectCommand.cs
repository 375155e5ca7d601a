// nativegen inspect FILE: what is in a GGUF file, the memory it will take, and whether this build runs it.
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using NativeGen.Cli.Shell;
using NativeGen.Models;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace NativeGen.Cli.Commands;

internal static class InspectCommand
{
    private const int ShownItems = 6, ShownCharacters = 200;
    private const int NarrowColumns = 80; // below it keys and values do not fit beside each other

    public static Command Create(Terminal terminal)
    {
        var verb = new Verb("inspect", "Shows what is in a GGUF file: metadata, tensors, the memory it takes, and whether this build runs it.",
            ("nativegen inspect model.gguf", "metadata, a summary of the tensors, memory"),
            ("nativegen inspect model.gguf --tensors", "every tensor, too"),
            ("nativegen inspect model.gguf --json | jq .metadata", "everything as JSON"));
        var file = new Argument<string?>("FILE") { Description = "A .gguf file [default: the story model]", Arity = ArgumentArity.ZeroOrOne };
        var tensors = new Option<bool>("--tensors") { Description = "List every tensor" };
        var json = CommonOptions.Json("All metadata and tensors as JSON");
        var context = CommonOptions.ContextLength();
        verb.Add(file);
        verb.Add(tensors);
        verb.Add(context);
        verb.Add(json);
        verb.SetAction(parsed =>
        {
            using var gguf = GgufFile.Open(ModelLocator.Find(parsed.GetValue(file)));
            var runs = Estimate(gguf.Path, parsed.GetValue(context), out var memory, out var refusal);
            if (parsed.GetValue(json))
                WriteJson(terminal, gguf, runs, memory, refusal);
            else
                WriteTables(terminal, gguf, runs, memory, refusal, parsed.GetValue(tensors));
            return ExitCode.Done;
        });
        return verb;
    }

    private static bool Estimate(string path, int contextLength, out MemoryEstimate? memory, out string? refusal)
    {
        try
        {
            (memory, refusal) = (Model.EstimateMemory(path, null, new ContextOptions { ContextLength = contextLength }), null);
            return true;
        }
        catch (NativeGenException e)
        {
            (memory, refusal) = (null, e.Message);
            return false;
        }
    }

    private static void WriteTables(Terminal terminal, GgufFile gguf, bool runs, MemoryEstimate? memory, string? refusal, bool allTensors)
    {
        var architecture = gguf.TryGetEntry("general.architecture", out var entry) && entry.Type == GgufType.String ? gguf.GetString(entry.Key)! : "not said";
        var facts = Tables.Facts();
        facts.Fact("file", gguf.Path + (gguf.FileCount > 1 ? $" and {gguf.FileCount - 1} more" : ""));
        facts.Fact("size", Units.Bytes(gguf.FileBytes));
        facts.Fact("format", $"GGUF version {gguf.Version}, data aligned to {gguf.Alignment} bytes");
        facts.Fact("architecture", architecture);
        facts.Fact("parameters", Units.Count(gguf.Tensors.Sum(t => t.ElementCount)));
        facts.Fact("runs here", runs ? "yes" : "no: " + refusal);
        if (memory is not null)
        {
            facts.Fact("weights", $"{Units.Bytes(memory.WeightsMapped)} mapped, {Units.Bytes(memory.WeightsOwned)} copied");
            facts.Fact("KV cache", $"{Units.Bytes(memory.KvCache)} when full, {Units.Bytes(memory.KvCachePerToken)} a token");
            facts.Fact("step buffers", Units.Bytes(memory.Scratch));
            facts.Fact("memory in all", $"{Units.Bytes(memory.Total)} of {Units.Bytes(memory.Available)} available");
        }
        terminal.Write(facts);

        terminal.WriteLine();
        terminal.Write(Metadata(gguf, terminal.Width));

        var types = Tables.Columns("tensor type", ">tensors", ">parameters", ">size", "readable");
        foreach (var group in gguf.Tensors.GroupBy(t => (t.TypeName, t.IsSupported)).OrderByDescending(g => g.Sum(t => t.Bytes)))
            types.Row(group.Key.TypeName, group.Count().ToString(CultureInfo.InvariantCulture), Units.Count(group.Sum(t => t.ElementCount)), Units.Bytes(group.Sum(t => t.Bytes)), group.Key.IsSupported ? "yes" : "no");
        terminal.WriteLine();
        terminal.Write(types);
        if (!allTensors)
            return;

        var list = Tables.Columns("tensor", "type", ">shape", ">size", ">offset");
        foreach (var t in gguf.Tensors)
            list.Row(t.Name, t.TypeName, string.Join(" x ", t.Shape), Units.Bytes(t.Bytes), t.Offset.ToString(CultureInfo.InvariantCulture));
        terminal.WriteLine();
        terminal.Write(list);
    }

    private static IRenderable Metadata(GgufFile gguf, int columns)
    {
        if (columns < NarrowColumns)
        {
            return new Rows(gguf.Metadata.SelectMany(e => new IRenderable[]
            {
                new Text(e.Key, new Style(decoration: Decoration.Bold)),
                new Padder(new Text(Value(gguf, e)), new Padding(2, 0, 0, 0)),
            }));
        }
        var table = Tables.Columns("metadata", "type", "value");
        table.Columns[0].NoWrap = true;
        foreach (var e in gguf.Metadata)
            table.Row(e.Key, e.ToString(), Value(gguf, e));
        return table;
    }

    private static string Value(GgufFile gguf, GgufEntry entry)
    {
        var value = gguf.GetValue(entry.Key);
        if (value is not Array array)
            return Cut(Text(value));
        var shown = array.Cast<object?>().Take(ShownItems).Select(v => Cut(Text(v)));
        return "[" + string.Join(", ", shown) + (array.Length > ShownItems ? ", ...]" : "]");
    }

    private static string Text(object? value) => value switch
    {
        bool b => b ? "true" : "false",
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        _ => Terminal.Escape(value?.ToString() ?? ""),
    };

    private static string Cut(string text) => text.Length <= ShownCharacters ? text : text[..ShownCharacters] + "...";

    private static void WriteJson(Terminal terminal, GgufFile gguf, bool runs, MemoryEstimate? memory, string? refusal)
    {
        terminal.WriteJson(json =>
        {
            json.WriteStartObject();
            json.WriteString("file", gguf.Path);
            json.WriteNumber("files", gguf.FileCount);
            json.WriteNumber("bytes", gguf.FileBytes);
            json.WriteNumber("version", gguf.Version);
            json.WriteNumber("alignment", gguf.Alignment);
            json.WriteNumber("parameters", gguf.Tensors.Sum(t => t.ElementCount));
            json.WriteBoolean("runs", runs);
            json.WriteString("refusal", refusal);
            if (memory is not null)
            {
                json.WriteStartObject("memory");
                json.WriteNumber("weights_mapped", memory.WeightsMapped);
                json.WriteNumber("weights_owned", memory.WeightsOwned);
                json.WriteNumber("kv_cache", memory.KvCache);
                json.WriteNumber("kv_cache_per_token", memory.KvCachePerToken);
                json.WriteNumber("scratch", memory.Scratch);
                json.WriteNumber("total", memory.Total);
                json.WriteNumber("available", memory.Available);
                json.WriteEndObject();
            }
            json.WriteStartObject("metadata");
            foreach (var entry in gguf.Metadata)
            {
                json.WritePropertyName(entry.Key);
                WriteValue(json, gguf.GetValue(entry.Key));
            }
            json.WriteEndObject();
            json.WriteStartArray("tensors");
            foreach (var t in gguf.Tensors)
            {
                json.WriteStartObject();
                json.WriteString("name", t.Name);
                json.WriteString("type", t.TypeName);
                json.WriteStartArray("shape");
                foreach (var n in t.Shape)
                    json.WriteNumberValue(n);
                json.WriteEndArray();
                json.WriteNumber("offset", t.Offset);
                json.WriteNumber("bytes", t.Bytes);
                json.WriteNumber("file", t.File);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        });
    }

    private static void WriteValue(Utf8JsonWriter json, object? value)
    {
        switch (value)
        {
            case bool v: json.WriteBooleanValue(v); break;
            case string v: json.WriteStringValue(v); break;
            case float v when float.IsFinite(v): json.WriteNumberValue(v); break;
            case double v when double.IsFinite(v): json.WriteNumberValue(v); break;
            case float or double: json.WriteStringValue(Text(value)); break; // JSON has no NaN and no infinities
            case ulong v: json.WriteNumberValue(v); break;
            case Array items:
                json.WriteStartArray();
                foreach (var item in items)
                    WriteValue(json, item);
                json.WriteEndArray();
                break;
            default: json.WriteNumberValue(Convert.ToInt64(value, CultureInfo.InvariantCulture)); break;
        }
    }
}
