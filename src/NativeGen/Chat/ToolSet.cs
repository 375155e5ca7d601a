// The functions a model may ask to be called, and what their schemas say of each parameter.
using System.Text;
using System.Text.Json;
using NativeGen.Templates;

namespace NativeGen.Chat;

/// <summary>What a parameter's value may be, as far as it matters for reading one that is written without JSON's quotes.</summary>
[Flags]
internal enum ParameterKinds
{
    /// <summary>The schema does not say.</summary>
    Unknown = 0,
    Text = 1,

    /// <summary>Numbers, objects and all else that is no string.</summary>
    Other = 2,
}

/// <summary>One function.</summary>
internal sealed class ToolSpec(string name, string? description, JsonElement schema)
{
    private const int MostReferences = 16;

    internal string Name => name;

    internal string? Description => description;

    /// <summary>The JSON schema of its arguments.</summary>
    internal JsonElement Schema => schema;

    internal ParameterKinds KindsOf(string parameter) =>
        schema.ValueKind == JsonValueKind.Object && schema.TryGetProperty("properties", out JsonElement properties) && properties.ValueKind == JsonValueKind.Object
            && properties.TryGetProperty(parameter, out JsonElement property) ? KindsOf(property, 0) : ParameterKinds.Unknown;

    private ParameterKinds KindsOf(JsonElement property, int references)
    {
        if (property.ValueKind != JsonValueKind.Object || references > MostReferences)
            return ParameterKinds.Unknown;
        if (property.TryGetProperty("type", out JsonElement type))
        {
            return type.ValueKind == JsonValueKind.Array ? type.EnumerateArray().Aggregate(ParameterKinds.Unknown, (kinds, one) => kinds | Named(one)) : Named(type);
        }

        ParameterKinds found = ParameterKinds.Unknown;
        if (property.TryGetProperty("const", out JsonElement constant))
            return OfValue(constant);
        if (property.TryGetProperty("enum", out JsonElement values) && values.ValueKind == JsonValueKind.Array)
            return values.EnumerateArray().Aggregate(found, (kinds, value) => kinds | OfValue(value));
        foreach (string word in (ReadOnlySpan<string>)["anyOf", "oneOf"])
        {
            if (!property.TryGetProperty(word, out JsonElement ways) || ways.ValueKind != JsonValueKind.Array)
                continue;
            foreach (JsonElement way in ways.EnumerateArray())
                found |= KindsOf(way, references + 1) is var kinds && kinds == ParameterKinds.Unknown ? ParameterKinds.Text | ParameterKinds.Other : kinds;
            return found;
        }

        return property.TryGetProperty("$ref", out JsonElement reference) && reference.ValueKind == JsonValueKind.String && Resolve(reference.GetString()!) is { } target
            ? KindsOf(target, references + 1) : found;
    }

    // Of the pointers "#/..." those without escapes.
    private JsonElement? Resolve(string pointer)
    {
        if (!pointer.StartsWith("#/", StringComparison.Ordinal))
            return null;
        JsonElement at = schema;
        foreach (string part in pointer[2..].Split('/'))
        {
            if (at.ValueKind != JsonValueKind.Object || !at.TryGetProperty(part, out at))
                return null;
        }

        return at;
    }

    private static ParameterKinds Named(JsonElement type) =>
        type.ValueKind != JsonValueKind.String ? ParameterKinds.Unknown : type.ValueEquals("string") ? ParameterKinds.Text : ParameterKinds.Other;

    private static ParameterKinds OfValue(JsonElement value) => value.ValueKind == JsonValueKind.String ? ParameterKinds.Text : ParameterKinds.Other;
}

/// <summary>The functions of one request. Immutable.</summary>
internal sealed class ToolSet
{
    private readonly Dictionary<string, ToolSpec> _byName = new(StringComparer.Ordinal);

    /// <exception cref="ArgumentException">Two have the same name.</exception>
    internal ToolSet(params IEnumerable<ToolSpec> tools)
    {
        Tools = [.. tools];
        foreach (ToolSpec tool in Tools)
        {
            if (!_byName.TryAdd(tool.Name, tool))
                throw new ArgumentException($"Two tools have the name {tool.Name}.", nameof(tools));
        }
    }

    internal static ToolSet None { get; } = new([]);

    internal IReadOnlyList<ToolSpec> Tools { get; }

    internal bool IsEmpty => Tools.Count == 0;

    internal bool Contains(string name) => _byName.ContainsKey(name);

    internal ToolSpec? Find(string name) => _byName.GetValueOrDefault(name);

    /// <summary>The tools as chat templates expect them.</summary>
    internal List<object?> ForTemplate() => [.. Tools.Select(static tool => new JinjaDict
    {
        ["type"] = new JinjaString("function"),
        ["function"] = new JinjaDict
        {
            ["name"] = JinjaString.Content(tool.Name),
            ["description"] = JinjaString.Content(tool.Description ?? ""),
            ["parameters"] = TemplateValues.Of(tool.Schema, content: true),
        },
    })];

    /// <summary>What a model is told whose template does not speak of tools; calls are in the form of <see cref="ToolFormats.Generic"/>.</summary>
    internal string Instructions()
    {
        StringBuilder text = new("You can call functions. They are, each as a JSON object:\n");
        foreach (ToolSpec tool in Tools)
        {
            text.Append("{\"name\": ");
            JsonOut.AppendString(text, tool.Name);
            if (!string.IsNullOrEmpty(tool.Description))
            {
                text.Append(", \"description\": ");
                JsonOut.AppendString(text, tool.Description);
            }

            text.Append(", \"parameters\": ").Append(tool.Schema.ValueKind == JsonValueKind.Object ? tool.Schema.GetRawText() : "{}").Append("}\n");
        }

        return text.Append("""
            To call one, write its name and arguments as JSON between these tags, and nothing else:
            <tool_call>
            {"name": "the function's name", "arguments": {"a parameter": "its value"}}
            </tool_call>
            """).ToString();
    }
}
