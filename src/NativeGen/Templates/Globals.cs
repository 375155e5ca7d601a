// What every template may call: range, dict, namespace, cycler, joiner, lipsum, raise_exception, strftime_now.
using System.Globalization;
using System.Text;

namespace NativeGen.Templates;

internal static class Globals
{
    private const int LongestRange = 100_000;

    internal static Scope Create(DateTimeOffset now)
    {
        Scope scope = new(null);
        Add("range", Range);
        Add("dict", (args, named) =>
        {
            JinjaDict dict = args.Length == 0 ? new() : args[0] is JinjaDict given ? Access.Copy(given) : new();
            if (args.Length > 0 && args[0] is not JinjaDict)
            {
                foreach (object? pair in Python.Iterate(args[0]))
                {
                    if (Python.Iterate(pair) is not [var key, var value])
                        throw JinjaException.Type("dictionary update sequence element has a length other than 2");
                    dict[key] = value;
                }
            }

            foreach ((string name, object? value) in named)
                dict[name] = value;
            return dict;
        });
        Add("namespace", (args, named) =>
        {
            JinjaNamespace ns = new();
            foreach ((object? key, object? value) in args.OfType<JinjaDict>().SelectMany(dict => dict.Items))
                ns.Values[Python.Str(key).Text] = value;
            foreach ((string name, object? value) in named)
                ns.Values[name] = value;
            return ns;
        });
        Add("cycler", (args, _) => args.Length > 0 ? new Cycler(args) : throw JinjaException.Type("at least one item has to be provided"));
        Add("joiner", (args, named) => new Joiner(args.Length > 0 ? args[0] : named.Count > 0 ? named[0].Value : new JinjaString(", ")));
        Add("lipsum", (_, _) => throw new JinjaException(JinjaError.Security, "lipsum is not available: the same messages must give the same prompt"));
        Add("raise_exception", (args, named) => throw (args.Length + named.Count > 0
            ? new JinjaException(JinjaError.Raised, Python.Str(args.Length > 0 ? args[0] : named[0].Value).Text)
            : JinjaException.Type("raise_exception() missing 1 required positional argument: 'message'")));
        Add("strftime_now", (args, _) => new JinjaString(Strftime(now, args is [JinjaString format, ..] ? format.Text : throw JinjaException.Type("strftime_now() needs a format"))));
        return scope;

        void Add(string name, Func<object?[], List<(string Name, object? Value)>, object?> call) => scope.Names[name] = new JinjaCallable(name, call)
        {
            Attributes = name != "dict" ? null : new(StringComparer.Ordinal)
            {
                ["fromkeys"] = new JinjaCallable("fromkeys", (args, _) =>
                {
                    JinjaDict made = new();
                    foreach (object? key in Python.Iterate(args.Length > 0 ? args[0] : null))
                        made[key] = args.Length > 1 ? args[1] : null;
                    return made;
                }),
            },
        };
    }

    private static object? Range(object?[] args, List<(string Name, object? Value)> named)
    {
        if (args.Length is 0 or > 3)
            throw JinjaException.Type($"range expected 1 to 3 arguments, got {args.Length}");
        if (Array.Find(args, arg => arg is JinjaUndefined) is JinjaUndefined undefined)
            throw undefined.Error;
        long[] parts = [.. args.Select(arg => (long)Math.Clamp((double)Python.Big(arg), -1e15, 1e15))];
        (long start, long stop, long step) = parts.Length == 1 ? (0, parts[0], 1) : (parts[0], parts[1], parts.Length > 2 ? parts[2] : 1);
        if (step == 0)
            throw JinjaException.Type("range() arg 3 must not be zero");
        long count = step > 0 ? Math.Max(0, (stop - start + step - 1) / step) : Math.Max(0, (start - stop - step - 1) / -step);
        if (count > LongestRange)
            throw JinjaException.Type($"Range too big. The sandbox blocks ranges larger than MAX_RANGE ({LongestRange}).");
        JinjaView range = JinjaView.OfRange(start, step, (int)count);
        return new JinjaView("range", range.Items, step == 1 ? $"range({Number(start)}, {Number(stop)})" : $"range({Number(start)}, {Number(stop)}, {Number(step)})", (start, step));

        static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
    }

    internal static string Strftime(DateTimeOffset time, string format)
    {
        StringBuilder text = new();
        CultureInfo invariant = CultureInfo.InvariantCulture;
        for (int i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 >= format.Length)
            {
                text.Append(format[i]);
                continue;
            }

            bool plain = format[i + 1] == '-' && i + 2 < format.Length; // without leading zeros
            i += plain ? 2 : 1;
            string part = format[i] switch
            {
                'Y' => time.Year.ToString("0000", invariant),
                'y' => (time.Year % 100).ToString("00", invariant),
                'm' => time.Month.ToString("00", invariant),
                'd' => time.Day.ToString("00", invariant),
                'e' => time.Day.ToString(invariant).PadLeft(2),
                'H' => time.Hour.ToString("00", invariant),
                'I' => (((time.Hour + 11) % 12) + 1).ToString("00", invariant),
                'M' => time.Minute.ToString("00", invariant),
                'S' => time.Second.ToString("00", invariant),
                'f' => (time.Ticks % TimeSpan.TicksPerSecond / 10).ToString("000000", invariant),
                'j' => time.DayOfYear.ToString("000", invariant),
                'p' => time.Hour < 12 ? "AM" : "PM",
                'B' => time.ToString("MMMM", invariant),
                'b' or 'h' => time.ToString("MMM", invariant),
                'A' => time.ToString("dddd", invariant),
                'a' => time.ToString("ddd", invariant),
                'w' => ((int)time.DayOfWeek).ToString(invariant),
                'u' => (((int)time.DayOfWeek + 6) % 7 + 1).ToString(invariant),
                'U' => ((time.DayOfYear + 6 - (int)time.DayOfWeek) / 7).ToString("00", invariant),
                'W' => ((time.DayOfYear + 6 - (((int)time.DayOfWeek + 6) % 7)) / 7).ToString("00", invariant),
                'V' => ISOWeek.GetWeekOfYear(time.DateTime).ToString("00", invariant),
                'G' => ISOWeek.GetYear(time.DateTime).ToString("0000", invariant),
                'F' => time.ToString("yyyy-MM-dd", invariant),
                'D' or 'x' => time.ToString("MM/dd/yy", invariant),
                'T' or 'X' => time.ToString("HH:mm:ss", invariant),
                'R' => time.ToString("HH:mm", invariant),
                'c' => time.ToString("ddd MMM ", invariant) + time.Day.ToString(invariant).PadLeft(2) + time.ToString(" HH:mm:ss yyyy", invariant),
                's' => time.ToUnixTimeSeconds().ToString(invariant),
                'n' => "\n",
                't' => "\t",
                'z' or 'Z' => "",
                '%' => "%",
                var other => "%" + other,
            };
            text.Append(plain && part.Length > 1 ? part.TrimStart('0') is { Length: > 0 } short_ ? short_ : "0" : part);
        }

        return text.ToString();
    }

    private sealed class Cycler(object?[] items) : JinjaObject
    {
        private int _at;

        internal override string TypeName => "Cycler";

        internal override bool TryGet(string name, out object? value)
        {
            value = name switch
            {
                "next" => new JinjaCallable(name, (_, _) => items[_at++ % items.Length]),
                "current" => items[_at % items.Length],
                "reset" => new JinjaCallable(name, (_, _) =>
                {
                    _at = 0;
                    return null;
                }),
                _ => null,
            };
            return name is "next" or "current" or "reset";
        }
    }

    private sealed class Joiner(object? separator) : JinjaObject
    {
        private bool _used;

        internal override string TypeName => "Joiner";

        internal override bool TryGet(string name, out object? value)
        {
            value = null;
            return false;
        }

        internal override object? Call(object?[] args, List<(string Name, object? Value)> named)
        {
            object? result = _used ? separator : JinjaString.Empty;
            _used = true;
            return result;
        }
    }
}
