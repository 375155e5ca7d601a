// A set of JSON values, type by type, closed under union, intersection and complement. Items and members stay goals: recursion is not unrolled.
namespace NativeGen.Constraints.Schema;

/// <summary>Immutable.</summary>
internal sealed record ValueSet
{
    internal const int MostShapes = 2_000;

    internal bool Null { get; init; }

    internal bool True { get; init; }

    internal bool False { get; init; }

    internal Dfa Numbers { get; init; } = Dfa.None;

    internal StringSet Strings { get; init; } = StringSet.None;

    internal ArrayShape[] Arrays { get; init; } = [];

    internal ObjectShape[] Objects { get; init; } = [];

    /// <summary>A format narrows the strings to a shape of which no more is known than that it is not too wide: it has no exact opposite.</summary>
    internal bool Narrowed { get; init; }

    internal static ValueSet None { get; } = new();

    internal static ValueSet Any(GoalTable goals) => OfTypes(JsonTypes.All, goals);

    internal static ValueSet OfTypes(JsonTypes types, GoalTable goals) => new()
    {
        Null = types.HasFlag(JsonTypes.Null),
        True = types.HasFlag(JsonTypes.Boolean),
        False = types.HasFlag(JsonTypes.Boolean),
        Numbers = types.HasFlag(JsonTypes.Number) ? NumberLanguage.All : types.HasFlag(JsonTypes.Integer) ? NumberLanguage.Integers : Dfa.None,
        Strings = types.HasFlag(JsonTypes.String) ? StringSet.Any : StringSet.None,
        Arrays = types.HasFlag(JsonTypes.Array) ? [new(goals.Any)] : [],
        Objects = types.HasFlag(JsonTypes.Object) ? [new()] : [],
    };

    internal bool IsEmpty => !Null && !True && !False && Numbers.IsEmpty && Arrays.Length == 0 && Objects.Length == 0 && Strings.IsEmpty;

    internal ValueSet Only(JsonTypes types) => new()
    {
        Null = Null && types.HasFlag(JsonTypes.Null),
        True = True && types.HasFlag(JsonTypes.Boolean),
        False = False && types.HasFlag(JsonTypes.Boolean),
        Numbers = types.HasFlag(JsonTypes.Number) ? Numbers : types.HasFlag(JsonTypes.Integer) ? Both(Numbers, NumberLanguage.Integers) : Dfa.None,
        Strings = types.HasFlag(JsonTypes.String) ? Strings : StringSet.None,
        Arrays = types.HasFlag(JsonTypes.Array) ? Arrays : [],
        Objects = types.HasFlag(JsonTypes.Object) ? Objects : [],
        Narrowed = Narrowed,
    };

    internal ValueSet Union(ValueSet other, Budget budget) => new()
    {
        Null = Null || other.Null,
        True = True || other.True,
        False = False || other.False,
        Numbers = Numbers.IsEmpty ? other.Numbers : other.Numbers.IsEmpty || ReferenceEquals(Numbers, other.Numbers) ? Numbers : Numbers.Union(other.Numbers),
        Strings = Strings.Union(other.Strings),
        Arrays = Bounded([.. Arrays.Union(other.Arrays)], budget),
        Objects = Bounded([.. Objects.Union(other.Objects)], budget),
        Narrowed = Narrowed || other.Narrowed,
    };

    internal ValueSet Intersect(ValueSet other, GoalTable goals, Budget budget)
    {
        budget.Spend(Cost(Numbers) + Cost(other.Numbers) + Cost(Strings.Language) + Cost(other.Strings.Language));
        return new()
        {
            Null = Null && other.Null,
            True = True && other.True,
            False = False && other.False,
            Numbers = Both(Numbers, other.Numbers),
            Strings = Strings.Intersect(other.Strings),
            Arrays = Both(Arrays, other.Arrays, goals, budget),
            Objects = Both(Objects, other.Objects, goals, budget),
            Narrowed = Narrowed || other.Narrowed,
        };
    }

    /// <param name="pointer">Where the opposite is asked for.</param>
    internal ValueSet Complement(string pointer, GoalTable goals, Budget budget)
    {
        if (Narrowed)
            throw new SchemaException(pointer, "the opposite of a format cannot be enforced: a format says what texts look like, not which ones it is not. Use pattern, or remove the format here.");
        budget.Spend(Cost(Numbers) + Cost(Strings.Language));
        ArrayShape[] arrays = [new(goals.Any)];
        foreach (ArrayShape shape in Arrays)
            arrays = Both(arrays, [.. shape.Complement(goals)], goals, budget);
        ObjectShape[] objects = [new()];
        foreach (ObjectShape shape in Objects)
            objects = Both(objects, [.. shape.Complement(goals)], goals, budget);
        return new()
        {
            Null = !Null,
            True = !True,
            False = !False,
            Numbers = ReferenceEquals(Numbers, NumberLanguage.All) ? Dfa.None : Numbers.IsEmpty ? NumberLanguage.All : NumberLanguage.All.Except(Numbers),
            Strings = Strings.Complement(),
            Arrays = arrays,
            Objects = objects,
        };
    }

    internal static ArrayShape[] Both(ArrayShape[] a, ArrayShape[] b, GoalTable goals, Budget budget)
    {
        List<ArrayShape> both = [];
        foreach (ArrayShape left in a)
        {
            foreach (ArrayShape right in b)
            {
                budget.Spend(5 + left.Prefix.Length + right.Prefix.Length);
                if (left.Intersect(right, goals) is { } shape)
                    both.Add(shape);
            }
        }

        return Bounded([.. both], budget);
    }

    internal static ObjectShape[] Both(ObjectShape[] a, ObjectShape[] b, GoalTable goals, Budget budget)
    {
        List<ObjectShape> both = [];
        foreach (ObjectShape left in a)
        {
            foreach (ObjectShape right in b)
            {
                budget.Spend(5 + ((left.Members.Length + 1) * (right.Rules.Length + 1)) + ((right.Members.Length + 1) * (left.Rules.Length + 1)));
                if (left.Intersect(right, goals) is { } shape)
                    both.Add(shape);
            }
        }

        return Bounded([.. both], budget);
    }

    private static T[] Bounded<T>(T[] shapes, Budget budget) => shapes.Length <= MostShapes
        ? shapes
        : throw new SchemaException(budget.Pointer, $"this comes down to more than {MostShapes} alternatives of objects or arrays. Write fewer anyOf, oneOf, allOf and dependencies beside each other.");

    private static Dfa Both(Dfa a, Dfa b) =>
        ReferenceEquals(a, b) || a.IsEmpty || ReferenceEquals(b, NumberLanguage.All) ? a : b.IsEmpty || ReferenceEquals(a, NumberLanguage.All) ? b : a.Intersect(b);

    private static long Cost(Dfa dfa) => 10L * dfa.StateCount;
}
