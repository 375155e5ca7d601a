// Text on its way into BPE is first cut into words. Models publish the cuts as one or several regular expressions, applied one after the
// other: what a stage matches becomes a piece, and so does what lies between matches. Stages here are linear in the text, whatever it holds.
namespace NativeGen.Tokenization.Splitting;

/// <summary>One step of cutting. Stateless and thread safe.</summary>
internal abstract class SplitStage
{
    /// <summary>
    /// Cuts <paramref name="text"/>[<paramref name="start"/>..], which is one piece of the stage before, into smaller pieces and appends their
    /// ends. <paramref name="text"/> is UTF-8 and ends where the piece does: nothing outside it is looked at.
    /// </summary>
    internal abstract void Split(ReadOnlySpan<byte> text, int start, PieceList pieces);
}

/// <summary>Ends of consecutive pieces, in bytes from the start of the text.</summary>
internal sealed class PieceList
{
    private int[] _ends = new int[256];

    internal int Count { get; private set; }

    internal ReadOnlySpan<int> Ends => _ends.AsSpan(0, Count);

    internal int Capacity => _ends.Length;

    internal void Clear() => Count = 0;

    /// <summary>Ends a piece; an empty one (nothing since the last end) is not counted.</summary>
    internal void Add(int end)
    {
        if (Count > 0 ? _ends[Count - 1] == end : end == 0)
            return;
        if (Count == _ends.Length)
            Array.Resize(ref _ends, _ends.Length * 2);
        _ends[Count++] = end;
    }
}

/// <summary>A stage that finds its matches from left to right.</summary>
internal abstract class MatchStage : SplitStage
{
    /// <summary>End of the match that begins exactly at <paramref name="at"/>, or -1.</summary>
    protected abstract int Match(ReadOnlySpan<byte> text, int at);

    internal sealed override void Split(ReadOnlySpan<byte> text, int start, PieceList pieces)
    {
        int at = start;
        while (at < text.Length)
        {
            int end = Match(text, at);
            if (end < 0)
            {
                Unicode.UnicodeTables.ClassAt(text, at, out int length);
                at += length;
                continue;
            }

            pieces.Add(at); // what lay between
            pieces.Add(end);
            at = end;
        }

        pieces.Add(at);
    }
}
