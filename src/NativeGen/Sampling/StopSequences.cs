// Where an answer's text ends by the caller's stop sequences, however the text is cut into tokens.
namespace NativeGen.Sampling;

/// <summary>A set of texts that end an answer. Immutable and thread safe.</summary>
internal sealed class StopSequences
{
    private readonly string[] _sequences;

    /// <param name="sequences">Not empty each, and whole Unicode scalars.</param>
    public StopSequences(IEnumerable<string> sequences) => _sequences = [.. sequences.Distinct(StringComparer.Ordinal)];

    public static StopSequences None { get; } = new([]);

    public bool IsEmpty => _sequences.Length == 0;

    /// <summary>
    /// Where the first stop sequence begins that is complete by a position from <paramref name="from"/> on, or -1. The one that completes
    /// first counts; of those that complete together, the longest. So the answer does not depend on how the text arrives.
    /// </summary>
    /// <param name="text">The text so far that no earlier call released.</param>
    /// <param name="from">How much of it an earlier call has seen.</param>
    public int Find(ReadOnlySpan<char> text, int from)
    {
        for (var end = from + 1; end <= text.Length && _sequences.Length > 0; end++)
        {
            var longest = 0;
            foreach (var sequence in _sequences)
            {
                if (sequence.Length > longest && text[..end].EndsWith(sequence, StringComparison.Ordinal))
                {
                    longest = sequence.Length;
                }
            }

            if (longest > 0)
            {
                return end - longest;
            }
        }

        return -1;
    }

    /// <summary>How much of the text's end may be the beginning of a stop sequence and has to wait for what follows.</summary>
    public int HeldBack(ReadOnlySpan<char> text)
    {
        var held = 0;
        foreach (var sequence in _sequences)
        {
            for (var length = Math.Min(sequence.Length - 1, text.Length); length > held; length--)
            {
                if (text.EndsWith(sequence.AsSpan(0, length), StringComparison.Ordinal))
                {
                    held = length;
                }
            }
        }

        return held;
    }
}
