// Template text to tokens: data between tags, and what stands in tags. White space control (trim_blocks, lstrip_blocks, - and +) is done here.
using System.Globalization;
using System.Numerics;
using System.Text;

namespace NativeGen.Templates;

internal enum TokenKind
{
    Data,
    BlockBegin,
    BlockEnd,
    PrintBegin,
    PrintEnd,
    Name,
    String,
    Integer,
    Float,
    Operator,
    End,
}

/// <summary>A token with its place; Value is a string, or a number.</summary>
internal readonly record struct Token(TokenKind Kind, object Value, int Line, int Column)
{
    internal string Text => Value as string ?? Python.Str(Value).Text;

    internal bool Is(string text) => (Kind is TokenKind.Operator or TokenKind.Name) && (string)Value == text;
}

/// <summary>One pass over a template as transformers sets Jinja up: trim_blocks, lstrip_blocks, no newline kept at the end.</summary>
internal sealed class Lexer
{
    private static readonly string[] Operators = ["//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"];

    private readonly string _text;
    private readonly List<Token> _tokens = [];
    private int _at, _countedTo, _line = 1, _lineStart;

    private Lexer(string text) => _text = text;

    internal static List<Token> Read(string template)
    {
        string text = template.Contains('\r') ? template.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n') : template;
        Lexer lexer = new(text.EndsWith('\n') ? text[..^1] : text);
        lexer.Run();
        return lexer._tokens;
    }

    private void Run()
    {
        bool lineStarts = true;
        while (true)
        {
            int tag = NextTag(_at);
            if (tag < 0)
            {
                Data(_at, _text.Length);
                _at = _text.Length;
                Add(TokenKind.End, "", _at);
                return;
            }

            char kind = _text[tag + 1];
            int begin = tag + 2;
            char sign = begin < _text.Length && _text[begin] is '-' or '+' ? _text[begin] : ' ';
            if (kind == '{' && sign == '+')
                sign = ' '; // a plus there is part of the expression
            int end = tag;
            if (sign == '-')
            {
                while (end > _at && Python.IsSpace(_text[end - 1]))
                    end--;
            }
            else if (sign != '+' && kind != '{')
            {
                int line = _text.LastIndexOf('\n', Math.Max(tag - 1, 0), Math.Max(tag - _at, 0)) + 1;
                if (line <= _at)
                    line = tag > _at && _text.AsSpan(_at, tag - _at).Contains('\n') ? line : _at;
                if ((line > _at || lineStarts) && _text.AsSpan(line, tag - line).TrimStart(" \t\v\f").IsEmpty)
                    end = line;
            }

            Data(_at, end);
            _at = begin + (sign == ' ' ? 0 : 1);
            if (kind == '#')
            {
                int close = _text.IndexOf("#}", _at, StringComparison.Ordinal);
                if (close < 0)
                    throw Error("Missing end of comment tag", tag);
                char last = close > _at ? _text[close - 1] : ' ';
                _at = close + 2;
                lineStarts = AfterBlock(last);
            }
            else if (kind == '%' && IsRaw(out int rawBody, out char rawSign))
            {
                _at = rawBody;
                AfterBlock(rawSign);
                lineStarts = Raw(tag);
            }
            else
            {
                Add(kind == '%' ? TokenKind.BlockBegin : TokenKind.PrintBegin, "", tag);
                lineStarts = Inside(kind == '%');
            }
        }
    }

    private int NextTag(int from)
    {
        for (int at = from; ; at++)
        {
            at = at < _text.Length ? _text.IndexOf('{', at) : -1;
            if (at < 0 || at + 1 >= _text.Length)
                return -1;
            if (_text[at + 1] is '{' or '%' or '#')
                return at;
        }
    }

    // Behind %} or #}: - strips all space, nothing strips one newline, + strips nothing. Whether a line begins here.
    private bool AfterBlock(char sign)
    {
        int before = _at;
        if (sign == '-')
            SkipSpace();
        else if (sign != '+' && _at < _text.Length && _text[_at] == '\n')
            _at++;
        return _at > before && _text[_at - 1] == '\n';
    }

    private void SkipSpace()
    {
        while (_at < _text.Length && Python.IsSpace(_text[_at]))
            _at++;
    }

    private bool IsRaw(out int body, out char sign)
    {
        (int at, body, sign) = (_at, 0, ' ');
        while (at < _text.Length && Python.IsSpace(_text[at]))
            at++;
        if (!_text.AsSpan(at).StartsWith("raw", StringComparison.Ordinal))
            return false;
        at += 3;
        while (at < _text.Length && Python.IsSpace(_text[at]))
            at++;
        if (at < _text.Length && _text[at] is '-' or '+')
            sign = _text[at++];
        if (!_text.AsSpan(at).StartsWith("%}", StringComparison.Ordinal))
            return false;
        body = at + 2;
        return true;
    }

    private bool Raw(int tag)
    {
        for (int at = _at; ; at++)
        {
            at = at < _text.Length ? _text.IndexOf("{%", at, StringComparison.Ordinal) : -1;
            if (at < 0 && _at >= _text.Length)
                return false; // nothing follows: Jinja lets it pass
            if (at < 0)
                throw Error("Missing end of raw directive", tag);
            int inside = at + 2;
            char sign = inside < _text.Length && _text[inside] is '-' or '+' ? _text[inside++] : ' ';
            while (inside < _text.Length && Python.IsSpace(_text[inside]))
                inside++;
            if (!_text.AsSpan(inside).StartsWith("endraw", StringComparison.Ordinal))
                continue;
            inside += 6;
            while (inside < _text.Length && Python.IsSpace(_text[inside]))
                inside++;
            char after = inside < _text.Length && _text[inside] is '-' or '+' ? _text[inside++] : ' ';
            if (!_text.AsSpan(inside).StartsWith("%}", StringComparison.Ordinal))
                continue;
            int end = at;
            if (sign == '-')
            {
                while (end > _at && Python.IsSpace(_text[end - 1]))
                    end--;
            }
            else if (sign != '+')
            {
                int line = _text.LastIndexOf('\n', Math.Max(at - 1, 0), Math.Max(at - _at, 0)) + 1;
                if (line > _at && _text.AsSpan(line, at - line).TrimStart(" \t\v\f").IsEmpty)
                    end = line;
            }

            Data(_at, end);
            _at = inside + 2;
            return AfterBlock(after);
        }
    }

    // The expression language up to the end of the tag.
    private bool Inside(bool block)
    {
        Stack<char> open = new();
        while (true)
        {
            SkipSpace();
            if (_at >= _text.Length)
            {
                Add(TokenKind.End, "", _at);
                return false;
            }

            int start = _at;
            if (open.Count == 0)
            {
                string end = block ? "%}" : "}}";
                char sign = _text[_at] is '-' or '+' ? _text[_at] : ' ';
                if (sign == '+' && !block)
                    sign = ' ';
                if (_text.AsSpan(_at + (sign == ' ' ? 0 : 1)).StartsWith(end, StringComparison.Ordinal))
                {
                    Add(block ? TokenKind.BlockEnd : TokenKind.PrintEnd, "", start);
                    _at += sign == ' ' ? 2 : 3;
                    if (block)
                        return AfterBlock(sign);
                    if (sign == '-')
                        SkipSpace();
                    return _text[_at - 1] == '\n';
                }
            }

            char c = _text[_at];
            if (c is '"' or '\'')
                String(c);
            else if (char.IsAsciiDigit(c))
                Number();
            else if (c == '_' || char.IsLetter(c))
            {
                while (_at < _text.Length && (_text[_at] == '_' || char.IsLetterOrDigit(_text[_at])))
                    _at++;
                Add(TokenKind.Name, _text[start.._at], start);
            }
            else
            {
                string? found = Array.Find(Operators, op => _text.AsSpan(start).StartsWith(op, StringComparison.Ordinal));
                if (found is null)
                    throw Error($"unexpected char '{c}' at {start}", start);
                if (found is "(" or "[" or "{")
                    open.Push(found == "(" ? ')' : found == "[" ? ']' : '}');
                else if (found is ")" or "]" or "}")
                {
                    if (open.Count == 0)
                        throw Error($"unexpected '{found}'", start);
                    char expected = open.Pop();
                    if (expected != found[0])
                        throw Error($"unexpected '{found}', expected '{expected}'", start);
                }

                _at += found.Length;
                Add(TokenKind.Operator, found, start);
            }
        }
    }

    private void String(char quote)
    {
        int start = _at++;
        StringBuilder value = new();
        while (true)
        {
            if (_at >= _text.Length)
                throw Error($"unexpected char '{quote}' at {start}", start);
            char c = _text[_at++];
            if (c == quote)
                break;
            if (c != '\\' || _at >= _text.Length)
            {
                value.Append(c);
                continue;
            }

            char escaped = _text[_at++];
            switch (escaped)
            {
                case '\n': break;
                case 'n': value.Append('\n'); break;
                case 't': value.Append('\t'); break;
                case 'r': value.Append('\r'); break;
                case 'b': value.Append('\b'); break;
                case 'f': value.Append('\f'); break;
                case 'v': value.Append('\v'); break;
                case 'a': value.Append('\a'); break;
                case '\\' or '\'' or '"': value.Append(escaped); break;
                case 'x': value.Append(Hex(2, start)); break;
                case 'u': value.Append(Hex(4, start)); break;
                case 'U': value.Append(Hex(8, start)); break;
                case >= '0' and <= '7':
                    int octal = escaped - '0';
                    for (int i = 0; i < 2 && _at < _text.Length && _text[_at] is >= '0' and <= '7'; i++)
                        octal = octal * 8 + (_text[_at++] - '0');
                    value.Append((char)octal);
                    break;
                default: value.Append('\\').Append(escaped); break;
            }
        }

        Add(TokenKind.String, value.ToString(), start);
    }

    private string Hex(int digits, int start)
    {
        if (_at + digits > _text.Length || !uint.TryParse(_text.AsSpan(_at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint value) || value > 0x10FFFF)
            throw Error("a string has a damaged escape", start);
        _at += digits;
        return value is >= 0xD800 and <= 0xDFFF ? ((char)value).ToString() : char.ConvertFromUtf32((int)value);
    }

    private void Number()
    {
        int start = _at;
        char second = _at + 1 < _text.Length ? char.ToLowerInvariant(_text[_at + 1]) : ' ';
        if (_text[_at] == '0' && second is 'x' or 'o' or 'b')
        {
            int radix = second == 'x' ? 16 : second == 'o' ? 8 : 2;
            _at += 2;
            BigInteger value = 0;
            for (; _at < _text.Length && (char.IsAsciiHexDigit(_text[_at]) || _text[_at] == '_'); _at++)
            {
                if (_text[_at] != '_')
                    value = value * radix + Convert.ToInt32(_text[_at].ToString(), 16);
            }

            Add(TokenKind.Integer, Python.Int(value), start);
            return;
        }

        Digits();
        bool isFloat = false;
        if (_at + 1 < _text.Length && _text[_at] == '.' && char.IsAsciiDigit(_text[_at + 1]))
        {
            isFloat = true;
            _at++;
            Digits();
        }

        int exponent = _at + 1 < _text.Length && _text[_at + 1] is '+' or '-' ? _at + 2 : _at + 1;
        if (_at < _text.Length && _text[_at] is 'e' or 'E' && exponent < _text.Length && char.IsAsciiDigit(_text[exponent]))
        {
            isFloat = true;
            _at = exponent;
            Digits();
        }

        string text = _text[start.._at].Replace("_", "", StringComparison.Ordinal);
        Add(isFloat ? TokenKind.Float : TokenKind.Integer, isFloat ? double.Parse(text, CultureInfo.InvariantCulture) : Python.Int(BigInteger.Parse(text, CultureInfo.InvariantCulture)), start);

        void Digits()
        {
            while (_at < _text.Length && (char.IsAsciiDigit(_text[_at]) || (_text[_at] == '_' && _at + 1 < _text.Length && char.IsAsciiDigit(_text[_at + 1]))))
                _at++;
        }
    }

    private void Data(int start, int end)
    {
        if (end > start)
            Add(TokenKind.Data, _text[start..end], start);
    }

    private void Add(TokenKind kind, object value, int at)
    {
        (int line, int column) = Place(at);
        _tokens.Add(new(kind, value, line, column));
    }

    private (int Line, int Column) Place(int at)
    {
        for (; _countedTo < at; _countedTo++)
        {
            if (_text[_countedTo] == '\n')
                (_line, _lineStart) = (_line + 1, _countedTo + 1);
        }

        return (_line, Math.Max(at - _lineStart, 0) + 1);
    }

    private JinjaException Error(string what, int at)
    {
        (int line, int column) = Place(at);
        return new(JinjaError.Syntax, what, line, column);
    }
}
