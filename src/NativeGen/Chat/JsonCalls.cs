// Calls that are JSON as a whole: {"name": ..., "arguments": ...}, alone, several in a row or in a list, with and without markers around them.
using System.Text;
using NativeGen.Constraints;

namespace NativeGen.Chat;

internal sealed class JsonCalls : CallSyntax
{
    private static readonly string[] _names = ["name", "tool_name"], _arguments = ["arguments", "parameters"], _ids = ["id", "tool_call_id", "call_id"];

    /// <summary>An object is { "the tool's name": its arguments }.</summary>
    internal bool NameIsKey { get; init; }

    /// <summary>How the family writes an object's member of arguments; for the grammar.</summary>
    internal string NameKey { get; init; } = "name";

    /// <summary>How the family writes an object's member of arguments; for the grammar.</summary>
    internal string ArgumentsKey { get; init; } = "arguments";

    /// <summary>What stands around calls, for the grammar: begin, between, end.</summary>
    internal (string Begin, string? Between, string End) Around { get; init; } = ("", null, "");

    internal override IEnumerable<bool> Read(ChatParser parser, string? trigger, bool trial)
    {
        TextCursor text = parser.In;
        foreach (bool wait in parser.SkipSpace())
            yield return wait;
        if (!trial)
        {
            foreach (bool wait in parser.Peek(parser.Set("```json", "```"))) // a list may stand in a code block
                yield return wait;
            parser.TakeFound();
            foreach (bool wait in parser.SkipSpace())
                yield return wait;
        }

        bool opened = trigger?.EndsWith('[') == true, list = opened || (!text.IsEmpty && text.Next == '['), any = false;
        text.Advance(list && !opened ? 1 : 0);
        while (true)
        {
            foreach (bool wait in parser.SkipSpace())
                yield return wait;
            if (any && text.IsEmpty)
                yield break;
            if (!parser.HasNext())
                yield break;
            char next = text.Next;
            if (next == '{')
            {
                foreach (bool wait in NameIsKey ? ReadNamed(parser) : ReadObject(parser, trial))
                    yield return wait;
                if (parser.Failed)
                    yield break;
                any = true;
            }
            else if (next == ']' && list)
            {
                text.Advance(1);
                if (!any && trial)
                    parser.Fail("it names no tool");
                yield break;
            }
            else if (any && next is ',' or ';')
                text.Advance(1);
            else
            {
                if (!any)
                    parser.Fail("no JSON object follows");
                yield break;
            }
        }
    }

    // Members in any order; arguments are told as they come if the name is known by then.
    private static IEnumerable<bool> ReadObject(ChatParser parser, bool trial)
    {
        TextCursor text = parser.In;
        text.Advance(1);
        string? name = null, id = null, early = null;
        bool began = false;
        int depth = 1; // 2 in {"type": "function", "function": {...}}
        StringBuilder value = new();
        while (true)
        {
            foreach (bool wait in parser.SkipSpace())
                yield return wait;
            if (!parser.HasNext())
                yield break;
            char next = text.Next;
            if (next is '}' or ',')
            {
                text.Advance(1);
                if (next == '}' && --depth == 0)
                    break;
                continue;
            }

            if (next != '"')
            {
                parser.Fail("its JSON is wrong");
                yield break;
            }

            value.Clear();
            foreach (bool wait in parser.Json(value))
                yield return wait;
            if (parser.Failed)
                yield break;
            string key = JsonOut.ReadString(value.ToString()) ?? "";
            bool isName = _names.Contains(key), isArguments = _arguments.Contains(key), isId = _ids.Contains(key), isFunction = key == "function";
            if (trial && !isName && !isArguments && !isId && !isFunction && key != "type")
            {
                parser.Fail("it has members that no call has");
                yield break;
            }

            foreach (bool wait in parser.SkipSpace())
                yield return wait;
            if (!parser.HasNext())
                yield break;
            if (text.Next != ':')
            {
                parser.Fail("its JSON is wrong");
                yield break;
            }

            text.Advance(1);
            foreach (bool wait in parser.SkipSpace())
                yield return wait;
            if (!parser.HasNext())
                yield break;
            if (isFunction && text.Next == '{' && depth == 1)
            {
                text.Advance(1);
                depth++;
                continue;
            }

            bool asTheyCome = isArguments && name is not null && text.Next == '{' && !began && early is null;
            if (asTheyCome)
            {
                parser.BeginCall(name!, id);
                began = true;
            }

            value.Clear();
            foreach (bool wait in parser.Json(asTheyCome ? null : value))
                yield return wait;
            if (parser.Failed)
                yield break;
            if (asTheyCome)
                continue;
            if (isName || (isFunction && name is null))
            {
                name = JsonOut.ReadString(value.ToString());
                if (trial && (name is null || !parser.Tools.Contains(name)))
                {
                    parser.Fail("it names no tool");
                    yield break;
                }
            }
            else if (isArguments)
                early = value.ToString();
            else if (isId)
                id = JsonOut.ReadString(value.ToString()) ?? value.ToString();
        }

        if (string.IsNullOrEmpty(name))
            parser.Fail("it has no name");
        else if (!began && ArgumentsOf(early) is { } arguments)
        {
            parser.BeginCall(name, id);
            parser.Arguments(arguments);
            parser.EndCall();
        }
        else if (began)
            parser.EndCall();
        else
            parser.Fail("its arguments are no object");
    }

    // {"name": {arguments}}
    private static IEnumerable<bool> ReadNamed(ChatParser parser)
    {
        TextCursor text = parser.In;
        text.Advance(1);
        StringBuilder value = new();
        for (int part = 0; part < 3; part++) // name, colon, arguments
        {
            foreach (bool wait in parser.SkipSpace())
                yield return wait;
            if (!parser.HasNext())
                yield break;
            if (text.Next != "\":{"[part])
            {
                parser.Fail("it is no object of a name and arguments");
                yield break;
            }

            if (part == 1)
            {
                text.Advance(1);
                continue;
            }

            if (part == 2)
                parser.BeginCall(JsonOut.ReadString(value.ToString()) ?? "", null);
            foreach (bool wait in parser.Json(part == 0 ? value : null))
                yield return wait;
            if (parser.Failed)
                yield break;
        }

        foreach (bool wait in parser.SkipSpace())
            yield return wait;
        if (!parser.HasNext())
            yield break;
        if (text.Next != '}')
        {
            parser.Fail("its JSON is wrong");
            yield break;
        }

        text.Advance(1);
        parser.EndCall();
    }

    // An object; the same as text in a string; nothing at all is no arguments.
    private static string? ArgumentsOf(string? json)
    {
        if (json is null or "null")
            return "{}";
        if (json.StartsWith('{'))
            return json;
        string? text = JsonOut.ReadString(json)?.Trim();
        return text == "" ? "{}" : text is not null && text.StartsWith('{') && new JsonScanner().IsValue(text) ? text : null;
    }

    internal override CallShape Shape(ToolGrammar grammar)
    {
        Expr call = grammar.OneOf(tool => NameIsKey
            ? Expr.Sequence(Expr.Text("{" + grammar.Quoted(tool.Name) + ": "), grammar.Arguments(tool), Expr.Text("}"))
            : Expr.Sequence(Expr.Text($"{{\"{NameKey}\": {grammar.Quoted(tool.Name)}, \"{ArgumentsKey}\": "), grammar.Arguments(tool), Expr.Text("}")));
        return new(Around.Begin, call, Around.Between, Around.End);
    }
}
