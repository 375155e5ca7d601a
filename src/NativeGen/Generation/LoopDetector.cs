// Finds out when an answer only repeats itself.
namespace NativeGen;

/// <summary>
/// Tells when the last tokens are one passage several times in a row. For every length of passage it counts how many tokens in a row equal the one
/// that long before: a bounded number of comparisons per token, however long the answer.
/// </summary>
/// <param name="repeats">How many times in a row, at least 2.</param>
internal sealed class LoopDetector(int repeats)
{
    /// <summary>The longest passage that is noticed.</summary>
    public const int LongestPassage = 512;

    /// <summary>Less than this is no loop: "ha ha ha ha", a line of dashes.</summary>
    public const int LeastTokens = 32;

    private readonly int[] _runs = new int[LongestPassage + 1];

    /// <summary>Takes an answer's tokens after each one; true once they end in a loop.</summary>
    public bool Append(ReadOnlySpan<int> tokens)
    {
        var found = false;
        var newest = tokens[^1];
        for (var length = 1; length <= LongestPassage && length < tokens.Length; length++)
        {
            var run = tokens[^(1 + length)] == newest ? _runs[length] + 1 : 0;
            _runs[length] = run;
            found |= run + length >= Math.Max((long)repeats * length, LeastTokens);
        }

        return found;
    }
}
