// Cuts that look at a whole piece: groups of three digits counted from the right, and white space at the end.
using NativeGen.Tokenization.Unicode;

namespace NativeGen.Tokenization.Splitting;

/// <summary>
/// Numbers in groups of three from the right ("1234567" -> 1 234 567). As llama.cpp does it for afmoe and tiny_aya, what precedes a number stays
/// with its first group; a later stage parts the two.
/// </summary>
internal sealed class NumberGroupStage : SplitStage
{
    internal override void Split(ReadOnlySpan<byte> text, int start, PieceList pieces)
    {
        int at = start;
        while (at < text.Length)
        {
            if (UnicodeTables.ClassAt(text, at, out int length) != CharClass.Number)
            {
                at += length;
                continue;
            }

            int count = 0;
            for (int i = at; UnicodeTables.ClassAt(text, i, out length) == CharClass.Number; i += length)
                count++;
            for (; count > 0; count--)
            {
                UnicodeTables.ClassAt(text, at, out length);
                at += length;
                if (count % 3 == 1)
                    pieces.Add(at);
            }
        }

        pieces.Add(at);
    }
}

/// <summary>A cut before every group of three ASCII digits counted from the right: superbpe's "(?=(\d{3})+(?!\d))".</summary>
internal sealed class DigitGroupStage : SplitStage
{
    internal override void Split(ReadOnlySpan<byte> text, int start, PieceList pieces)
    {
        int at = start;
        while (at < text.Length)
        {
            int end = at;
            while (end < text.Length && char.IsAsciiDigit((char)text[end]))
                end++;
            for (; at < end; at++)
            {
                if ((end - at) % 3 == 0)
                    pieces.Add(at);
            }

            at++; // the character that is not a digit, or the end
        }

        pieces.Add(text.Length);
    }
}

/// <summary>White space at the end of a piece becomes a piece: "\s+$".</summary>
internal sealed class TrailingSpaceStage : SplitStage
{
    internal override void Split(ReadOnlySpan<byte> text, int start, PieceList pieces)
    {
        int trailing = start;
        for (int at = start; at < text.Length;)
        {
            CharClass c = UnicodeTables.ClassAt(text, at, out int length);
            at += length;
            if (c != CharClass.Space)
                trailing = at;
        }

        pieces.Add(trailing);
        pieces.Add(text.Length);
    }
}
