// The type a schema means without saying it: one with properties means an object, one with minLength a string. Only what is written is
// narrowed by this, never what a not or an if compares with.
using System.Text.Json;

namespace NativeGen.Constraints.Schema;

internal sealed class ImpliedTypes(SchemaDocument document)
{
    private const int MostNesting = 100;

    private static readonly (string Keyword, JsonTypes Type)[] Implied =
    [
        ("properties", JsonTypes.Object), ("required", JsonTypes.Object), ("additionalProperties", JsonTypes.Object), ("patternProperties", JsonTypes.Object),
        ("items", JsonTypes.Array), ("prefixItems", JsonTypes.Array), ("minItems", JsonTypes.Array), ("maxItems", JsonTypes.Array),
        ("minLength", JsonTypes.String), ("maxLength", JsonTypes.String), ("pattern", JsonTypes.String), ("format", JsonTypes.String),
        ("minimum", JsonTypes.Number | JsonTypes.Integer), ("maximum", JsonTypes.Number | JsonTypes.Integer), ("multipleOf", JsonTypes.Number | JsonTypes.Integer),
        ("exclusiveMinimum", JsonTypes.Number | JsonTypes.Integer), ("exclusiveMaximum", JsonTypes.Number | JsonTypes.Integer),
    ];

    private readonly Dictionary<int, JsonTypes> _known = [];
    private int _depth;

    /// <summary>All, or the types meant.</summary>
    internal JsonTypes Of(Goal goal)
    {
        JsonTypes types = goal.Kind == GoalKind.Some ? JsonTypes.None : JsonTypes.All;
        switch (goal.Kind)
        {
            case GoalKind.Schema:
                return Of(goal.Node!);
            case GoalKind.All:
                foreach (Goal part in goal.Parts)
                    types = Meet(types, Of(part));
                return types;
            case GoalKind.Some:
                foreach (Goal part in goal.Parts)
                    types |= Of(part);
                return types;
            default:
                return JsonTypes.All;
        }
    }

    private JsonTypes Of(SchemaNode node)
    {
        if (node.Element.ValueKind != JsonValueKind.Object || _depth > MostNesting)
            return JsonTypes.All;
        if (_known.TryGetValue(node.Id, out JsonTypes known))
            return known;
        _known[node.Id] = JsonTypes.All; // for whoever comes back here
        _depth++;
        JsonTypes types = Read(node, SchemaKeywords.Of(node));
        _depth--;
        _known[node.Id] = types;
        return types;
    }

    private JsonTypes Read(SchemaNode node, SchemaKeywords keywords)
    {
        if (keywords.Type is { } said)
            return said;
        if (keywords.HasAny("const", "enum"))
            return JsonTypes.All; // which types there are is plain
        JsonTypes types = JsonTypes.All;
        if (keywords.Text("$ref") is { } reference)
        {
            // A schema that contains itself may well end in a value of another type: nothing is implied there.
            SchemaNode target = document.Resolve(node, reference);
            types = target == document.Root && node != document.Root ? JsonTypes.All : Of(target);
        }

        foreach (string keyword in (ReadOnlySpan<string>)["allOf", "anyOf", "oneOf"])
        {
            if (keywords.Value(keyword) is not { } list)
                continue;
            IEnumerable<JsonTypes> branches = list.EnumerateArray().Select((branch, i) => Of(document.Child(node, branch, $"/{keyword}/{i}")));
            types = Meet(types, keyword == "allOf" ? branches.Aggregate(JsonTypes.All, Meet) : branches.Aggregate(JsonTypes.None, (a, b) => a | b));
        }

        if (keywords.Value("if") is not null && keywords.Value("then") is { } then && keywords.Value("else") is { } otherwise)
            types = Meet(types, Of(document.Child(node, then, "/then")) | Of(document.Child(node, otherwise, "/else")));
        if (types != JsonTypes.All)
            return types;
        JsonTypes implied = JsonTypes.None;
        foreach ((string keyword, JsonTypes type) in Implied)
        {
            if (keywords.Has(keyword))
                implied |= type;
        }

        return implied == JsonTypes.None ? JsonTypes.All : implied;
    }

    private static JsonTypes Meet(JsonTypes a, JsonTypes b) => (a & b) == JsonTypes.None ? JsonTypes.All : a & b;
}
