// llama.cpp's grammar files (GBNF) to a Grammar. Existing files work; a wrong one is refused with line and column.
using System.Globalization;
using System.Text;

namespace NativeGen.Constraints;

/// <summary>
/// name ::= alternatives, with "text", [classes], ., (groups), * + ? {n} {n,} {n,m} and # comments. A rule ends with its line, but for line ends inside
/// parentheses and behind ::= and |. The last of several definitions of a rule counts. The grammar's texts are those of the rule root.
/// </summary>
internal ref struct GbnfParser
{
    internal const int MostCharacters = 4 << 20;

    private readonly ReadOnlySpan<char> _text;
    private readonly GrammarBuilder _builder = new();
    private readonly Dictionary<string, (RuleId Rule, int Used)> _names = []; // Used: where a rule was first asked for
    private readonly Dictionary<string, Expr> _bodies = [];
    private int _at;

    private GbnfParser(ReadOnlySpan<char> text) => _text = text;

    /// <exception cref="GrammarException">The text is wrong, with its place; or see <see cref="GrammarBuilder.Build"/>.</exception>
    internal static Grammar Parse(string text)
    {
        if (text.Length > MostCharacters)
            throw new GrammarException($"The grammar has more than {MostCharacters} characters.");
        return new GbnfParser(text).Run();
    }

    private Grammar Run()
    {
        Space(lines: true);
        while (_at < _text.Length)
            Definition();
        if (!_bodies.ContainsKey("root"))
            throw new GrammarException("The grammar has no rule named root: that is where a text begins.");
        foreach ((string name, (RuleId rule, int used)) in _names)
        {
            if (!_bodies.TryGetValue(name, out Expr? body))
                throw Wrong(used, $"the rule {name} is not defined");
            _builder.Define(rule, body);
        }

        return _builder.BuildStrictly(_names["root"].Rule);
    }

    private void Definition()
    {
        string name = Name("a rule's name");
        Space(lines: false);
        if (!_text[_at..].StartsWith("::="))
            throw Wrong(_at, $"::= is missing behind the name {name}");
        _at += 3;
        Space(lines: true);
        Use(name, _at);
        _bodies[name] = Alternatives();
        if (_at < _text.Length && _text[_at] is not ('\r' or '\n'))
            throw Wrong(_at, _text[_at] == ')' ? "a ) without a (" : $"'{Shown()}' cannot stand here");
        Space(lines: true);
    }

    private Expr Alternatives()
    {
        Stack<(List<Expr> Alternatives, List<Expr> Parts, int Opened)> open = new();
        List<Expr> alternatives = [], parts = [];
        while (_at < _text.Length)
        {
            int start = _at;
            char c = _text[_at];
            if (c == '"')
            {
                parts.Add(Text());
            }
            else if (c == '[')
            {
                parts.Add(Expr.Chars(Class()));
            }
            else if (c == '.')
            {
                _at++;
                parts.Add(Expr.Chars(CodePointSet.Any));
            }
            else if (IsName(c))
            {
                parts.Add(Expr.Reference(Use(Name(""), start)));
            }
            else if (c is '*' or '+' or '?' or '{')
            {
                if (parts.Count == 0)
                    throw Wrong(start, $"{c} has nothing before it to repeat");
                parts[^1] = Repetition(parts[^1]);
            }
            else if (c == '|')
            {
                _at++;
                alternatives.Add(Expr.Sequence([.. parts]));
                parts = [];
                Space(lines: true);
                continue;
            }
            else if (c == '(')
            {
                _at++;
                open.Push((alternatives, parts, start));
                (alternatives, parts) = ([], []);
            }
            else if (c == ')' && open.TryPop(out (List<Expr> Alternatives, List<Expr> Parts, int Opened) outer))
            {
                _at++;
                alternatives.Add(Expr.Sequence([.. parts]));
                Expr group = Expr.Choice([.. alternatives]);
                (alternatives, parts, _) = outer;
                parts.Add(group);
            }
            else if (c == '<' || (c == '!' && _at + 1 < _text.Length && _text[_at + 1] == '<'))
            {
                throw Wrong(start, "tokens by name or number are not supported: a grammar speaks of text");
            }
            else
            {
                break;
            }

            Space(lines: open.Count > 0);
        }

        if (open.TryPop(out (List<Expr>, List<Expr>, int Opened) left))
            throw Wrong(_at < _text.Length ? _at : left.Opened, _at < _text.Length ? $"'{Shown()}' cannot stand here" : "a ( that is never closed");
        alternatives.Add(Expr.Sequence([.. parts]));
        return Expr.Choice([.. alternatives]);
    }

    private Expr Repetition(Expr body)
    {
        int start = _at;
        switch (_text[_at++])
        {
            case '*':
                return Expr.Repeat(body, 0);
            case '+':
                return Expr.Repeat(body, 1);
            case '?':
                return Expr.Optional(body);
        }

        Space(lines: false);
        int min = Number();
        int? max = min;
        Space(lines: false);
        if (_at < _text.Length && _text[_at] == ',')
        {
            _at++;
            Space(lines: false);
            max = _at < _text.Length && char.IsAsciiDigit(_text[_at]) ? Number() : null;
            Space(lines: false);
        }

        if (_at >= _text.Length || _text[_at] != '}')
            throw Wrong(_at, "} is missing: a repetition is {n}, {n,} or {n,m}");
        _at++;
        return max < min ? throw Wrong(start, $"a repetition of at least {min} and at most {max} times") : Expr.Repeat(body, min, max);
    }

    private int Number()
    {
        int start = _at;
        while (_at < _text.Length && char.IsAsciiDigit(_text[_at]))
            _at++;
        return int.TryParse(_text[start.._at], NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? number
            : throw Wrong(start, start == _at ? "a number is missing: a repetition is {n}, {n,} or {n,m}" : "the number is too large");
    }

    private Expr Text()
    {
        int start = _at++;
        StringBuilder text = new();
        while (_at < _text.Length && _text[_at] != '"')
        {
            int scalar = Character();
            text.Append(Rune.IsValid(scalar) ? new Rune(scalar).ToString() : throw Wrong(start, "a text with half a surrogate pair, or a number beyond U+10FFFF"));
        }

        if (_at >= _text.Length)
            throw Wrong(start, "a \" that is never closed");
        _at++;
        return Expr.Text(text.ToString());
    }

    private CodePointSet Class()
    {
        int start = _at++;
        bool negated = _at < _text.Length && _text[_at] == '^';
        if (negated)
            _at++;
        List<CodePointRange> ranges = [];
        while (_at < _text.Length && _text[_at] != ']')
        {
            int from = _at, first = Character(), last = first;
            if (_at + 1 < _text.Length && _text[_at] == '-' && _text[_at + 1] != ']')
            {
                _at++;
                last = Character();
            }

            if (last < first)
                throw Wrong(from, "a range of characters that runs backwards");
            ranges.Add(new(first, last));
        }

        if (_at >= _text.Length)
            throw Wrong(start, "a [ that is never closed");
        _at++;
        if (ranges.Count == 0)
            throw Wrong(start, "a class of no characters");
        CodePointSet set = CodePointSet.Of(ranges);
        return negated ? set.Complement() : set;
    }

    // One character of a text or a class, which may be an escape.
    private int Character()
    {
        int start = _at;
        char c = _text[_at++];
        if (c == '\\')
        {
            c = _at < _text.Length ? _text[_at++] : '\0';
            return c switch
            {
                't' => '\t',
                'r' => '\r',
                'n' => '\n',
                '\\' or '"' or '[' or ']' => c,
                'x' => Hex(start, 2),
                'u' => Hex(start, 4),
                'U' => Hex(start, 8),
                _ => throw Wrong(start, "an escape that is none: there are \\n \\r \\t \\\\ \\\" \\[ \\] \\xHH \\uHHHH \\UHHHHHHHH"),
            };
        }

        if (c == '\0')
            throw Wrong(start, "a NUL character; write it \\x00");
        if (!char.IsSurrogate(c))
            return c;
        if (!char.IsHighSurrogate(c) || _at >= _text.Length || !char.IsLowSurrogate(_text[_at]))
            throw Wrong(start, "half a surrogate pair");
        return char.ConvertToUtf32(c, _text[_at++]);
    }

    private int Hex(int start, int digits)
    {
        if (_at + digits > _text.Length || !uint.TryParse(_text.Slice(_at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint value))
            throw Wrong(start, $"an escape that needs {digits} hexadecimal digits");
        _at += digits;
        return (int)Math.Min(value, int.MaxValue);
    }

    private RuleId Use(string name, int at)
    {
        if (!_names.TryGetValue(name, out (RuleId Rule, int) known))
            _names.Add(name, known = (_builder.Declare(name), at));
        return known.Rule;
    }

    private string Name(string what)
    {
        int start = _at;
        while (_at < _text.Length && IsName(_text[_at]))
            _at++;
        return _at > start ? _text[start.._at].ToString() : throw Wrong(start, $"{what} is missing; '{Shown()}' cannot stand here");
    }

    // Blanks and comments, and line ends where they mean nothing.
    private void Space(bool lines)
    {
        for (; _at < _text.Length; _at++)
        {
            char c = _text[_at];
            if (c == '#')
            {
                int length = _text[_at..].IndexOfAny('\r', '\n');
                _at = length < 0 ? _text.Length : _at + length;
                if (_at == _text.Length)
                    return;
                c = _text[_at];
            }

            if (c is not (' ' or '\t') && !(lines && c is '\r' or '\n'))
                return;
        }
    }

    private static bool IsName(char c) => char.IsAsciiLetterOrDigit(c) || c is '-' or '_';

    private readonly string Shown() => _at >= _text.Length ? "the end" : char.IsControl(_text[_at]) ? $"U+{(int)_text[_at]:X4}" : _text[_at].ToString();

    private readonly GrammarException Wrong(int offset, string what) => GrammarException.At(_text, offset, what);
}
