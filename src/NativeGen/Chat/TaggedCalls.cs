// Calls as tags, a tag for each parameter: <function=name><parameter=key>value</parameter></function> and its many relatives. Values stand without quotes;
// the tool's schema says which of them are strings.
using System.Text;
using NativeGen.Constraints;

namespace NativeGen.Chat;

internal sealed class TaggedCalls : CallSyntax
{
    /// <summary>Ends the tag with the name; null: the name ends at the line or the next tag, which is not part of it.</summary>
    internal string? HeaderEnd { get; init; }

    /// <summary>Begins a parameter, up to its name.</summary>
    internal required string ParameterBegin { get; init; }

    /// <summary>Between a parameter's name and its value.</summary>
    internal required string ParameterEnd { get; init; }

    /// <summary>Behind a value.</summary>
    internal required string ValueEnd { get; init; }

    /// <summary>Behind the last parameter.</summary>
    internal required string CallEnd { get; init; }

    /// <summary>A value stands on lines of its own: one line end at either side of it is not part of it.</summary>
    internal bool Lines { get; init; }

    /// <summary>A value may be a CDATA section.</summary>
    internal bool Data { get; init; }

    /// <summary>What stands around and between calls, and between the parts of one, for the grammar.</summary>
    internal (string Begin, string Call, string AfterName, string? Between, string End) Written { get; init; }

    /// <summary>The text between ParameterBegin and value for a parameter, given whether it is a string; for the grammar.</summary>
    internal Func<string, bool, string>? ParameterHead { get; init; }

    /// <summary>Behind a value's end; for the grammar.</summary>
    internal string AfterValue { get; init; } = "";

    internal override IEnumerable<string> InnerMarkers => [HeaderEnd ?? "", ParameterBegin, ParameterEnd, ValueEnd, CallEnd];

    internal override IEnumerable<bool> Read(ChatParser parser, string? trigger, bool trial)
    {
        TextCursor text = parser.In;
        StringBuilder buffer = new();
        if (HeaderEnd is null)
        {
            foreach (bool wait in parser.SkipSpace())
                yield return wait;
        }

        foreach (bool wait in parser.UpTo(HeaderEnd is null ? parser.Set("<", "\n") : parser.Set(HeaderEnd), buffer, ChatParser.MostHeader))
            yield return wait;
        if (parser.Failed)
            yield break;
        if (HeaderEnd is not null)
            parser.TakeFound();
        string name = Unquoted(buffer);
        if (name.Length == 0)
        {
            parser.Fail("it has no name");
            yield break;
        }

        bool first = true;
        string? pending = name; // told with the first part that proves it a call
        while (true)
        {
            foreach (bool wait in parser.SkipSpace())
                yield return wait;
            foreach (bool wait in parser.Peek(parser.Set(ParameterBegin, CallEnd)))
                yield return wait;
            if (!parser.HasNext())
                yield break;
            string? part = parser.Found;
            if (part is null)
            {
                parser.Fail("neither a parameter nor its end follows");
                yield break;
            }

            parser.TakeFound();
            if (pending is not null)
                parser.BeginCall(pending, null);
            pending = null;
            if (part != ParameterBegin)
                break;
            buffer.Clear();
            foreach (bool wait in parser.UpTo(parser.Set(ParameterEnd), buffer, ChatParser.MostHeader))
                yield return wait;
            if (parser.Failed)
                yield break;
            parser.TakeFound();
            foreach (bool wait in ReadValue(parser, name, Unquoted(buffer), buffer.ToString(), first))
                yield return wait;
            if (parser.Failed)
                yield break;
            first = false;
        }

        parser.Arguments(first ? "{}" : "}");
        parser.EndCall();
    }

    private IEnumerable<bool> ReadValue(ChatParser parser, string tool, string name, string head, bool first)
    {
        TextCursor text = parser.In;
        StringBuilder json = new(first ? "{" : ",");
        JsonOut.AppendString(json, name);
        json.Append(':');
        MarkerSet ends = parser.Set(ValueEnd);
        bool isData = false;
        if (Data)
        {
            foreach (bool wait in parser.Peek(parser.Set("<![CDATA[")))
                yield return wait;
            isData = parser.Found is not null;
            parser.TakeFound();
            ends = isData ? parser.Set("]]>" + ValueEnd) : ends;
        }

        ParameterKinds kinds = parser.Tools.Find(tool)?.KindsOf(name) ?? ParameterKinds.Unknown;
        if (kinds == ParameterKinds.Unknown)
            kinds = head.Contains("\"true\"", StringComparison.Ordinal) || head.Contains("type=\"string\"", StringComparison.Ordinal) ? ParameterKinds.Text
                : head.Contains("\"false\"", StringComparison.Ordinal) ? ParameterKinds.Other : kinds;
        if (kinds == ParameterKinds.Text)
        {
            json.Append('"');
            foreach (bool wait in ReadText(parser, ends, json, lines: Lines && !isData))
                yield return wait;
            if (parser.Failed)
                yield break;
            parser.TakeFound();
            yield break;
        }

        // What it is shows when it is whole.
        StringBuilder value = new();
        foreach (bool wait in parser.UpTo(ends, value))
            yield return wait;
        if (parser.Failed)
            yield break;
        parser.TakeFound();
        AppendValue(json, value.ToString(), kinds, Lines && !isData);
        parser.Arguments(json.ToString());
    }

    // A string, told as it comes; a line end waits, since the last one is not part of it.
    private static IEnumerable<bool> ReadText(ChatParser parser, MarkerSet ends, StringBuilder json, bool lines)
    {
        TextCursor text = parser.In;
        bool begins = lines, lineEnd = false;
        while (true)
        {
            int at = ends.Find(text.Rest, text.Ended, out string? end, out _);
            ReadOnlySpan<char> piece = text.Rest[..at];
            int read = at;
            if (begins && piece.Length > 0)
            {
                piece = piece[(piece[0] == '\n' ? 1 : 0)..];
                begins = false;
            }

            if (lines && piece.Length > 0)
            {
                if (lineEnd)
                    JsonOut.AppendEscaped(json, "\n");
                lineEnd = piece[^1] == '\n';
                piece = piece[..^(lineEnd ? 1 : 0)];
            }

            JsonOut.AppendEscaped(json, piece);
            text.Advance(read);
            if (end is not null)
                json.Append('"');
            parser.Arguments(json.ToString());
            json.Clear();
            if (end is not null)
                break;
            if (text.Ended)
            {
                parser.Fail("the output ends in the middle of it");
                yield break;
            }

            yield return true;
        }

        foreach (bool wait in parser.Peek(ends)) // is there: says which it is
            yield return wait;
    }

    private static void AppendValue(StringBuilder json, string text, ParameterKinds kinds, bool lines)
    {
        string trimmed = text.Trim();
        if (new JsonScanner().IsValue(trimmed) && (kinds == ParameterKinds.Other || trimmed[0] != '"'))
            json.Append(trimmed);
        else if (LiteralReader.Python(trimmed) is { } value && (kinds != ParameterKinds.Unknown || value[0] is '{' or '['))
            json.Append(value);
        else
        {
            ReadOnlySpan<char> raw = text;
            if (lines && raw.StartsWith('\n'))
                raw = raw[1..];
            if (lines && raw.EndsWith('\n'))
                raw = raw[..^1];
            JsonOut.AppendString(json, raw);
        }
    }

    // The name in a tag's head: up to a quote, or a tag of its own that closes it.
    private static string Unquoted(StringBuilder head)
    {
        string text = head.ToString().Trim().TrimStart('"');
        int end = text.AsSpan().IndexOfAny('"', '<');
        return (end < 0 ? text : text[..end]).Trim();
    }

    internal override CallShape? Shape(ToolGrammar grammar)
    {
        if (ParameterHead is not { } head)
            return null;
        Expr call = grammar.OneOf(tool =>
        {
            List<Expr> parts = [grammar.Text(Written.Call + tool.Name + Written.AfterName)];
            foreach ((string name, bool required, bool isText, Expr value) in grammar.Parameters(tool, ValueEnd))
            {
                Expr parameter = Expr.Sequence(grammar.Text(ParameterBegin + head(name, isText) + (Lines ? "\n" : "")), value, grammar.Text((Lines ? "\n" : "") + ValueEnd + AfterValue));
                parts.Add(required ? parameter : Expr.Optional(parameter));
            }

            parts.Add(grammar.Text(CallEnd));
            return Expr.Sequence([.. parts]);
        });
        return new(Written.Begin, call, Written.Between, Written.End);
    }
}
