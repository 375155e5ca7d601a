// A set of characters, written as the inside of a regular expression's brackets, so that tables of patterns stay comparable to the original.
using System.Runtime.CompilerServices;
using NativeGen.Tokenization.Unicode;

namespace NativeGen.Tokenization.Splitting;

/// <summary>Immutable; made once per process from constant patterns.</summary>
internal sealed class CharSet
{
    private readonly bool _negated;
    private readonly CharClass _classes;
    private readonly (int First, int Last)[] _ranges;
    private readonly bool[] _ascii = new bool[128];

    private CharSet(bool negated, CharClass classes, (int, int)[] ranges)
    {
        (_negated, _classes, _ranges) = (negated, classes, ranges);
        for (int c = 0; c < _ascii.Length; c++)
            _ascii[c] = ContainsSlowly(c);
    }

    /// <summary>
    /// Understands single characters, ranges, \p{L} \p{N} \p{P} \p{S} \p{M} \s \r \n \t, a backslash before anything else, and a leading ^.
    /// White space is in \s alone, never in a category.
    /// </summary>
    internal static CharSet Parse(string pattern)
    {
        bool negated = pattern[0] == '^';
        CharClass classes = CharClass.None;
        var ranges = new List<(int, int)>();
        int at = negated ? 1 : 0;
        while (at < pattern.Length)
        {
            if (Take(out CharClass category) is not int first)
            {
                classes |= category;
            }
            else if (at + 1 < pattern.Length && pattern[at] == '-')
            {
                at++;
                ranges.Add((first, Take(out _) ?? throw new FormatException(pattern)));
            }
            else
            {
                ranges.Add((first, first));
            }
        }

        return new(negated, classes, [.. ranges]);

        // One character, or null and a class.
        int? Take(out CharClass category)
        {
            category = CharClass.None;
            int code = char.ConvertToUtf32(pattern, at);
            at += code > 0xFFFF ? 2 : 1;
            if (code != '\\')
                return code;
            char escaped = pattern[at++];
            switch (escaped)
            {
                case 'r': return '\r';
                case 'n': return '\n';
                case 't': return '\t';
                case 's':
                    category = CharClass.Space;
                    return null;
                case 'p':
                    category = pattern[at + 1] switch
                    {
                        'L' => CharClass.Letter,
                        'N' => CharClass.Number,
                        'P' => CharClass.Punctuation,
                        'S' => CharClass.Symbol,
                        'M' => CharClass.Mark,
                        _ => throw new FormatException(pattern),
                    };
                    at = pattern.IndexOf('}', at) + 1;
                    return null;
                default: return escaped;
            }
        }
    }

    /// <summary>Length of the character at <paramref name="at"/> if it is in the set; 0 if it is not, and at the end of the text.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal int MatchOne(ReadOnlySpan<byte> text, int at)
    {
        if ((uint)at >= (uint)text.Length)
            return 0;
        byte first = text[at];
        if (first < 0x80)
            return _ascii[first] ? 1 : 0;
        int code = UnicodeTables.Decode(text, at, out int length);
        return ContainsSlowly(code) ? length : 0;
    }

    /// <summary>End of a run of at most <paramref name="most"/> characters of the set.</summary>
    internal int SkipRun(ReadOnlySpan<byte> text, int at, int most = int.MaxValue)
    {
        for (; most > 0; most--)
        {
            int length = MatchOne(text, at);
            if (length == 0)
                break;
            at += length;
        }

        return at;
    }

    private bool ContainsSlowly(int code)
    {
        bool found = (UnicodeTables.ClassOf(code) & _classes) != 0;
        foreach ((int first, int last) in _ranges)
            found |= code >= first && code <= last;
        return found != _negated;
    }
}
