// The one text of a JSON value that is ever written: no white space, numbers without exponent, only the escapes that JSON demands.
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace NativeGen.Constraints.Schema;

internal static class JsonTexts
{
    private const int MostDigits = 400;

    // What a string may hold as it is: all but quote, backslash and control characters.
    private static readonly CodePointSet Plain = CodePointSet.Range(0x20, CodePointSet.Most).Except(CodePointSet.Of("\"\\"));

    private static readonly (char Character, char Letter)[] ShortEscapes = [('"', '"'), ('\\', '\\'), ('\b', 'b'), ('\f', 'f'), ('\n', 'n'), ('\r', 'r'), ('\t', 't')];

    /// <summary>One character of a string, any.</summary>
    internal static Expr AnyCharacter { get; } = Spelling(CodePointSet.Any);

    /// <summary>How a JSON string writes a character of the set: one way for each.</summary>
    internal static Expr Spelling(CodePointSet set)
    {
        List<Expr> ways = [Expr.Chars(set.Intersect(Plain))];
        string letters = string.Concat(ShortEscapes.Where(escape => set.Contains(escape.Character)).Select(escape => escape.Letter));
        if (letters.Length > 0)
            ways.Add(Expr.Sequence(Expr.Text("\\"), Expr.Chars(CodePointSet.Of(letters))));
        for (int high = 0; high < 2; high++)
        {
            string digits = string.Concat(Enumerable.Range(high * 16, 16).Where(c => set.Contains(c) && Array.TrueForAll(ShortEscapes, e => e.Character != c))
                .Select(c => (c & 15).ToString("x", CultureInfo.InvariantCulture)));
            if (digits.Length > 0)
                ways.Add(Expr.Sequence(Expr.Text($"\\u00{high}"), Expr.Chars(CodePointSet.Of(digits))));
        }

        return Expr.Choice([.. ways]);
    }

    /// <summary>A string as JSON writes it, with its quotes.</summary>
    internal static string Quote(string text)
    {
        StringBuilder quoted = new("\"");
        foreach (char c in text)
        {
            int at = Array.FindIndex(ShortEscapes, escape => escape.Character == c);
            if (at >= 0)
                quoted.Append('\\').Append(ShortEscapes[at].Letter);
            else if (c < ' ')
                quoted.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
            else
                quoted.Append(c);
        }

        return quoted.Append('"').ToString();
    }

    /// <summary>A value's text, members in their own order.</summary>
    internal static string Canonical(JsonElement value)
    {
        StringBuilder text = new();
        Write(value, text);
        return text.ToString();
    }

    /// <summary>A number without exponent, without zeros that say nothing: -1.50e1 is -15.</summary>
    /// <exception cref="FormatException">It has more than 400 digits.</exception>
    internal static string Number(string raw)
    {
        int e = raw.AsSpan().IndexOfAny('e', 'E');
        string mantissa = e < 0 ? raw : raw[..e];
        if (!int.TryParse(e < 0 ? "0" : raw[(e + 1)..], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int exponent) || Math.Abs((long)exponent) > MostDigits || mantissa.Length > MostDigits)
            throw new FormatException($"the number {(raw.Length > 40 ? raw[..40] + "..." : raw)} has more than {MostDigits} digits when it is written out");
        bool negative = mantissa.StartsWith('-');
        mantissa = mantissa.TrimStart('-');
        int dot = mantissa.IndexOf('.', StringComparison.Ordinal);
        string digits = mantissa.Replace(".", "", StringComparison.Ordinal);
        int point = (dot < 0 ? mantissa.Length : dot) + exponent; // digits before the decimal point
        if (point <= 0)
            (digits, point) = (new string('0', 1 - point) + digits, 1);
        else if (point > digits.Length)
            digits = digits.PadRight(point, '0');
        string whole = digits[..point].TrimStart('0'), part = digits[point..].TrimEnd('0');
        if (whole.Length == 0)
            whole = "0";
        return (negative && (whole != "0" || part.Length > 0) ? "-" : "") + whole + (part.Length > 0 ? "." + part : "");
    }

    private static void Write(JsonElement value, StringBuilder text)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                char before = '{';
                foreach (JsonProperty member in value.EnumerateObject())
                {
                    text.Append(before).Append(Quote(member.Name)).Append(':');
                    Write(member.Value, text);
                    before = ',';
                }

                text.Append(before == '{' ? "{}" : "}");
                break;
            case JsonValueKind.Array:
                before = '[';
                foreach (JsonElement item in value.EnumerateArray())
                {
                    text.Append(before);
                    Write(item, text);
                    before = ',';
                }

                text.Append(before == '[' ? "[]" : "]");
                break;
            case JsonValueKind.String:
                text.Append(Quote(value.GetString()!));
                break;
            case JsonValueKind.Number:
                text.Append(Number(value.GetRawText()));
                break;
            default:
                text.Append(value.GetRawText());
                break;
        }
    }
}
