// Arithmetic of the sampler, the same bits on every machine: eight float lanes, one order of operations, an exp of our own.
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace NativeGen.Sampling;

internal static partial class VectorMath
{
    private const int Lanes = 8;

    /// <summary>
    /// e^x for x at most 0, within 2 units in the last place; 0 below -87. Reduced to |r| at most ln(2)/2 (Cody and Waite, 1980), then the
    /// Taylor polynomial of degree 7, whose remainder there is 6e-9.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Exp(Vector256<float> x)
    {
        var inRange = Vector256.GreaterThan(x, Vector256.Create(-87f));
        x = Vector256.ConditionalSelect(inRange, x, Vector256<float>.Zero);

        // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits.
        var magic = Vector256.Create(12582912f);
        var shifted = (x * 1.44269504f) + magic;
        var n = shifted - magic;
        var r = x - (n * 0.693359375f);
        r += n * 2.12194440e-4f;

        var p = (r * (1f / 5040)) + Vector256.Create(1f / 720);
        p = (p * r) + Vector256.Create(1f / 120);
        p = (p * r) + Vector256.Create(1f / 24);
        p = (p * r) + Vector256.Create(1f / 6);
        p = (p * r) + Vector256.Create(0.5f);
        p = (p * r) + Vector256<float>.One;
        p = (p * r) + Vector256<float>.One;

        var exponent = shifted.AsInt32() - magic.AsInt32() + Vector256.Create(127);
        var scale = Vector256.ShiftLeft(exponent, 23).AsSingle();
        return Vector256.ConditionalSelect(inRange, p * scale, Vector256<float>.Zero);
    }

    /// <summary>weights[i] = e^(scores[i] - max).</summary>
    public static void Weights(ReadOnlySpan<float> scores, float max, Span<float> weights)
    {
        var top = Vector256.Create(max);
        var i = 0;
        for (; i <= scores.Length - Lanes; i += Lanes)
        {
            Exp(Vector256.Create(scores[i..]) - top).CopyTo(weights[i..]);
        }

        Span<float> tail = stackalloc float[Lanes];
        if (i < scores.Length)
        {
            scores[i..].CopyTo(tail);
            Exp(Vector256.Create<float>(tail) - top).CopyTo(tail);
            tail[..(scores.Length - i)].CopyTo(weights[i..]);
        }
    }

    /// <summary>keys[i] = -|score - best - middle|, the distance from the middle counted downwards, rounded once.</summary>
    public static void NegativeDistances(ReadOnlySpan<float> scores, double best, double middle, Span<float> keys)
    {
        var (top, center) = (Vector256.Create(best), Vector256.Create(middle));
        var i = 0;
        for (; i <= scores.Length - Lanes; i += Lanes)
        {
            var (a, b) = Vector256.Widen(Vector256.Create(scores[i..]));
            (-Vector256.Narrow(Vector256.Abs(a - top - center), Vector256.Abs(b - top - center))).CopyTo(keys[i..]);
        }

        for (; i < scores.Length; i++)
        {
            keys[i] = -(float)Math.Abs(scores[i] - best - middle);
        }
    }

    /// <summary>The least score of those whose weight is at least <paramref name="least"/>, or infinity.</summary>
    public static float LeastWhere(ReadOnlySpan<float> scores, ReadOnlySpan<float> weights, double least)
    {
        // The first float that is not below it, so that floats can be compared.
        var bar = (float)least < least ? MathF.BitIncrement((float)least) : (float)least;
        var limit = Vector256.Create(bar);
        var none = Vector256.Create(float.PositiveInfinity);
        var min = none;
        var i = 0;
        for (; i <= scores.Length - Lanes; i += Lanes)
        {
            min = Vector256.Min(min, Vector256.ConditionalSelect(Vector256.GreaterThanOrEqual(Vector256.Create(weights[i..]), limit), Vector256.Create(scores[i..]), none));
        }

        var result = float.PositiveInfinity;
        for (var lane = 0; lane < Lanes; lane++)
        {
            result = Math.Min(result, min[lane]);
        }

        for (; i < scores.Length; i++)
        {
            result = weights[i] >= bar ? Math.Min(result, scores[i]) : result;
        }

        return result;
    }

    /// <summary>How many values are above a threshold.</summary>
    public static int CountAbove(ReadOnlySpan<float> values, float threshold)
    {
        var bar = Vector256.Create(threshold);
        var (i, count) = (0, 0);
        for (; i <= values.Length - Lanes; i += Lanes)
        {
            count += BitOperations.PopCount(Vector256.GreaterThan(Vector256.Create(values[i..]), bar).ExtractMostSignificantBits());
        }

        for (; i < values.Length; i++)
        {
            count += values[i] > threshold ? 1 : 0;
        }

        return count;
    }

    /// <summary>Makes what is below a threshold negative infinity.</summary>
    public static void DropBelow(Span<float> values, float threshold)
    {
        var bar = Vector256.Create(threshold);
        var none = Vector256.Create(float.NegativeInfinity);
        var i = 0;
        for (; i <= values.Length - Lanes; i += Lanes)
        {
            var v = Vector256.Create<float>(values[i..]);
            Vector256.ConditionalSelect(Vector256.LessThan(v, bar), none, v).CopyTo(values[i..]);
        }

        for (; i < values.Length; i++)
        {
            values[i] = values[i] < threshold ? float.NegativeInfinity : values[i];
        }
    }

    public static bool HasNaN(ReadOnlySpan<float> values)
    {
        var same = Vector256<float>.AllBitsSet;
        var i = 0;
        for (; i <= values.Length - Lanes; i += Lanes)
        {
            var v = Vector256.Create(values[i..]);
            same &= Vector256.Equals(v, v);
        }

        var found = !Vector256.EqualsAll(same.AsInt32(), Vector256<int>.AllBitsSet);
        for (; i < values.Length; i++)
        {
            found |= float.IsNaN(values[i]);
        }

        return found;
    }

    /// <summary>The largest value. <paramref name="usable"/> is false if any is NaN or positive infinity.</summary>
    public static float Max(ReadOnlySpan<float> values, out bool usable)
    {
        var max = Vector256.Create(float.NegativeInfinity);
        var good = Vector256<float>.AllBitsSet;
        var limit = Vector256.Create(float.MaxValue);
        var i = 0;
        for (; i <= values.Length - Lanes; i += Lanes)
        {
            var v = Vector256.Create(values[i..]);
            good &= Vector256.LessThanOrEqual(v, limit); // false for NaN
            max = Vector256.Max(max, v);
        }

        var best = max[0];
        for (var lane = 1; lane < Lanes; lane++)
        {
            best = Math.Max(best, max[lane]);
        }

        usable = Vector256.EqualsAll(good.AsInt32(), Vector256<int>.AllBitsSet);
        for (; i < values.Length; i++)
        {
            usable &= values[i] <= float.MaxValue;
            best = Math.Max(best, values[i]);
        }

        return best;
    }

    /// <summary>The first index from <paramref name="start"/> on whose value is at least <paramref name="threshold"/>, or the length.</summary>
    public static int NextAtLeast(ReadOnlySpan<float> values, int start, float threshold)
    {
        var i = start;
        if (i < values.Length && values[i] >= threshold)
        {
            return i; // where most are kept, no vector is needed to find the next one
        }

        var bar = Vector256.Create(threshold);
        for (; i <= values.Length - Lanes; i += Lanes)
        {
            var found = Vector256.GreaterThanOrEqual(Vector256.Create(values[i..]), bar).ExtractMostSignificantBits();
            if (found != 0)
            {
                return i + BitOperations.TrailingZeroCount(found);
            }
        }

        while (i < values.Length && !(values[i] >= threshold))
        {
            i++;
        }

        return i;
    }

    /// <summary>Values minus one number.</summary>
    public static void Subtract(ReadOnlySpan<float> values, float subtrahend, Span<float> differences)
    {
        var by = Vector256.Create(subtrahend);
        var i = 0;
        for (; i <= values.Length - Lanes; i += Lanes)
        {
            (Vector256.Create(values[i..]) - by).CopyTo(differences[i..]);
        }

        for (; i < values.Length; i++)
        {
            differences[i] = values[i] - subtrahend;
        }
    }

    public static void Divide(Span<float> values, float divisor)
    {
        var by = Vector256.Create(divisor);
        var i = 0;
        for (; i <= values.Length - Lanes; i += Lanes)
        {
            (Vector256.Create<float>(values[i..]) / by).CopyTo(values[i..]);
        }

        for (; i < values.Length; i++)
        {
            values[i] /= divisor;
        }
    }

    /// <summary>
    /// The k-th largest value that is above negative infinity, or negative infinity if there are fewer. One pass keeps what exceeds the k-th
    /// best so far in a buffer and thins it out when it is full: linear in the worst order, too.
    /// </summary>
    /// <param name="buffer">At least min(values.Length, max(2k, k + 256)) long.</param>
    public static float KthLargest(ReadOnlySpan<float> values, int k, Span<float> buffer)
    {
        buffer = buffer[..Math.Min(values.Length, Math.Max(2 * k, k + 256))];
        var threshold = float.NegativeInfinity;
        var bar = Vector256.Create(threshold);
        var count = 0;
        var i = 0;
        for (; i <= values.Length - Lanes; i += Lanes)
        {
            var above = Vector256.GreaterThan(Vector256.Create(values[i..]), bar).ExtractMostSignificantBits();
            for (; above != 0; above &= above - 1)
            {
                Push(values[i + BitOperations.TrailingZeroCount(above)], buffer);
            }
        }

        for (; i < values.Length; i++)
        {
            Push(values[i], buffer);
        }

        return count < k ? float.NegativeInfinity : Select(buffer[..count], k);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        void Push(float value, Span<float> buffer)
        {
            if (!(value > threshold))
            {
                return; // the bar rose within this vector, or NaN
            }

            if (count == buffer.Length)
            {
                threshold = Select(buffer, k);
                bar = Vector256.Create(threshold);
                count = k;
                if (!(value > threshold))
                {
                    return;
                }
            }

            buffer[count++] = value;
        }
    }

    /// <summary>Moves the k largest values to the front and returns the k-th of them (Hoare's quickselect).</summary>
    private static float Select(Span<float> values, int k)
    {
        int low = 0, high = values.Length - 1, target = k - 1;
        while (low < high)
        {
            var pivot = MedianOfThree(values[low], values[low + ((high - low) / 2)], values[high]);
            int i = low, j = high;
            while (i <= j)
            {
                while (values[i] > pivot)
                {
                    i++;
                }

                while (values[j] < pivot)
                {
                    j--;
                }

                if (i <= j)
                {
                    (values[i], values[j]) = (values[j], values[i]);
                    i++;
                    j--;
                }
            }

            if (target <= j)
            {
                high = j;
            }
            else if (target >= i)
            {
                low = i;
            }
            else
            {
                break;
            }
        }

        return values[target];
    }

    private static float MedianOfThree(float a, float b, float c) =>
        a < b ? (b < c ? b : Math.Max(a, c)) : (a < c ? a : Math.Max(b, c));
}
