// Arrays by what each of their items has to satisfy. A set of arrays is a union of shapes.
namespace NativeGen.Constraints.Schema;

/// <summary>From item <paramref name="From"/> on, at least Min and at most Max items satisfy the goal.</summary>
internal sealed record ContainsRule(Goal Goal, int Min, int? Max, int From = 0);

/// <summary>Immutable.</summary>
internal sealed record ArrayShape(Goal Rest)
{
    /// <summary>The goals of the first items; all others have <see cref="Rest"/>.</summary>
    internal Goal[] Prefix { get; init; } = [];

    internal int Min { get; init; }

    internal int? Max { get; init; }

    internal ContainsRule[] Contains { get; init; } = [];

    /// <summary>Where <c>uniqueItems</c> stands, or null.</summary>
    internal string? Unique { get; init; }

    /// <summary>What <c>unevaluatedItems</c> does not look at: the first items, all, or those that satisfy a goal.</summary>
    internal int EvaluatedPrefix { get; init; }

    internal bool EvaluatedAll { get; init; }

    internal Goal[] EvaluatedGoals { get; init; } = [];

    internal Goal At(int i) => i < Prefix.Length ? Prefix[i] : Rest;

    /// <summary>The arrays of both, or null if there is plainly none.</summary>
    internal ArrayShape? Intersect(ArrayShape other, GoalTable goals)
    {
        Goal[] prefix = new Goal[Math.Max(Prefix.Length, other.Prefix.Length)];
        for (int i = 0; i < prefix.Length; i++)
            prefix[i] = goals.All(At(i), other.At(i));
        return (this with
        {
            Rest = goals.All(Rest, other.Rest),
            Prefix = prefix,
            Min = Math.Max(Min, other.Min),
            Max = Max is null ? other.Max : other.Max is null ? Max : Math.Min(Max.Value, other.Max.Value),
            Contains = [.. Contains.Union(other.Contains)],
            Unique = Unique ?? other.Unique,
            EvaluatedPrefix = Math.Max(EvaluatedPrefix, other.EvaluatedPrefix),
            EvaluatedAll = EvaluatedAll || other.EvaluatedAll,
            EvaluatedGoals = [.. EvaluatedGoals.Union(other.EvaluatedGoals)],
        }).Trimmed();
    }

    /// <summary>All other arrays.</summary>
    internal IEnumerable<ArrayShape> Complement(GoalTable goals)
    {
        ArrayShape any = new(goals.Any);
        if (Unique is not null && !(Max <= 1))
            throw new SchemaException(Unique, "the opposite of uniqueItems (in a not, an if, or beside another branch of a oneOf) cannot be enforced. Say it another way.");
        if (Min > 0)
            yield return any with { Max = Min - 1 };
        if (Max is { } max && max < int.MaxValue)
            yield return any with { Min = max + 1 };
        for (int i = 0; i < Prefix.Length; i++)
        {
            if (!Prefix[i].IsAny)
                yield return any with { Min = i + 1, Prefix = [.. Enumerable.Repeat(goals.Any, i), goals.Not(Prefix[i])] };
        }

        if (!Rest.IsAny)
            yield return Rest.IsNone ? any with { Min = Prefix.Length + 1 } : any with { Contains = [new(goals.Not(Rest), 1, null, Prefix.Length)] };
        foreach (ContainsRule rule in Contains)
        {
            if (rule.Min > 0)
                yield return any with { Contains = [rule with { Min = 0, Max = rule.Min - 1 }] };
            if (rule.Max is { } most && most < int.MaxValue)
                yield return any with { Contains = [rule with { Min = most + 1, Max = null }] };
        }
    }

    /// <summary>Items that nothing has evaluated satisfy the goal, too.</summary>
    internal ArrayShape? Unevaluated(Goal goal, GoalTable goals)
    {
        if (EvaluatedAll)
            return this;
        Goal rest = goals.Some([goal, .. EvaluatedGoals]);
        Goal[] prefix = new Goal[Math.Max(Prefix.Length, EvaluatedPrefix)];
        for (int i = 0; i < prefix.Length; i++)
            prefix[i] = i < EvaluatedPrefix ? At(i) : goals.All(At(i), rest);
        return (this with { Prefix = prefix, Rest = goals.All(Rest, rest), EvaluatedAll = true }).Trimmed();
    }

    // Places that no value can take end the array before them.
    private ArrayShape? Trimmed()
    {
        int none = Array.FindIndex(Prefix, goal => goal.IsNone);
        int? max = Max;
        if (none >= 0)
            max = Math.Min(max ?? none, none);
        else if (Rest.IsNone)
            max = Math.Min(max ?? Prefix.Length, Prefix.Length);
        return max < Min ? null : this with { Max = max };
    }
}
