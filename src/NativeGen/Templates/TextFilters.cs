// Filters over text.
using System.Globalization;
using System.Text;

namespace NativeGen.Templates;

internal static class TextFilters
{
    internal static bool TryApply(Renderer renderer, string name, object? value, FilterArguments a, out object? result)
    {
        JinjaString? s = value as JinjaString;
        result = null;
        switch (name)
        {
            case "string":
                result = Python.Str(value);
                return true;
            case "safe":
                result = new JinjaString(Python.Str(value).Text, Python.Str(value).Literal, safe: true);
                return true;
            case "e" or "escape" or "forceescape":
                result = s is { IsSafe: true } && name != "forceescape" ? s : Escaped(Python.Str(value));
                return true;
            case "upper" or "lower" or "capitalize" or "title":
                JinjaString text = Python.Str(value);
                result = name switch
                {
                    "upper" => text.Recased(StringMethods.Upper(text.Text)),
                    "lower" => text.Recased(StringMethods.Lower(text.Text)),
                    "capitalize" => text.Recased(StringMethods.Capitalize(text.Text)),
                    _ => text.Recased(Titled(text.Text)),
                };
                return true;
            case "trim":
                string? characters = a.Get(0, "chars") is JinjaString set ? set.Text : null;
                result = Python.Str(value).Trimmed(characters is null ? Python.IsSpace : c => characters.Contains(c), left: true, right: true);
                return true;
            case "replace":
                result = Python.Str(value).Replaced(Python.Str(a.Need(0, "old")).Text, Python.Str(a.Need(1, "new")), a.Get(2, "count") is { } count ? Python.Index(count) : -1);
                renderer.Room(((JinjaString)result).Text.Length);
                return true;
            case "format":
                result = PythonFormat.Percent(renderer, Python.Str(value), a.Named.Count > 0 ? Dict(a.Named) : new JinjaTuple(a.Positional));
                return true;
            case "indent":
                result = Indented(Python.Str(value), a);
                return true;
            case "center":
                result = StringMethods.Pad(renderer, Python.Str(value), Python.Index(a.Get(0, "width", 80L)), " ", 0);
                return true;
            case "truncate":
                result = Truncated(Python.Str(value), a);
                return true;
            case "wordcount":
                result = (long)System.Text.RegularExpressions.Regex.Count(Python.Str(value).Text, @"\w+", System.Text.RegularExpressions.RegexOptions.NonBacktracking | System.Text.RegularExpressions.RegexOptions.CultureInvariant);
                return true;
            case "wordwrap":
                result = Wrapped(Python.Str(value), a);
                return true;
            case "striptags":
                result = Stripped(Python.Str(value));
                return true;
            case "urlencode":
                result = UrlEncoded(value);
                return true;
            case "xmlattr":
                result = Attributes(value, a);
                return true;
            case "filesizeformat":
                result = Sized(value, Python.Truth(a.Get(0, "binary", false)));
                return true;
            case "pprint":
                result = Python.Repr(value);
                return true;
            case "tojson":
                result = JsonText.Of(renderer, value, a);
                return true;
        }

        return false;
    }

    private static JinjaDict Dict(List<(string Name, object? Value)> named)
    {
        JinjaDict dict = new();
        foreach ((string key, object? value) in named)
            dict[key] = value;
        return dict;
    }

    internal static JinjaString Escaped(JinjaString text)
    {
        JinjaString escaped = text.Replaced("&", new("&amp;"), -1).Replaced(">", new("&gt;"), -1).Replaced("<", new("&lt;"), -1).Replaced("'", new("&#39;"), -1).Replaced("\"", new("&#34;"), -1);
        return new(escaped.Text, escaped.Literal, safe: true);
    }

    // Jinja's own: words begin after space, hyphen or an opening bracket.
    private static string Titled(string text)
    {
        StringBuilder titled = new();
        bool begins = true;
        foreach (char c in text)
        {
            bool separates = Python.IsSpace(c) || c is '-' or '(' or '{' or '[' or '<';
            titled.Append(separates ? c : begins ? char.ToUpperInvariant(c) : char.ToLowerInvariant(c));
            begins = separates;
        }

        return titled.ToString();
    }

    private static JinjaString Indented(JinjaString text, FilterArguments a)
    {
        object? width = a.Get(0, "width", 4L);
        string indent = width is JinjaString s ? s.Text : new string(' ', Math.Clamp(Python.Index(width), 0, 1000));
        bool first = Python.Truth(a.Get(1, "first", false)), blank = Python.Truth(a.Get(2, "blank", false));
        JinjaString.Builder builder = new();
        string source = text.Text;
        int at = 0;
        for (int line = 0; at <= source.Length; line++)
        {
            int end = source.IndexOf('\n', at);
            int stop = end < 0 ? source.Length : end;
            if ((line > 0 || first) && (blank || stop > at))
                builder.Append(indent);
            builder.Append(text.Part(at, stop));
            if (end < 0)
                break;
            builder.Append(text.Part(end, end + 1));
            at = end + 1;
        }

        return builder.ToJinja();
    }

    private static JinjaString Truncated(JinjaString text, FilterArguments a)
    {
        int length = Python.Index(a.Get(0, "length", 255L)), leeway = Python.Index(a.Get(3, "leeway", 5L));
        bool kill = Python.Truth(a.Get(1, "killwords", false));
        JinjaString end = Python.Str(a.Get(2, "end", new JinjaString("...")));
        if (length < end.Length)
            throw JinjaException.Type($"expected length >= {end.Length}, got {length}");
        if (text.Length <= length + leeway)
            return text;
        int[] offsets = text.Offsets();
        JinjaString cut = text.Part(0, offsets[Math.Min(length - end.Length, offsets.Length - 1)]);
        if (!kill && cut.Text.LastIndexOf(' ') is >= 0 and var space)
            cut = cut.Part(0, space);
        JinjaString.Builder builder = new();
        builder.Append(cut);
        builder.Append(end);
        return builder.ToJinja();
    }

    private static JinjaString Wrapped(JinjaString text, FilterArguments a)
    {
        int width = Math.Max(Python.Index(a.Get(0, "width", 79L)), 1);
        bool breakLong = Python.Truth(a.Get(1, "break_long_words", true));
        string newline = a.Get(2, "wrapstring") is JinjaString s ? s.Text : "\n";
        List<string> lines = [];
        foreach (string line in text.Text.Split('\n'))
        {
            StringBuilder current = new();
            bool any = false;
            foreach (string piece in line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            {
                string word = piece;
                if (current.Length > 0 && current.Length + 1 + word.Length > width)
                    Flush();
                while (breakLong && word.Length > width)
                {
                    int room = width - (current.Length > 0 ? current.Length + 1 : 0);
                    current.Append(current.Length > 0 ? " " : "").Append(word[..room]);
                    word = word[room..];
                    Flush();
                }

                if (word.Length > 0)
                    current.Append(current.Length > 0 ? " " : "").Append(word);
            }

            if (current.Length > 0 || !any)
                Flush();

            void Flush()
            {
                lines.Add(current.ToString());
                current.Clear();
                any = true;
            }
        }

        return text.Become(string.Join(newline, lines));
    }

    private static JinjaString Stripped(JinjaString text)
    {
        StringBuilder kept = new();
        bool inside = false;
        string source = text.Text;
        for (int i = 0; i < source.Length; i++)
        {
            if (!inside && source[i] == '<' && source.IndexOf('>', i) >= 0)
                inside = true;
            else if (inside && source[i] == '>')
                inside = false;
            else if (!inside)
                kept.Append(source[i]);
        }

        string plain = string.Join(' ', kept.ToString().Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        return text.Become(plain.Replace("&lt;", "<", StringComparison.Ordinal).Replace("&gt;", ">", StringComparison.Ordinal).Replace("&#39;", "'", StringComparison.Ordinal)
            .Replace("&#34;", "\"", StringComparison.Ordinal).Replace("&quot;", "\"", StringComparison.Ordinal).Replace("&amp;", "&", StringComparison.Ordinal));
    }

    private static JinjaString UrlEncoded(object? value)
    {
        if (value is JinjaString or null || Python.IsNumber(value))
            return Python.Str(value).Become(Quote(Python.Str(value).Text, keepSlash: true));
        IEnumerable<(object? Key, object? Value)> pairs = value is JinjaDict dict ? dict.Items : Python.Iterate(value).Select(pair => Python.Iterate(pair) is [var k, var v] ? (k, v) : throw JinjaException.Type("not a sequence of pairs"));
        return new(string.Join('&', pairs.Select(pair => Quote(Python.Str(pair.Key).Text, false) + "=" + Quote(Python.Str(pair.Value).Text, false))));

        static string Quote(string text, bool keepSlash)
        {
            StringBuilder quoted = new();
            foreach (byte b in Encoding.UTF8.GetBytes(text))
            {
                if (b < 0x80 && (char.IsAsciiLetterOrDigit((char)b) || (char)b is '_' or '.' or '-' or '~' || (keepSlash && b == '/')))
                    quoted.Append((char)b);
                else if (!keepSlash && b == ' ')
                    quoted.Append('+');
                else
                    quoted.Append('%').Append(b.ToString("X2", CultureInfo.InvariantCulture));
            }

            return quoted.ToString();
        }
    }

    private static JinjaString Attributes(object? value, FilterArguments a)
    {
        if (value is not JinjaDict dict)
            throw Filters.Wrong($"'{Python.TypeName(value)}' object has no attribute 'items'", value);
        JinjaString.Builder builder = new();
        foreach ((object? key, object? item) in dict.Items)
        {
            if (item is null or JinjaUndefined)
                continue;
            if (builder.Length > 0)
                builder.Append(" ");
            builder.Append(Escaped(Python.Str(key)));
            builder.Append("=\"");
            builder.Append(Escaped(Python.Str(item)));
            builder.Append("\"");
        }

        JinjaString text = builder.ToJinja();
        if (text.Text.Length == 0 || !Python.Truth(a.Get(0, "autospace", true)))
            return text;
        JinjaString.Builder spaced = new();
        spaced.Append(" ");
        spaced.Append(text);
        return spaced.ToJinja();
    }

    private static JinjaString Sized(object? value, bool binary)
    {
        double bytes = value is JinjaString s ? double.Parse(s.Text, CultureInfo.InvariantCulture) : Python.Float(value);
        double unit = binary ? 1024 : 1000;
        string[] names = binary ? ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"] : ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
        if (bytes == 1)
            return new("1 Byte");
        if (bytes < unit)
            return new($"{(long)bytes} Bytes");
        int i = 0;
        double size = unit * unit;
        while (i < names.Length - 1 && bytes >= size)
        {
            size *= unit;
            i++;
        }

        return new((unit * bytes / size).ToString("0.0", CultureInfo.InvariantCulture) + " " + names[i]);
    }
}
