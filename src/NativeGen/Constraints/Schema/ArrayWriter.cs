// The texts of an array's shape.
namespace NativeGen.Constraints.Schema;

internal sealed class ArrayWriter(GoalTable goals, SchemaExpander expander, GrammarBuilder builder, Func<Goal, RuleId> ruleOf, Budget budget)
{
    private const int MostStates = 20_000, MostItems = 1_000_000, MostUniqueValues = 200;

    private static readonly Expr Comma = Expr.Text(",");

    internal Expr Write(ArrayShape shape)
    {
        if (shape.Min > MostItems)
            throw new SchemaException(budget.Pointer, $"an array of at least {shape.Min} items is more than any answer holds. Ask for at most {MostItems}.");
        ContainsRule[] contains = [.. shape.Contains.Where(rule => rule.Min > 0 || rule.Max is not null)];
        if (Array.Exists(contains, rule => rule.Max < rule.Min))
            return Expr.Never;
        bool unique = shape.Unique is not null && !(shape.Max <= 1);
        Expr items = unique ? Unique(shape, contains) : contains.Length > 0 ? Containing(shape, contains) : Plain(shape);
        return Expr.Sequence(Expr.Text("["), items, Expr.Text("]"));
    }

    // From the last item backwards: behind each place the array may end, or the next item follows.
    private Expr Plain(ArrayShape shape)
    {
        int fixedPlaces = Math.Min(shape.Prefix.Length, shape.Max ?? int.MaxValue);
        Expr rest = Expr.Empty;
        if (!(shape.Max <= shape.Prefix.Length) && !shape.Rest.IsNone)
        {
            Expr item = Expr.Reference(ruleOf(shape.Rest)), next = Expr.Sequence(Comma, item);
            int min = Math.Max(shape.Min - fixedPlaces, 0);
            int? max = shape.Max - fixedPlaces;
            if (fixedPlaces > 0)
                rest = Expr.Repeat(next, min, max);
            else
            {
                rest = Expr.Sequence(item, Expr.Repeat(next, Math.Max(min - 1, 0), max - 1));
                return min == 0 ? Expr.Optional(rest) : rest;
            }
        }

        for (int i = fixedPlaces - 1; i >= 0; i--)
        {
            Expr item = Expr.Reference(ruleOf(shape.Prefix[i]));
            rest = Expr.Sequence(i > 0 ? Comma : Expr.Empty, item, rest);
            if (i >= shape.Min)
                rest = Expr.Optional(rest);
        }

        return rest;
    }

    // A state is the number of items so far (as far as it matters) and, for each rule, how many of them counted.
    private Expr Containing(ArrayShape shape, ContainsRule[] rules)
    {
        if (rules.Length > 4)
            throw new SchemaException(budget.Pointer, "more than 4 contains for one array. Describe the items by prefixItems or items.");
        int places = Math.Max(Math.Max(shape.Prefix.Length, shape.Max + 1 ?? shape.Min), rules.Max(rule => rule.From));
        int[] caps = [.. rules.Select(rule => rule.Max is { } max ? max + 1 : rule.Min)];
        Dictionary<string, RuleId> known = [];
        Queue<(int Place, int[] Counts, RuleId Rule)> open = new();
        RuleId start = State(0, new int[rules.Length]);
        while (open.TryDequeue(out (int Place, int[] Counts, RuleId Rule) state))
        {
            List<Expr> ways = [];
            if (state.Place >= shape.Min && rules.Index().All(r => state.Counts[r.Index] >= r.Item.Min))
                ways.Add(Expr.Empty);
            if (!(state.Place >= shape.Max))
                ways.AddRange(Items(state.Place, state.Counts));
            builder.Define(state.Rule, Expr.Choice([.. ways]));
        }

        return Expr.Reference(start);

        // Each rule counts the item or not. Where only a minimum is asked, "not" may be any item: to count too few is no harm.
        IEnumerable<Expr> Items(int place, int[] counts)
        {
            for (int choice = 0; choice < 1 << rules.Length; choice++)
            {
                List<Goal> item = [shape.At(place)];
                int[] next = [.. counts];
                bool possible = true;
                for (int r = 0; r < rules.Length; r++)
                {
                    bool counted = (choice >> r & 1) != 0, watched = place >= rules[r].From;
                    if (!watched)
                        possible &= !counted;
                    else if (counted)
                    {
                        possible &= counts[r] < caps[r] && !(counts[r] + 1 > rules[r].Max);
                        item.Add(rules[r].Goal);
                        next[r]++;
                    }
                    else if (rules[r].Max is not null)
                        item.Add(goals.Not(rules[r].Goal));
                }

                if (!possible || goals.All([.. item]) is not { IsNone: false } goal)
                    continue;
                yield return Expr.Sequence(place > 0 ? Comma : Expr.Empty, Expr.Reference(ruleOf(goal)), Expr.Reference(State(Math.Min(place + 1, Math.Max(places, 1)), next)));
            }
        }

        RuleId State(int place, int[] counts)
        {
            string key = $"{place} {string.Join(' ', counts)}";
            if (!known.TryGetValue(key, out RuleId rule))
            {
                if (known.Count >= MostStates)
                    throw new SchemaException(budget.Pointer, $"contains together with these bounds takes more than {MostStates} states. Use smaller bounds.");
                budget.Spend(50);
                known[key] = rule = builder.Declare("items");
                open.Enqueue((place, counts, rule));
            }

            return rule;
        }
    }

    // Only where the values can be counted: a state is the set of values that have been written.
    private Expr Unique(ArrayShape shape, ContainsRule[] contains)
    {
        if (contains.Length > 0)
            throw new SchemaException(shape.Unique!, "uniqueItems together with contains is not enforced. Remove one of them.");
        int most = Math.Min(shape.Max ?? int.MaxValue, MostUniqueValues);
        List<string> values = []; // all there are, as texts
        Dictionary<int, int[]> byGoal = [];
        for (int i = 0; i <= shape.Prefix.Length && i < most; i++)
            Values(shape.At(i));
        Dictionary<string, RuleId> known = [];
        Queue<(int Place, HashSet<int> Used, RuleId Rule)> open = new();
        RuleId start = State(0, []);
        while (open.TryDequeue(out (int Place, HashSet<int> Used, RuleId Rule) state))
        {
            List<Expr> ways = state.Place >= shape.Min ? [Expr.Empty] : [];
            if (!(state.Place >= shape.Max))
            {
                foreach (int value in Values(shape.At(state.Place)))
                {
                    if (!state.Used.Contains(value))
                        ways.Add(Expr.Sequence(Expr.Text((state.Place > 0 ? "," : "") + values[value]), Expr.Reference(State(state.Place + 1, [.. state.Used, value]))));
                }
            }

            builder.Define(state.Rule, Expr.Choice([.. ways]));
        }

        return Expr.Reference(start);

        int[] Values(Goal goal)
        {
            if (byGoal.TryGetValue(goal.Id, out int[]? known))
                return known;
            List<int> numbers = [];
            foreach (string text in FiniteValues.Of(expander.Expand(goal), goals, expander, MostUniqueValues)
                ?? throw new SchemaException(shape.Unique!, "to keep items apart, a grammar would have to remember each. It can where the items are an enum (or booleans): list the values, or remove uniqueItems."))
            {
                int number = values.IndexOf(text);
                if (number < 0)
                {
                    number = values.Count;
                    values.Add(text);
                }

                numbers.Add(number);
            }

            return byGoal[goal.Id] = [.. numbers];
        }

        RuleId State(int place, HashSet<int> used)
        {
            string key = $"{place} {string.Join(' ', used.Order())}";
            if (!known.TryGetValue(key, out RuleId rule))
            {
                if (known.Count >= MostStates)
                    throw new SchemaException(shape.Unique!, $"the sets of values that may have been written already are more than {MostStates}. Set maxItems, or list fewer values.");
                budget.Spend(50 + used.Count);
                known[key] = rule = builder.Declare("unique items");
                open.Enqueue((place, used, rule));
            }

            return rule;
        }
    }
}
