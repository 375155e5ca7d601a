// A string that knows which of its characters came from message content, so that they are never taken for control tokens.
using System.Text;

namespace NativeGen.Templates;

/// <summary>
/// Immutable text, and the stretches of it that came from content (sorted, disjoint; null if none did: most strings, which then pay nothing). Python
/// counts characters, .NET UTF-16 units: <see cref="Length"/> and indexes are Python's.
/// </summary>
internal sealed class JinjaString
{
    internal static readonly JinjaString Empty = new("");

    internal JinjaString(string text, List<(int Start, int End)>? literal = null, bool safe = false) => (Text, Literal, IsSafe) = (text, literal is { Count: > 0 } ? literal : null, safe);

    internal string Text { get; }

    /// <summary>From content, in UTF-16 units.</summary>
    internal List<(int Start, int End)>? Literal { get; }

    /// <summary>Escaped for HTML already.</summary>
    internal bool IsSafe { get; }

    /// <summary>All of it from content.</summary>
    internal static JinjaString Content(string text) => new(text, text.Length > 0 ? [(0, text.Length)] : null);

    internal bool HasSurrogates => Text.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF') >= 0;

    internal int Length => HasSurrogates ? Text.EnumerateRunes().Count() : Text.Length;

    /// <summary>Part of it, in UTF-16 units.</summary>
    internal JinjaString Part(int start, int end)
    {
        if (start >= end)
            return Empty;
        if (start == 0 && end == Text.Length)
            return this;
        return new(Text[start..end], Literal?.Where(range => range.Start < end && range.End > start).Select(range => (Math.Max(range.Start, start) - start, Math.Min(range.End, end) - start)).ToList(), IsSafe);
    }

    /// <summary>UTF-16 offsets of each character and of the end.</summary>
    internal int[] Offsets()
    {
        List<int> offsets = [];
        for (int i = 0; i < Text.Length; i += char.IsHighSurrogate(Text[i]) && i + 1 < Text.Length ? 2 : 1)
            offsets.Add(i);
        offsets.Add(Text.Length);
        return [.. offsets];
    }

    /// <summary>Another text made of this one: where its characters went cannot be told, so all of it counts as content if some did.</summary>
    internal JinjaString Become(string text) => text == Text ? this : new(text, Literal is null || text.Length == 0 ? null : [(0, text.Length)], IsSafe);

    /// <summary>Another text of which each character stands where it stood.</summary>
    internal JinjaString Recased(string text) => text.Length == Text.Length ? new(text, Literal, IsSafe) : Become(text);

    internal JinjaString Trimmed(Func<char, bool> drop, bool left, bool right)
    {
        int start = 0, end = Text.Length;
        while (left && start < end && drop(Text[start]))
            start++;
        while (right && end > start && drop(Text[end - 1]))
            end--;
        return Part(start, end);
    }

    internal JinjaString Replaced(string old, JinjaString with, int most)
    {
        if (most == 0 || (old.Length > 0 && !Text.Contains(old, StringComparison.Ordinal)))
            return this;
        Builder builder = new();
        int at = 0, count = 0;
        if (old.Length == 0)
        {
            int[] offsets = Offsets();
            for (int i = 0; i < offsets.Length; i++)
            {
                if (most < 0 || count++ < most)
                    builder.Append(with);
                if (i + 1 < offsets.Length)
                    builder.Append(Part(offsets[i], offsets[i + 1]));
            }

            return builder.ToJinja();
        }

        while (most < 0 || count < most)
        {
            int found = Text.IndexOf(old, at, StringComparison.Ordinal);
            if (found < 0)
                break;
            builder.Append(Part(at, found));
            builder.Append(with);
            at = found + old.Length;
            count++;
        }

        builder.Append(Part(at, Text.Length));
        return builder.ToJinja();
    }

    public override bool Equals(object? other) => other is JinjaString s && s.Text == Text;

    public override int GetHashCode() => Text.GetHashCode(StringComparison.Ordinal);

    public override string ToString() => Text;

    /// <summary>Puts strings together.</summary>
    internal sealed class Builder
    {
        private readonly StringBuilder _text = new();
        private readonly List<(int Start, int End)> _literal = [];

        internal int Length => _text.Length;

        internal void Append(string text) => _text.Append(text);

        internal void Append(JinjaString text)
        {
            if (text.Literal is { } literal)
            {
                foreach ((int start, int end) in literal)
                {
                    if (_literal.Count > 0 && _literal[^1].End == _text.Length + start)
                        _literal[^1] = (_literal[^1].Start, _text.Length + end);
                    else
                        _literal.Add((_text.Length + start, _text.Length + end));
                }
            }

            _text.Append(text.Text);
        }

        internal JinjaString ToJinja() => _text.Length == 0 ? Empty : new(_text.ToString(), [.. _literal]);
    }
}
