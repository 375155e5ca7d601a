// Values that a schema names one by one: const and enum.
using System.Text.Json;

namespace NativeGen.Constraints.Schema;

internal sealed partial class SchemaExpander
{
    private ValueSet Enumeration(JsonElement values, string pointer)
    {
        List<string> strings = [], numbers = [];
        ValueSet set = ValueSet.None;
        List<ArrayShape> arrays = [];
        List<ObjectShape> objects = [];
        int i = 0;
        foreach (JsonElement value in values.EnumerateArray())
        {
            budget.Spend(20);
            ValueSet one = value.ValueKind is JsonValueKind.String or JsonValueKind.Number ? ValueSet.None : Constant(value, $"{pointer}/{i}");
            if (value.ValueKind == JsonValueKind.String)
                strings.Add(StringOf(value, $"{pointer}/{i}"));
            else if (value.ValueKind == JsonValueKind.Number)
                numbers.Add(NumberOf(value, $"{pointer}/{i}"));
            arrays.AddRange(one.Arrays);
            objects.AddRange(one.Objects);
            set = set with { Null = set.Null || one.Null, True = set.True || one.True, False = set.False || one.False };
            i++;
        }

        return set with
        {
            Strings = strings.Count == 0 ? StringSet.None : new(Dfa.OfTexts(strings)),
            Numbers = numbers.Count == 0 ? Dfa.None : Dfa.OfTexts(numbers),
            Arrays = [.. arrays],
            Objects = [.. objects],
        };
    }

    private ValueSet Constant(JsonElement value, string pointer)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Null:
                return new() { Null = true };
            case JsonValueKind.True:
                return new() { True = true };
            case JsonValueKind.False:
                return new() { False = true };
            case JsonValueKind.Number:
                return new() { Numbers = Dfa.OfTexts([NumberOf(value, pointer)]) };
            case JsonValueKind.String:
                return new() { Strings = new(Dfa.OfTexts([StringOf(value, pointer)])) };
            case JsonValueKind.Array:
                Goal[] items = [.. value.EnumerateArray().Select(item => ConstantGoal(item, pointer))];
                return new() { Arrays = [new(goals.None) { Prefix = items, Min = items.Length, Max = items.Length, EvaluatedAll = false }] };
            default:
                ObjectMember[] members = [.. value.EnumerateObject().Select(member => new ObjectMember(member.Name, Presence.Required, ConstantGoal(member.Value, pointer), Declared: true))];
                return new() { Objects = [new() { Members = members, Rules = [new(NameSet.Every with { Except = [.. members.Select(member => member.Name)] }, goals.None)] }] };
        }
    }

    private Goal ConstantGoal(JsonElement value, string pointer)
    {
        try
        {
            return goals.Constant(value);
        }
        catch (Exception e) when (e is FormatException or InvalidOperationException)
        {
            throw new SchemaException(pointer, $"{SchemaKeywords.Show(value)} cannot be written: {e.Message}.", e);
        }
    }

    private static string StringOf(JsonElement value, string pointer)
    {
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw new SchemaException(pointer, "it has half a surrogate pair, which is no character.", e);
        }
    }

    private static string NumberOf(JsonElement value, string pointer)
    {
        try
        {
            return JsonTexts.Number(value.GetRawText());
        }
        catch (FormatException e)
        {
            throw new SchemaException(pointer, $"{e.Message}.", e);
        }
    }
}
