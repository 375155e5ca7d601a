// One answer's text as it grows: pieces in, stop sequences found across their borders, what is safe to show out.
using System.Globalization;
using NativeGen.Sampling;

namespace NativeGen;

/// <param name="stops">Texts that end it.</param>
/// <param name="wholeGraphemes">
/// Hand out whole grapheme clusters only (what a reader takes for one character: a letter with its accents, an emoji of several parts): the
/// last one waits for what follows.
/// </param>
/// <param name="wholeSentences">Hand out whole sentences only, so that <see cref="End"/> can still cut after the last one.</param>
internal sealed class AnswerText(StopSequences stops, bool wholeGraphemes = false, bool wholeSentences = false)
{
    /// <summary>A cluster that grows beyond this is no character of any language and is let out in pieces.</summary>
    public const int LongestCluster = 64;

    private readonly SentenceEnds? _sentences = wholeSentences ? new SentenceEnds() : null;
    private char[] _text = new char[256];
    private int _start;   // what Take has handed out already
    private int _cluster; // where the last grapheme cluster of the safe text begins
    private int _safe;    // up to here nothing can become part of a stop sequence any more
    private int _length;
    private bool _ended;

    /// <summary>A stop sequence came up; the text ends before it.</summary>
    public bool Stopped { get; private set; }

    /// <summary>How much <see cref="Take"/> would hand out.</summary>
    public int Available => Shown() - _start;

    /// <summary>Adds text, of which nothing counts after a stop sequence. True if there is one.</summary>
    public bool Append(ReadOnlySpan<char> piece)
    {
        if (Stopped || piece.IsEmpty)
        {
            return Stopped;
        }

        if (_length + piece.Length > _text.Length)
        {
            MakeRoom(piece.Length);
        }

        piece.CopyTo(_text.AsSpan(_length));
        var seen = _length - _safe;
        _length += piece.Length;
        var pending = _text.AsSpan(_safe, _length - _safe);
        var cut = stops.Find(pending, seen);
        if (cut >= 0)
        {
            Stopped = true;
            _safe = _length = _safe + cut;
        }
        else
        {
            _safe = _length - stops.HeldBack(pending);
        }

        return Stopped;
    }

    /// <summary>The answer is over: what was held back is text after all.</summary>
    /// <param name="trim">Whether to leave out what follows the last whole sentence, if there is one.</param>
    public void End(bool trim = false)
    {
        _safe = _length;
        _ended = true;
        if (trim && _sentences?.Last(_text.AsSpan(0, _length), atEnd: true) is { } end)
        {
            _safe = _length = Math.Max(end, _start);
        }
    }

    /// <summary>The text since the last call that is safe to show.</summary>
    public string Take()
    {
        var end = Shown();
        var text = new string(_text, _start, end - _start);
        _start = end;
        return text;
    }

    /// <summary>Up to where the text can be handed out.</summary>
    private int Shown()
    {
        if (_ended)
        {
            return _safe;
        }

        var end = _safe;
        if (_sentences is not null)
        {
            end = Math.Max(_start, _sentences.Last(_text.AsSpan(0, _safe), atEnd: false) ?? 0);
        }

        return wholeGraphemes ? Math.Max(_start, Border(end)) : end;
    }

    /// <summary>The last border between grapheme clusters that no text to come can undo. Each cluster is looked at again only while it is the last one.</summary>
    private int Border(int end)
    {
        _cluster = Math.Max(_cluster, _start);
        while (_cluster < end)
        {
            var length = StringInfo.GetNextTextElementLength(_text.AsSpan(_cluster, _length - _cluster));
            var next = _cluster + length;
            var open = next > end || (next == _length && _text[next - 1] is not ('\n' or '\t')); // after a control character nothing joins on (UAX 29, GB4)
            if (open && length <= LongestCluster)
            {
                break;
            }

            _cluster = Math.Min(next, end);
        }

        return _cluster;
    }

    /// <summary>Moves what was not handed out to the front, and doubles the buffer if that is not enough.</summary>
    private void MakeRoom(int more)
    {
        var kept = _text.AsSpan(_start, _length - _start);
        var target = kept.Length + more > _text.Length ? new char[Math.Max(2 * _text.Length, kept.Length + more)] : _text;
        kept.CopyTo(target);
        _sentences?.Forget(_start);
        (_text, _cluster, _safe, _length, _start) = (target, Math.Max(_cluster - _start, 0), _safe - _start, _length - _start, 0);
    }
}
