// value | filter(...): Jinja's own filters over lists and mappings; those over text are in TextFilters.cs.
using System.Numerics;

namespace NativeGen.Templates;

/// <summary>A filter's arguments, by place or by name.</summary>
internal sealed class FilterArguments(string filter, object?[] positional, List<(string Name, object? Value)> named)
{
    internal object?[] Positional => positional;

    internal bool Has(int at, string name) => at < positional.Length || named.Exists(pair => pair.Name == name);

    internal object? Get(int at, string name, object? otherwise = null)
    {
        if (at >= 0 && at < positional.Length)
            return positional[at];
        int index = named.FindIndex(pair => pair.Name == name);
        return index >= 0 ? named[index].Value : otherwise;
    }

    internal object? Need(int at, string name) => Has(at, name) ? Get(at, name) : throw JinjaException.Type($"filter {filter} needs the argument '{name}'");

    internal List<(string Name, object? Value)> Named => named;
}

internal static class Filters
{
    private static readonly HashSet<string> Names =
    [
        "abs", "attr", "batch", "capitalize", "center", "count", "d", "default", "dictsort", "e", "escape", "filesizeformat", "first", "float", "forceescape", "format", "groupby", "indent", "int", "items",
        "join", "last", "length", "list", "lower", "map", "max", "min", "pprint", "reject", "rejectattr", "replace", "reverse", "round", "safe", "select", "selectattr", "slice", "sort", "string",
        "striptags", "sum", "title", "tojson", "trim", "truncate", "unique", "upper", "urlencode", "wordcount", "wordwrap", "xmlattr", "random",
    ];

    internal static bool Exists(string name) => Names.Contains(name);

    internal static object? Apply(Renderer renderer, string name, object? value, FilterArguments a)
    {
        if (value is JinjaUnsafe hidden && name is not ("default" or "d" or "string"))
            throw hidden.Error;
        if (TextFilters.TryApply(renderer, name, value, a, out object? text))
            return text;
        switch (name)
        {
            case "abs":
                return Python.IsNumber(value) ? value is double d ? Math.Abs(d) : Python.Int(BigInteger.Abs(Python.Big(value))) : throw Wrong($"bad operand type for abs(): '{Python.TypeName(value)}'", value);
            case "attr":
                return value is JinjaDict ? new JinjaUndefined($"'dict object' has no attribute '{Python.Str(a.Need(0, "name")).Text}'") : Access.Attribute(renderer, value, Python.Str(a.Need(0, "name")).Text);
            case "default" or "d":
                return value is JinjaUndefined or JinjaUnsafe || (Python.Truth(a.Get(1, "boolean")) && !Python.Truth(value)) ? a.Get(0, "default_value", JinjaString.Empty) : value;
            case "length" or "count":
                return value switch
                {
                    JinjaString s => (long)s.Length,
                    JinjaDict dict => (long)dict.Count,
                    List<object?> or JinjaTuple or JinjaUndefined or JinjaView or JinjaGroup => (long)Python.Iterate(value).Count,
                    _ => throw Wrong($"object of type '{Python.TypeName(value)}' has no len()", value),
                };
            case "items":
                return value is JinjaUndefined ? new List<object?>() : value is JinjaDict members ? members.Items.Select(item => (object?)new JinjaTuple(item.Key, item.Value)).ToList() : throw Wrong("Can only get item pairs from a mapping.", value);
            case "list":
                return Python.Iterate(value).ToList();
            case "first":
                return Python.Iterate(value) is [var first, ..] ? first : new JinjaUndefined("No first item, sequence was empty.");
            case "last":
                return Python.Iterate(value) is [.., var last] ? last : new JinjaUndefined("No last item, sequence was empty.");
            case "random":
                throw new JinjaException(JinjaError.Security, "random is not available: the same messages must give the same prompt");
            case "reverse":
                List<object?> turned = [.. Python.Iterate(value)];
                turned.Reverse();
                if (value is not JinjaString)
                    return turned;
                JinjaString.Builder reversed = new();
                foreach (object? character in turned)
                    reversed.Append((JinjaString)character!);
                return reversed.ToJinja();
            case "int":
                return ToInt(value, a.Get(0, "default", 0L), a.Get(1, "base", 10L));
            case "float":
                return ToFloat(value, a.Get(0, "default", 0.0));
            case "round":
                return Round(value, a);
            case "sum":
                object? total = a.Get(1, "start", 0L);
                Func<object?, object?> summand = Getter(renderer, a.Get(0, "attribute"), null);
                foreach (object? item in Python.Iterate(value))
                    total = Arithmetic.Apply(renderer, "+", total, summand(item));
                return total;
            case "min" or "max":
                return Extreme(renderer, name, value, a);
            case "sort":
                List<object?> sorted = [.. Python.Iterate(value)];
                return Sorted(sorted, Getter(renderer, a.Get(2, "attribute"), null, several: true), Python.Truth(a.Get(1, "case_sensitive", false)), Python.Truth(a.Get(0, "reverse", false)));
            case "dictsort":
                if (value is not JinjaDict source)
                    throw Wrong($"'{Python.TypeName(value)}' object has no attribute 'items'", value);
                int by = Python.Str(a.Get(1, "by", new JinjaString("key"))).Text == "value" ? 1 : 0;
                return Sorted([.. source.Items.Select(item => (object?)new JinjaTuple(item.Key, item.Value))], pair => ((JinjaTuple)pair!).Items[by], Python.Truth(a.Get(0, "case_sensitive", false)), Python.Truth(a.Get(2, "reverse", false)));
            case "unique":
                Func<object?, object?> key = Getter(renderer, a.Get(1, "attribute"), null);
                bool sensitive = Python.Truth(a.Get(0, "case_sensitive", false));
                JinjaDict seen = new();
                List<object?> unique = [];
                foreach (object? item in Python.Iterate(value))
                {
                    object? k = Folded(key(item), sensitive);
                    if (!seen.TryGet(k, out _))
                    {
                        seen[k] = true;
                        unique.Add(item);
                    }
                }

                return unique;
            case "groupby":
                return Grouped(renderer, value, a);
            case "map":
                return Mapped(renderer, Python.Truth(value) ? value : new List<object?>(), a);
            case "select" or "reject" or "selectattr" or "rejectattr":
                return Selected(renderer, name, Python.Truth(value) ? value : new List<object?>(), a);
            case "batch":
                return Batched(renderer, value, Python.Index(a.Need(0, "linecount")), a.Has(1, "fill_with") ? [a.Get(1, "fill_with")] : null);
            case "slice":
                return Sliced(renderer, value, Python.Index(a.Need(0, "slices")), a.Has(1, "fill_with") ? [a.Get(1, "fill_with")] : null);
            case "join":
                return Joined(renderer, value, a);
        }

        throw new JinjaException(JinjaError.Syntax, $"No filter named '{name}'.");
    }

    internal static JinjaException Wrong(string what, object? value) => value is JinjaUndefined undefined ? undefined.Error : JinjaException.Type(what);

    // "a.b.0", or several with commas for sort.
    private static Func<object?, object?> Getter(Renderer renderer, object? attribute, object?[]? otherwise, bool several = false)
    {
        if (attribute is null)
            return item => item;
        if (several && attribute is JinjaString { Text: var names } && names.Contains(','))
        {
            Func<object?, object?>[] each = [.. names.Split(',').Select(name => Getter(renderer, new JinjaString(name), otherwise))];
            return item => new List<object?>(each.Select(get => get(item)));
        }

        object?[] path = attribute is JinjaString s ? [.. s.Text.Split('.').Select(part => part.Length > 0 && part.All(char.IsAsciiDigit) ? (object?)long.Parse(part, System.Globalization.CultureInfo.InvariantCulture) : new JinjaString(part))] : [attribute];
        return item =>
        {
            foreach (object? part in path)
            {
                item = Access.Item(renderer, item, part);
                if (item is JinjaUndefined && otherwise is not null)
                    item = otherwise[0];
            }

            return item;
        };
    }

    private static object? Folded(object? value, bool sensitive) => value switch
    {
        JinjaString s when !sensitive => new JinjaString(s.Text.ToLowerInvariant()),
        List<object?> list => list.Select(item => Folded(item, sensitive)).ToList(),
        _ => value,
    };

    private static List<object?> Sorted(List<object?> items, Func<object?, object?> by, bool sensitive, bool reverse)
    {
        List<object?> keys = [.. items.Select(item => Folded(by(item), sensitive))];
        int[] order = [.. Enumerable.Range(0, items.Count)];
        JinjaException? failure = null;
        int[] sorted = [.. order.Order(Comparer<int>.Create((x, y) =>
        {
            try
            {
                int result = failure is null ? Python.Compare(keys[x], keys[y], "<") : 0;
                return reverse ? -result : result;
            }
            catch (JinjaException e)
            {
                failure = e;
                return 0;
            }
        }))];
        return failure is not null ? throw failure : [.. sorted.Select(i => items[i])];
    }

    private static object? Extreme(Renderer renderer, string name, object? value, FilterArguments a)
    {
        List<object?> items = Python.Iterate(value);
        if (items.Count == 0)
            return new JinjaUndefined("No aggregated item, sequence was empty.");
        Func<object?, object?> by = Getter(renderer, a.Get(1, "attribute"), null);
        bool sensitive = Python.Truth(a.Get(0, "case_sensitive", false));
        object? best = items[0], bestKey = Folded(by(items[0]), sensitive);
        foreach (object? item in items.Skip(1))
        {
            object? key = Folded(by(item), sensitive);
            if (name == "min" ? Python.Compare(key, bestKey, "<") < 0 : Python.Compare(key, bestKey, ">") > 0)
                (best, bestKey) = (item, key);
        }

        return best;
    }

    private static List<object?> Grouped(Renderer renderer, object? value, FilterArguments a)
    {
        bool sensitive = Python.Truth(a.Get(2, "case_sensitive", false));
        Func<object?, object?> by = Getter(renderer, a.Need(0, "attribute"), a.Has(1, "default") ? [a.Get(1, "default")] : null);
        List<object?> sorted = Sorted([.. Python.Iterate(value)], by, sensitive, reverse: false);
        List<object?> groups = [];
        object? last = null;
        List<object?>? current = null;
        foreach (object? item in sorted)
        {
            object? key = Folded(by(item), sensitive);
            if (current is null || !Python.Equal(key, last))
            {
                current = [];
                groups.Add(new JinjaGroup(by(item), current));
                last = key;
            }

            current.Add(item);
        }

        return groups;
    }

    private static List<object?> Mapped(Renderer renderer, object? value, FilterArguments a)
    {
        if (a.Positional.Length == 0 && a.Named.Exists(pair => pair.Name == "attribute"))
        {
            object?[]? otherwise = a.Named.Exists(pair => pair.Name == "default") ? [a.Get(-1, "default")] : null;
            Func<object?, object?> get = Getter(renderer, a.Get(-1, "attribute"), otherwise);
            return [.. Python.Iterate(value).Select(get)];
        }

        if (a.Positional is not [JinjaString filter, .. var rest])
            throw JinjaException.Type("map requires a filter argument");
        if (!Exists(filter.Text))
            throw new JinjaException(JinjaError.Syntax, $"No filter named '{filter.Text}'.");
        renderer.Spend(Python.Iterate(value).Count);
        return [.. Python.Iterate(value).Select(item => Apply(renderer, filter.Text, item, new(filter.Text, rest, a.Named)))];
    }

    private static List<object?> Selected(Renderer renderer, string name, object? value, FilterArguments a)
    {
        bool byAttribute = name.EndsWith("attr", StringComparison.Ordinal), keep = name.StartsWith("select", StringComparison.Ordinal);
        object?[] args = a.Positional;
        Func<object?, object?> get = item => item;
        if (byAttribute)
        {
            if (args.Length == 0)
                throw JinjaException.Type("Missing parameter for attribute name");
            get = Getter(renderer, args[0], null);
            args = args[1..];
        }

        if (args is [JinjaString { Text: var test }, .. var rest])
        {
            if (!Tests.Exists(test))
                throw new JinjaException(JinjaError.Syntax, $"No test named '{test}'.");
            return [.. Python.Iterate(value).Where(item => Tests.Apply(test, get(item), rest) == keep)];
        }

        return [.. Python.Iterate(value).Where(item => Python.Truth(get(item)) == keep)];
    }

    private static List<object?> Batched(Renderer renderer, object? value, int size, object?[]? fill)
    {
        renderer.Room(size);
        List<object?> batches = [.. Python.Iterate(value).Chunk(Math.Max(size, 1)).Select(chunk => (object?)chunk.ToList())];
        if (fill is not null && batches is [.., List<object?> last])
        {
            while (last.Count < size)
                last.Add(fill[0]);
        }

        return batches;
    }

    private static List<object?> Sliced(Renderer renderer, object? value, int slices, object?[]? fill)
    {
        if (slices < 1)
            throw JinjaException.Type("integer division or modulo by zero");
        renderer.Room(slices);
        List<object?> items = Python.Iterate(value), result = [];
        int each = items.Count / slices, more = items.Count % slices, offset = 0;
        for (int i = 0; i < slices; i++)
        {
            int start = offset + (i * each);
            if (i < more)
                offset++;
            List<object?> part = [.. items.Skip(start).Take(offset + ((i + 1) * each) - start)];
            if (fill is not null && i >= more)
                part.Add(fill[0]);
            result.Add(part);
        }

        return result;
    }

    private static JinjaString Joined(Renderer renderer, object? value, FilterArguments a)
    {
        JinjaString between = Python.Str(a.Get(0, "d", JinjaString.Empty));
        Func<object?, object?> get = Getter(renderer, a.Get(1, "attribute"), null);
        JinjaString.Builder builder = new();
        bool any = false;
        foreach (object? item in Python.Iterate(value))
        {
            if (any)
                builder.Append(between);
            any = true;
            builder.Append(Python.Str(get(item)));
            renderer.Room(builder.Length);
        }

        return builder.ToJinja();
    }

    private static object? ToInt(object? value, object? otherwise, object? radix)
    {
        switch (value)
        {
            case bool or long or BigInteger:
                return Python.Int(Python.Big(value));
            case double d:
                return double.IsFinite(d) ? Python.Int(new BigInteger(Math.Truncate(d))) : otherwise;
            case JinjaString s:
                string text = s.Text.Trim().Replace("_", "", StringComparison.Ordinal);
                int b = Python.Index(radix);
                bool negative = text.StartsWith('-');
                string digits = text.TrimStart('-', '+');
                if (b is 16 or 8 or 2 && digits.Length > 2 && digits[0] == '0' && char.ToLowerInvariant(digits[1]) == (b == 16 ? 'x' : b == 8 ? 'o' : 'b'))
                    digits = digits[2..];
                if (digits.Length is > 0 and < 5000 && digits.All(c => Digit(c) >= 0 && Digit(c) < b))
                {
                    BigInteger n = digits.Aggregate(BigInteger.Zero, (sum, c) => (sum * b) + Digit(c));
                    return Python.Int(negative ? -n : n);
                }

                return ToFloat(value, null) is double f && double.IsFinite(f) ? Python.Int(new BigInteger(Math.Truncate(f))) : otherwise;
            case JinjaUndefined undefined:
                throw undefined.Error;
        }

        return otherwise;

        static int Digit(char c) => char.IsAsciiDigit(c) ? c - '0' : char.IsAsciiLetter(c) ? char.ToLowerInvariant(c) - 'a' + 10 : -1;
    }

    private static object? ToFloat(object? value, object? otherwise) => value switch
    {
        _ when Python.IsNumber(value) => Python.Float(value),
        JinjaString s when s.Text.Trim() is { Length: > 0 } text && double.TryParse(text.Replace("_", "", StringComparison.Ordinal), System.Globalization.NumberStyles.Float, System.Globalization.CultureInfo.InvariantCulture, out double d) => d,
        JinjaUndefined undefined => throw undefined.Error,
        _ => otherwise,
    };

    private static object? Round(object? value, FilterArguments a)
    {
        int precision = Python.Index(a.Get(0, "precision", 0L));
        string method = Python.Str(a.Get(1, "method", new JinjaString("common"))).Text;
        if (!Python.IsNumber(value))
            throw Wrong($"type {Python.TypeName(value)} doesn't define __round__ method", value);
        double d = Python.Float(value);
        if (method == "common")
        {
            if (value is not double)
                return value;
            return precision >= 0 ? (double)Math.Round((decimal)Math.Clamp(d, -1e27, 1e27), Math.Min(precision, 20), MidpointRounding.ToEven) : Math.Round(d / Math.Pow(10, -precision), MidpointRounding.ToEven) * Math.Pow(10, -precision);
        }

        if (method is not ("ceil" or "floor"))
            throw JinjaException.Type("method must be common, ceil or floor");
        double scale = Math.Pow(10, precision);
        return (method == "ceil" ? Math.Ceiling(d * scale) : Math.Floor(d * scale)) / scale;
    }
}

/// <summary>What groupby gives: a pair whose parts also have names.</summary>
internal sealed class JinjaGroup(object? grouper, List<object?> list) : JinjaObject
{
    internal override string TypeName => "_GroupTuple";

    internal JinjaTuple Tuple { get; } = new(grouper, list);

    internal override bool TryGet(string name, out object? value)
    {
        value = name == "grouper" ? grouper : name == "list" ? list : null;
        return name is "grouper" or "list";
    }
}
