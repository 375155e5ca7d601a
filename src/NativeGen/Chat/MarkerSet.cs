// Fixed texts that mean something in a model's output, found however the output is cut into pieces.
using System.Buffers;
using NativeGen.Tokenization;

namespace NativeGen.Chat;

internal enum MarkerMatch
{
    No,
    Yes,

    /// <summary>The text ends before it is decided.</summary>
    Wait,
}

/// <summary>Immutable and thread safe. The leftmost marker counts, of those that begin together the longest.</summary>
internal sealed class MarkerSet
{
    private readonly (string Name, string Text)[] _markers; // the longest first
    private readonly SearchValues<char> _first;

    /// <param name="marks">How control tokens stand in the output.</param>
    /// <param name="markers">The markers, with control tokens by name.</param>
    internal MarkerSet(ControlMarks marks, params IEnumerable<string> markers)
    {
        _markers = [.. markers.Distinct(StringComparer.Ordinal).Select(name => (Name: name, Text: marks.Mark(name))).Where(marker => marker.Text.Length > 0).OrderByDescending(marker => marker.Text.Length)];
        _first = SearchValues.Create([.. _markers.Select(marker => marker.Text[0]).Distinct()]);
    }

    /// <summary>Up to where the text holds no marker: at one that is found, at one that may still become whole (then there is none), or the text's end.</summary>
    /// <param name="text">The output from here on.</param>
    /// <param name="ended">No text follows.</param>
    /// <param name="marker">What is found there, or null.</param>
    /// <param name="length">Its length in the text.</param>
    internal int Find(ReadOnlySpan<char> text, bool ended, out string? marker, out int length)
    {
        (marker, length) = (null, 0);
        for (int at = 0; at < text.Length; at++)
        {
            int next = text[at..].IndexOfAny(_first);
            if (next < 0)
                break;
            at += next;
            if (Match(text[at..], ended, out marker, out length) != MarkerMatch.No)
                return at;
        }

        return text.Length;
    }

    /// <summary>Whether the text begins with a marker.</summary>
    internal MarkerMatch Match(ReadOnlySpan<char> text, bool ended, out string? marker, out int length)
    {
        (marker, length) = (null, 0);
        foreach ((string name, string candidate) in _markers)
        {
            if (text.StartsWith(candidate, StringComparison.Ordinal))
            {
                if (char.IsHighSurrogate(candidate[^1]) && !ControlMarks.BeginsWithMark(text[(candidate.Length - 1)..]))
                    continue; // half of a character
                (marker, length) = (name, candidate.Length);
                return MarkerMatch.Yes;
            }

            if (!ended && candidate.AsSpan().StartsWith(text, StringComparison.Ordinal))
                return MarkerMatch.Wait;
        }

        return MarkerMatch.No;
    }
}
