// The model's output as the parser reads it: pieces in at the end, read from the front, kept from a mark on for the case that it was no call after all.
namespace NativeGen.Chat;

internal sealed class TextCursor
{
    private char[] _text = new char[256];
    private int _mark = -1; // what is kept begins here
    private int _at;
    private int _length;

    /// <summary>No text follows.</summary>
    internal bool Ended { get; set; }

    internal ReadOnlySpan<char> Rest => _text.AsSpan(_at, _length - _at);

    internal bool IsEmpty => _at == _length;

    /// <summary>The next character; there must be one.</summary>
    internal char Next => _text[_at];

    /// <summary>What was read since the mark.</summary>
    internal ReadOnlySpan<char> Raw => _text.AsSpan(_mark, _at - _mark);

    internal void Append(ReadOnlySpan<char> text)
    {
        if (_length + text.Length > _text.Length)
            MakeRoom(text.Length);
        text.CopyTo(_text.AsSpan(_length));
        _length += text.Length;
    }

    internal void Advance(int count) => _at += count;

    internal void Mark() => _mark = _at;

    internal void Unmark() => _mark = -1;

    // Moved only if that frees half of it, so that the moves cost no more than the text.
    private void MakeRoom(int more)
    {
        int from = _mark >= 0 ? _mark : _at, kept = _length - from;
        char[] target = 2 * (kept + more) > _text.Length ? new char[Math.Max(2 * _text.Length, 2 * (kept + more))] : _text;
        _text.AsSpan(from, kept).CopyTo(target);
        (_text, _at, _length, _mark) = (target, _at - from, kept, _mark >= 0 ? 0 : -1);
    }
}
