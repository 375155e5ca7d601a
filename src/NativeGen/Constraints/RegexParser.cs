// Regular expressions in the dialect of JSON schema and JavaScript (ECMA-262 with the u flag), compiled to our own automaton: nothing backtracks.
using System.Globalization;

namespace NativeGen.Constraints;

/// <summary>
/// Alternatives, groups (also named and non-capturing), quantifiers (a lazy one is taken as greedy: which texts match is the same), classes, escapes,
/// categories (\p{Lu}), ^ and $. What a regular language cannot say or we do not do is refused: look-around, back references, \b, flags.
/// </summary>
internal ref struct RegexParser
{
    // Stand for ^ and $ while an automaton is made; no text has them.
    private const int Begin = 0xD800, End = 0xD801;

    // A place may be asked for several times: with more marks in the text than that, each ^ takes one or more of them.
    private static readonly Expr _begins = Expr.Repeat(Expr.Regular(Dfa.Mark(Begin)), 0), _ends = Expr.Repeat(Expr.Regular(Dfa.Mark(End)), 0);
    private static readonly Expr _begin = Expr.Repeat(Expr.Regular(Dfa.Mark(Begin)), 1), _end = Expr.Repeat(Expr.Regular(Dfa.Mark(End)), 1);
    private static readonly Expr _anyText = Expr.Repeat(Expr.Chars(CodePointSet.Any), 0);
    private static readonly CodePointSet _digits = CodePointSet.Range('0', '9');
    private static readonly CodePointSet _word = CodePointSet.Of([new('0', '9'), new('A', 'Z'), new('_', '_'), new('a', 'z')]);
    private static readonly CodePointSet _lineEnds = CodePointSet.Of("\n\r\u2028\u2029");
    private static readonly CodePointSet _space = CodePointSet.Of("\t\n\v\f\r \u00A0\u1680\u2028\u2029\u202F\u205F\u3000\uFEFF").Union(CodePointSet.Range(0x2000, 0x200A));
    private static readonly Lazy<Dictionary<string, CodePointSet>> _categories = new(Categories);

    private readonly ReadOnlySpan<char> _text;
    private int _at;
    private int _anchors;

    private RegexParser(ReadOnlySpan<char> text) => _text = text;

    /// <summary>Texts that match as a whole.</summary>
    /// <exception cref="GrammarException">The pattern is wrong or says what we do not do; with its place.</exception>
    internal static Expr Whole(string pattern)
    {
        (Expr body, _, _, bool plain) = Parse(pattern);
        return plain ? body : Expr.Regular(Unmarked(Expr.Sequence(_begins, body, _ends)));
    }

    /// <summary>Texts in which the pattern matches somewhere: what a schema's <c>pattern</c> means.</summary>
    /// <exception cref="GrammarException">As for <see cref="Whole"/>, or too many states.</exception>
    internal static Dfa Search(string pattern)
    {
        (Expr body, bool begins, bool ends, bool plain) = Parse(pattern);
        return plain
            ? Dfa.From(Expr.Sequence(begins ? Expr.Empty : _anyText, body, ends ? Expr.Empty : _anyText))
            : Unmarked(Expr.Sequence(_begins, begins ? Expr.Empty : _anyText, body, ends ? Expr.Empty : _anyText, _ends));
    }

    // The pattern without ^ in front and $ behind, and whether it is without any others.
    private static (Expr Body, bool Begins, bool Ends, bool Plain) Parse(string pattern)
    {
        RegexParser parser = new(pattern);
        Expr body = parser.Alternatives();
        bool begins = false, ends = false;
        List<Expr> parts = body is Expr.SequenceExpr sequence ? [.. sequence.Parts] : [body];
        if (parts[0] == _begin)
        {
            parts.RemoveAt(0);
            begins = true;
        }

        if (parts.Count > 0 && parts[^1] == _end)
        {
            parts.RemoveAt(parts.Count - 1);
            ends = true;
        }

        return (Expr.Sequence([.. parts]), begins, ends, parser._anchors == (begins ? 1 : 0) + (ends ? 1 : 0));
    }

    private static Dfa Unmarked(Expr expression)
    {
        Dfa marked = Dfa.From(expression), texts = marked.Intersect(Dfa.From(Expr.Sequence(_begin, _anyText, _end))).Between(Begin, End);
        return marked.AcceptsOnly(Begin, End) ? texts.Union(Dfa.OfTexts([""])) : texts; // in the empty text both are one place, in any order
    }

    private Expr Alternatives()
    {
        Stack<(List<Expr> Alternatives, List<Expr> Parts, int Opened)> open = new();
        List<Expr> alternatives = [], parts = [];
        while (_at < _text.Length)
        {
            int start = _at;
            char c = _text[_at++];
            switch (c)
            {
                case '|':
                    alternatives.Add(Expr.Sequence([.. parts]));
                    parts = [];
                    continue;
                case '(':
                    GroupKind(start);
                    open.Push((alternatives, parts, start));
                    (alternatives, parts) = ([], []);
                    continue;
                case ')':
                    if (!open.TryPop(out (List<Expr> Alternatives, List<Expr> Parts, int Opened) outer))
                        throw Wrong(start, "a ) without a (");
                    alternatives.Add(Expr.Sequence([.. parts]));
                    Expr group = Expr.Choice([.. alternatives]);
                    (alternatives, parts, _) = outer;
                    parts.Add(Quantified(group));
                    continue;
                case '^' or '$':
                    _anchors++;
                    parts.Add(c == '^' ? _begin : _end);
                    if (_at < _text.Length && _text[_at] is '*' or '+' or '?')
                        throw Wrong(_at, $"a quantifier after {c}");
                    continue;
                case '*' or '+' or '?':
                    throw Wrong(start, $"{c} has nothing before it to repeat");
                case '{' when TryCounts(out _, out _):
                    throw Wrong(start, "a repetition has nothing before it to repeat");
                case '.':
                    parts.Add(Quantified(Expr.Chars(_lineEnds.Complement())));
                    continue;
                case '[':
                    parts.Add(Quantified(Expr.Chars(Class(start))));
                    continue;
                case '\\':
                    parts.Add(Quantified(Expr.Chars(Escape(start, inClass: false, out _))));
                    continue;
                default:
                    parts.Add(Quantified(Expr.Chars(CodePointSet.Single(Scalar(start)))));
                    continue;
            }
        }

        if (open.TryPop(out (List<Expr>, List<Expr>, int Opened) left))
            throw Wrong(left.Opened, "a ( that is never closed");
        alternatives.Add(Expr.Sequence([.. parts]));
        return Expr.Choice([.. alternatives]);
    }

    // Behind "(": ?: and names are read, the rest of "(?" is refused.
    private void GroupKind(int start)
    {
        if (_at >= _text.Length || _text[_at] != '?')
            return;
        ReadOnlySpan<char> kind = _text[_at..];
        if (kind.StartsWith("?:"))
        {
            _at += 2;
            return;
        }

        int name = kind.StartsWith("?<") ? 2 : kind.StartsWith("?P<") ? 3 : 0;
        if (name == 0 || kind.Length == name || kind[name] is '=' or '!' || !kind.Contains('>'))
            throw Wrong(start, "look-around, flags and other special groups are not supported: only ( ), (?: ) and (?<name> )");
        _at += kind.IndexOf('>') + 1;
    }

    private Expr Quantified(Expr body)
    {
        bool quantified = false;
        while (_at < _text.Length)
        {
            int start = _at;
            (int min, int? max) = (0, null);
            switch (_text[_at])
            {
                case '*':
                    _at++;
                    break;
                case '+':
                    _at++;
                    min = 1;
                    break;
                case '?':
                    _at++;
                    max = 1;
                    break;
                case '{':
                    _at++;
                    if (TryCounts(out min, out max))
                        break;
                    _at = start;
                    return body;
                default:
                    return body;
            }

            if (quantified)
                throw Wrong(start, "a quantifier after a quantifier");
            if (max < min)
                throw Wrong(start, $"a repetition of at least {min} and at most {max} times");
            body = Expr.Repeat(body, min, max);
            quantified = true;
            if (_at < _text.Length && _text[_at] == '?')
                _at++; // lazy: a matter of where a match ends, not of what matches
        }

        return body;
    }

    // "3}", "3,}" or "3,5}"; else nothing is read, and the brace is a character.
    private bool TryCounts(out int min, out int? max)
    {
        (min, max) = (0, null);
        int length = _text[_at..].IndexOf('}');
        if (length <= 0)
            return false;
        ReadOnlySpan<char> counts = _text.Slice(_at, length);
        int comma = counts.IndexOf(',');
        if (!TryCount(comma < 0 ? counts : counts[..comma], out min))
            return false;
        if (comma < 0)
            max = min;
        else if (comma + 1 < counts.Length)
        {
            if (!TryCount(counts[(comma + 1)..], out int most))
                return false;
            max = most;
        }

        _at += length + 1;
        return true;

        static bool TryCount(ReadOnlySpan<char> digits, out int count) => int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out count);
    }

    private CodePointSet Class(int start)
    {
        bool negated = _at < _text.Length && _text[_at] == '^';
        if (negated)
            _at++;
        CodePointSet set = CodePointSet.None;
        List<CodePointRange> ranges = [];
        while (true)
        {
            if (_at >= _text.Length)
                throw Wrong(start, "a [ that is never closed");
            if (_text[_at] == ']')
                break;
            int from = _at;
            CodePointSet first = Member(out bool single);
            if (_at + 1 >= _text.Length || _text[_at] != '-' || _text[_at + 1] == ']')
            {
                Take(first);
                continue;
            }

            _at++;
            CodePointSet last = Member(out bool lastSingle);
            if (!single || !lastSingle)
            {
                // [\w-.]: the dash is one.
                Take(first);
                Take(last);
                ranges.Add(new('-', '-'));
                continue;
            }

            (int low, int high) = (first.Ranges[0].First, last.Ranges[0].First);
            if (low > high)
                throw Wrong(from, "a range of characters that runs backwards");
            ranges.Add(new(low, high));
        }

        _at++;
        set = set.Union(CodePointSet.Of(ranges));
        return negated ? set.Complement() : set;

        void Take(CodePointSet members)
        {
            if (members.Ranges.Length == 1)
                ranges.Add(members.Ranges[0]);
            else
                set = set.Union(members);
        }
    }

    private CodePointSet Member(out bool single)
    {
        int start = _at;
        if (_text[_at++] == '\\')
            return Escape(start, inClass: true, out single);
        single = true;
        return CodePointSet.Single(Scalar(start));
    }

    private CodePointSet Escape(int start, bool inClass, out bool single)
    {
        single = false;
        if (_at >= _text.Length)
            throw Wrong(start, "a backslash at the end");
        char c = _text[_at++];
        switch (c)
        {
            case 'd':
                return _digits;
            case 'D':
                return _digits.Complement();
            case 'w':
                return _word;
            case 'W':
                return _word.Complement();
            case 's':
                return _space;
            case 'S':
                return _space.Complement();
            case 'p' or 'P':
                return Category(start, c == 'P');
        }

        single = true;
        return CodePointSet.Single(c switch
        {
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'f' => '\f',
            'v' => '\v',
            '0' when _at >= _text.Length || !char.IsAsciiDigit(_text[_at]) => 0,
            'b' when inClass => '\b',
            'c' when _at < _text.Length && char.IsAsciiLetter(_text[_at]) => _text[_at++] & 31,
            'x' => Hex(start, 2),
            'u' => Unicode(start),
            _ when char.IsAsciiLetterOrDigit(c) => throw Wrong(start, $"\\{c} is not supported" + (char.IsAsciiDigit(c) ? ": back references are beyond a regular language" : "")),
            _ => Scalar(_at - 1),
        });
    }

    private int Unicode(int start)
    {
        if (_at < _text.Length && _text[_at] == '{')
        {
            int length = _text[_at..].IndexOf('}');
            if (length < 2 || !int.TryParse(_text.Slice(_at + 1, length - 1), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int scalar) || scalar is < 0 or > CodePointSet.Most)
                throw Wrong(start, "\\u{ } needs the number of a character in hexadecimal");
            _at += length + 1;
            return scalar;
        }

        int high = Hex(start, 4);
        if (!char.IsHighSurrogate((char)high) || !_text[_at..].StartsWith("\\u"))
            return high;
        _at += 2;
        int low = Hex(start, 4);
        return char.IsLowSurrogate((char)low) ? char.ConvertToUtf32((char)high, (char)low) : throw Wrong(start, "half a surrogate pair");
    }

    private int Hex(int start, int digits)
    {
        if (_at + digits > _text.Length || !int.TryParse(_text.Slice(_at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value))
            throw Wrong(start, $"an escape that needs {digits} hexadecimal digits");
        _at += digits;
        return value;
    }

    // \p{Lu}, \p{L}, \p{Letter}...: general categories by their short names.
    private CodePointSet Category(int start, bool negated)
    {
        int length = _at < _text.Length && _text[_at] == '{' ? _text[_at..].IndexOf('}') : -1;
        string name = length > 1 ? _text.Slice(_at + 1, length - 1).ToString() : "";
        foreach (string prefix in (ReadOnlySpan<string>)["General_Category=", "gc="])
        {
            if (name.StartsWith(prefix, StringComparison.Ordinal))
                name = name[prefix.Length..];
        }

        if (!_categories.Value.TryGetValue(name, out CodePointSet? set))
            throw Wrong(start, $"\\p{{{name}}} is not supported: only general categories by their short names, like \\p{{L}} or \\p{{Nd}}");
        _at += length + 1;
        return negated ? set.Complement() : set;
    }

    private static Dictionary<string, CodePointSet> Categories()
    {
        string[] names = ["Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Cn"];
        var ranges = new List<CodePointRange>[names.Length];
        for (int i = 0; i < ranges.Length; i++)
            ranges[i] = [];
        for (int scalar = 0, next; scalar <= CodePointSet.Most; scalar = next)
        {
            UnicodeCategory category = CharUnicodeInfo.GetUnicodeCategory(scalar);
            for (next = scalar + 1; next <= CodePointSet.Most && CharUnicodeInfo.GetUnicodeCategory(next) == category;)
                next++;
            ranges[(int)category].Add(new(scalar, next - 1));
        }

        Dictionary<string, CodePointSet> sets = [];
        for (int i = 0; i < names.Length; i++)
        {
            CodePointSet set = CodePointSet.Of(ranges[i]);
            sets.Add(names[i], set);
            string group = names[i][..1];
            sets[group] = sets.TryGetValue(group, out CodePointSet? others) ? others.Union(set) : set;
        }

        return sets;
    }

    // The character at an index, of which one UTF-16 unit has been read.
    private int Scalar(int index)
    {
        char c = _text[index];
        if (!char.IsSurrogate(c))
            return c;
        if (!char.IsHighSurrogate(c) || _at >= _text.Length || !char.IsLowSurrogate(_text[_at]))
            throw Wrong(index, "half a surrogate pair");
        return char.ConvertToUtf32(c, _text[_at++]);
    }

    private readonly GrammarException Wrong(int offset, string what) => GrammarException.At(_text, offset, what);
}
