// Python's str methods.
using System.Globalization;
using System.Text;

namespace NativeGen.Templates;

internal static class StringMethods
{
    internal static JinjaCallable? Find(Renderer renderer, JinjaString s, string name)
    {
        Func<object?[], List<(string Name, object? Value)>, object?>? method = name switch
        {
            "upper" => (_, _) => s.Recased(Upper(s.Text)),
            "lower" or "casefold" => (_, _) => s.Recased(name == "casefold" ? Lower(s.Text).Replace("ß", "ss", StringComparison.Ordinal) : Lower(s.Text)),
            "capitalize" => (_, _) => s.Recased(Capitalize(s.Text)),
            "title" => (_, _) => s.Recased(Title(s.Text)),
            "swapcase" => (_, _) => s.Recased(string.Concat(s.Text.Select(c => char.IsUpper(c) ? char.ToLowerInvariant(c) : char.ToUpperInvariant(c)))),
            "strip" => (a, _) => Strip(s, a, left: true, right: true),
            "lstrip" => (a, _) => Strip(s, a, left: true, right: false),
            "rstrip" => (a, _) => Strip(s, a, left: false, right: true),
            "split" => (a, n) => Split(s, Get(a, n, 0, "sep"), Get(a, n, 1, "maxsplit"), fromRight: false),
            "rsplit" => (a, n) => Split(s, Get(a, n, 0, "sep"), Get(a, n, 1, "maxsplit"), fromRight: true),
            "splitlines" => (a, n) => Lines(s, Python.Truth(Get(a, n, 0, "keepends"))),
            "partition" => (a, _) => Partition(s, Text(a, 0).Text, last: false),
            "rpartition" => (a, _) => Partition(s, Text(a, 0).Text, last: true),
            "join" => (a, _) => Join(renderer, s, a),
            "replace" => (a, n) => Room(renderer, s.Replaced(Text(a, 0).Text, Text(a, 1), Get(a, n, 2, "count") is { } count ? Python.Index(count) : -1)),
            "startswith" => (a, _) => Any(a, prefix => Within(s, a).StartsWith(prefix, StringComparison.Ordinal)),
            "endswith" => (a, _) => Any(a, suffix => Within(s, a).EndsWith(suffix, StringComparison.Ordinal)),
            "find" or "index" or "rfind" or "rindex" => (a, _) => Found(s, a, name),
            "count" => (a, _) => Count(s, Text(a, 0).Text),
            "removeprefix" => (a, _) => Text(a, 0).Text is { Length: > 0 } prefix && s.Text.StartsWith(prefix, StringComparison.Ordinal) ? s.Part(prefix.Length, s.Text.Length) : s,
            "removesuffix" => (a, _) => Text(a, 0).Text is { Length: > 0 } suffix && s.Text.EndsWith(suffix, StringComparison.Ordinal) ? s.Part(0, s.Text.Length - suffix.Length) : s,
            "center" => (a, _) => Pad(renderer, s, Python.Index(a[0]), a.Length > 1 ? Text(a, 1).Text : " ", 0),
            "ljust" => (a, _) => Pad(renderer, s, Python.Index(a[0]), a.Length > 1 ? Text(a, 1).Text : " ", -1),
            "rjust" => (a, _) => Pad(renderer, s, Python.Index(a[0]), a.Length > 1 ? Text(a, 1).Text : " ", 1),
            "zfill" => (a, _) => s.Text.Length > 0 && s.Text[0] is '-' or '+'
                ? s.Become(s.Text[0] + Pad(renderer, s.Part(1, s.Text.Length), Python.Index(a[0]) - 1, "0", 1).Text) : Pad(renderer, s, Python.Index(a[0]), "0", 1),
            "expandtabs" => (a, _) => s.Become(s.Text.Replace("\t", new string(' ', a.Length > 0 ? Math.Clamp(Python.Index(a[0]), 0, 100) : 8), StringComparison.Ordinal)),
            "format" => (a, n) => PythonFormat.Format(renderer, s, a, n),
            "encode" => (_, _) => new JinjaView("bytes", [.. Encoding.UTF8.GetBytes(s.Text).Select(b => (object?)(long)b)]),
            "translate" => (a, _) => Translated(s, a[0] as JinjaDict ?? throw JinjaException.Type("translate() needs a mapping")),
            "isalpha" => (_, _) => All(s, Rune.IsLetter),
            "isdigit" => (_, _) => All(s, Rune.IsDigit),
            "isdecimal" => (_, _) => All(s, rune => Rune.GetUnicodeCategory(rune) == UnicodeCategory.DecimalDigitNumber),
            "isnumeric" => (_, _) => All(s, Rune.IsNumber),
            "isalnum" => (_, _) => All(s, rune => Rune.IsLetter(rune) || Rune.IsNumber(rune)),
            "isspace" => (_, _) => s.Text.Length > 0 && s.Text.All(Python.IsSpace),
            "isascii" => (_, _) => s.Text.All(char.IsAscii),
            "islower" => (_, _) => s.Text.Any(char.IsLower) && !s.Text.Any(char.IsUpper),
            "isupper" => (_, _) => s.Text.Any(char.IsUpper) && !s.Text.Any(char.IsLower),
            "istitle" => (_, _) => s.Text.Any(char.IsLetter) && Title(s.Text) == s.Text,
            "isidentifier" => (_, _) => s.Text.Length > 0 && !char.IsAsciiDigit(s.Text[0]) && s.Text.All(c => c == '_' || char.IsLetterOrDigit(c)),
            _ => null,
        };
        return method is null ? null : new(name, (args, named) =>
        {
            try
            {
                return method(args, named);
            }
            catch (IndexOutOfRangeException)
            {
                throw JinjaException.Type($"{name}() needs more arguments");
            }
        });
    }

    internal static string Lower(string text) => text.ToLowerInvariant().Replace("İ", "i\u0307", StringComparison.Ordinal);

    private static JinjaString Translated(JinjaString s, JinjaDict map)
    {
        JinjaString.Builder builder = new();
        int[] offsets = s.Offsets();
        for (int i = 0; i + 1 < offsets.Length; i++)
        {
            JinjaString character = s.Part(offsets[i], offsets[i + 1]);
            if (!map.TryGet((long)char.ConvertToUtf32(s.Text, offsets[i]), out object? to))
                builder.Append(character);
            else if (to is not null)
                builder.Append(to is JinjaString text ? text : new(char.ConvertFromUtf32(Python.Index(to))));
        }

        return builder.ToJinja();
    }

    internal static string Upper(string text) => text.ToUpperInvariant().Replace("ß", "SS", StringComparison.Ordinal);

    internal static string Capitalize(string text) => text.Length == 0 ? text : Upper(text[..1]) + text[1..].ToLowerInvariant();

    internal static JinjaString Pad(Renderer renderer, JinjaString s, int width, string fill, int side)
    {
        int missing = width - s.Length;
        if (missing <= 0)
            return s;
        if (fill.Length != 1)
            throw JinjaException.Type("The fill character must be exactly one character long");
        renderer.Room(width);
        int left = side < 0 ? 0 : side > 0 ? missing : (missing / 2) + (missing & width & 1);
        JinjaString.Builder builder = new();
        builder.Append(new string(fill[0], left));
        builder.Append(s);
        builder.Append(new string(fill[0], missing - left));
        return builder.ToJinja();
    }

    private static string Title(string text)
    {
        StringBuilder titled = new();
        bool inWord = false;
        foreach (char c in text)
        {
            titled.Append(!char.IsLetter(c) ? c : inWord ? char.ToLowerInvariant(c) : TitleCase(c));
            inWord = char.IsLetter(c);
        }

        return titled.ToString();
    }

    // A few letters are two in one, and have a third form.
    private static char TitleCase(char c) => c switch { 'ǆ' or 'Ǆ' => 'ǅ', 'ǉ' or 'Ǉ' => 'ǈ', 'ǌ' or 'Ǌ' => 'ǋ', 'ǳ' or 'Ǳ' => 'ǲ', _ => char.ToUpperInvariant(c) };

    private static object? Get(object?[] args, List<(string Name, object? Value)> named, int at, string name)
    {
        if (at < args.Length)
            return args[at];
        int index = named.FindIndex(pair => pair.Name == name);
        return index < 0 ? null : named[index].Value;
    }

    private static JinjaString Text(object?[] args, int at) => args[at] switch
    {
        JinjaString s => s,
        JinjaUndefined undefined => throw undefined.Error,
        var other => throw JinjaException.Type($"must be str, not {Python.TypeName(other)}"),
    };

    private static JinjaString Room(Renderer renderer, JinjaString made)
    {
        renderer.Room(made.Text.Length);
        return made;
    }

    private static JinjaString Strip(JinjaString s, object?[] args, bool left, bool right)
    {
        string? characters = args.Length > 0 && args[0] is not null ? Text(args, 0).Text : null;
        return s.Trimmed(characters is null ? Python.IsSpace : c => characters.Contains(c), left, right);
    }

    private static List<object?> Split(JinjaString s, object? separator, object? most, bool fromRight)
    {
        int limit = most is null ? -1 : Python.Index(most);
        List<(int Start, int End)> parts = [];
        string text = s.Text;
        if (separator is null)
        {
            List<(int, int)> words = [];
            for (int at = 0; at < text.Length;)
            {
                while (at < text.Length && Python.IsSpace(text[at]))
                    at++;
                int start = at;
                while (at < text.Length && !Python.IsSpace(text[at]))
                    at++;
                if (at > start)
                    words.Add((start, at));
            }

            if (limit < 0 || words.Count <= limit + 1)
                parts = words;
            else if (!fromRight)
                parts = [.. words.Take(limit), (words[limit].Item1, text.TrimEnd().Length)];
            else
                parts = [(words[0].Item1, words[^(limit + 1)].Item2), .. words.TakeLast(limit)];
            return [.. parts.Select(part => (object?)s.Part(part.Start, part.End))];
        }

        string by = separator is JinjaString { Text: { Length: > 0 } t } ? t : throw (separator is JinjaUndefined u ? u.Error : JinjaException.Type(separator is JinjaString ? "empty separator" : $"must be str or None, not {Python.TypeName(separator)}"));
        if (!fromRight)
        {
            int at = 0;
            while (limit < 0 || parts.Count < limit)
            {
                int found = text.IndexOf(by, at, StringComparison.Ordinal);
                if (found < 0)
                    break;
                parts.Add((at, found));
                at = found + by.Length;
            }

            parts.Add((at, text.Length));
        }
        else
        {
            int end = text.Length;
            while (limit < 0 || parts.Count < limit)
            {
                int found = end >= by.Length ? text.AsSpan(0, end).LastIndexOf(by, StringComparison.Ordinal) : -1;
                if (found < 0)
                    break;
                parts.Add((found + by.Length, end));
                end = found;
            }

            parts.Add((0, end));
            parts.Reverse();
        }

        return [.. parts.Select(part => (object?)s.Part(part.Start, part.End))];
    }

    private static List<object?> Lines(JinjaString s, bool keepEnds)
    {
        List<object?> lines = [];
        string text = s.Text;
        for (int at = 0; at < text.Length;)
        {
            int end = text.AsSpan(at).IndexOfAny("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029");
            if (end < 0)
            {
                lines.Add(s.Part(at, text.Length));
                break;
            }

            end += at;
            int next = text[end] == '\r' && end + 1 < text.Length && text[end + 1] == '\n' ? end + 2 : end + 1;
            lines.Add(s.Part(at, keepEnds ? next : end));
            at = next;
        }

        return lines;
    }

    private static JinjaTuple Partition(JinjaString s, string by, bool last)
    {
        if (by.Length == 0)
            throw JinjaException.Type("empty separator");
        int at = last ? s.Text.LastIndexOf(by, StringComparison.Ordinal) : s.Text.IndexOf(by, StringComparison.Ordinal);
        if (at < 0)
            return last ? new(JinjaString.Empty, JinjaString.Empty, s) : new(s, JinjaString.Empty, JinjaString.Empty);
        return new(s.Part(0, at), s.Part(at, at + by.Length), s.Part(at + by.Length, s.Text.Length));
    }

    private static JinjaString Join(Renderer renderer, JinjaString between, object?[] args)
    {
        if (args[0] is null or bool or long or double)
            throw JinjaException.Type("can only join an iterable");
        JinjaString.Builder builder = new();
        int i = 0;
        foreach (object? item in Python.Iterate(args[0]))
        {
            if (i > 0)
                builder.Append(between);
            builder.Append(item as JinjaString ?? throw JinjaException.Type($"sequence item {i}: expected str instance, {Python.TypeName(item)} found"));
            i++;
            renderer.Room(builder.Length);
        }

        return builder.ToJinja();
    }

    private static bool Any(object?[] args, Func<string, bool> fits) => args[0] is JinjaTuple tuple
        ? tuple.Items.Any(item => fits(item is JinjaString s ? s.Text : throw JinjaException.Type("tuple for startswith must only contain str")))
        : fits(Text(args, 0).Text);

    private static string Within(JinjaString s, object?[] args)
    {
        if (args.Length < 2)
            return s.Text;
        int[] offsets = s.Offsets();
        int length = offsets.Length - 1, start = Bound(args[1], 0), end = args.Length > 2 ? Bound(args[2], length) : length;
        return start < end ? s.Text[offsets[start]..offsets[end]] : "";

        int Bound(object? value, int otherwise) => value is null ? otherwise : Math.Clamp(Python.Index(value) is < 0 and var n ? n + length : Python.Index(value), 0, length);
    }

    private static object? Found(JinjaString s, object?[] args, string name)
    {
        string part = Text(args, 0).Text, within = Within(s, args);
        int at = name[0] == 'r' ? within.LastIndexOf(part, StringComparison.Ordinal) : within.IndexOf(part, StringComparison.Ordinal);
        if (at < 0)
            return name.EndsWith("index", StringComparison.Ordinal) ? throw JinjaException.Type("substring not found") : -1L;
        int start = args.Length > 1 && args[1] is not null ? Math.Max(Python.Index(args[1]) is < 0 and var n ? n + s.Length : Python.Index(args[1]), 0) : 0;
        return start + (long)new JinjaString(within[..at]).Length;
    }

    private static long Count(JinjaString s, string part)
    {
        if (part.Length == 0)
            return s.Length + 1L;
        long count = 0;
        for (int at = 0; (at = s.Text.IndexOf(part, at, StringComparison.Ordinal)) >= 0; at += part.Length)
            count++;
        return count;
    }

    private static bool All(JinjaString s, Func<Rune, bool> fits) => s.Text.Length > 0 && s.Text.EnumerateRunes().All(fits);
}
