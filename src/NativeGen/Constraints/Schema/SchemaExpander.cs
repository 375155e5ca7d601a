// From a goal to the values that satisfy it: exact set algebra over what the keywords say. Types that are only implied come in later.
using System.Text.Json;

namespace NativeGen.Constraints.Schema;

internal sealed partial class SchemaExpander(SchemaDocument document, GoalTable goals, Budget budget)
{
    private const int MostNesting = 200;

    private readonly Dictionary<int, ValueSet> _sets = []; // by goal
    private readonly Dictionary<int, int> _open = [];      // nodes being expanded, with their depth
    private readonly StringLanguages _strings = new();
    private readonly Dictionary<(string Keyword, string Value, bool Inclusive), Dfa> _bounds = [];
    private int _depth;
    private int _probeFloor; // what is open below it was begun by who asks whether something is empty

    internal ValueSet Expand(Goal goal)
    {
        if (_sets.TryGetValue(goal.Id, out ValueSet? known))
            return known;
        ValueSet set = goal.Kind switch
        {
            GoalKind.Any => ValueSet.Any(goals),
            GoalKind.None => ValueSet.None,
            GoalKind.Schema => ExpandNode(goal.Node!),
            GoalKind.Constant => Constant(goal.Constant, ""),
            GoalKind.Not => Expand(goal.Parts[0]).Complement(goal.Parts[0].Node?.Pointer ?? budget.Pointer, goals, budget),
            GoalKind.All => Fold(goal.Parts, ValueSet.Any(goals), (a, b) => a.Intersect(b, goals, budget)),
            _ => Fold(goal.Parts, ValueSet.None, (a, b) => a.Union(b, budget)),
        };
        _sets[goal.Id] = set;
        return set;

        ValueSet Fold(ReadOnlySpan<Goal> parts, ValueSet start, Func<ValueSet, ValueSet, ValueSet> join)
        {
            foreach (Goal part in parts)
                start = join(start, Expand(part));
            return start;
        }
    }

    // ---- one schema ----

    private ValueSet Expand(SchemaNode node) => Expand(goals.Schema(node));

    private ValueSet ExpandNode(SchemaNode node)
    {
        if (_open.TryGetValue(node.Id, out int depth))
        {
            throw depth < _probeFloor
                ? new UnknownYetException()
                : new SchemaException(node.Pointer, "it refers to itself without a member or an item between, so it never says anything. Break the loop of $ref.");
        }

        if (_depth >= MostNesting)
            throw new SchemaException(node.Pointer, $"schemas refer to each other more than {MostNesting} times for one value. Shorten the chain of $ref and allOf.");
        _open[node.Id] = _depth++;
        string before = budget.Pointer;
        budget.Pointer = node.Pointer;
        try
        {
            budget.Spend(100);
            return Meaning(node, SchemaKeywords.Of(node));
        }
        catch (GrammarException e)
        {
            throw new SchemaException(node.Pointer, e.Message, e);
        }
        finally
        {
            budget.Pointer = before;
            _depth--;
            _open.Remove(node.Id);
        }
    }

    private ValueSet Meaning(SchemaNode node, SchemaKeywords keywords)
    {
        ValueSet set = keywords.Type is { } types ? ValueSet.OfTypes(types, goals) : ValueSet.Any(goals);
        if (keywords.Value("const") is { } constant)
            set = And(set, Constant(constant, node.Pointer + "/const"));
        if (keywords.Value("enum") is { } values)
            set = And(set, Enumeration(values, node.Pointer + "/enum"));
        set = set with { Numbers = set.Numbers.IsEmpty ? set.Numbers : Numbers(node, keywords, set.Numbers) };
        set = Strings(node, keywords, set);
        if (keywords.HasAny("items", "prefixItems", "contains", "minItems", "maxItems", "uniqueItems", "additionalItems"))
            set = set with { Arrays = Arrays(node, keywords, set.Arrays) };
        if (keywords.HasAny("properties", "required", "patternProperties", "additionalProperties", "propertyNames", "minProperties", "maxProperties"))
            set = set with { Objects = Objects(node, keywords, set.Objects) };

        if (keywords.Text("$ref") is { } reference)
            set = And(set, Expand(document.Resolve(node, reference)));
        foreach (SchemaNode branch in List(node, keywords, "allOf"))
            set = And(set, Expand(branch));
        if (keywords.Has("anyOf"))
            set = And(set, AnyOf([.. List(node, keywords, "anyOf").Select(Expand)], node));
        if (keywords.Has("oneOf"))
            set = And(set, OneOf([.. List(node, keywords, "oneOf").Select(Expand)], node.Pointer + "/oneOf"));
        if (One(node, keywords, "not") is { } not)
            set = And(set, Expand(not).Complement(not.Pointer, goals, budget));
        if (One(node, keywords, "if") is { } condition)
            set = And(set, Conditional(condition, One(node, keywords, "then"), One(node, keywords, "else")));
        set = Dependencies(node, keywords, set);

        if (One(node, keywords, "unevaluatedItems") is { } items)
            set = set with { Arrays = [.. set.Arrays.Select(shape => shape.Unevaluated(goals.Schema(items), goals)).OfType<ArrayShape>()] };
        if (One(node, keywords, "unevaluatedProperties") is { } properties)
            set = set with { Objects = [.. set.Objects.Select(shape => shape.Unevaluated(goals.Schema(properties), goals)).OfType<ObjectShape>()] };
        return set;
    }

    private ValueSet And(ValueSet a, ValueSet b) => a.Intersect(b, goals, budget);

    // ---- numbers and strings ----

    private Dfa Numbers(SchemaNode node, SchemaKeywords keywords, Dfa numbers)
    {
        Bound("minimum", "exclusiveMinimum", NumberLanguage.Above);
        Bound("maximum", "exclusiveMaximum", NumberLanguage.Below);
        if (keywords.Value("multipleOf") is { } factor)
        {
            string pointer = node.Pointer + "/multipleOf";
            And(NumberLanguage.MultiplesOf(NumberOf(factor, pointer))
                ?? throw new SchemaException(pointer, $"multiples of {SchemaKeywords.Show(factor)} take more than {NumberLanguage.MostRemainders} states to tell. Use a smaller number, or an enum."));
        }

        return numbers;

        void Bound(string keyword, string exclusive, Func<string, bool, Dfa> language)
        {
            bool draft4 = keywords.Value(exclusive) is { ValueKind: JsonValueKind.True };
            if (keywords.Value(keyword) is { } bound)
                And(Bounded(NumberOf(bound, $"{node.Pointer}/{keyword}"), !draft4));
            if (keywords.Value(exclusive) is { ValueKind: JsonValueKind.Number } sharp)
                And(Bounded(NumberOf(sharp, $"{node.Pointer}/{exclusive}"), false));

            Dfa Bounded(string value, bool inclusive)
            {
                if (!_bounds.TryGetValue((keyword, value, inclusive), out Dfa? dfa))
                    _bounds[(keyword, value, inclusive)] = dfa = language(value, inclusive);
                return dfa;
            }
        }

        void And(Dfa other)
        {
            budget.Spend(10L * (numbers.StateCount + other.StateCount));
            numbers = ReferenceEquals(numbers, NumberLanguage.All) ? other : numbers.Intersect(other);
        }
    }

    private ValueSet Strings(SchemaNode node, SchemaKeywords keywords, ValueSet set)
    {
        if (keywords.HasAny("minLength", "maxLength"))
            set = set with { Strings = set.Strings.Intersect(StringSet.Any with { Min = keywords.Count("minLength") ?? 0, Max = keywords.Count("maxLength") }) };
        if (keywords.Text("pattern") is { } pattern)
            set = set with { Strings = set.Strings.Intersect(new(Pattern(pattern, node.Pointer + "/pattern"))) };
        if (keywords.Text("format") is { } format && StringLanguages.Format(format) is { } shape)
            set = set with { Strings = set.Strings.Intersect(new(shape)), Narrowed = set.Narrowed || !set.Strings.IsEmpty };
        return set;
    }

    private Dfa Pattern(string pattern, string pointer)
    {
        try
        {
            Dfa dfa = _strings.Pattern(pattern);
            budget.Spend(10L * dfa.StateCount);
            return dfa;
        }
        catch (GrammarException e)
        {
            throw new SchemaException(pointer, e.Message, e);
        }
    }

    // ---- arrays ----

    private ArrayShape[] Arrays(SchemaNode node, SchemaKeywords keywords, ArrayShape[] arrays)
    {
        if (arrays.Length == 0)
            return arrays;
        ArrayShape shape = new(goals.Any) { Min = keywords.Count("minItems") ?? 0, Max = keywords.Count("maxItems") };
        bool tuple = keywords.Value("items") is { ValueKind: JsonValueKind.Array }; // as drafts before 2020-12 wrote it
        if (tuple && keywords.Has("prefixItems"))
            throw new SchemaException(node.Pointer + "/items", "a list of schemas here and prefixItems beside it contradict each other. Use prefixItems, and items for the rest.");
        Goal[] prefix = [.. List(node, keywords, tuple ? "items" : "prefixItems").Select(goals.Schema)];
        shape = shape with { Prefix = prefix, EvaluatedPrefix = prefix.Length };
        if (One(node, keywords, tuple ? "additionalItems" : "items") is { } rest)
            shape = shape with { Rest = goals.Schema(rest), EvaluatedAll = true };
        if (One(node, keywords, "contains") is { } contains)
        {
            Goal goal = goals.Schema(contains);
            shape = shape with { Contains = [new(goal, keywords.Count("minContains") ?? 1, keywords.Count("maxContains"))], EvaluatedGoals = [goal] };
        }

        if (keywords.Value("uniqueItems") is { ValueKind: JsonValueKind.True })
            shape = shape with { Unique = node.Pointer + "/uniqueItems" };
        return ValueSet.Both(arrays, shape.Intersect(new(goals.Any), goals) is { } trimmed ? [trimmed] : [], goals, budget);
    }

    // ---- objects ----

    private ObjectShape[] Objects(SchemaNode node, SchemaKeywords keywords, ObjectShape[] objects)
    {
        if (objects.Length == 0)
            return objects;
        ObjectMember[] members = [.. Map(node, keywords, "properties").Select(member => new ObjectMember(member.Name, Presence.Optional, goals.Schema(member.Schema), Declared: true))];
        string[] declared = [.. members.Select(member => member.Name)];
        List<ObjectShape> parts = [new() { Members = members, EvaluatedNames = declared }];
        List<Dfa> patterns = [];
        foreach ((string pattern, SchemaNode schema) in Map(node, keywords, "patternProperties"))
        {
            Dfa names = Pattern(pattern, schema.Pointer);
            patterns.Add(names);
            parts.Add(new() { Rules = [new(NameSet.Every with { Pattern = names }, goals.Schema(schema))] });
        }

        parts.Add(new() { EvaluatedPatterns = [.. patterns] });
        if (One(node, keywords, "additionalProperties") is { } additional)
            parts.Add(new() { Rules = RuleOf(new(null, declared, [.. patterns]), goals.Schema(additional)), EvaluatedAll = true });
        if (One(node, keywords, "propertyNames") is { } namesSchema)
        {
            ValueSet allowed = Expand(goals.Schema(namesSchema));
            if (!ReferenceEquals(allowed.Strings, StringSet.Any))
                parts.Add(new() { Rules = RuleOf(NameSet.Every with { Pattern = allowed.Strings.Complement().Flat().Language }, goals.None) });
        }

        parts.Add(new()
        {
            Members = [.. keywords.Names("required").Distinct().Select(name => new ObjectMember(name, Presence.Required, goals.Any, Declared: false))],
            Min = keywords.Count("minProperties") ?? 0,
            Max = keywords.Count("maxProperties"),
        });

        foreach (ObjectShape part in parts)
            objects = ValueSet.Both(objects, [part], goals, budget);
        return objects;
    }

    private static NameRule[] RuleOf(NameSet names, Goal goal) => goal.IsAny ? [] : [new(names, goal)];

    private ValueSet Dependencies(SchemaNode node, SchemaKeywords keywords, ValueSet set)
    {
        foreach (string keyword in (ReadOnlySpan<string>)["dependentRequired", "dependentSchemas", "dependencies"])
        {
            if (keywords.Value(keyword) is not { } dependencies)
                continue;
            foreach (JsonProperty dependency in dependencies.EnumerateObject())
            {
                ObjectShape absent = new() { Members = [Trigger(Presence.Absent)] }, present = new() { Members = [Trigger(Presence.Required)] };
                ObjectShape[] then;
                if (dependency.Value.ValueKind == JsonValueKind.Array)
                {
                    string[] names = [.. dependency.Value.EnumerateArray().Select(name => name.GetString()!).Distinct()];
                    if (names.Length == 0)
                        continue;
                    then = [new() { Members = [.. names.Select(name => new ObjectMember(name, Presence.Required, goals.Any, Declared: false))] }];
                }
                else
                    then = Expand(document.Child(node, dependency.Value, $"/{keyword}/{SchemaDocument.Escape(dependency.Name)}")).Objects;
                set = set with { Objects = ValueSet.Both(set.Objects, [absent, .. ValueSet.Both(then, [present], goals, budget)], goals, budget) };

                ObjectMember Trigger(Presence presence) => new(dependency.Name, presence, goals.Any, Declared: false);
            }
        }

        return set;
    }

    // ---- children ----

    private SchemaNode? One(SchemaNode node, SchemaKeywords keywords, string keyword) =>
        keywords.Value(keyword) is { ValueKind: not JsonValueKind.Array } value ? document.Child(node, value, "/" + keyword) : null;

    private IEnumerable<SchemaNode> List(SchemaNode node, SchemaKeywords keywords, string keyword) =>
        keywords.Value(keyword) is { ValueKind: JsonValueKind.Array } list ? list.EnumerateArray().Select((item, i) => document.Child(node, item, $"/{keyword}/{i}")) : [];

    private IEnumerable<(string Name, SchemaNode Schema)> Map(SchemaNode node, SchemaKeywords keywords, string keyword) => keywords.Value(keyword) is { } map
        ? map.EnumerateObject().Select(member => (member.Name, document.Child(node, member.Value, $"/{keyword}/{SchemaDocument.Escape(member.Name)}")))
        : [];

    /// <summary>A probe came to a schema whose expansion has begun and waits for the probe.</summary>
    private sealed class UnknownYetException : Exception;
}
