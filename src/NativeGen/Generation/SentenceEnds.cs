// Where sentences end in a text that still grows: enough of UAX 29's rules for prose, and of habits (initials, list numbers) to rarely be wrong.
using System.Buffers;

namespace NativeGen;

/// <summary>Looks at every character once. Not thread safe.</summary>
internal sealed class SentenceEnds
{
    private static readonly SearchValues<char> Stops = SearchValues.Create(".!?…‼⁇⁈⁉؟۔।॥");
    private static readonly SearchValues<char> WideStops = SearchValues.Create("。！？｡"); // no space follows them
    private static readonly SearchValues<char> Closers = SearchValues.Create("\"'”’»›)]}」』）】》〉*_`");
    private static readonly string[] Abbreviations = ["mr", "mrs", "ms", "dr", "prof", "st", "vs", "e.g", "i.e", "cf", "ca"];

    private int _next;           // the first character not looked at
    private int? _last;          // end of the last whole sentence
    private int _candidate = -1; // end of what may be a sentence, until what follows tells
    private bool _wide;          // its stop needs no space after it
    private bool _dot;           // its stop is a dot, which a small letter after the space shows to be no end
    private bool _space;         // white space has followed it
    private int _text;           // end of the last character that is no white space

    /// <summary>The end of the last whole sentence, closing quotes and brackets included and white space not; null if there is none.</summary>
    /// <param name="text">All of it since the last <see cref="Forget"/>; grows from call to call.</param>
    /// <param name="atEnd">Nothing follows.</param>
    public int? Last(ReadOnlySpan<char> text, bool atEnd)
    {
        for (; _next < text.Length; _next++)
        {
            Look(text, _next);
        }

        if (atEnd && _candidate >= 0)
        {
            Confirm(_candidate);
        }

        return _last;
    }

    /// <summary>The first characters are no longer part of the text.</summary>
    public void Forget(int count)
    {
        _next -= count;
        _last -= count;
        _candidate = _candidate < 0 ? -1 : Math.Max(_candidate - count, 0);
        _text -= count;
    }

    private void Look(ReadOnlySpan<char> text, int at)
    {
        var c = text[at];
        if (c == '\n')
        {
            if (_text > 0)
            {
                Confirm(_text);
            }

            return;
        }

        if (char.IsWhiteSpace(c))
        {
            if (_candidate >= 0 && !_dot)
            {
                Confirm(_candidate);
            }

            _space |= _candidate >= 0;
            return;
        }

        if (_candidate >= 0 && !_space && (Stops.Contains(c) || Closers.Contains(c)))
        {
            _candidate = at + 1; // "?!", "...", the quotation mark after it
            _dot &= c is '.' or '…' || Closers.Contains(c);
        }
        else if (_candidate >= 0)
        {
            if (_space ? !char.IsLower(c) : _wide)
            {
                Confirm(_candidate);
            }

            _candidate = -1;
        }

        if (_candidate < 0 && (WideStops.Contains(c) || (Stops.Contains(c) && !(c == '.' && IsPartOfWord(text, at)))))
        {
            (_candidate, _wide, _dot, _space) = (at + 1, WideStops.Contains(c), c is '.' or '…', false);
        }

        _text = at + 1;
    }

    private void Confirm(int end) => (_last, _candidate) = (Math.Max(_last ?? 0, end), -1);

    /// <summary>A dot after an initial, an abbreviation or a number that begins a line.</summary>
    private static bool IsPartOfWord(ReadOnlySpan<char> text, int dot)
    {
        var start = dot;
        while (start > 0 && dot - start < 8 && (char.IsLetterOrDigit(text[start - 1]) || text[start - 1] == '.'))
        {
            start--;
        }

        var word = text[start..dot];
        if (word.Length == 1 && char.IsUpper(word[0]) && word[0] != 'I')
        {
            return true;
        }

        foreach (var abbreviation in Abbreviations)
        {
            if (word.Equals(abbreviation, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return !word.IsEmpty && !word.ContainsAnyExceptInRange('0', '9') && (start == 0 || text[start - 1] == '\n');
    }
}
