// The functions a model may ask to be called, and what their schemas say of each parameter.
using System.Text.Json;

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
}
