// Reads one schema object: every keyword is known and has the right type, or the schema is refused with its place. Meaning comes later.
using System.Text.Json;

namespace NativeGen.Constraints.Schema;

[Flags]
internal enum JsonTypes
{
    None = 0,
    Null = 1,
    Boolean = 2,
    Integer = 4,
    Number = 8, // with the integers
    String = 16,
    Array = 32,
    Object = 64,
    All = Null | Boolean | Integer | Number | String | Array | Object,
}

/// <summary>The keywords of one schema as they stand there. Absent ones are null (or empty).</summary>
internal sealed class SchemaKeywords
{
    private const string Counts = " minLength maxLength minItems maxItems minProperties maxProperties minContains maxContains ";
    private const string Numbers = " minimum maximum exclusiveMinimum exclusiveMaximum multipleOf ";
    private const string Singles = " additionalProperties contains not if then else propertyNames unevaluatedItems unevaluatedProperties additionalItems ";
    private const string Lists = " allOf anyOf oneOf prefixItems ";
    private const string Maps = " properties patternProperties dependentSchemas ";

    // Keywords that say nothing about which values are right, of the standard, of OpenAPI and of editors.
    private const string Annotations = " title description default examples example $comment deprecated readOnly writeOnly $schema $id id $anchor $dynamicAnchor "
        + "$recursiveAnchor $vocabulary $defs definitions contentMediaType contentEncoding contentSchema discriminator xml externalDocs enumNames "
        + "enumDescriptions markdownDescription markdownEnumDescriptions errorMessage propertyOrdering ";

    private const string Others = " type enum const nullable pattern format items uniqueItems required dependentRequired dependencies $ref ";

    private readonly Dictionary<string, JsonElement> _values = [];
    private readonly SchemaNode _node;

    private SchemaKeywords(SchemaNode node) => _node = node;

    internal JsonTypes? Type { get; private set; }

    internal bool Has(string keyword) => _values.ContainsKey(keyword);

    internal bool HasAny(params ReadOnlySpan<string> keywords)
    {
        foreach (string keyword in keywords)
        {
            if (_values.ContainsKey(keyword))
                return true;
        }

        return false;
    }

    /// <summary>The value of a keyword that was checked, or null.</summary>
    internal JsonElement? Value(string keyword) => _values.TryGetValue(keyword, out JsonElement value) ? value : null;

    internal string? Text(string keyword) => Value(keyword)?.GetString();

    /// <summary>A count from 0. What is beyond every memory is int.MaxValue as a minimum, and nothing as a maximum.</summary>
    internal int? Count(string keyword) => Value(keyword)?.GetDouble() switch
    {
        null => null,
        < int.MaxValue and var count => (int)count,
        _ => keyword.StartsWith("max", StringComparison.Ordinal) ? null : int.MaxValue,
    };

    internal IEnumerable<string> Names(string keyword) => Value(keyword) is { } list ? list.EnumerateArray().Select(name => name.GetString()!) : [];

    /// <exception cref="SchemaException">An unknown keyword, or one whose value has the wrong type.</exception>
    internal static SchemaKeywords Of(SchemaNode node) => node.Keywords ??= new SchemaKeywords(node).Read();

    private SchemaKeywords Read()
    {
        if (_node.Element.ValueKind != JsonValueKind.Object)
            throw new SchemaException(_node.Pointer, $"a schema is an object, true or false, not {Show(_node.Element)}.");
        foreach (JsonProperty member in _node.Element.EnumerateObject())
        {
            string keyword = member.Name;
            if (In(Annotations, keyword) || keyword.StartsWith("x-", StringComparison.Ordinal))
                continue;
            Check(keyword, member.Value);
            _values.Add(keyword, member.Value);
        }

        if (Value("type") is { } type)
            Type = TypesOf(type);
        if (Value("nullable") is { ValueKind: JsonValueKind.True } && Type is { } types)
            Type = types | JsonTypes.Null;
        return this;
    }

    private void Check(string keyword, JsonElement value)
    {
        if (In(Counts, keyword))
        {
            if (value.ValueKind != JsonValueKind.Number || !value.TryGetDouble(out double count) || count < 0 || count != Math.Floor(count))
                throw Wrong(keyword, value, "a whole number from 0");
        }
        else if (In(Numbers, keyword))
        {
            // draft 04 wrote exclusiveMinimum: true
            if (value.ValueKind != JsonValueKind.Number && !(keyword.StartsWith("exclusive", StringComparison.Ordinal) && value.ValueKind is JsonValueKind.True or JsonValueKind.False))
                throw Wrong(keyword, value, "a number");
            if (keyword == "multipleOf" && !(value.GetDouble() > 0))
                throw Wrong(keyword, value, "a number above 0");
        }
        else if (In(Singles, keyword))
            IsSchema(keyword, value, "");
        else if (In(Lists, keyword))
        {
            if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() == 0)
                throw Wrong(keyword, value, "a list of at least one schema");
            AreSchemas(keyword, value);
        }
        else if (In(Maps, keyword))
        {
            if (value.ValueKind != JsonValueKind.Object)
                throw Wrong(keyword, value, "an object of schemas");
            foreach (JsonProperty member in value.EnumerateObject())
                IsSchema(keyword, member.Value, "/" + SchemaDocument.Escape(member.Name));
        }
        else
            CheckOther(keyword, value);
    }

    private void CheckOther(string keyword, JsonElement value)
    {
        switch (keyword)
        {
            case "type" or "const":
                break;
            case "enum":
                if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() == 0)
                    throw Wrong(keyword, value, "a list of at least one value");
                break;
            case "items":
                if (value.ValueKind == JsonValueKind.Array)
                    AreSchemas(keyword, value);
                else
                    IsSchema(keyword, value, "");
                break;
            case "nullable" or "uniqueItems":
                if (value.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
                    throw Wrong(keyword, value, "true or false");
                break;
            case "pattern" or "format" or "$ref":
                Text(keyword, value);
                break;
            case "required":
                AreNames(keyword, value, "");
                break;
            case "dependentRequired":
            case "dependencies":
                if (value.ValueKind != JsonValueKind.Object)
                    throw Wrong(keyword, value, "an object");
                foreach (JsonProperty member in value.EnumerateObject())
                {
                    string path = "/" + SchemaDocument.Escape(member.Name);
                    if (keyword == "dependencies" && member.Value.ValueKind != JsonValueKind.Array)
                        IsSchema(keyword, member.Value, path);
                    else
                        AreNames(keyword, member.Value, path);
                }

                break;
            case "$dynamicRef" or "$recursiveRef":
                throw new SchemaException($"{_node.Pointer}/{keyword}", "what it refers to depends on who asks, which a grammar cannot follow. Use $ref.");
            default:
                string near = Nearest(keyword);
                throw new SchemaException($"{_node.Pointer}/{SchemaDocument.Escape(keyword)}",
                    $"this keyword is not known{(near.Length > 0 ? $"; is '{near}' meant?" : ".")} A keyword that is not enforced would be a promise not kept: remove it, or name it x-{keyword}.");
        }
    }

    private JsonTypes TypesOf(JsonElement type)
    {
        if (type.ValueKind == JsonValueKind.String)
            return One(type, "");
        if (type.ValueKind != JsonValueKind.Array || type.GetArrayLength() == 0)
            throw Wrong("type", type, "the name of a type or a list of such names");
        JsonTypes types = JsonTypes.None;
        int i = 0;
        foreach (JsonElement name in type.EnumerateArray())
            types |= One(name, $"/{i++}");
        return types;

        JsonTypes One(JsonElement name, string path) => (name.ValueKind == JsonValueKind.String ? Text("type", name) : null) switch
        {
            "null" => JsonTypes.Null,
            "boolean" => JsonTypes.Boolean,
            "integer" => JsonTypes.Integer,
            "number" => JsonTypes.Number | JsonTypes.Integer,
            "string" => JsonTypes.String,
            "array" => JsonTypes.Array,
            "object" => JsonTypes.Object,
            _ => throw new SchemaException($"{_node.Pointer}/type{path}", $"{Show(name)} is no type; there are null, boolean, integer, number, string, array and object."),
        };
    }

    private void AreSchemas(string keyword, JsonElement list)
    {
        int i = 0;
        foreach (JsonElement item in list.EnumerateArray())
            IsSchema(keyword, item, $"/{i++}");
    }

    private void IsSchema(string keyword, JsonElement value, string path)
    {
        if (value.ValueKind is not (JsonValueKind.Object or JsonValueKind.True or JsonValueKind.False))
            throw new SchemaException($"{_node.Pointer}/{keyword}{path}", $"a schema is an object, true or false, not {Show(value)}.");
    }

    private void AreNames(string keyword, JsonElement value, string path)
    {
        if (value.ValueKind != JsonValueKind.Array || value.EnumerateArray().Any(name => name.ValueKind != JsonValueKind.String))
            throw new SchemaException($"{_node.Pointer}/{keyword}{path}", $"it must be a list of names, not {Show(value)}.");
        foreach (JsonElement name in value.EnumerateArray())
            Text(keyword, name);
    }

    private string Text(string keyword, JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.String)
            throw Wrong(keyword, value, "a text");
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw new SchemaException($"{_node.Pointer}/{keyword}", "it has half a surrogate pair, which is no character.", e);
        }
    }

    private SchemaException Wrong(string keyword, JsonElement value, string expected) =>
        new($"{_node.Pointer}/{keyword}", $"it must be {expected}, not {Show(value)}.");

    internal static string Show(JsonElement value)
    {
        string text = value.GetRawText();
        return text.Length > 40 ? text[..40] + "..." : text;
    }

    private static bool In(string list, string keyword) => !keyword.Contains(' ', StringComparison.Ordinal) && list.Contains($" {keyword} ", StringComparison.Ordinal);

    // The keyword that differs in case or in at most two letters.
    private static string Nearest(string keyword)
    {
        if (keyword.Length > 40)
            return "";
        return (Counts + Numbers + Singles + Lists + Maps + Others).Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(known => (known, Away: string.Equals(known, keyword, StringComparison.OrdinalIgnoreCase) ? 0 : Distance(known, keyword)))
            .Where(candidate => candidate.Away <= Math.Min(2, keyword.Length / 3)).OrderBy(candidate => candidate.Away).FirstOrDefault().known ?? "";
    }

    private static int Distance(string a, string b)
    {
        int[] row = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            (int diagonal, row[0]) = (row[0], i);
            for (int j = 1; j <= b.Length; j++)
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)));
        }

        return row[b.Length];
    }
}
