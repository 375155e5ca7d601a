// Objects by their members. A set of objects is a union of shapes.
namespace NativeGen.Constraints.Schema;

internal enum Presence
{
    Optional,
    Required,
    Absent,
}

/// <param name="Declared">It stands in a <c>properties</c> and so has a place in the order.</param>
internal sealed record ObjectMember(string Name, Presence Presence, Goal Goal, bool Declared);

/// <summary>A set of names: those of the pattern (null: every name) that are none of Except and match none of ExceptPatterns.</summary>
internal sealed record NameSet(Dfa? Pattern, string[] Except, Dfa[] ExceptPatterns)
{
    internal static NameSet Every { get; } = new(null, [], []);

    /// <summary>All names but some: needs no automaton where those are members anyway.</summary>
    internal bool IsPlain => Pattern is null && ExceptPatterns.Length == 0;

    internal bool Contains(string name) =>
        (Pattern is null || Pattern.Matches(name)) && !Except.AsSpan().Contains(name) && Array.TrueForAll(ExceptPatterns, pattern => !pattern.Matches(name));

    internal Dfa Language()
    {
        Dfa names = Pattern ?? Dfa.AnyText;
        foreach (Dfa pattern in ExceptPatterns)
            names = names.Except(pattern);
        return Except.Length == 0 ? names : names.Except(Dfa.OfTexts(Except));
    }
}

/// <summary>Members with such a name satisfy the goal; of a list in <see cref="ObjectShape.Exists"/>: one of them is there and does.</summary>
internal sealed record NameRule(NameSet Names, Goal Goal);

/// <summary>Immutable. Rules have already been applied to <see cref="Members"/>: they speak of all other names.</summary>
internal sealed record ObjectShape
{
    internal ObjectMember[] Members { get; init; } = [];

    internal NameRule[] Rules { get; init; } = [];

    internal NameRule[] Exists { get; init; } = [];

    internal int Min { get; init; }

    internal int? Max { get; init; }

    /// <summary>What <c>unevaluatedProperties</c> does not look at: names, names of a pattern, or all.</summary>
    internal string[] EvaluatedNames { get; init; } = [];

    internal Dfa[] EvaluatedPatterns { get; init; } = [];

    internal bool EvaluatedAll { get; init; }

    internal int RequiredCount => Members.Count(member => member.Presence == Presence.Required);

    /// <summary>The objects of both, or null if there is plainly none.</summary>
    internal ObjectShape? Intersect(ObjectShape other, GoalTable goals)
    {
        Dictionary<string, ObjectMember> others = other.Members.ToDictionary(member => member.Name);
        List<ObjectMember> members = [];
        foreach (ObjectMember member in Members)
        {
            ObjectMember? joined = others.Remove(member.Name, out ObjectMember? twin) ? Join(member, twin, goals) : Apply(member, other.Rules, goals);
            if (joined is null)
                return null;
            members.Add(joined);
        }

        foreach (ObjectMember member in other.Members)
        {
            if (!others.ContainsKey(member.Name))
                continue;
            if (Apply(member, Rules, goals) is not { } joined)
                return null;
            members.Add(joined);
        }

        ObjectShape shape = new()
        {
            Members = [.. members],
            Rules = [.. Rules.Union(other.Rules)],
            Exists = [.. Exists.Union(other.Exists)],
            Min = Math.Max(Min, other.Min),
            Max = Max is null ? other.Max : other.Max is null ? Max : Math.Min(Max.Value, other.Max.Value),
            EvaluatedNames = [.. EvaluatedNames.Union(other.EvaluatedNames)],
            EvaluatedPatterns = [.. EvaluatedPatterns.Union(other.EvaluatedPatterns)],
            EvaluatedAll = EvaluatedAll || other.EvaluatedAll,
        };
        return shape.Max < Math.Max(shape.Min, shape.RequiredCount) ? null : shape;
    }

    /// <summary>All other objects.</summary>
    internal IEnumerable<ObjectShape> Complement(GoalTable goals)
    {
        foreach (ObjectMember member in Members)
        {
            if (member.Presence == Presence.Required)
                yield return One(new(member.Name, Presence.Absent, goals.Any, Declared: false));
            if (member.Presence == Presence.Absent)
                yield return One(new(member.Name, Presence.Required, goals.Any, Declared: false));
            else if (!member.Goal.IsAny)
                yield return One(new(member.Name, Presence.Required, goals.Not(member.Goal), member.Declared));
        }

        foreach (NameRule rule in Rules)
        {
            if (!rule.Goal.IsAny)
                yield return new() { Exists = [rule with { Goal = goals.Not(rule.Goal) }] };
        }

        foreach (NameRule rule in Exists)
            yield return new() { Rules = [rule with { Goal = goals.Not(rule.Goal) }] };
        if (Min > 0)
            yield return new() { Max = Min - 1 };
        if (Max is { } max && max < int.MaxValue)
            yield return new() { Min = max + 1 };

        static ObjectShape One(ObjectMember member) => new() { Members = [member] };
    }

    /// <summary>Members that nothing has evaluated satisfy the goal, too.</summary>
    internal ObjectShape? Unevaluated(Goal goal, GoalTable goals)
    {
        if (EvaluatedAll)
            return this;
        ObjectShape unevaluated = new() { Rules = goal.IsAny ? [] : [new(new(null, EvaluatedNames, EvaluatedPatterns), goal)], EvaluatedAll = true };
        return Intersect(unevaluated, goals);
    }

    /// <summary>The same objects as shapes whose members say already that some member exists; at most one, among undeclared names, is left to <see cref="Exists"/>.</summary>
    internal IEnumerable<ObjectShape> Resolved(GoalTable goals)
    {
        Stack<(ObjectShape Shape, int From)> open = new([(this, 0)]);
        while (open.TryPop(out (ObjectShape Shape, int From) next))
        {
            (ObjectShape shape, int from) = next;
            if (from == shape.Exists.Length)
            {
                yield return shape;
                continue;
            }

            NameRule rule = shape.Exists[from];
            open.Push((shape, from + 1));
            NameRule[] others = [.. shape.Exists.Where((_, i) => i != from)];
            foreach (ObjectMember member in shape.Members)
            {
                if (member.Presence == Presence.Absent || !rule.Names.Contains(member.Name))
                    continue;
                ObjectShape one = new() { Members = [new(member.Name, Presence.Required, rule.Goal, member.Declared)] };
                if ((shape with { Exists = others }).Intersect(one, goals) is { } there)
                    open.Push((there, from));
            }
        }
    }

    private static ObjectMember? Join(ObjectMember a, ObjectMember b, GoalTable goals)
    {
        if ((a.Presence == Presence.Absent && b.Presence == Presence.Required) || (a.Presence == Presence.Required && b.Presence == Presence.Absent))
            return null;
        return Checked(new(a.Name, (Presence)Math.Max((int)a.Presence, (int)b.Presence), goals.All(a.Goal, b.Goal), a.Declared || b.Declared));
    }

    private static ObjectMember? Apply(ObjectMember member, NameRule[] rules, GoalTable goals)
    {
        Goal goal = member.Goal;
        foreach (NameRule rule in rules)
        {
            if (rule.Names.Contains(member.Name))
                goal = goals.All(goal, rule.Goal);
        }

        return Checked(member with { Goal = goal });
    }

    private static ObjectMember? Checked(ObjectMember member)
    {
        if (!member.Goal.IsNone || member.Presence == Presence.Absent)
            return member;
        return member.Presence == Presence.Required ? null : member with { Presence = Presence.Absent };
    }
}
