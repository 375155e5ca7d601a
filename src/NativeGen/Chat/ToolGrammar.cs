// The grammar of an answer that may or must call tools: free text up to where a call begins, then only what the tools' schemas allow.
using System.Text;
using System.Text.Json;
using NativeGen.Constraints;
using NativeGen.Constraints.Schema;
using NativeGen.Tokenization;

namespace NativeGen.Chat;

/// <summary>What the model has to do.</summary>
internal enum ToolChoice
{
    /// <summary>Answer or call.</summary>
    Auto,

    /// <summary>Call.</summary>
    Required,
}

/// <summary>Makes one grammar. Not thread safe.</summary>
internal sealed class ToolGrammar
{
    private static readonly HashSet<string> _annotations =
        ["type", "title", "description", "default", "examples", "enum", "const", "$comment", "deprecated", "readOnly", "writeOnly"];

    // What an object's schema may say beside its properties for its calls to be written tag by tag.
    private static readonly HashSet<string> _flat =
        ["type", "title", "description", "default", "examples", "$comment", "$schema", "$id", "properties", "required", "additionalProperties", "$defs", "definitions", "strict"];

    // Keywords that may name members beside those of properties.
    private static readonly HashSet<string> _opens =
        ["additionalProperties", "unevaluatedProperties", "patternProperties", "propertyNames", "allOf", "anyOf", "oneOf", "if", "$ref", "dependentSchemas", "dependencies", "minProperties"];

    private static readonly CodePointSet _blank = CodePointSet.Of(" \t\r\n");

    private readonly GrammarBuilder _builder = new();
    private readonly IReadOnlyList<ToolSpec> _tools;
    private readonly bool _strict;
    private readonly ControlMarks _marks;
    private readonly Dictionary<ToolSpec, Expr> _arguments = [];
    private RuleId? _anyObject;

    private ToolGrammar(IReadOnlyList<ToolSpec> tools, bool strict, ControlMarks marks) => (_tools, _strict, _marks) = (tools, strict, marks);

    /// <summary>What could not be enforced, one sentence each.</summary>
    internal List<string> Warnings { get; } = [];

    /// <summary>The grammar of an answer; null if the answer is free (with a warning if calls will not be kept to their schemas).</summary>
    /// <param name="format">How the model writes.</param>
    /// <param name="tools">What it may call: for one that it must call, only that one.</param>
    /// <param name="choice">Whether it must call.</param>
    /// <param name="parallel">Whether it may call several.</param>
    /// <param name="prompt">The prompt's end.</param>
    /// <param name="marks">How control tokens stand in the grammar.</param>
    /// <param name="warnings">What will not be kept.</param>
    /// <exception cref="ArgumentException">A call is demanded but cannot be kept to its schema.</exception>
    internal static Grammar? Create(ChatFormat format, IReadOnlyList<ToolSpec> tools, ToolChoice choice, bool parallel, ReadOnlySpan<char> prompt, ControlMarks marks, List<string> warnings)
    {
        bool required = choice == ToolChoice.Required;
        ToolGrammar grammar = new(tools, required, marks);
        CallSyntax syntax = format.Tools.Bare is { } bare && format.Tools.Name == ToolFormats.LlamaJson.Name ? bare : format.Tools.Calls[0];
        if (syntax.Shape(grammar) is not { } shape)
        {
            const string What = "calls in this model's own notation are not kept to their schemas in this build";
            if (required)
                throw new ArgumentException($"A tool call cannot be demanded: {What}.", "ToolChoice");
            warnings.Add($"Tools: {What}.");
            return null;
        }

        Expr answer = grammar.Answer(format, shape, required, parallel && format.Tools.Parallel, prompt);
        warnings.AddRange(grammar.Warnings);
        return grammar._builder.Build(grammar._builder.Add("answer", answer));
    }

    private Expr Answer(ChatFormat format, CallShape shape, bool required, bool parallel, ReadOnlySpan<char> prompt)
    {
        bool opened = format.Tools.OpenedIn(prompt) is not null;
        Expr calls = parallel && shape.Between is { } between ? Expr.Sequence(shape.Call, Expr.Repeat(Expr.Sequence(Text(between), shape.Call), 0)) : shape.Call;
        Expr section = Expr.Sequence(Text(opened ? "" : shape.Begin), calls, Text(shape.End));
        string[] triggers = [.. format.Tools.Calls.SelectMany(syntax => syntax.Triggers)];
        Expr rest;
        if (shape.Begin.Length == 0 && triggers is [] or ["<|python_tag|>"])
        {
            // Nothing announces a call: an answer that begins like one is one.
            Expr other = Expr.Sequence(Expr.Chars(CodePointSet.Any.Except(_blank).Except(CodePointSet.Of("{["))), Without(triggers));
            rest = required ? Expr.Sequence(Blank(), section) : Expr.Sequence(Blank(), Expr.Optional(Expr.Choice(section, other)));
        }
        else if (opened)
        {
            Expr text = Expr.Sequence(Text("all\n"), Without(triggers), Expr.Optional(Expr.Sequence(Text(shape.Begin), section)));
            rest = required ? section : Expr.Choice(section, text);
        }
        else
        {
            rest = required ? Expr.Sequence(Blank(), section) : Expr.Sequence(Free(format, shape, triggers), Expr.Optional(section));
        }

        return WithReasoning(format.Reasoning, rest, prompt);
    }

    // Text without a call, with the control tokens that the format has in texts.
    private Expr Free(ChatFormat format, CallShape shape, string[] triggers)
    {
        Expr text = Without([.. triggers, shape.Begin.TrimEnd()]);
        Expr[] ignored = [.. format.Tools.Ignored.Where(marker => _marks.AreIn(_marks.Mark(marker)) && !shape.Begin.StartsWith(marker, StringComparison.Ordinal)).Select(Text)];
        return ignored.Length == 0 ? text : Expr.Sequence(text, Expr.Repeat(Expr.Sequence(Expr.Choice(ignored), text), 0));
    }

    private Expr WithReasoning(ReasoningFormat reasoning, Expr rest, ReadOnlySpan<char> prompt)
    {
        if (reasoning.Opens.Length == 0)
            return rest;
        Expr thoughts = Expr.Sequence(Without(reasoning.Closes), Text(reasoning.Closes[0]));
        return reasoning.IsOpenIn(prompt) ? Expr.Sequence(thoughts, rest)
            : Expr.Sequence(Expr.Optional(Expr.Sequence(Blank(), Text(reasoning.Opens[0]), thoughts)), Blank(), Header(reasoning), rest);
    }

    // Harmony's second message begins with its role.
    private Expr Header(ReasoningFormat reasoning) =>
        reasoning.Opens[0].StartsWith("<|channel|>", StringComparison.Ordinal) ? Expr.Optional(Text("<|start|>assistant")) : Expr.Empty;

    private static Expr Blank() => Expr.Repeat(Expr.Chars(_blank), 0, 8);

    /// <summary>Any text that has none of these in it. Control tokens it has none anyway.</summary>
    internal Expr Without(params string[] texts)
    {
        Expr any = Expr.Repeat(Expr.Chars(CodePointSet.Any), 0);
        string[] some = [.. texts.Select(_marks.Mark).Where(text => text.Length > 0 && !_marks.AreIn(text))];
        return some.Length == 0 ? any : Expr.Regular(Dfa.From(Expr.Sequence(any, Expr.Choice([.. some.Select(Expr.Text)]), any)).Complement());
    }

    // ---- what syntaxes use -------------------------------------------------------------------------------------------------------

    /// <summary>A text of the format, control tokens as marks.</summary>
    internal Expr Text(string text)
    {
        text = _marks.Mark(text);
        if (!_marks.AreIn(text))
            return Expr.Text(text);
        List<Expr> parts = [];
        int at = 0;
        for (int i = 0; i < text.Length; i++)
        {
            if (!ControlMarks.BeginsWithMark(text.AsSpan(i)))
                continue;
            parts.Add(Expr.Text(text[at..i]));
            parts.Add(Expr.Regular(Dfa.Mark(text[i])));
            at = i + 1;
        }

        parts.Add(Expr.Text(text[at..]));
        return Expr.Sequence([.. parts]);
    }

    internal Expr OneOf(Func<ToolSpec, Expr> call) => Expr.Choice([.. _tools.Select(call)]);

    internal string Quoted(string name)
    {
        StringBuilder json = new();
        JsonOut.AppendString(json, name);
        return json.ToString();
    }

    /// <summary>A tool's arguments as a JSON object.</summary>
    internal Expr Arguments(ToolSpec tool)
    {
        if (_arguments.TryGetValue(tool, out Expr? known))
            return known;
        Expr arguments;
        try
        {
            arguments = IsAnyObject(tool.Schema) ? AnyObject() : Expr.Reference(SchemaCompiler.AddTo(_builder, Object(tool.Schema)));
        }
        catch (SchemaException e)
        {
            arguments = Unenforced(tool, e.Message, e);
        }

        return _arguments[tool] = arguments;
    }

    /// <summary>A tool's parameters one by one, in the order of its schema.</summary>
    internal IEnumerable<(string Name, bool Required, bool IsText, Expr Value)> Parameters(ToolSpec tool, string valueEnd)
    {
        JsonElement schema = tool.Schema;
        if (schema.ValueKind != JsonValueKind.Object || !schema.TryGetProperty("properties", out JsonElement properties) || properties.ValueKind != JsonValueKind.Object)
            yield break;
        if (schema.EnumerateObject().FirstOrDefault(member => !_flat.Contains(member.Name)) is { Value.ValueKind: not JsonValueKind.Undefined } odd)
            Unenforced(tool, $"'{odd.Name}' beside its properties cannot be kept where calls are written parameter by parameter", null);
        HashSet<string> required = schema.TryGetProperty("required", out JsonElement names) && names.ValueKind == JsonValueKind.Array
            ? [.. names.EnumerateArray().Where(name => name.ValueKind == JsonValueKind.String).Select(name => name.GetString()!)] : [];
        foreach (JsonProperty property in properties.EnumerateObject())
        {
            bool isText = tool.KindsOf(property.Name) is ParameterKinds.Text or ParameterKinds.Unknown;
            yield return (property.Name, required.Contains(property.Name), isText, Value(tool, property, isText, valueEnd));
        }
    }

    private Expr Value(ToolSpec tool, JsonProperty property, bool isText, string valueEnd)
    {
        JsonElement schema = property.Value;
        Expr free = Without(valueEnd);
        if (!isText)
        {
            try
            {
                return Expr.Reference(SchemaCompiler.AddTo(_builder, WithDefinitions(tool.Schema, schema)));
            }
            catch (SchemaException e)
            {
                Unenforced(tool, $"parameter {property.Name}: {e.Message}", e);
                return free;
            }
        }

        if (schema.ValueKind != JsonValueKind.Object)
            return free;
        if (schema.EnumerateObject().FirstOrDefault(member => !_annotations.Contains(member.Name)) is { Value.ValueKind: not JsonValueKind.Undefined } odd)
            Unenforced(tool, $"parameter {property.Name}: '{odd.Name}' of a string cannot be kept where strings are written without quotes", null);
        IEnumerable<JsonElement>? fixedValues = schema.TryGetProperty("const", out JsonElement one) ? [one]
            : schema.TryGetProperty("enum", out JsonElement several) && several.ValueKind == JsonValueKind.Array ? several.EnumerateArray() : null;
        return fixedValues is null ? free : Expr.Choice([.. fixedValues.Where(value => value.ValueKind == JsonValueKind.String).Select(value => Expr.Text(value.GetString()!))]);
    }

    private Expr Unenforced(ToolSpec tool, string why, Exception? inner)
    {
        if (_strict)
            throw new ArgumentException($"The arguments of the tool {tool.Name} cannot be kept to their schema: {why}", "Tools", inner);
        Warnings.Add($"Tools: the arguments of {tool.Name} are not kept to their schema: {why}");
        return AnyObject();
    }

    private Expr AnyObject() => Expr.Reference(_anyObject ??= SchemaCompiler.AddTo(_builder, """{"type":"object"}"""));

    private static bool IsAnyObject(JsonElement schema) => schema.ValueKind != JsonValueKind.Object;

    // Arguments are an object even where the schema does not say so, and have no members that it does not name: a tool could not use them.
    private static string Object(JsonElement schema)
    {
        StringBuilder text = new("{");
        if (!schema.TryGetProperty("type", out _))
            text.Append("\"type\":\"object\",");
        if (schema.TryGetProperty("properties", out _) && !schema.EnumerateObject().Any(member => _opens.Contains(member.Name)))
            text.Append("\"additionalProperties\":false,");
        string members = schema.GetRawText().AsSpan().Trim()[1..].TrimStart().ToString();
        return (members[0] == '}' ? text.ToString().TrimEnd(',') : text.ToString()) + members;
    }

    // A property by itself, with what its references point to.
    private static string WithDefinitions(JsonElement root, JsonElement property)
    {
        if (property.ValueKind != JsonValueKind.Object)
            return property.GetRawText();
        StringBuilder text = new("{");
        foreach (string name in (ReadOnlySpan<string>)["$defs", "definitions"])
        {
            if (root.TryGetProperty(name, out JsonElement definitions) && !property.TryGetProperty(name, out _))
                text.Append('"').Append(name).Append("\":").Append(definitions.GetRawText()).Append(',');
        }

        foreach (JsonProperty member in property.EnumerateObject())
        {
            JsonOut.AppendString(text, member.Name);
            text.Append(':').Append(member.Value.GetRawText()).Append(',');
        }

        if (text[^1] == ',')
            text.Length--;
        return text.Append('}').ToString();
    }
}
