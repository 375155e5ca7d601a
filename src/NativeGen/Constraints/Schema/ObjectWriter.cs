// The texts of an object's shape: declared members in their order, each optional one there or not, then undeclared ones in any order.
namespace NativeGen.Constraints.Schema;

internal sealed class ObjectWriter(GoalTable goals, GrammarBuilder builder, Func<Goal, RuleId> ruleOf, Func<RuleId> anyString, Budget budget)
{
    private const int MostStates = 20_000, MostFreelyOrdered = 4, MostClasses = 64;

    private static readonly Expr Comma = Expr.Text(",");

    internal Expr Write(ObjectShape shape)
    {
        List<ObjectMember> ordered = [.. shape.Members.Where(member => member.Declared && member.Presence != Presence.Absent)];
        List<ObjectMember> free = [.. shape.Members.Where(member => !member.Declared && member.Presence != Presence.Absent)];
        if (free.Count > MostFreelyOrdered) // all orders would be too many: the one of the schema
        {
            ordered.AddRange(free);
            free = [];
        }

        budget.Spend(20L * shape.Members.Length);
        Expr? extra = Extra(shape, null);
        Expr? sought = null;
        if (shape.Exists.Length > 0)
        {
            if (shape.Exists.Length > 1)
                throw new SchemaException(budget.Pointer, "two undeclared members would have to exist at once for this combination of not, if or oneOf. Declare the members in properties.");
            sought = Extra(shape, shape.Exists[0]);
            if (sought is null)
                return Expr.Never;
        }

        int required = shape.RequiredCount;
        bool counts = shape.Min > required || (shape.Max is { } max && (extra is not null || max < ordered.Count + free.Count));
        if (counts && extra is not null && shape.Min - required > 1)
        {
            throw new SchemaException(budget.Pointer,
                $"minProperties {shape.Min} would have to be reached by undeclared members, and a grammar cannot keep their names apart. Declare the members, or set additionalProperties to false.");
        }

        Expr members = counts || free.Count > 0 || sought is not null ? Counted(shape, ordered, free, extra, sought) : Plain(ordered, extra);
        return Expr.Sequence(Expr.Text("{"), members, Expr.Text("}"));
    }

    // In front of the first required member it must be known whether anything has been written: a rule for each place there. Behind it each
    // optional member simply follows or not. Size: linear.
    private Expr Plain(List<ObjectMember> members, Expr? extra)
    {
        int first = members.FindIndex(member => member.Presence == Presence.Required);
        Expr tail = extra is null ? Expr.Empty : Expr.Repeat(Expr.Sequence(Comma, extra), 0);
        Expr begin, after; // when nothing has been written yet, and when something has
        if (first < 0)
            (begin, after, first) = (extra is null ? Expr.Empty : Expr.Optional(Expr.Sequence(extra, tail)), tail, members.Count);
        else
        {
            Expr behind = Expr.Sequence([.. members.Skip(first + 1).Select(Follow), tail]);
            if (first == 0)
                return Expr.Sequence(Text(members[0]), behind);
            behind = Shared(behind);
            (begin, after) = (Expr.Sequence(Text(members[first]), behind), Shared(Expr.Sequence(Follow(members[first]), behind)));
        }

        for (int i = first - 1; i >= 0; i--)
        {
            begin = Shared(Expr.Choice(Expr.Sequence(Text(members[i]), after), begin));
            after = Shared(Expr.Sequence(Follow(members[i]), after));
        }

        return begin;
    }

    private Expr Shared(Expr expression) => Expr.Reference(builder.Add("members", expression));

    private Expr Follow(ObjectMember member)
    {
        Expr follow = Expr.Sequence(Comma, Text(member));
        return member.Presence == Presence.Required ? follow : Expr.Optional(follow);
    }

    private Expr Text(ObjectMember member) => Expr.Sequence(Expr.Text(JsonTexts.Quote(member.Name) + ":"), Expr.Reference(ruleOf(member.Goal)));

    // The general case: a state is the next declared member, which undeclared ones are written, and how many members there are (as far as it matters).
    private Expr Counted(ObjectShape shape, List<ObjectMember> ordered, List<ObjectMember> free, Expr? extra, Expr? sought)
    {
        int cap = Math.Max(Math.Max(shape.Min, shape.Max is { } max ? Math.Min(max, ordered.Count + free.Count + (extra is null ? 0 : MostStates)) : 0), 1);
        int needed = 0;
        for (int i = 0; i < free.Count; i++)
            needed |= free[i].Presence == Presence.Required ? 1 << i : 0;
        Dictionary<(int, int, int), RuleId> known = [];
        Queue<(int Next, int Free, int Count, RuleId Rule)> open = new();
        Expr start = State(0, 0, 0);
        while (open.TryDequeue(out (int Next, int Free, int Count, RuleId Rule) state))
            builder.Define(state.Rule, Expr.Choice([.. Ways(state.Next, state.Free, state.Count)]));
        return start;

        IEnumerable<Expr> Ways(int next, int written, int count)
        {
            Expr comma = count > 0 ? Comma : Expr.Empty;
            bool room = !(count >= shape.Max);
            if (next < ordered.Count)
            {
                if (room)
                    yield return Expr.Sequence(comma, Text(ordered[next]), State(next + 1, written, count + 1));
                if (ordered[next].Presence == Presence.Optional)
                    yield return State(next + 1, written, count);
                yield break;
            }

            bool complete = (written & needed) == needed;
            if (complete && sought is null && count >= shape.Min)
                yield return Expr.Empty;
            // The member that is sought comes last: nothing with the same name can replace it then.
            if (complete && sought is not null && room && count + 1 >= shape.Min)
                yield return Expr.Sequence(comma, sought);
            if (!room)
                yield break;
            for (int i = 0; i < free.Count; i++)
            {
                if ((written >> i & 1) == 0)
                    yield return Expr.Sequence(comma, Text(free[i]), State(next, written | 1 << i, count + 1));
            }

            if (extra is not null)
                yield return Expr.Sequence(comma, extra, State(next, written, count + 1));
        }

        Expr State(int next, int written, int count)
        {
            count = Math.Min(count, cap);
            if (!known.TryGetValue((next, written, count), out RuleId rule))
            {
                if (known.Count >= MostStates)
                    throw new SchemaException(budget.Pointer, $"the members together with minProperties or maxProperties take more than {MostStates} states. Use smaller bounds.");
                budget.Spend(50);
                known[(next, written, count)] = rule = builder.Declare("members");
                open.Enqueue((next, written, count, rule));
            }

            return Expr.Reference(rule);
        }
    }

    // A member with any name that is not one of the shape's own, its value as the rules for that name ask. Null: there can be none.
    private Expr? Extra(ObjectShape shape, NameRule? sought)
    {
        string[] taken = [.. shape.Members.Select(member => member.Name)];
        List<(Dfa? Names, Goal Goal)> classes = [(null, goals.Any)]; // null: all names that are not taken
        foreach (NameRule rule in sought is null ? shape.Rules : [sought, .. shape.Rules])
        {
            bool every = rule.Names.IsPlain && Array.TrueForAll(rule.Names.Except, name => Array.IndexOf(taken, name) >= 0);
            if (every)
                classes = [.. classes.Select(c => (c.Names, goals.All(c.Goal, rule.Goal))).Where(c => !c.Item2.IsNone)];
            else
            {
                Dfa language = rule.Names.Language();
                List<(Dfa?, Goal)> split = [];
                foreach ((Dfa? names, Goal goal) in classes)
                {
                    Dfa open = names ?? NotTaken();
                    budget.Spend(10L * (open.StateCount + language.StateCount));
                    Add(open.Intersect(language), goals.All(goal, rule.Goal));
                    if (!ReferenceEquals(rule, sought))
                        Add(open.Except(language), goal);
                }

                classes = split;

                void Add(Dfa names, Goal goal)
                {
                    if (!names.IsEmpty && !goal.IsNone)
                        split.Add((names, goal));
                }
            }

            if (classes.Count > MostClasses)
                throw new SchemaException(budget.Pointer, $"patternProperties overlap in more than {MostClasses} ways. Use fewer patterns.");
        }

        if (classes.Count == 0)
            return null;
        return Expr.Choice([.. classes.Select(c => Expr.Sequence(Name(c.Names), Expr.Text(":"), Expr.Reference(ruleOf(c.Goal))))]);

        Dfa NotTaken() => taken.Length == 0 ? Dfa.AnyText : Dfa.AnyText.Except(Dfa.OfTexts(taken));

        Expr Name(Dfa? names)
        {
            if (names is null && taken.Length == 0)
                return Expr.Reference(anyString());
            Expr quote = Expr.Text("\"");
            return Expr.Sequence(quote, Expr.Regular(StringLanguages.InJson(names ?? NotTaken())), quote);
        }
    }
}
