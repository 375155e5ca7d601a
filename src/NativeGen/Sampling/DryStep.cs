// "Don't repeat yourself": the penalty grows with the length of the passage that a token would go on repeating (p-e-w, 2024; as llama.cpp has it).
namespace NativeGen.Sampling;

/// <summary>
/// Lowers tokens that would continue a passage which the history's end repeats: by multiplier x base^(length of the repetition -
/// allowed length). Breakers, such as line ends and quotation marks, end a passage. Linear time in the history.
/// </summary>
public sealed class DryStep : SamplerStep
{
    private readonly double _multiplier;
    private readonly double _base;
    private readonly int _allowedLength;
    private readonly int _lastTokens;
    private readonly int _largestPower;
    private readonly DryBreakers _breakers;

    /// <summary>Takes the breakers as token sequences.</summary>
    /// <param name="multiplier">The penalty of the shortest repetition that is not allowed; 0 is off.</param>
    /// <param name="base">How much each further token multiplies it by; less than 1 is off.</param>
    /// <param name="allowedLength">A repetition this long has the penalty <paramref name="multiplier"/>, a shorter one none.</param>
    /// <param name="lastTokens">How many tokens of the history's end are looked at.</param>
    /// <param name="breakers">Sequences that no repetition reaches across; a single token among them is never lowered.</param>
    public DryStep(float multiplier, float @base, int allowedLength, int lastTokens = int.MaxValue, IEnumerable<IReadOnlyList<int>>? breakers = null)
        : this(multiplier, @base, allowedLength, lastTokens, new DryBreakers(breakers ?? []))
    {
    }

    internal DryStep(float multiplier, float @base, int allowedLength, int lastTokens, DryBreakers breakers)
    {
        (_multiplier, _base, _allowedLength, _lastTokens, _breakers) = (multiplier, @base, allowedLength, lastTokens, breakers);
        _largestPower = @base > 1.000001f ? (int)(88.7228391 / ScalarMath.Log(@base)) : int.MaxValue; // beyond it the penalty leaves a float
    }

    internal override void Apply(Candidates candidates, in SamplingContext context)
    {
        var tokens = context.History[Math.Max(context.History.Length - _lastTokens, 0)..];
        if (_multiplier == 0 || _base < 1 || tokens.Length <= _allowedLength)
        {
            return;
        }

        var limit = _breakers.DistanceFromEnd(tokens);
        if (limit < _allowedLength)
        {
            return;
        }

        var scores = candidates.MutableScores();
        var longest = candidates.Counts; // by index: how long a repetition the token would continue, plus 1
        var lengths = RepeatLengths(tokens, candidates.Scratch(tokens.Length));
        for (var back = 1; back < tokens.Length; back++)
        {
            var length = Math.Min(lengths[back], limit);
            if (length >= _allowedLength && candidates.IndexOf(tokens[^back]) is >= 0 and var index)
            {
                longest[index] = Math.Max(longest[index], length + 1);
            }
        }

        for (var back = 1; back < tokens.Length; back++)
        {
            if (candidates.IndexOf(tokens[^back]) is >= 0 and var index && longest[index] > 0)
            {
                var power = Math.Min(longest[index] - 1 - _allowedLength, _largestPower);
                longest[index] = 0;
                if (!_breakers.IsSingle(tokens[^back]))
                {
                    scores[index] -= (float)(_multiplier * ScalarMath.Power(_base, power));
                }
            }
        }
    }

    /// <summary>
    /// lengths[back] = how many tokens before the last <paramref name="tokens"/>[^back..] equal those at the end: the Z function (Gusfield, 1997)
    /// of the reversed text, so that the token that followed that earlier occurrence is tokens[^back].
    /// </summary>
    internal static Span<int> RepeatLengths(ReadOnlySpan<int> tokens, Span<int> lengths)
    {
        var (left, right) = (0, 0); // the rightmost stretch that is known to equal the beginning (of the reversed text)
        lengths[0] = tokens.Length;
        for (var k = 1; k < tokens.Length; k++)
        {
            var length = k < right ? Math.Min(right - k, lengths[k - left]) : 0;
            while (k + length < tokens.Length && tokens[^(1 + length)] == tokens[^(1 + k + length)])
            {
                length++;
            }

            lengths[k] = length;
            if (k + length > right)
            {
                (left, right) = (k, k + length);
            }
        }

        return lengths;
    }
}

/// <summary>Sequences of tokens that no repetition reaches across. Immutable; made once for a vocabulary and a list of texts.</summary>
internal sealed class DryBreakers
{
    private readonly bool[] _heads;  // by token: a breaker begins with it
    private readonly bool[] _single; // by token: it is a breaker by itself
    private readonly Dictionary<int, int[][]> _tails; // what else the breakers with this head consist of, longest first

    public DryBreakers(IEnumerable<IReadOnlyList<int>> sequences)
    {
        IReadOnlyList<int>[] all = [.. sequences.Where(sequence => sequence.Count > 0 && sequence[0] >= 0)];
        var size = all.Length == 0 ? 0 : all.Max(sequence => sequence[0]) + 1;
        _heads = new bool[size];
        _single = new bool[size];
        foreach (var sequence in all)
        {
            _heads[sequence[0]] = true;
            _single[sequence[0]] |= sequence.Count == 1;
        }

        _tails = all.Where(sequence => sequence.Count > 1).GroupBy(sequence => sequence[0])
            .ToDictionary(group => group.Key, group => group.Select(sequence => sequence.Skip(1).ToArray()).OrderByDescending(tail => tail.Length).ToArray());
    }

    public bool IsSingle(int token) => (uint)token < (uint)_single.Length && _single[token];

    /// <summary>How many tokens follow the last breaker; all, if there is none. Where several begin at one token the longest counts.</summary>
    public int DistanceFromEnd(ReadOnlySpan<int> tokens)
    {
        for (var i = 0; i < tokens.Length; i++)
        {
            var head = tokens[^(i + 1)];
            if ((uint)head >= (uint)_heads.Length || !_heads[head])
            {
                continue;
            }

            foreach (var tail in _tails.GetValueOrDefault(head, []))
            {
                if (tail.Length <= i && tokens[^i..].StartsWith(tail))
                {
                    return i - tail.Length;
                }
            }

            if (_single[head])
            {
                return i;
            }
        }

        return tokens.Length;
    }
}
