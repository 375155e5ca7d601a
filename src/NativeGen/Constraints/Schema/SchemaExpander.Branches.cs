// Schemas side by side: anyOf, oneOf and if, and whether two of them can have a value in common.
namespace NativeGen.Constraints.Schema;

internal sealed partial class SchemaExpander
{
    private const int MostBranchesTogether = 6;

    private ValueSet AnyOf(ValueSet[] branches, SchemaNode node)
    {
        ValueSet any = branches.Aggregate(ValueSet.None, (a, b) => a.Union(b, budget));
        if (!document.Unevaluated || branches.Length == 1)
            return any;

        // What a value is evaluated by depends on all the branches it satisfies: every combination counts.
        if (branches.Length > MostBranchesTogether)
        {
            throw new SchemaException(node.Pointer + "/anyOf",
                $"more than {MostBranchesTogether} branches in a schema with unevaluatedProperties or unevaluatedItems. Use additionalProperties in each branch instead.");
        }

        for (int subset = 1; subset < 1 << branches.Length; subset++)
        {
            if ((subset & (subset - 1)) == 0)
                continue;
            ValueSet both = ValueSet.Any(goals);
            for (int i = 0; i < branches.Length; i++)
            {
                if ((subset >> i & 1) != 0)
                    both = And(both, branches[i]);
            }

            any = any.Union(both with { Numbers = Dfa.None, Strings = StringSet.None }, budget);
        }

        return any;
    }

    // Exactly one. Branches that have no value in common need no more than their union.
    private ValueSet OneOf(ValueSet[] branches, string pointer)
    {
        ValueSet result = ValueSet.None;
        for (int i = 0; i < branches.Length; i++)
        {
            ValueSet only = branches[i];
            for (int j = 0; j < branches.Length; j++)
            {
                if (j == i)
                    continue;
                ValueSet common = And(branches[i], branches[j]);
                if (IsEmpty(common, 3))
                    continue;
                try
                {
                    only = And(only, branches[j].Complement(pointer, goals, budget));
                }
                catch (SchemaException e)
                {
                    throw new SchemaException(pointer, $"a value could satisfy branch {i} and branch {j} at once, and oneOf forbids that. "
                        + $"Make them differ by a required member with different const, or use anyOf. ({e.Message})", e);
                }
            }

            result = result.Union(only, budget);
        }

        return result with { Narrowed = Array.Exists(branches, branch => branch.Narrowed) };
    }

    private ValueSet Conditional(SchemaNode condition, SchemaNode? then, SchemaNode? otherwise)
    {
        ValueSet yes = Expand(condition);
        if (then is null && otherwise is null && !document.Unevaluated)
            return ValueSet.Any(goals);
        ValueSet no = yes.Complement(condition.Pointer, goals, budget);
        return (then is null ? yes : And(yes, Expand(then))).Union(otherwise is null ? no : And(no, Expand(otherwise)), budget);
    }

    // ---- emptiness: false means "not known to be empty" ----

    private bool IsEmpty(ValueSet set, int depth) => !set.Null && !set.True && !set.False && set.Numbers.IsEmpty && set.Strings.IsEmpty
        && Array.TrueForAll(set.Objects, shape => IsEmpty(shape, depth)) && Array.TrueForAll(set.Arrays, shape => IsEmpty(shape, depth));

    private bool IsEmpty(ObjectShape shape, int depth) =>
        Array.Exists(shape.Members, member => member.Presence == Presence.Required && IsEmpty(member.Goal, depth));

    private bool IsEmpty(ArrayShape shape, int depth)
    {
        for (int i = 0; i < Math.Min(shape.Min, shape.Prefix.Length + 1); i++)
        {
            if (IsEmpty(shape.At(i), depth))
                return true;
        }

        return false;
    }

    private bool IsEmpty(Goal goal, int depth)
    {
        if (goal.IsNone)
            return true;
        if (goal.IsAny || depth == 0)
            return false;
        int floor = _probeFloor;
        _probeFloor = _depth;
        try
        {
            return IsEmpty(Expand(goal), depth - 1);
        }
        catch (UnknownYetException)
        {
            return false;
        }
        finally
        {
            _probeFloor = floor;
        }
    }
}
