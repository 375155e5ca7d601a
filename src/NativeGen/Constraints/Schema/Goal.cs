// What a value at some place has to satisfy, as a formula over the document's schemas. The same formula is the same object, so recursion ends.
using System.Text.Json;

namespace NativeGen.Constraints.Schema;

internal enum GoalKind
{
    Any,
    None,
    Schema,
    Constant,
    Not, // of a Schema or a Constant
    All,
    Some,
}

/// <summary>Immutable; made by <see cref="GoalTable"/> only.</summary>
internal sealed class Goal(int id, GoalKind kind, SchemaNode? node, JsonElement constant, Goal[] parts)
{
    internal int Id => id;

    internal GoalKind Kind => kind;

    internal SchemaNode? Node => node;

    internal JsonElement Constant => constant;

    internal ReadOnlySpan<Goal> Parts => parts;

    internal bool IsAny => kind == GoalKind.Any;

    internal bool IsNone => kind == GoalKind.None;
}

/// <summary>All goals of one compilation: negation stands at the leaves, conjunctions and disjunctions are flat and sorted.</summary>
internal sealed class GoalTable
{
    private readonly Dictionary<string, Goal> _goals = [];
    private readonly Budget _budget;

    internal GoalTable(Budget budget)
    {
        _budget = budget;
        Any = Add("any", GoalKind.Any);
        None = Add("none", GoalKind.None);
    }

    internal Goal Any { get; }

    internal Goal None { get; }

    internal Goal Schema(SchemaNode node) => node.Element.ValueKind switch
    {
        JsonValueKind.True => Any,
        JsonValueKind.False => None,
        JsonValueKind.Object when !node.Element.EnumerateObject().MoveNext() => Any,
        _ => Add($"s{node.Id}", GoalKind.Schema, node),
    };

    internal Goal Constant(JsonElement value) => Add("c" + JsonTexts.Canonical(value), GoalKind.Constant, constant: value);

    internal Goal All(params ReadOnlySpan<Goal> goals) => Join(GoalKind.All, goals, neutral: Any, absorbing: None);

    internal Goal Some(params ReadOnlySpan<Goal> goals) => Join(GoalKind.Some, goals, neutral: None, absorbing: Any);

    internal Goal Not(Goal goal) => goal.Kind switch
    {
        GoalKind.Any => None,
        GoalKind.None => Any,
        GoalKind.Not => goal.Parts[0],
        GoalKind.All => Some(Negated(goal.Parts)),
        GoalKind.Some => All(Negated(goal.Parts)),
        _ => Add($"!{goal.Id}", GoalKind.Not, parts: [goal]),
    };

    private Goal[] Negated(ReadOnlySpan<Goal> goals)
    {
        Goal[] negated = new Goal[goals.Length];
        for (int i = 0; i < negated.Length; i++)
            negated[i] = Not(goals[i]);
        return negated;
    }

    private Goal Join(GoalKind kind, ReadOnlySpan<Goal> goals, Goal neutral, Goal absorbing)
    {
        SortedDictionary<int, Goal> parts = [];
        foreach (Goal goal in goals)
        {
            if (goal == absorbing)
                return absorbing;
            if (goal.Kind == kind)
            {
                foreach (Goal part in goal.Parts)
                    parts[part.Id] = part;
            }
            else if (goal != neutral)
                parts[goal.Id] = goal;
        }

        foreach (Goal part in parts.Values)
        {
            if (part.Kind == GoalKind.Not && parts.ContainsKey(part.Parts[0].Id))
                return absorbing;
        }

        _budget.Spend(parts.Count);
        return parts.Count switch
        {
            0 => neutral,
            1 => parts.Values.First(),
            _ => Add((kind == GoalKind.All ? "&" : "|") + string.Join(',', parts.Keys), kind, parts: [.. parts.Values]),
        };
    }

    private Goal Add(string key, GoalKind kind, SchemaNode? node = null, JsonElement constant = default, Goal[]? parts = null)
    {
        if (!_goals.TryGetValue(key, out Goal? goal))
        {
            _budget.Spend(10);
            _goals[key] = goal = new(_goals.Count, kind, node, constant, parts ?? []);
        }

        return goal;
    }
}

/// <summary>Bounds the work on one schema: what would take too long is refused, at the place that was being looked at.</summary>
internal sealed class Budget
{
    private long _left = 20_000_000;

    /// <summary>The schema that is being looked at.</summary>
    internal string Pointer { get; set; } = "";

    internal void Spend(long work)
    {
        if ((_left -= work) < 0)
            throw new SchemaException(Pointer, "the schema's alternatives multiply to more than this build works through. Write fewer anyOf, oneOf, allOf and dependencies beside each other.");
    }
}
