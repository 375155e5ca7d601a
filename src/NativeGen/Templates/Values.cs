// The values of a template, as Python has them: null is None; bool, long, BigInteger, double, JinjaString, List<object?>, JinjaTuple, JinjaDict and callables.
using System.Globalization;
using System.Numerics;
using System.Text;

namespace NativeGen.Templates;

/// <summary>A name that nothing defines. Prints as nothing, is false and empty; anything else is an error that says what is missing.</summary>
internal sealed class JinjaUndefined(string message)
{
    internal JinjaException Error => new(JinjaError.Undefined, message);

    internal static JinjaUndefined Name(string name) => new($"'{name}' is undefined");
}

/// <summary>An attribute that the sandbox hides.</summary>
internal sealed class JinjaUnsafe(string attribute, string type)
{
    internal JinjaException Error => new(JinjaError.Security, $"access to attribute '{attribute}' of '{type}' object is unsafe.");
}

/// <summary>Immutable sequence.</summary>
internal sealed class JinjaTuple(params object?[] items)
{
    internal object?[] Items => items;
}

/// <summary>Members in the order they came.</summary>
internal sealed class JinjaDict
{
    private readonly Dictionary<object, int> _index = new(KeyComparer.Instance);
    private readonly List<(object? Key, object? Value)> _items = [];

    internal IReadOnlyList<(object? Key, object? Value)> Items => _items;

    internal int Count => _items.Count;

    internal object? this[object? key]
    {
        set
        {
            if (_index.TryGetValue(Boxed(key), out int at))
                _items[at] = (_items[at].Key, value);
            else
            {
                _index[Boxed(key)] = _items.Count;
                _items.Add((key, value));
            }
        }
    }

    internal object? this[string key]
    {
        set => this[(object)new JinjaString(key)] = value;
    }

    internal bool TryGet(object? key, out object? value)
    {
        bool found = _index.TryGetValue(Boxed(key), out int at);
        value = found ? _items[at].Value : null;
        return found;
    }

    internal bool TryGet(string key, out object? value) => TryGet(new JinjaString(key), out value);

    private static object Boxed(object? key) => key is null ? KeyComparer.None : key is List<object?> or JinjaDict ? throw JinjaException.Type($"unhashable type: '{Python.TypeName(key)}'") : key;

    private sealed class KeyComparer : IEqualityComparer<object>
    {
        internal static readonly KeyComparer Instance = new();
        internal static readonly object None = new();

        bool IEqualityComparer<object>.Equals(object? a, object? b) => ReferenceEquals(a, b) || (!ReferenceEquals(a, None) && !ReferenceEquals(b, None) && Python.Equal(a, b));

        int IEqualityComparer<object>.GetHashCode(object value) => value switch
        {
            bool b => b ? 1.0.GetHashCode() : 0.0.GetHashCode(),
            long n => ((double)n).GetHashCode(),
            BigInteger n => ((double)n).GetHashCode(),
            double d => d.GetHashCode(),
            JinjaTuple tuple => tuple.Items.Length,
            _ => value.GetHashCode(),
        };
    }
}

/// <summary>namespace(): the one object that a template may assign to.</summary>
internal sealed class JinjaNamespace
{
    internal Dictionary<string, object?> Values { get; } = new(StringComparer.Ordinal);
}

/// <summary>Something that can be called: positional arguments, then named ones.</summary>
internal sealed class JinjaCallable(string name, Func<object?[], List<(string Name, object? Value)>, object?> call)
{
    internal string Name => name;

    internal Func<object?[], List<(string Name, object? Value)>, object?> Call => call;

    /// <summary>A macro's attributes.</summary>
    internal Dictionary<string, object?>? Attributes { get; init; }
}

/// <summary>An object with attributes of its own (loop, cycler, joiner).</summary>
internal abstract class JinjaObject
{
    internal abstract string TypeName { get; }

    internal abstract bool TryGet(string name, out object? value);

    internal virtual object? Call(object?[] args, List<(string Name, object? Value)> named) => throw JinjaException.Type($"'{TypeName}' object is not callable");
}

/// <summary>What Python gives for keys(), items(), range(...): something to walk through that is no list. <paramref name="text"/> is its repr, if it is not its items'.</summary>
internal sealed class JinjaView(string type, List<object?> items, string? text = null, (long Start, long Step)? range = null) : JinjaObject
{
    internal override string TypeName => type;

    internal List<object?> Items => items;

    internal string? Text => text;

    /// <summary>Of a range.</summary>
    internal (long Start, long Step)? Range => range;

    internal static JinjaView OfRange(long start, long step, int count)
    {
        List<object?> numbers = new(count);
        for (int i = 0; i < count; i++)
            numbers.Add(start + (i * step));
        string end = (start + (count * step)).ToString(CultureInfo.InvariantCulture), from = start.ToString(CultureInfo.InvariantCulture);
        return new("range", numbers, step == 1 ? $"range({from}, {end})" : $"range({from}, {end}, {step.ToString(CultureInfo.InvariantCulture)})", (start, step));
    }

    internal override bool TryGet(string name, out object? value)
    {
        value = null;
        return false;
    }
}

/// <summary>What Python does with values: truth, equality, order, text.</summary>
internal static class Python
{
    internal static string TypeName(object? value) => value switch
    {
        null => "NoneType",
        bool => "bool",
        long or BigInteger => "int",
        double => "float",
        JinjaString => "str",
        List<object?> => "list",
        JinjaTuple => "tuple",
        JinjaDict => "dict",
        JinjaNamespace => "Namespace",
        JinjaUndefined => "Undefined",
        JinjaObject o => o.TypeName,
        _ => "function",
    };

    internal static bool Truth(object? value) => value switch
    {
        null or JinjaUndefined => false,
        bool b => b,
        long n => n != 0,
        BigInteger n => !n.IsZero,
        double d => d != 0,
        JinjaString s => s.Text.Length > 0,
        List<object?> list => list.Count > 0,
        JinjaTuple tuple => tuple.Items.Length > 0,
        JinjaDict dict => dict.Count > 0,
        JinjaUnsafe => false,
        JinjaView view => view.Items.Count > 0,
        _ => true,
    };

    internal static bool IsInt(object? value) => value is long or BigInteger or bool;

    internal static bool IsNumber(object? value) => IsInt(value) || value is double;

    internal static BigInteger Big(object? value) => value switch { bool b => b ? 1 : 0, long n => n, BigInteger n => n, _ => throw JinjaException.Type($"'{TypeName(value)}' object cannot be interpreted as an integer") };

    internal static double Float(object? value) => value switch { double d => d, bool b => b ? 1 : 0, long n => n, BigInteger n => (double)n, _ => throw JinjaException.Type($"must be real number, not {TypeName(value)}") };

    internal static int Index(object? value)
    {
        BigInteger n = Big(value);
        return n > int.MaxValue ? int.MaxValue : n < int.MinValue ? int.MinValue : (int)n;
    }

    internal static object Int(BigInteger value) => value >= long.MinValue && value <= long.MaxValue ? (object)(long)value : value;

    internal static bool Equal(object? a, object? b)
    {
        if (IsNumber(a) && IsNumber(b))
            return a is double || b is double ? Float(a) == Float(b) : Big(a) == Big(b);
        return (a, b) switch
        {
            (null, null) => true,
            (JinjaString x, JinjaString y) => x.Text == y.Text,
            (List<object?> x, List<object?> y) => x.Count == y.Count && x.Zip(y).All(pair => Equal(pair.First, pair.Second)),
            (JinjaTuple x, JinjaTuple y) => x.Items.Length == y.Items.Length && x.Items.Zip(y.Items).All(pair => Equal(pair.First, pair.Second)),
            (JinjaDict x, JinjaDict y) => x.Count == y.Count && x.Items.All(item => y.TryGet(item.Key, out object? other) && Equal(item.Value, other)),
            (JinjaUndefined, JinjaUndefined) => true,
            (JinjaUnsafe hidden, _) => throw hidden.Error,
            _ => ReferenceEquals(a, b),
        };
    }

    internal static int Compare(object? a, object? b, string op)
    {
        if (IsNumber(a) && IsNumber(b))
            return a is double || b is double ? Float(a).CompareTo(Float(b)) : Big(a).CompareTo(Big(b));
        switch (a, b)
        {
            case (JinjaString x, JinjaString y):
                return CompareText(x.Text, y.Text);
            case (List<object?> x, List<object?> y):
                return CompareItems(x, y, op);
            case (JinjaTuple x, JinjaTuple y):
                return CompareItems(x.Items, y.Items, op);
            case (JinjaUndefined u, _):
                throw u.Error;
            case (_, JinjaUndefined u):
                throw u.Error;
        }

        throw JinjaException.Type($"'{op}' not supported between instances of '{TypeName(a)}' and '{TypeName(b)}'");
    }

    // By code points; UTF-16 units would put what is beyond the basic plane before U+E000.
    internal static int CompareText(string a, string b)
    {
        int common = a.AsSpan().CommonPrefixLength(b);
        if (common == a.Length || common == b.Length)
            return a.Length.CompareTo(b.Length);
        (char x, char y) = (a[common], b[common]);
        return char.IsSurrogate(x) != char.IsSurrogate(y) ? char.IsSurrogate(x) ? 1 : -1 : x.CompareTo(y);
    }

    private static int CompareItems(IReadOnlyList<object?> x, IReadOnlyList<object?> y, string op)
    {
        for (int i = 0; i < Math.Min(x.Count, y.Count); i++)
        {
            if (!Equal(x[i], y[i]))
                return Compare(x[i], y[i], op);
        }

        return x.Count.CompareTo(y.Count);
    }

    /// <summary>str(): what a print statement writes.</summary>
    internal static JinjaString Str(object? value) => value switch
    {
        JinjaString s => s,
        null => new("None"),
        JinjaUndefined or JinjaUnsafe => JinjaString.Empty,
        List<object?> or JinjaTuple or JinjaDict or JinjaView => Repr(value),
        JinjaGroup pair => Repr(pair.Tuple),
        _ => new(Scalar(value)),
    };

    internal static JinjaString Repr(object? value)
    {
        JinjaString.Builder builder = new();
        Repr(value, builder, 0);
        return builder.ToJinja();
    }

    private static void Repr(object? value, JinjaString.Builder to, int depth)
    {
        if (depth > 100)
            throw new JinjaException(JinjaError.Limit, "values are nested too deep to print");
        switch (value)
        {
            case JinjaString s:
                to.Append(s.Become(Quoted(s.Text)));
                break;
            case List<object?> list:
                Items(list, "[", "]");
                break;
            case JinjaGroup pair:
                Repr(pair.Tuple, to, depth);
                break;
            case JinjaTuple tuple:
                Items(tuple.Items, "(", tuple.Items.Length == 1 ? ",)" : ")");
                break;
            case JinjaDict dict:
                to.Append("{");
                for (int i = 0; i < dict.Count; i++)
                {
                    to.Append(i > 0 ? ", " : "");
                    Repr(dict.Items[i].Key, to, depth + 1);
                    to.Append(": ");
                    Repr(dict.Items[i].Value, to, depth + 1);
                }

                to.Append("}");
                break;
            case JinjaUndefined:
                to.Append("Undefined");
                break;
            case JinjaView view:
                if (view.Text is not null)
                    to.Append(view.Text);
                else
                    Items(view.Items, view.TypeName + "([", "])");
                break;
            default:
                to.Append(value is null ? "None" : Scalar(value));
                break;
        }

        void Items(IReadOnlyList<object?> items, string open, string close)
        {
            to.Append(open);
            for (int i = 0; i < items.Count; i++)
            {
                to.Append(i > 0 ? ", " : "");
                Repr(items[i], to, depth + 1);
            }

            to.Append(close);
        }
    }

    private static string Scalar(object value) => value switch
    {
        bool b => b ? "True" : "False",
        long n => n.ToString(CultureInfo.InvariantCulture),
        BigInteger n => n.ToString(CultureInfo.InvariantCulture),
        double d => FloatText(d),
        JinjaCallable callable => $"<function {callable.Name}>",
        JinjaNamespace ns => "<Namespace {" + string.Join(", ", ns.Values.Select(pair => $"'{pair.Key}': {Repr(pair.Value).Text}")) + "}>",
        JinjaObject o => $"<{o.TypeName}>",
        _ => value.ToString() ?? "",
    };

    /// <summary>repr() of a float: the shortest digits that read back the same.</summary>
    internal static string FloatText(double value)
    {
        if (double.IsNaN(value))
            return "nan";
        if (double.IsInfinity(value))
            return value > 0 ? "inf" : "-inf";
        string shortest = value.ToString("R", CultureInfo.InvariantCulture);
        bool negative = shortest[0] == '-';
        if (negative)
            shortest = shortest[1..];
        int e = shortest.IndexOf('E');
        string mantissa = e < 0 ? shortest : shortest[..e];
        int exponent = e < 0 ? 0 : int.Parse(shortest.AsSpan(e + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        int point = mantissa.IndexOf('.');
        string digits = mantissa.Replace(".", "", StringComparison.Ordinal);
        int scale = (point < 0 ? mantissa.Length : point) + exponent; // digits before the point
        int zeros = digits.TakeWhile(c => c == '0').Count();
        digits = digits[zeros..].TrimEnd('0');
        scale -= zeros;
        if (digits.Length == 0)
            return (negative || double.IsNegative(value) ? "-" : "") + "0.0";
        string result;
        if (scale is > -4 and <= 16)
        {
            result = scale <= 0 ? "0." + new string('0', -scale) + digits
                : digits.Length <= scale ? digits + new string('0', scale - digits.Length) + ".0"
                : digits[..scale] + "." + digits[scale..];
        }
        else
        {
            int exp = scale - 1;
            result = digits[0] + (digits.Length > 1 ? "." + digits[1..] : "") + (exp < 0 ? "e-" : "e+") + Math.Abs(exp).ToString("00", CultureInfo.InvariantCulture);
        }

        return negative ? "-" + result : result;
    }

    private static string Quoted(string text)
    {
        char quote = text.Contains('\'') && !text.Contains('"') ? '"' : '\'';
        StringBuilder quoted = new();
        quoted.Append(quote);
        foreach (Rune rune in text.EnumerateRunes())
        {
            int c = rune.Value;
            if (c == quote || c == '\\')
                quoted.Append('\\').Append((char)c);
            else if (c is '\n' or '\r' or '\t')
                quoted.Append(c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
            else if (IsPrintable(rune))
                quoted.Append(rune.ToString());
            else
                quoted.Append(c < 0x100 ? $"\\x{c:x2}" : c < 0x10000 ? $"\\u{c:x4}" : $"\\U{c:x8}");
        }

        return quoted.Append(quote).ToString();
    }

    private static bool IsPrintable(Rune rune) => rune.Value == ' ' || Rune.GetUnicodeCategory(rune) is not (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate
        or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.SpaceSeparator);

    /// <summary>What a value gives when it is iterated over.</summary>
    internal static List<object?> Iterate(object? value)
    {
        switch (value)
        {
            case List<object?> list:
                return list;
            case JinjaTuple tuple:
                return [.. tuple.Items];
            case JinjaGroup pair:
                return [.. pair.Tuple.Items];
            case JinjaDict dict:
                return [.. dict.Items.Select(item => item.Key)];
            case JinjaUndefined or JinjaUnsafe:
                return [];
            case JinjaView view:
                return view.Items;
            case JinjaString s:
                int[] offsets = s.Offsets();
                List<object?> characters = new(offsets.Length);
                for (int i = 0; i + 1 < offsets.Length; i++)
                    characters.Add(s.Part(offsets[i], offsets[i + 1]));
                return characters;
        }

        throw JinjaException.Type($"'{TypeName(value)}' object is not iterable");
    }

    internal static bool IsSpace(char c) => c is ' ' or (>= '\t' and <= '\r') or (>= '\x1c' and <= '\x1f') or '\x85' or '\xa0' || (c > 0x7F && char.IsWhiteSpace(c));
}
