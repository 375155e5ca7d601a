// The cut into words that GPT-2 introduced and everyone has varied since: contractions | words | numbers | punctuation | line ends | spaces.
// One matcher with the variations as data (PreTokenizers.cs has the table); one pass, one class lookup per character.
using System.Runtime.CompilerServices;
using NativeGen.Tokenization.Unicode;

namespace NativeGen.Tokenization.Splitting;

/// <summary>'s 't 're 've 'm 'll 'd: where they are cut off.</summary>
internal enum Contractions
{
    None,
    LowerCase,    // 's but not 'S
    AnyCase,
    AnyCaseAtWord, // stays with the word before it
}

/// <summary>What may follow punctuation in the same piece.</summary>
internal enum PunctuationTail
{
    None,
    LineEnds,         // [\r\n]*
    LineEndsAndSlash, // [\r\n/]*
    OneLineEndOrSlash, // [\r\n/]?
}

/// <summary>White space that holds a line end.</summary>
internal enum LineEnds
{
    AsSpaces, // not special
    WithSpaces, // \s*[\r\n]+ : up to the last line end of the run
    Single,     // [\r\n]
}

/// <summary>
/// The variations. In an expression like "[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+":
/// <paramref name="Prefix"/> is the first bracket, <paramref name="Letters"/> what words consist of, <paramref name="MaxDigits"/> the 3 (0: numbers are
/// left alone), <paramref name="Punctuation"/> the second bracket, <paramref name="Tail"/> and <paramref name="Lines"/> what follows.
/// </summary>
internal sealed record WordPattern(
    CharClass Prefix = WordPattern.NotLetterNorNumber,
    CharClass Letters = CharClass.Letter,
    int MaxDigits = 1,
    CharClass Punctuation = WordPattern.NotSpaceLetterNorNumber,
    Contractions Contractions = Contractions.AnyCase,
    PunctuationTail Tail = PunctuationTail.LineEnds,
    LineEnds Lines = LineEnds.WithSpaces)
{
    internal const CharClass NotLetterNorNumber = CharClass.All & ~(CharClass.Letter | CharClass.Number);
    internal const CharClass NotSpaceLetterNorNumber = NotLetterNorNumber & ~CharClass.Space;

    /// <summary>" ?\p{L}+| ?\p{N}+": a space may lead words and numbers, nothing else.</summary>
    internal bool SpacePrefix { get; init; }

    /// <summary>Capitals of ASCII begin a word and its small letters end it; all other letters count as both.</summary>
    internal bool SplitCase { get; init; }

    /// <summary>Single spaces join words.</summary>
    internal bool JoinWords { get; init; }

    /// <summary>Runs of Chinese characters are pieces of their own.</summary>
    internal bool HanApart { get; init; }

    /// <summary>ASCII punctuation directly before ASCII letters begins their word.</summary>
    internal bool PunctuationWord { get; init; }

    /// <summary>Runs of spaces come in powers of two, 512 at most.</summary>
    internal bool SpacePowers { get; init; }
}

internal sealed class WordStage(WordPattern pattern) : SplitStage
{
    private readonly WordPattern _pattern = pattern;
    private readonly CharClass _letters = pattern.Letters;
    private readonly CharClass _punctuation = pattern.Punctuation;
    private readonly bool _plainWords = !pattern.SplitCase && !pattern.JoinWords && !pattern.HanApart && pattern.Contractions != Contractions.AnyCaseAtWord;

    internal override void Split(ReadOnlySpan<byte> text, int start, PieceList pieces)
    {
        WordPattern p = _pattern;
        int at = start;
        while (at < text.Length)
        {
            CharClass c = UnicodeTables.ClassAt(text, at, out int length);
            byte first = text[at];
            int end = -1;
            if (c == CharClass.Letter && _plainWords)
            {
                end = SkipClass(text, at + length, _letters);
            }
            else
            {
                if (first == '\'' && p.Contractions is Contractions.LowerCase or Contractions.AnyCase)
                    end = MatchContraction(text, at, p.Contractions == Contractions.AnyCase);
                if (end < 0 && p.HanApart && first >= 0xE3)
                    end = MatchHan(text, at);
                if (end < 0 && p.PunctuationWord && first < 0x80 && (c & (CharClass.Punctuation | CharClass.Symbol)) != 0)
                    end = MatchAsciiLetters(text, at + 1);
                if (end < 0)
                    end = MatchWord(text, at, c, length);
                if (end < 0)
                    end = MatchNumber(text, at, c);
                if (end < 0)
                    end = MatchPunctuation(text, at, c);
                if (end < 0 && c == CharClass.Space)
                {
                    pieces.Add(at);
                    at = SplitSpaces(text, at, pieces);
                    continue;
                }
            }

            if (end < 0)
            {
                at += length; // matched by nothing: one piece with its like
                continue;
            }

            pieces.Add(at);
            pieces.Add(end);
            at = end;
        }

        pieces.Add(at);
    }

    private static int SkipClass(ReadOnlySpan<byte> text, int at, CharClass classes)
    {
        while ((UnicodeTables.ClassAt(text, at, out int length) & classes) != 0)
            at += length;
        return at;
    }

    private static int MatchContraction(ReadOnlySpan<byte> text, int at, bool anyCase)
    {
        if ((uint)at >= (uint)text.Length || text[at] != '\'' || at + 1 >= text.Length)
            return -1;
        byte fold = (byte)(anyCase ? 0x20 : 0);
        byte a = (byte)(text[at + 1] | fold);
        if (a is (byte)'s' or (byte)'t' or (byte)'m' or (byte)'d')
            return at + 2;
        if (at + 2 >= text.Length)
            return -1;
        byte b = (byte)(text[at + 2] | fold);
        return (a, b) is ((byte)'r', (byte)'e') or ((byte)'v', (byte)'e') or ((byte)'l', (byte)'l') ? at + 3 : -1;
    }

    private static int MatchAsciiLetters(ReadOnlySpan<byte> text, int at)
    {
        int end = at;
        while (end < text.Length && char.IsAsciiLetter((char)text[end]))
            end++;
        return end > at ? end : -1;
    }

    private static int MatchHan(ReadOnlySpan<byte> text, int at)
    {
        int end = at;
        while (end < text.Length && IsHan(UnicodeTables.Decode(text, end, out int length)))
            end += length;
        return end > at ? end : -1;
    }

    // The blocks that llama.cpp's kimi-k2 takes for Han, by range and not by script.
    private static bool IsHan(int c) =>
        c is (>= 0x4E00 and <= 0x9FFF) or (>= 0x3400 and <= 0x4DBF) or (>= 0xF900 and <= 0xFAFF) or (>= 0x20000 and <= 0x2A6DF)
            or (>= 0x2A700 and <= 0x2B73F) or (>= 0x2B740 and <= 0x2EBEF) or (>= 0x2F800 and <= 0x2FA1F);

    private int MatchWord(ReadOnlySpan<byte> text, int at, CharClass c, int length)
    {
        byte first = text[at];
        bool mayLead = _pattern.SpacePrefix ? first == ' ' : (c & _pattern.Prefix) != 0 && first is not ((byte)'\r' or (byte)'\n');
        int end = -1;
        if (_pattern.SplitCase)
        {
            if (mayLead)
                end = MatchCapitalsThenSmall(text, at + length);
            if (end < 0)
                end = MatchCapitalsThenSmall(text, at);
            if (end < 0 && mayLead)
                end = MatchCapitals(text, at + length);
            if (end < 0)
                end = MatchCapitals(text, at);
        }
        else
        {
            if (mayLead)
                end = MatchLetters(text, at + length);
            if (end < 0 && (c & _letters) != 0)
                end = MatchLetters(text, at);
        }

        if (end >= 0 && _pattern.Contractions == Contractions.AnyCaseAtWord)
        {
            int contraction = MatchContraction(text, end, anyCase: true);
            if (contraction >= 0)
                end = contraction;
        }

        return end;
    }

    private int MatchLetters(ReadOnlySpan<byte> text, int at)
    {
        int end = at;
        while (true)
        {
            CharClass c = UnicodeTables.ClassAt(text, end, out int length);
            if ((c & _letters) != 0 && !(_pattern.HanApart && IsHan(UnicodeTables.Decode(text, end, out _))))
                end += length;
            else if (_pattern.JoinWords && end > at && c == CharClass.Mark)
                end += length;
            else if (_pattern.JoinWords && end > at && c == CharClass.Space && text[end] == ' '
                && UnicodeTables.ClassAt(text, end + 1, out int next) == CharClass.Letter)
                end += 1 + next;
            else
                return end > at ? end : -1;
        }
    }

    // [capitals]*[small]+ where letters outside ASCII are both: when no small letter follows the capitals, the last of those gives the "small" one.
    private int MatchCapitalsThenSmall(ReadOnlySpan<byte> text, int at)
    {
        int end = at, afterLastBoth = -1;
        int length;
        while ((UnicodeTables.ClassAt(text, end, out length) & _letters) != 0 && !char.IsAsciiLetterLower((char)text[end]))
        {
            bool isBoth = text[end] >= 0x80;
            end += length;
            if (isBoth)
                afterLastBoth = end;
        }

        if (length == 0 || !char.IsAsciiLetterLower((char)text[end]))
            return afterLastBoth;
        while ((UnicodeTables.ClassAt(text, end, out length) & _letters) != 0 && !char.IsAsciiLetterUpper((char)text[end]))
            end += length;
        return end;
    }

    // [capitals]+[small]*, tried where the form above fails: then only capitals of ASCII are there.
    private static int MatchCapitals(ReadOnlySpan<byte> text, int at)
    {
        int end = at;
        while (end < text.Length && char.IsAsciiLetterUpper((char)text[end]))
            end++;
        return end > at ? end : -1;
    }

    private int MatchNumber(ReadOnlySpan<byte> text, int at, CharClass c)
    {
        if (_pattern.MaxDigits == 0)
            return -1;
        int start = at;
        if (_pattern.SpacePrefix && text[at] == ' ')
            start++;
        else if (c != CharClass.Number)
            return -1;
        int end = start;
        for (int left = _pattern.MaxDigits; left > 0 && UnicodeTables.ClassAt(text, end, out int length) == CharClass.Number; left--)
            end += length;
        return end > start ? end : -1;
    }

    private int MatchPunctuation(ReadOnlySpan<byte> text, int at, CharClass c)
    {
        int start = at;
        if (text[at] == ' ')
            start++;
        else if ((c & _punctuation) == 0)
            return -1;
        int end = SkipClass(text, start, _punctuation);
        if (end == start)
            return -1;
        switch (_pattern.Tail)
        {
            case PunctuationTail.LineEnds:
                while (end < text.Length && text[end] is (byte)'\r' or (byte)'\n')
                    end++;
                break;
            case PunctuationTail.LineEndsAndSlash:
                while (end < text.Length && text[end] is (byte)'\r' or (byte)'\n' or (byte)'/')
                    end++;
                break;
            case PunctuationTail.OneLineEndOrSlash:
                if (end < text.Length && text[end] is (byte)'\r' or (byte)'\n' or (byte)'/')
                    end++;
                break;
        }

        return end;
    }

    // A run of white space whose first character leads nothing. Returns where matching goes on: the last space of a run is left to what follows.
    private int SplitSpaces(ReadOnlySpan<byte> text, int at, PieceList pieces)
    {
        if (_pattern.Lines == LineEnds.Single && text[at] is (byte)'\r' or (byte)'\n')
        {
            pieces.Add(at + 1);
            return at + 1;
        }

        int end = at, afterLineEnd = at, last = at, count = 0; // count: characters after the last line end
        while (UnicodeTables.ClassAt(text, end, out int length) == CharClass.Space)
        {
            last = end;
            end += length;
            count++;
            if (_pattern.Lines == LineEnds.WithSpaces && text[last] is (byte)'\r' or (byte)'\n')
            {
                afterLineEnd = end;
                count = 0;
            }
        }

        pieces.Add(afterLineEnd);
        if (count == 0)
            return end;
        bool atEnd = end == text.Length;
        if (!atEnd && count == 1 && afterLineEnd > at)
            return afterLineEnd; // one space is left: it may lead the word that follows
        if (_pattern.SpacePowers)
            return SplitPowers(text, afterLineEnd, count, atEnd, pieces);
        if (!atEnd && count > 1)
            end = last;
        pieces.Add(end);
        return end;
    }

    // \s{512}(?!\S)|\s{256}(?!\S)|...|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}
    private static int SplitPowers(ReadOnlySpan<byte> text, int at, int count, bool atEnd, PieceList pieces)
    {
        while (count > 0)
        {
            int available = atEnd ? count : count - 1; // that many may be taken without touching what follows
            int take = 512;
            while (take > available && take > 1)
                take /= 2;
            for (int i = 0; i < take; i++)
            {
                UnicodeTables.ClassAt(text, at, out int length);
                at += length;
            }

            count -= take;
            pieces.Add(at);
            if (count == 1 && !atEnd)
                break; // may lead the word that follows
        }

        return at;
    }
}
