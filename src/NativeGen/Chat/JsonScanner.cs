// Reads one JSON value character by character and says where it ends, or that it is none.
using System.Buffers;

namespace NativeGen.Chat;

internal enum JsonState
{
    /// <summary>The value goes on.</summary>
    More,

    /// <summary>The value has ended.</summary>
    Done,

    /// <summary>A control character as it is in a string, as models write line ends by mistake: next in the text. It may be taken as its escape.</summary>
    Control,

    /// <summary>This is no JSON.</summary>
    Failed,
}

/// <summary>RFC 8259, no deeper than <see cref="MostDepth"/>, and no half surrogate pairs in escapes. Not thread safe.</summary>
internal sealed class JsonScanner
{
    internal const int MostDepth = 256;

    private static readonly SearchValues<char> _special = SearchValues.Create([.. Enumerable.Range(0, 0x20).Select(c => (char)c), '"', '\\']);

    private readonly bool[] _inObject = new bool[MostDepth];
    private Expect _expect;
    private int _depth;
    private bool _isKey;
    private string _literal = "";
    private int _count;     // characters of the literal, or hex digits
    private int _unit;      // the escape's value
    private bool _needsLow; // after the escape of a high surrogate

    private enum Expect
    {
        Value,
        ValueOrEnd,
        KeyOrEnd,
        Key,
        Colon,
        CommaOrEnd,
        Text,
        Escape,
        Hex,
        Literal,
        Minus,
        Zero,
        Digits,
        Point,
        Fraction,
        Exponent,
        Sign,
        ExponentDigits,
    }

    internal JsonState State { get; private set; }

    /// <summary>Whether the value may end here though more could follow: a number without anything around it.</summary>
    internal bool MayEnd => State == JsonState.More && _depth == 0 && _expect is Expect.Zero or Expect.Digits or Expect.Fraction or Expect.ExponentDigits;

    internal void Reset() => (State, _expect, _depth, _isKey, _needsLow) = (JsonState.More, Expect.Value, 0, false, false);

    /// <summary>Goes on behind a control character.</summary>
    internal void TakeControl() => State = JsonState.More;

    /// <summary>Whether a text is one JSON value, nothing around it.</summary>
    internal bool IsValue(ReadOnlySpan<char> text)
    {
        Reset();
        int length = Scan(text);
        return length == text.Length && (State == JsonState.Done || MayEnd);
    }

    /// <summary>Reads on; returns how much of the text belongs to the value.</summary>
    internal int Scan(ReadOnlySpan<char> text)
    {
        int at = 0;
        while (at < text.Length && State == JsonState.More)
        {
            if (_expect == Expect.Text && !_needsLow)
            {
                int plain = text[at..].IndexOfAny(_special);
                if (plain < 0)
                    return text.Length;
                at += plain;
            }

            if (Step(text[at]))
                at++;
        }

        return at;
    }

    // True if the character was taken.
    private bool Step(char c)
    {
        switch (_expect)
        {
            case Expect.Text:
                return StepText(c);
            case Expect.Escape:
                (_expect, _count, _unit) = c == 'u' ? (Expect.Hex, 0, 0) : (Expect.Text, 0, 0);
                return Take(c == 'u' || (!_needsLow && c is '"' or '\\' or '/' or 'b' or 'f' or 'n' or 'r' or 't'));
            case Expect.Hex:
                if (!char.IsAsciiHexDigit(c))
                    return Take(false);
                _unit = (_unit << 4) | (char.IsAsciiDigit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
                if (++_count == 4)
                    EndHex();
                return true;
            case Expect.Literal:
                if (c != _literal[_count])
                    return Take(false);
                if (++_count == _literal.Length)
                    EndValue();
                return true;
            case Expect.Minus or Expect.Zero or Expect.Digits or Expect.Point or Expect.Fraction or Expect.Exponent or Expect.Sign or Expect.ExponentDigits:
                return StepNumber(c);
        }

        if (c is ' ' or '\t' or '\n' or '\r')
            return true;
        switch (_expect)
        {
            case Expect.KeyOrEnd or Expect.ValueOrEnd or Expect.CommaOrEnd when c == (_depth > 0 && _inObject[_depth - 1] ? '}' : ']') && _depth > 0:
                _depth--;
                EndValue();
                return true;
            case Expect.KeyOrEnd or Expect.Key:
                (_expect, _isKey) = (Expect.Text, true);
                return Take(c == '"');
            case Expect.Colon:
                _expect = Expect.Value;
                return Take(c == ':');
            case Expect.CommaOrEnd:
                _expect = _inObject[_depth - 1] ? Expect.Key : Expect.Value;
                return Take(c == ',');
            default:
                return Begin(c);
        }
    }

    private bool Begin(char c)
    {
        switch (c)
        {
            case '{' or '[':
                if (_depth == MostDepth)
                    return Take(false);
                _inObject[_depth++] = c == '{';
                _expect = c == '{' ? Expect.KeyOrEnd : Expect.ValueOrEnd;
                return true;
            case '"':
                (_expect, _isKey) = (Expect.Text, false);
                return true;
            case 't' or 'f' or 'n':
                (_expect, _literal, _count) = (Expect.Literal, c == 't' ? "true" : c == 'f' ? "false" : "null", 1);
                return true;
            default:
                _expect = c == '-' ? Expect.Minus : c == '0' ? Expect.Zero : Expect.Digits;
                return Take(c == '-' || char.IsAsciiDigit(c));
        }
    }

    private bool StepText(char c)
    {
        if (_needsLow && c != '\\')
            return Take(false);
        switch (c)
        {
            case '"' when _isKey:
                _expect = Expect.Colon;
                return true;
            case '"':
                EndValue();
                return true;
            case '\\':
                _expect = Expect.Escape;
                return true;
            case < ' ':
                State = JsonState.Control;
                return false;
            default:
                return true;
        }
    }

    private void EndHex()
    {
        bool low = char.IsLowSurrogate((char)_unit);
        if (low != _needsLow)
            State = JsonState.Failed;
        (_needsLow, _expect) = (char.IsHighSurrogate((char)_unit), Expect.Text);
    }

    private bool StepNumber(char c)
    {
        bool digit = char.IsAsciiDigit(c);
        Expect? next = (_expect, c) switch
        {
            (Expect.Minus, '0') => Expect.Zero,
            (Expect.Minus, _) when digit => Expect.Digits,
            (Expect.Digits or Expect.Fraction or Expect.ExponentDigits, _) when digit => _expect,
            (Expect.Zero or Expect.Digits, '.') => Expect.Point,
            (Expect.Point, _) when digit => Expect.Fraction,
            (Expect.Zero or Expect.Digits or Expect.Fraction, 'e' or 'E') => Expect.Exponent,
            (Expect.Exponent, '+' or '-') => Expect.Sign,
            (Expect.Exponent or Expect.Sign, _) when digit => Expect.ExponentDigits,
            _ => null,
        };
        if (next is { } on)
        {
            _expect = on;
            return true;
        }

        if (_expect is Expect.Minus or Expect.Point or Expect.Exponent or Expect.Sign)
            return Take(false);
        EndValue(); // at a character that is not the number's
        return false;
    }

    private void EndValue()
    {
        _expect = Expect.CommaOrEnd;
        if (_depth == 0)
            State = JsonState.Done;
    }

    private bool Take(bool right)
    {
        if (!right)
            State = JsonState.Failed;
        return right;
    }
}
