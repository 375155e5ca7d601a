// '...' % values and '...'.format(...): the conversions that text needs.
using System.Globalization;
using System.Numerics;

namespace NativeGen.Templates;

internal static class PythonFormat
{
    internal static JinjaString Percent(Renderer renderer, JinjaString format, object? values)
    {
        JinjaString.Builder builder = new();
        object?[] items = values is JinjaTuple tuple ? tuple.Items : [values];
        int next = 0;
        string text = format.Text;
        for (int at = 0; at < text.Length;)
        {
            int percent = text.IndexOf('%', at);
            if (percent < 0)
                percent = text.Length;
            builder.Append(format.Part(at, percent));
            at = percent + 1;
            if (percent >= text.Length)
                break;
            object? named = null;
            bool byName = at < text.Length && text[at] == '(';
            if (byName)
            {
                int close = text.IndexOf(')', at);
                if (close < 0)
                    throw JinjaException.Type("incomplete format key");
                if (values is not JinjaDict dict)
                    throw JinjaException.Type("format requires a mapping");
                string key = text[(at + 1)..close];
                if (!dict.TryGet(key, out named))
                    throw JinjaException.Type($"'{key}'");
                at = close + 1;
            }

            Spec spec = new() { Fill = ' ', Align = '>' };
            for (; at < text.Length && text[at] is '-' or '+' or ' ' or '0' or '#'; at++)
            {
                if (text[at] == '-')
                    spec.Align = '<';
                else if (text[at] == '0')
                    (spec.Fill, spec.Align) = spec.Align == '<' ? (spec.Fill, '<') : ('0', '=');
                else if (text[at] == '#')
                    spec.Alternate = true;
                else
                    spec.Sign = text[at];
            }

            spec.Width = Number(text, ref at, Next);
            if (at < text.Length && text[at] == '.')
            {
                at++;
                spec.Precision = Number(text, ref at, Next) ?? 0;
            }

            if (at >= text.Length)
                throw JinjaException.Type("incomplete format");
            char kind = text[at++];
            if (kind == '%')
            {
                builder.Append("%");
                continue;
            }

            object? value = byName ? named : Next();
            switch (kind)
            {
                case 's' or 'r' or 'a':
                    JinjaString part = kind == 's' ? Python.Str(value) : Python.Repr(value);
                    if (spec.Precision is { } most && most < part.Length)
                        part = part.Part(0, part.Offsets()[most]);
                    builder.Append(Padded(renderer, part, spec with { Fill = ' ', Align = spec.Align == '=' ? '>' : spec.Align }));
                    break;
                case 'd' or 'i' or 'u' or 'x' or 'X' or 'o':
                    if (!Python.IsNumber(value))
                        throw JinjaException.Type($"%{kind} format: a real number is required, not {Python.TypeName(value)}");
                    builder.Append(Padded(renderer, new(Integer(value is double d ? new BigInteger(Math.Truncate(d)) : Python.Big(value), spec, kind is 'i' or 'u' ? 'd' : kind)), spec));
                    break;
                case 'f' or 'F' or 'e' or 'E' or 'g' or 'G':
                    if (!Python.IsNumber(value))
                        throw JinjaException.Type($"must be real number, not {Python.TypeName(value)}");
                    builder.Append(Padded(renderer, new(Float(Python.Float(value), spec, kind)), spec));
                    break;
                case 'c':
                    builder.Append(Padded(renderer, value is JinjaString s ? s : new(char.ConvertFromUtf32(Python.Index(value))), spec));
                    break;
                default:
                    throw JinjaException.Type($"unsupported format character '{kind}'");
            }

            renderer.Room(builder.Length);
        }

        if (next < items.Length && values is JinjaTuple)
            throw JinjaException.Type("not all arguments converted during string formatting");
        if (next == 0 && values is not (JinjaTuple or JinjaDict or List<object?>) && !text.Contains('%'))
            throw JinjaException.Type("not all arguments converted during string formatting");
        return builder.ToJinja();

        object? Next() => next < items.Length ? items[next++] : throw JinjaException.Type("not enough arguments for format string");
    }

    internal static JinjaString Format(Renderer renderer, JinjaString format, object?[] args, List<(string Name, object? Value)> named)
    {
        JinjaString.Builder builder = new();
        int next = 0;
        Write(format, 0);
        return builder.ToJinja();

        void Write(JinjaString source, int depth)
        {
            string text = source.Text;
            for (int at = 0; at < text.Length;)
            {
                int brace = text.AsSpan(at).IndexOfAny('{', '}');
                brace = brace < 0 ? text.Length : brace + at;
                builder.Append(source.Part(at, brace));
                if (brace >= text.Length)
                    break;
                if (brace + 1 < text.Length && text[brace + 1] == text[brace])
                {
                    builder.Append(source.Part(brace, brace + 1));
                    at = brace + 2;
                    continue;
                }

                int close = text[brace] == '{' ? Close(text, brace) : -1;
                if (close < 0)
                    throw JinjaException.Type(text[brace] == '{' ? "expected '}' before end of string" : "Single '}' encountered in format string");
                Field(text[(brace + 1)..close], depth);
                at = close + 1;
                renderer.Room(builder.Length);
            }
        }

        void Field(string field, int depth)
        {
            int colon = field.IndexOf(':');
            string name = colon < 0 ? field : field[..colon], spec = colon < 0 ? "" : field[(colon + 1)..];
            char convert = ' ';
            if (name.Length >= 2 && name[^2] == '!')
                (convert, name) = (name[^1], name[..^2]);
            if (spec.Contains('{'))
            {
                if (depth > 1)
                    throw JinjaException.Type("Max string recursion exceeded");
                JinjaString.Builder outer = builder;
                builder = new();
                Write(new(spec), depth + 1);
                spec = builder.ToJinja().Text;
                builder = outer;
            }

            object? value = Value(name);
            if (convert is 'r' or 'a')
                value = Python.Repr(value);
            else if (convert == 's')
                value = Python.Str(value);
            builder.Append(Formatted(renderer, value, spec));
        }

        object? Value(string name)
        {
            int end = name.AsSpan().IndexOfAny('.', '[');
            string first = end < 0 ? name : name[..end];
            object? value = first.Length == 0 ? Argument(next++) : first.All(char.IsAsciiDigit) ? Argument(int.Parse(first, CultureInfo.InvariantCulture)) : Named(first);
            for (int at = end < 0 ? name.Length : end; at < name.Length;)
            {
                if (name[at] == '.')
                {
                    int stop = name.AsSpan(at + 1).IndexOfAny('.', '[');
                    stop = stop < 0 ? name.Length : stop + at + 1;
                    value = Access.Attribute(renderer, value, name[(at + 1)..stop]);
                    at = stop;
                }
                else
                {
                    int stop = name.IndexOf(']', at);
                    if (stop < 0)
                        throw JinjaException.Type("Missing ']' in format string");
                    string key = name[(at + 1)..stop];
                    value = Access.Item(renderer, value, key.Length > 0 && key.All(char.IsAsciiDigit) ? long.Parse(key, CultureInfo.InvariantCulture) : new JinjaString(key));
                    at = stop + 1;
                }
            }

            return value;
        }

        object? Argument(int at) => at < args.Length ? args[at] : throw JinjaException.Type($"Replacement index {at} out of range for positional args tuple");
        object? Named(string name) => named.FindIndex(pair => pair.Name == name) is >= 0 and var at ? named[at].Value : throw JinjaException.Type($"'{name}'");
    }

    private static int Close(string text, int open)
    {
        int depth = 0;
        for (int i = open; i < text.Length; i++)
        {
            depth += text[i] == '{' ? 1 : text[i] == '}' ? -1 : 0;
            if (depth == 0)
                return i;
        }

        return -1;
    }

    private record struct Spec
    {
        internal char Fill, Align, Sign;
        internal bool Alternate, Comma, Underscore;
        internal int? Width, Precision;
    }

    private static JinjaString Formatted(Renderer renderer, object? value, string text)
    {
        if (text.Length == 0)
            return Python.Str(value);
        Spec spec = new() { Fill = ' ' };
        int at = 0;
        if (text.Length > 1 && text[1] is '<' or '>' or '^' or '=')
            (spec.Fill, spec.Align, at) = (text[0], text[1], 2);
        else if (text[0] is '<' or '>' or '^' or '=')
            (spec.Align, at) = (text[0], 1);
        if (at < text.Length && text[at] is '+' or '-' or ' ')
            spec.Sign = text[at++];
        if (at < text.Length && text[at] == '#')
            (spec.Alternate, at) = (true, at + 1);
        if (at < text.Length && text[at] == '0')
            (spec.Fill, spec.Align, at) = spec.Align == 0 ? ('0', '=', at + 1) : (spec.Fill, spec.Align, at + 1);
        spec.Width = Number(text, ref at, () => null);
        if (at < text.Length && text[at] is ',' or '_')
            (spec.Comma, spec.Underscore, at) = (text[at] == ',', text[at] == '_', at + 1);
        if (at < text.Length && text[at] == '.')
        {
            at++;
            spec.Precision = Number(text, ref at, () => null) ?? throw JinjaException.Type("Format specifier missing precision");
        }

        char kind = at < text.Length ? text[at++] : '\0';
        if (at < text.Length)
            throw JinjaException.Type("Invalid format specifier");
        bool number = Python.IsNumber(value) && value is not bool || (value is bool && kind is not ('\0' or 's'));
        if (!number)
        {
            if (kind is not ('\0' or 's'))
                throw JinjaException.Type($"Unknown format code '{kind}' for object of type '{Python.TypeName(value)}'");
            JinjaString s = Python.Str(value);
            if (spec.Precision is { } most && most < s.Length)
                s = s.Part(0, s.Offsets()[most]);
            return Padded(renderer, s, spec with { Align = spec.Align == 0 ? '<' : spec.Align });
        }

        spec.Align = spec.Align == 0 ? '>' : spec.Align;
        string digits = value is double or null || kind is 'f' or 'F' or 'e' or 'E' or 'g' or 'G' or '%'
            ? kind == '%' ? Float(Python.Float(value) * 100, spec, 'f') + "%" : Float(Python.Float(value), spec, kind)
            : kind == 'c' ? char.ConvertFromUtf32(Python.Index(value)) : Integer(Python.Big(value), spec, kind is '\0' or 'n' ? 'd' : kind);
        if (spec.Comma || spec.Underscore)
        {
            int start = digits.Length > 0 && digits[0] is '-' or '+' or ' ' ? 1 : 0, point = digits.AsSpan().IndexOfAny('.', 'e');
            point = point < 0 ? digits.Length : point;
            for (int i = point - 3; i > start; i -= 3)
                digits = digits.Insert(i, spec.Comma ? "," : "_");
        }

        return Padded(renderer, new(digits), spec);
    }

    private static int? Number(string text, ref int at, Func<object?> star)
    {
        if (at < text.Length && text[at] == '*')
        {
            at++;
            return Python.Index(star());
        }

        int start = at;
        while (at < text.Length && char.IsAsciiDigit(text[at]))
            at++;
        return at == start ? null : int.TryParse(text.AsSpan(start, at - start), NumberStyles.None, CultureInfo.InvariantCulture, out int n) ? n : throw JinjaException.Type("Too many decimal digits in format string");
    }

    private static string Integer(BigInteger value, Spec spec, char kind)
    {
        BigInteger size = BigInteger.Abs(value);
        string digits = kind switch
        {
            'd' => size.ToString(CultureInfo.InvariantCulture),
            'x' or 'X' => size.IsZero ? "0" : size.ToString(kind == 'x' ? "x" : "X", CultureInfo.InvariantCulture).TrimStart('0'),
            'o' => Radix(size, 8),
            'b' => Radix(size, 2),
            _ => throw JinjaException.Type($"Unknown format code '{kind}' for object of type 'int'"),
        };
        if (spec.Precision is { } least)
            digits = digits.PadLeft(Math.Min(least, 1000), '0');
        if (spec.Alternate && kind != 'd')
            digits = "0" + kind + digits;
        return (value.Sign < 0 ? "-" : spec.Sign is '+' or ' ' ? spec.Sign.ToString() : "") + digits;
    }

    private static string Radix(BigInteger value, int radix)
    {
        string digits = "";
        for (; !value.IsZero && digits.Length < 10_000; value /= radix)
            digits = (char)('0' + (int)(value % radix)) + digits;
        return digits.Length == 0 ? "0" : digits;
    }

    private static string Float(double value, Spec spec, char kind)
    {
        string sign = value < 0 || double.IsNegative(value) ? "-" : spec.Sign is '+' or ' ' ? spec.Sign.ToString() : "";
        double size = Math.Abs(value);
        if (!double.IsFinite(size))
            return sign + (double.IsNaN(size) ? "nan" : "inf");
        int precision = Math.Min(spec.Precision ?? 6, 300);
        string digits;
        switch (kind)
        {
            case 'f' or 'F':
                digits = size.ToString("F" + precision.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
                break;
            case 'e' or 'E':
                digits = Exponent(size.ToString((kind == 'e' ? "e" : "E") + precision.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture));
                break;
            default:
                if (kind == '\0' && spec.Precision is null)
                {
                    digits = Python.FloatText(size);
                    break;
                }

                precision = Math.Max(precision, 1);
                string scientific = size.ToString("e" + (precision - 1).ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
                int exponent = size == 0 ? 0 : int.Parse(scientific.AsSpan(scientific.IndexOf('e') + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
                if (exponent >= -4 && exponent < precision)
                {
                    digits = size.ToString("F" + (precision - 1 - exponent).ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
                    digits = !spec.Alternate && digits.Contains('.') ? digits.TrimEnd('0').TrimEnd('.') : digits;
                    if (kind == '\0' && !digits.Contains('.'))
                        digits += ".0";
                }
                else
                {
                    string mantissa = scientific[..scientific.IndexOf('e')];
                    mantissa = !spec.Alternate && mantissa.Contains('.') ? mantissa.TrimEnd('0').TrimEnd('.') : mantissa;
                    digits = Exponent(mantissa + scientific[scientific.IndexOf('e')..]);
                }

                if (kind == 'G')
                    digits = digits.ToUpperInvariant();
                break;
        }

        return sign + digits;
    }

    // .NET writes three digits, Python at least two.
    private static string Exponent(string text)
    {
        int e = text.AsSpan().IndexOfAny('e', 'E');
        return text[..(e + 2)] + text[(e + 2)..].TrimStart('0').PadLeft(2, '0');
    }

    private static JinjaString Padded(Renderer renderer, JinjaString text, Spec spec)
    {
        int missing = (spec.Width ?? 0) - text.Length;
        if (missing <= 0)
            return text;
        renderer.Room(spec.Width!.Value);
        JinjaString.Builder builder = new();
        int sign = spec.Align == '=' && text.Text.Length > 0 && text.Text[0] is '-' or '+' or ' ' ? 1 : 0;
        int left = spec.Align switch { '<' => 0, '^' => missing / 2, _ => missing };
        builder.Append(text.Part(0, spec.Align == '=' ? sign : 0));
        builder.Append(new string(spec.Fill, left));
        builder.Append(text.Part(spec.Align == '=' ? sign : 0, text.Text.Length));
        builder.Append(new string(spec.Fill, missing - left));
        return builder.ToJinja();
    }
}
