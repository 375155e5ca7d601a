// One answer's text as it grows: pieces in, stop sequences found across their borders, what is safe to show out.
using NativeGen.Sampling;

namespace NativeGen;

internal sealed class AnswerText(StopSequences stops)
{
    private char[] _text = new char[256];
    private int _start;  // what Take has handed out already
    private int _safe;   // up to here nothing can become part of a stop sequence any more
    private int _length;

    /// <summary>A stop sequence came up; the text ends before it.</summary>
    public bool Stopped { get; private set; }

    /// <summary>How much <see cref="Take"/> would hand out.</summary>
    public int Available => _safe - _start;

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
    public void End() => _safe = _length;

    /// <summary>The text since the last call that is safe to show.</summary>
    public string Take()
    {
        var text = new string(_text, _start, _safe - _start);
        _start = _safe;
        return text;
    }

    /// <summary>Moves what was not handed out to the front, and doubles the buffer if that is not enough.</summary>
    private void MakeRoom(int more)
    {
        var kept = _text.AsSpan(_start, _length - _start);
        var target = kept.Length + more > _text.Length ? new char[Math.Max(2 * _text.Length, kept.Length + more)] : _text;
        kept.CopyTo(target);
        (_text, _safe, _length, _start) = (target, _safe - _start, _length - _start, 0);
    }
}
