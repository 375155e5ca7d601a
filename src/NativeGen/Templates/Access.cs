// value.name and value[index], with what the sandbox hides.
namespace NativeGen.Templates;

internal static class Access
{
    private static readonly HashSet<string> ListChanges = ["append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"];
    private static readonly HashSet<string> DictChanges = ["clear", "pop", "popitem", "setdefault", "update"];

    internal static object? Attribute(Renderer renderer, object? value, string name)
    {
        if (value is JinjaUndefined undefined)
            throw undefined.Error;
        if (value is JinjaUnsafe hidden)
            throw hidden.Error;
        if (name.StartsWith('_'))
            return new JinjaUnsafe(name, Python.TypeName(value));
        if (Own(renderer, value, name, out object? found))
            return found;
        return value is JinjaDict dict && dict.TryGet(name, out found) ? found : Missing(value, name);
    }

    internal static object? Item(Renderer renderer, object? value, object? index)
    {
        switch (value)
        {
            case JinjaUndefined undefined:
                throw undefined.Error;
            case JinjaUnsafe hidden:
                throw hidden.Error;
            case JinjaGroup pair when Python.IsInt(index) || index is SliceValue:
                return Item(renderer, pair.Tuple, index);
            case JinjaDict dict when index is not SliceValue:
                if (index is not (List<object?> or JinjaDict) && dict.TryGet(index, out object? member))
                    return member;
                break;
            case JinjaView { Range: { } range } view:
                if (index is SliceValue cut)
                {
                    int[] kept = [.. Positions(cut, view.Items.Count)];
                    long step = range.Step * (kept.Length > 1 ? kept[1] - kept[0] : 1);
                    return JinjaView.OfRange(kept.Length > 0 ? (long)view.Items[kept[0]]! : range.Start, step, kept.Length);
                }

                if (Python.IsInt(index))
                    return At(view.Items, index);
                break;
            case JinjaString s:
                if (index is SliceValue || Python.IsInt(index))
                    return OfString(s, index);
                break;
            case List<object?> list:
                if (index is SliceValue part)
                    return Positions(part, list.Count).Select(i => list[i]).ToList();
                if (Python.IsInt(index))
                    return At(list, index);
                break;
            case JinjaTuple tuple:
                if (index is SliceValue section)
                    return new JinjaTuple([.. Positions(section, tuple.Items.Length).Select(i => tuple.Items[i])]);
                if (Python.IsInt(index))
                    return At(tuple.Items, index);
                break;
        }

        if (index is SliceValue)
            throw JinjaException.Type($"'{Python.TypeName(value)}' object is not subscriptable");
        if (index is JinjaString name)
        {
            if (name.Text.StartsWith("__", StringComparison.Ordinal))
                return new JinjaUnsafe(name.Text, Python.TypeName(value));
            if (Own(renderer, value, name.Text, out object? found))
                return found;
        }

        return index is JinjaUndefined u ? throw u.Error : Missing(value, Python.Str(index).Text);

        object? At(IReadOnlyList<object?> items, object? position)
        {
            int i = Python.Index(position);
            i = i < 0 ? i + items.Count : i;
            return i >= 0 && i < items.Count ? items[i] : new JinjaUndefined($"{Python.TypeName(value)} object has no element {Python.Str(position).Text}");
        }
    }

    private static object? OfString(JinjaString s, object? index)
    {
        int[] offsets = s.HasSurrogates ? s.Offsets() : [];
        int length = offsets.Length > 0 ? offsets.Length - 1 : s.Text.Length;
        int Offset(int i) => offsets.Length > 0 ? offsets[i] : i;
        if (index is SliceValue part)
        {
            if (part.Step is null or 1L)
            {
                (int start, int stop, _) = Bounds(part, length);
                return stop > start ? s.Part(Offset(start), Offset(stop)) : JinjaString.Empty;
            }

            JinjaString.Builder builder = new();
            foreach (int i in Positions(part, length))
                builder.Append(s.Part(Offset(i), Offset(i + 1)));
            return builder.ToJinja();
        }

        int at = Python.Index(index);
        at = at < 0 ? at + length : at;
        return at >= 0 && at < length ? s.Part(Offset(at), Offset(at + 1)) : new JinjaUndefined($"str object has no element {Python.Str(index).Text}");
    }

    private static (int Start, int Stop, int Step) Bounds(SliceValue slice, int length)
    {
        int step = slice.Step is null ? 1 : Number(slice.Step);
        if (step == 0)
            throw JinjaException.Type("slice step cannot be zero");
        int low = step > 0 ? 0 : -1, high = step > 0 ? length : length - 1;
        int start = slice.Start is null ? (step > 0 ? low : high) : Clamp(Number(slice.Start));
        int stop = slice.Stop is null ? (step > 0 ? high : low) : Clamp(Number(slice.Stop));
        return (start, stop, step);

        int Clamp(int i) => Math.Clamp(i < 0 ? i + length : i, low, high);
        static int Number(object? part) => Python.IsInt(part) ? Math.Clamp(Python.Index(part), -int.MaxValue, int.MaxValue)
            : part is JinjaUndefined u ? throw u.Error : throw JinjaException.Type("slice indices must be integers or None or have an __index__ method");
    }

    private static IEnumerable<int> Positions(SliceValue slice, int length)
    {
        (int start, int stop, int step) = Bounds(slice, length);
        for (long i = start; step > 0 ? i < stop : i > stop; i += step)
            yield return (int)i;
    }

    private static bool Own(Renderer renderer, object? value, string name, out object? found)
    {
        if (value is JinjaObject obj)
            return obj.TryGet(name, out found);
        if (value is JinjaNamespace space)
            return space.Values.TryGetValue(name, out found);
        found = value switch
        {
            JinjaString s => StringMethods.Find(renderer, s, name),
            List<object?> list => ListChanges.Contains(name) ? new JinjaUnsafe(name, "list") : ListMethod(list, list, name),
            JinjaTuple tuple => ListMethod(tuple, tuple.Items, name),
            JinjaDict dict => DictChanges.Contains(name) ? new JinjaUnsafe(name, "dict") : DictMethod(dict, name),
            JinjaCallable { Attributes: { } attributes } => attributes.GetValueOrDefault(name),
            double d when name == "is_integer" => Method(name, () => Math.Floor(d) == d),
            long n when name == "bit_length" => Method(name, () => new System.Numerics.BigInteger(n).GetBitLength()),
            _ => null,
        };
        return found is not null;
    }

    private static JinjaCallable Method(string name, Func<object?> call) => new(name, (_, _) => call());

    private static JinjaCallable? ListMethod(object self, IReadOnlyList<object?> items, string name) => name switch
    {
        "index" => new(name, (args, _) =>
        {
            for (int i = args.Length > 1 ? Python.Index(args[1]) : 0; i < items.Count; i++)
            {
                if (Python.Equal(items[i], args[0]))
                    return (long)i;
            }

            throw JinjaException.Type($"{Python.Repr(args[0]).Text} is not in list");
        }),
        "count" => new(name, (args, _) => (long)items.Count(item => Python.Equal(item, args[0]))),
        "copy" when self is List<object?> list => new(name, (_, _) => list.ToList()),
        _ => null,
    };

    private static JinjaCallable? DictMethod(JinjaDict dict, string name) => name switch
    {
        "get" => new(name, (args, named) => dict.TryGet(args.Length > 0 ? args[0] : throw JinjaException.Type("get expected at least 1 argument, got 0"), out object? value) ? value : args.Length > 1 ? args[1] : null),
        "keys" => Method(name, () => new JinjaView("dict_keys", [.. dict.Items.Select(item => item.Key)])),
        "values" => Method(name, () => new JinjaView("dict_values", [.. dict.Items.Select(item => item.Value)])),
        "items" => Method(name, () => new JinjaView("dict_items", [.. dict.Items.Select(item => (object?)new JinjaTuple(item.Key, item.Value))])),
        "copy" => Method(name, () => Copy(dict)),
        "fromkeys" => new(name, (args, _) =>
        {
            JinjaDict made = new();
            foreach (object? key in Python.Iterate(args[0]))
                made[key] = args.Length > 1 ? args[1] : null;
            return made;
        }),
        _ => null,
    };

    internal static JinjaDict Copy(JinjaDict dict)
    {
        JinjaDict copy = new();
        foreach ((object? key, object? value) in dict.Items)
            copy[key] = value;
        return copy;
    }

    private static JinjaUndefined Missing(object? value, string name) =>
        new(value is null ? $"'None' has no attribute '{name}'" : $"'{Python.TypeName(value)} object' has no attribute '{name}'");
}
