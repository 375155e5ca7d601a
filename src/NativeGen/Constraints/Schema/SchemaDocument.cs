// A schema's text as nodes that references find: base addresses ($id), anchors and JSON pointers. Nothing is ever fetched.
using System.Text.Json;

namespace NativeGen.Constraints.Schema;

/// <summary>One (sub)schema: an object, true or false. The same place is always the same node.</summary>
internal sealed class SchemaNode(JsonElement element, string pointer, SchemaResource resource, int id)
{
    internal JsonElement Element => element;

    /// <summary>Its place in the document.</summary>
    internal string Pointer => pointer;

    /// <summary>What relative references in it are relative to.</summary>
    internal SchemaResource Resource => resource;

    internal int Id => id;

    /// <summary>Its keywords, read once and checked.</summary>
    internal SchemaKeywords? Keywords { get; set; }
}

/// <summary>A schema with an address of its own: the document, or what has an <c>$id</c> in it.</summary>
internal sealed record SchemaResource(string Address, string Pointer);

internal sealed class SchemaDocument
{
    /// <summary>How deep a schema may be nested, in JSON values.</summary>
    internal const int MostDepth = 256;

    // Base of a document that has no address: relative references inside it still resolve against each other.
    private const string NoAddress = "schema:///";

    private static readonly string[] MapsOfSchemas = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"];
    private static readonly string[] ListsOfSchemas = ["allOf", "anyOf", "oneOf", "prefixItems", "items"];

    private static readonly string[] Schemas =
    [
        "additionalProperties", "items", "contains", "not", "if", "then", "else", "propertyNames", "unevaluatedItems", "unevaluatedProperties", "additionalItems", "contentSchema",
    ];

    private readonly Dictionary<string, SchemaNode> _nodes = [];             // by pointer
    private readonly Dictionary<string, SchemaResource> _resources = [];     // by address
    private readonly Dictionary<(string Address, string Name), string> _anchors = []; // to pointers
    private readonly Dictionary<string, SchemaResource> _resourceAt = [];    // by pointer, of every schema the walk found
    private readonly JsonElement _root;

    private SchemaDocument(JsonElement root)
    {
        _root = root;
        SchemaResource resource = new(NoAddress, "");
        _resources[NoAddress] = resource;
        Walk(root, "", resource);
        Root = Node(root, "", _resourceAt[""]);
    }

    internal SchemaNode Root { get; }

    /// <summary>Whether what a schema evaluates matters anywhere in it.</summary>
    internal bool Unevaluated { get; private set; }

    /// <exception cref="SchemaException">Not JSON, nested too deep, a member twice, or addresses that clash.</exception>
    internal static SchemaDocument Parse(string json)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json, new() { MaxDepth = MostDepth, AllowDuplicateProperties = false });
            return new(document.RootElement.Clone());
        }
        catch (JsonException e)
        {
            throw new SchemaException("", $"this is not JSON that can be read, or it is nested deeper than {MostDepth}: {e.Message}", e);
        }
    }

    internal static SchemaDocument Of(JsonElement schema) => Parse(schema.GetRawText());

    /// <summary>A subschema, by the keywords that lead to it.</summary>
    internal SchemaNode Child(SchemaNode parent, JsonElement element, string path) =>
        Node(element, parent.Pointer + path, _resourceAt.GetValueOrDefault(parent.Pointer + path, parent.Resource));

    /// <summary>What a <c>$ref</c> names.</summary>
    /// <exception cref="SchemaException">It is not in this document.</exception>
    internal SchemaNode Resolve(SchemaNode from, string reference)
    {
        string place = from.Pointer + "/$ref";
        int hash = reference.IndexOf('#', StringComparison.Ordinal);
        string address = hash < 0 ? reference : reference[..hash], fragment = hash < 0 ? "" : reference[(hash + 1)..];
        SchemaResource? resource = from.Resource;
        if (address.Length > 0 && !_resources.TryGetValue(Absolute(from.Resource.Address, address, place), out resource))
            throw new SchemaException(place, $"'{reference}' is not in this schema, and none is ever fetched. Copy it into $defs and refer to it as '#/$defs/NAME'.");

        string pointer;
        if (fragment.Length == 0 || fragment[0] == '/')
            pointer = resource.Pointer + Canonical(fragment);
        else if (!_anchors.TryGetValue((resource.Address, Uri.UnescapeDataString(fragment)), out pointer!))
            throw new SchemaException(place, $"there is no $anchor '{fragment}'. Define it, or refer to '#/$defs/NAME'.");
        if (_nodes.TryGetValue(pointer, out SchemaNode? known))
            return known;
        JsonElement target = At(pointer) ?? throw new SchemaException(place, $"'{reference}' leads nowhere. Define it in $defs, or correct the reference.");
        return Node(target, pointer, _resourceAt.GetValueOrDefault(pointer, resource));
    }

    internal static string Escape(string name) => name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal);

    private SchemaNode Node(JsonElement element, string pointer, SchemaResource resource)
    {
        if (!_nodes.TryGetValue(pointer, out SchemaNode? node))
            _nodes[pointer] = node = new(element, pointer, resource, _nodes.Count);
        return node;
    }

    // Recurses no deeper than the parser let the text be.
    private void Walk(JsonElement schema, string pointer, SchemaResource resource)
    {
        if (schema.ValueKind == JsonValueKind.Object)
        {
            if (Text(schema, "$id") is { } id)
                resource = Named(id, pointer, resource);
            foreach (string name in (ReadOnlySpan<string>)["$anchor", "$dynamicAnchor"])
            {
                if (Text(schema, name) is { } anchor)
                    Anchor(resource, anchor, pointer);
            }

            Unevaluated |= schema.TryGetProperty("unevaluatedItems", out _) || schema.TryGetProperty("unevaluatedProperties", out _);
        }

        _resourceAt[pointer] = resource;
        if (schema.ValueKind != JsonValueKind.Object)
            return;
        foreach (string keyword in MapsOfSchemas)
        {
            if (!schema.TryGetProperty(keyword, out JsonElement map) || map.ValueKind != JsonValueKind.Object)
                continue;
            foreach (JsonProperty member in map.EnumerateObject())
                Walk(member.Value, $"{pointer}/{keyword}/{Escape(member.Name)}", resource);
        }

        foreach (string keyword in ListsOfSchemas)
        {
            if (!schema.TryGetProperty(keyword, out JsonElement list) || list.ValueKind != JsonValueKind.Array)
                continue;
            int i = 0;
            foreach (JsonElement item in list.EnumerateArray())
                Walk(item, $"{pointer}/{keyword}/{i++}", resource);
        }

        foreach (string keyword in Schemas)
        {
            if (schema.TryGetProperty(keyword, out JsonElement one) && one.ValueKind == JsonValueKind.Object)
                Walk(one, $"{pointer}/{keyword}", resource);
        }
    }

    private SchemaResource Named(string id, string pointer, SchemaResource parent)
    {
        if (id.StartsWith('#')) // draft 07's way of writing an anchor
        {
            Anchor(parent, id[1..], pointer);
            return parent;
        }

        string address = Absolute(parent.Address, id.TrimEnd('#'), pointer + "/$id");
        SchemaResource resource = new(address, pointer);
        if (!_resources.TryAdd(address, resource) && _resources[address].Pointer != pointer)
            throw new SchemaException(pointer + "/$id", $"'{id}' is the address of '#{_resources[address].Pointer}' too. Give each schema its own.");
        return resource;
    }

    private void Anchor(SchemaResource resource, string name, string pointer)
    {
        if (!_anchors.TryAdd((resource.Address, name), pointer) && _anchors[(resource.Address, name)] != pointer)
            throw new SchemaException(pointer, $"the anchor '{name}' is at '#{_anchors[(resource.Address, name)]}' too. Give each its own name.");
    }

    private static string Absolute(string baseAddress, string reference, string place) =>
        Uri.TryCreate(new Uri(baseAddress), reference, out Uri? absolute)
            ? absolute.AbsoluteUri
            : throw new SchemaException(place, $"'{reference}' is no URI reference.");

    private static string? Text(JsonElement schema, string name) =>
        schema.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    // A fragment's pointer as the walk writes pointers.
    private static string Canonical(string fragment) =>
        string.Join('/', Uri.UnescapeDataString(fragment).Split('/').Select(part => Escape(Unescape(part))));

    private static string Unescape(string part) => part.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);

    private JsonElement? At(string pointer)
    {
        JsonElement at = _root;
        foreach (string part in pointer.Split('/').Skip(1).Select(Unescape))
        {
            if (at.ValueKind == JsonValueKind.Object && at.TryGetProperty(part, out JsonElement member))
                at = member;
            else if (at.ValueKind == JsonValueKind.Array && int.TryParse(part, System.Globalization.NumberStyles.None, null, out int i) && i < at.GetArrayLength())
                at = at[i];
            else
                return null;
        }

        return at;
    }
}
