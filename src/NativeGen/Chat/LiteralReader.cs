// Values in other notations than JSON, as JSON: Python's literals, and Gemma's with bare keys and strings between <|"|>.
using System.Globalization;
using System.Text;

namespace NativeGen.Chat;

/// <summary>Reads one text from front to back. Whatever is not understood is null, never an exception.</summary>
internal ref struct LiteralReader
{
    private const int MostDepth = 64;
    private const string GemmaQuote = "<|\"|>";

    private readonly ReadOnlySpan<char> _text;
    private readonly bool _gemma;
    private readonly StringBuilder _json = new();
    private int _at;

    private LiteralReader(ReadOnlySpan<char> text, bool gemma)
    {
        _text = text;
        _gemma = gemma;
    }

    /// <summary>A Python literal as JSON.</summary>
    internal static string? Python(ReadOnlySpan<char> text)
    {
        LiteralReader reader = new(text, gemma: false);
        return reader.Value(0) && reader.AtEnd() ? reader._json.ToString() : null;
    }

    /// <summary>Calls as in Python, [f(a=1), g(b='x')] or one alone: names and arguments as JSON objects.</summary>
    internal static List<(string Name, string Arguments)>? PythonCalls(ReadOnlySpan<char> text)
    {
        LiteralReader reader = new(text, gemma: false);
        List<(string, string)> calls = [];
        bool list = reader.Take('[');
        while (!(list && reader.Take(']')))
        {
            string name = reader.Word();
            reader._json.Clear();
            if (name.Length == 0 || !reader.Take('(') || !reader.Members(')', '=', 0))
                return null;
            calls.Add((name.EndsWith(".call", StringComparison.Ordinal) ? name[..^5] : name, reader._json.ToString()));
            bool more = reader.Take(',');
            if (!list || (!more && !reader.Next(']')))
                break;
        }

        return calls.Count > 0 && reader.AtEnd() ? calls : null;
    }

    /// <summary>Gemma's call:name{key:value,...}.</summary>
    internal static List<(string Name, string Arguments)>? GemmaCalls(ReadOnlySpan<char> text)
    {
        LiteralReader reader = new(text, gemma: true);
        List<(string, string)> calls = [];
        while (!reader.AtEnd())
        {
            if (!reader.TakeAll("call:"))
                return null;
            string name = reader.Word();
            reader._json.Clear();
            if (name.Length == 0 || !reader.Take('{') || !reader.Members('}', ':', 0))
                return null;
            calls.Add((name, reader._json.ToString()));
            reader.Take(',');
        }

        return calls.Count > 0 ? calls : null;
    }

    private bool AtEnd()
    {
        Space();
        return _at == _text.Length;
    }

    private void Space()
    {
        while (_at < _text.Length && char.IsWhiteSpace(_text[_at]))
            _at++;
    }

    private bool Next(char c)
    {
        Space();
        return _at < _text.Length && _text[_at] == c;
    }

    private bool Take(char c)
    {
        bool next = Next(c);
        _at += next ? 1 : 0;
        return next;
    }

    private bool TakeAll(string word)
    {
        Space();
        bool next = _text[_at..].StartsWith(word, StringComparison.Ordinal);
        _at += next ? word.Length : 0;
        return next;
    }

    private string Word()
    {
        Space();
        int start = _at;
        while (_at < _text.Length && (char.IsLetterOrDigit(_text[_at]) || _text[_at] is '_' or '-' or '.'))
            _at++;
        return _text[start.._at].ToString();
    }

    // name=value, ... or name:value, ... up to the end, which is read; as a JSON object.
    private bool Members(char end, char sign, int depth)
    {
        _json.Append('{');
        bool first = true;
        while (!Take(end))
        {
            if (!first)
                _json.Append(',');
            first = false;
            if (Next('"') || Next('\'') || (_gemma && Next('<')))
            {
                if (!Text())
                    return false;
            }
            else
            {
                string key = Word();
                if (key.Length == 0)
                    return false;
                JsonOut.AppendString(_json, key);
            }

            _json.Append(':');
            if (!Take(sign) || !Value(depth + 1) || (!Take(',') && !Next(end)))
                return false;
        }

        _json.Append('}');
        return true;
    }

    private bool Value(int depth)
    {
        Space();
        if (_at == _text.Length || depth > MostDepth)
            return false;
        char c = _text[_at];
        if (c is '"' or '\'' || (_gemma && c == '<'))
            return Text();
        if (Take('{'))
            return Members('}', ':', depth);
        bool tuple = !_gemma && Next('(');
        if (tuple || Next('['))
        {
            _at++;
            char end = tuple ? ')' : ']';
            _json.Append('[');
            for (bool first = true; !Take(end); first = false)
            {
                if (!first)
                    _json.Append(',');
                if (!Value(depth + 1) || (!Take(',') && !Next(end)))
                    return false;
            }

            _json.Append(']');
            return true;
        }

        int start = _at;
        while (_at < _text.Length && (char.IsAsciiLetterOrDigit(_text[_at]) || _text[_at] is '_' or '-' or '+' or '.'))
            _at++;
        string word = _text[start.._at].ToString();
        string? json = word switch
        {
            "True" or "true" => "true",
            "False" or "false" => "false",
            "None" or "null" => "null",
            _ => Number(word),
        };
        _json.Append(json);
        return json is not null;
    }

    private static string? Number(string word)
    {
        if (new JsonScanner().IsValue(word))
            return word;
        return double.TryParse(word, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent, CultureInfo.InvariantCulture, out double number)
            && double.IsFinite(number) ? number.ToString("R", CultureInfo.InvariantCulture) : null;
    }

    private bool Text()
    {
        if (_gemma && TakeAll(GemmaQuote))
        {
            int end = _text[_at..].IndexOf(GemmaQuote, StringComparison.Ordinal);
            if (end < 0)
                return false;
            JsonOut.AppendString(_json, _text.Slice(_at, end));
            _at += end + GemmaQuote.Length;
            return true;
        }

        if (_text[_at] is not ('"' or '\''))
            return false;
        char mark = _text[_at++];
        StringBuilder text = new();
        while (_at < _text.Length)
        {
            char c = _text[_at++];
            if (c == mark)
            {
                JsonOut.AppendString(_json, text.ToString());
                return true;
            }

            if (c != '\\')
            {
                text.Append(c);
                continue;
            }

            if (_at == _text.Length)
                return false;
            c = _text[_at++];
            int digits = c switch { 'x' => 2, 'u' => 4, 'U' => 8, _ => 0 };
            if (digits > 0)
            {
                if (_at + digits > _text.Length || !uint.TryParse(_text.Slice(_at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint code) || !Rune.TryCreate(code, out Rune rune))
                    return false;
                text.Append(rune.ToString());
                _at += digits;
                continue;
            }

            _ = c switch
            {
                'n' => text.Append('\n'),
                't' => text.Append('\t'),
                'r' => text.Append('\r'),
                'b' => text.Append('\b'),
                'f' => text.Append('\f'),
                '\n' => text,
                _ => text.Append(c),
            };
        }

        return false;
    }
}
