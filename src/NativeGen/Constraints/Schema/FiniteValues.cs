// Lists the values of a set where they are few: what uniqueItems can tell apart.
namespace NativeGen.Constraints.Schema;

internal static class FiniteValues
{
    /// <summary>The canonical texts, each once, or null if there are more than <paramref name="most"/> or no end of them.</summary>
    internal static List<string>? Of(ValueSet set, GoalTable goals, SchemaExpander expander, int most, int depth = 4)
    {
        HashSet<string> texts = [];
        if (set.Null)
            texts.Add("null");
        if (set.True)
            texts.Add("true");
        if (set.False)
            texts.Add("false");
        if (!Add(set.Numbers, text => text) || !Add(set.Strings.Flat().Language, JsonTexts.Quote))
            return null;
        foreach (ArrayShape shape in set.Arrays)
        {
            // [1] and [1,2] as enum writes them; arrays and objects with a choice inside are left to who needs them.
            if (depth == 0 || shape.Max is not { } max || shape.Min != max || shape.Contains.Length > 0 || shape.Unique is not null || Product([.. Enumerable.Range(0, Math.Min(max, most)).Select(shape.At)]) is not { } rows)
                return null;
            texts.UnionWith(rows.Select(row => $"[{string.Join(',', row)}]"));
        }

        foreach (ObjectShape shape in set.Objects)
        {
            ObjectMember[] there = [.. shape.Members.Where(member => member.Presence != Presence.Absent)];
            bool closed = Array.Exists(shape.Rules, rule => rule.Goal.IsNone && rule.Names.IsPlain);
            if (depth == 0 || !closed || shape.Exists.Length > 0 || Array.Exists(there, member => member.Presence == Presence.Optional) || Product([.. there.Select(member => member.Goal)]) is not { } rows)
                return null;
            // Members in one order only: two texts are two values.
            int[] order = [.. Enumerable.Range(0, there.Length)];
            texts.UnionWith(rows.Select(row => "{" + string.Join(',', order.Select(i => JsonTexts.Quote(there[i].Name) + ":" + row[i])) + "}"));
        }

        return texts.Count <= most ? [.. texts] : null;

        bool Add(Dfa dfa, Func<string, string> write)
        {
            for (int n = 0; !dfa.IsEmpty; n++)
            {
                if (!dfa.IsFinite || n == most)
                    return false;
                string text = dfa.Shortest()!;
                texts.Add(write(text));
                dfa = dfa.Except(Dfa.OfTexts([text]));
            }

            return true;
        }

        List<string[]>? Product(Goal[] parts)
        {
            List<string[]> rows = [[]];
            foreach (Goal part in parts)
            {
                if (Of(expander.Expand(part), goals, expander, most, depth - 1) is not { } values || values.Count * rows.Count > most)
                    return null;
                rows = [.. rows.SelectMany(row => values.Select(value => (string[])[.. row, value]))];
            }

            return rows;
        }
    }
}
