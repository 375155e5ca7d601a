// Operators on values, as Python has them.
using System.Numerics;

namespace NativeGen.Templates;

internal static class Arithmetic
{
    private const int MostBits = 1 << 16;

    internal static object? Sign(string op, object? value)
    {
        if (value is JinjaUndefined undefined)
            throw undefined.Error;
        if (!Python.IsNumber(value))
            throw JinjaException.Type($"bad operand type for unary {op}: '{Python.TypeName(value)}'");
        if (value is double d)
            return op == "-" ? -d : d;
        return Python.Int(op == "-" ? -Python.Big(value) : Python.Big(value));
    }

    internal static object? Apply(Renderer renderer, string op, object? a, object? b)
    {
        if (a is JinjaUndefined left)
            throw left.Error;
        if (b is JinjaUndefined right)
            throw right.Error;
        if (Python.IsNumber(a) && Python.IsNumber(b))
            return a is double || b is double || op == "/" ? OfFloats(op, a, b) : OfInts(op, Python.Big(a), Python.Big(b));
        switch (op)
        {
            case "+" when a is JinjaString x && b is JinjaString y:
                renderer.Room(x.Text.Length + (double)y.Text.Length);
                JinjaString.Builder builder = new();
                bool safe = x.IsSafe || y.IsSafe; // what is marked safe escapes what it meets
                builder.Append(safe && !x.IsSafe ? TextFilters.Escaped(x) : x);
                builder.Append(safe && !y.IsSafe ? TextFilters.Escaped(y) : y);
                JinjaString sum = builder.ToJinja();
                return safe ? new JinjaString(sum.Text, sum.Literal, safe: true) : sum;
            case "+" when a is List<object?> x && b is List<object?> y:
                renderer.Room(x.Count + y.Count);
                return (List<object?>)[.. x, .. y];
            case "+" when a is JinjaTuple x && b is JinjaTuple y:
                return new JinjaTuple([.. x.Items, .. y.Items]);
            case "+" when a is JinjaString or List<object?> or JinjaTuple:
                throw JinjaException.Type($"can only concatenate {Python.TypeName(a)} (not \"{Python.TypeName(b)}\") to {Python.TypeName(a)}");
            case "*" when Python.IsInt(b) && a is JinjaString or List<object?> or JinjaTuple:
                return Repeat(renderer, a, Math.Max(Python.Index(b), 0));
            case "*" when Python.IsInt(a) && b is JinjaString or List<object?> or JinjaTuple:
                return Repeat(renderer, b, Math.Max(Python.Index(a), 0));
            case "%" when a is JinjaString format:
                return PythonFormat.Percent(renderer, format, b);
        }

        throw JinjaException.Type($"unsupported operand type(s) for {(op == "**" ? "** or pow()" : op)}: '{Python.TypeName(a)}' and '{Python.TypeName(b)}'");
    }

    internal static bool Compare(string op, object? a, object? b)
    {
        switch (op)
        {
            case "==":
                return Python.Equal(a, b);
            case "!=":
                return !Python.Equal(a, b);
            case "in":
                return Contains(b, a);
            case "not in":
                return !Contains(b, a);
        }

        if ((a is double x && double.IsNaN(x)) || (b is double y && double.IsNaN(y)))
            return false;
        int order = Python.Compare(a, b, op);
        return op switch { "<" => order < 0, "<=" => order <= 0, ">" => order > 0, _ => order >= 0 };
    }

    internal static bool Contains(object? container, object? value)
    {
        switch (container)
        {
            case JinjaString s:
                return value is JinjaString part ? s.Text.Contains(part.Text, StringComparison.Ordinal)
                    : value is JinjaUndefined u ? throw u.Error
                    : throw JinjaException.Type($"'in <string>' requires string as left operand, not {Python.TypeName(value)}");
            case JinjaDict dict:
                return dict.TryGet(value, out _);
            case null or bool or long or BigInteger or double or JinjaCallable:
                throw JinjaException.Type($"argument of type '{Python.TypeName(container)}' is not iterable");
        }

        return Python.Iterate(container).Exists(item => Python.Equal(item, value));
    }

    private static object? Repeat(Renderer renderer, object? value, int times)
    {
        int size = value switch { JinjaString s => s.Text.Length, List<object?> list => list.Count, JinjaTuple tuple => tuple.Items.Length, _ => 0 };
        renderer.Room((double)size * times);
        switch (value)
        {
            case JinjaString s:
                JinjaString.Builder builder = new();
                for (int i = 0; i < times && size > 0; i++)
                    builder.Append(s);
                return builder.ToJinja();
            case List<object?> list:
                return Enumerable.Repeat(list, times).SelectMany(items => items).ToList();
            default:
                return new JinjaTuple([.. Enumerable.Repeat(((JinjaTuple)value!).Items, times).SelectMany(items => items)]);
        }
    }

    private static object OfInts(string op, BigInteger a, BigInteger b)
    {
        if (op is "//" or "%" && b.IsZero)
            throw JinjaException.Type(op == "%" ? "integer modulo by zero" : "integer division or modulo by zero");
        BigInteger result;
        switch (op)
        {
            case "+":
                result = a + b;
                break;
            case "-":
                result = a - b;
                break;
            case "*":
                result = a.GetBitLength() + b.GetBitLength() < MostBits ? a * b : throw TooLarge();
                break;
            case "//":
                result = BigInteger.DivRem(a, b, out BigInteger rest);
                if (!rest.IsZero && (rest.Sign < 0) != (b.Sign < 0))
                    result--;
                break;
            case "%":
                result = BigInteger.Remainder(a, b);
                if (!result.IsZero && (result.Sign < 0) != (b.Sign < 0))
                    result += b;
                break;
            default:
                if (b.Sign < 0)
                    return a.IsZero ? throw JinjaException.Type("zero to a negative power") : Math.Pow((double)a, (double)b);
                if ((double)b * Math.Max(a.GetBitLength(), 1) > MostBits)
                    throw TooLarge();
                result = BigInteger.Pow(a, (int)b);
                break;
        }

        return Python.Int(result);
    }

    private static object OfFloats(string op, object? left, object? right)
    {
        double a = Python.Float(left), b = Python.Float(right);
        if (op is "/" or "//" or "%" && b == 0)
            throw JinjaException.Type(left is double || right is double ? "float division by zero" : "division by zero");
        return op switch
        {
            "+" => a + b,
            "-" => a - b,
            "*" => a * b,
            "/" => a / b,
            "//" => Math.Floor(a / b),
            "%" => a - (b * Math.Floor(a / b)),
            _ => Math.Pow(a, b),
        };
    }

    private static JinjaException TooLarge() => new(JinjaError.Limit, $"a number has more than {MostBits} bits");
}
