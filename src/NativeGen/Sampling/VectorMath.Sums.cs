// Sums of the sampler: in double, over eight float lanes and one tree, so that they have one order on every machine.
using System.Numerics;
using System.Runtime.Intrinsics;

namespace NativeGen.Sampling;

internal static partial class VectorMath
{
    /// <summary>log(sum of e^logits), summed in double over eight lanes and one tree.</summary>
    public static double LogSumExp(ReadOnlySpan<float> logits, float max)
    {
        var top = Vector256.Create(max);
        var low = Vector256<double>.Zero;
        var high = Vector256<double>.Zero;
        var i = 0;
        for (; i <= logits.Length - Lanes; i += Lanes)
        {
            var (a, b) = Vector256.Widen(Exp(Vector256.Create(logits[i..]) - top));
            low += a;
            high += b;
        }

        if (i < logits.Length)
        {
            Span<float> tail = stackalloc float[Lanes];
            tail.Fill(float.NegativeInfinity);
            logits[i..].CopyTo(tail);
            var (a, b) = Vector256.Widen(Exp(Vector256.Create<float>(tail) - top));
            low += a;
            high += b;
        }

        return max + ScalarMath.Log(Tree(low + high));
    }

    /// <summary>The sum of the values, in double over eight lanes and one tree.</summary>
    public static double Sum(ReadOnlySpan<float> values)
    {
        var low = Vector256<double>.Zero;
        var high = Vector256<double>.Zero;
        var i = 0;
        for (; i <= values.Length - Lanes; i += Lanes)
        {
            var (a, b) = Vector256.Widen(Vector256.Create(values[i..]));
            low += a;
            high += b;
        }

        return Tree(low + high) + Tail(values[i..]);

        static double Tail(ReadOnlySpan<float> rest)
        {
            var sum = 0.0;
            foreach (var value in rest)
            {
                sum += value;
            }

            return sum;
        }
    }

    /// <summary>The sum of weight x (score - best); what has no weight counts as nothing, be its score negative infinity.</summary>
    public static double WeightedSum(ReadOnlySpan<float> scores, float best, ReadOnlySpan<float> weights)
    {
        var top = Vector256.Create((double)best);
        var low = Vector256<double>.Zero;
        var high = Vector256<double>.Zero;
        var i = 0;
        for (; i <= scores.Length - Lanes; i += Lanes)
        {
            var (a, b) = Vector256.Widen(Vector256.Create(scores[i..]));
            var (wa, wb) = Vector256.Widen(Vector256.Create(weights[i..]));
            low += Vector256.ConditionalSelect(Vector256.Equals(wa, Vector256<double>.Zero), Vector256<double>.Zero, wa * (a - top));
            high += Vector256.ConditionalSelect(Vector256.Equals(wb, Vector256<double>.Zero), Vector256<double>.Zero, wb * (b - top));
        }

        var sum = Tree(low + high);
        for (; i < scores.Length; i++)
        {
            sum += weights[i] == 0 ? 0 : weights[i] * ((double)scores[i] - best);
        }

        return sum;
    }

    /// <summary>Mean and standard deviation of the values above negative infinity, both in double; 0 of none.</summary>
    public static (double Mean, double Deviation) Moments(ReadOnlySpan<float> values)
    {
        var (count, sum) = Finite(values, 0, power: 1);
        var mean = count > 0 ? sum / count : 0;
        var squares = Finite(values, mean, power: 2).Sum;
        return (mean, count > 0 ? Math.Sqrt(squares / count) : 0);

        static (int Count, double Sum) Finite(ReadOnlySpan<float> values, double center, int power)
        {
            var middle = Vector256.Create(center);
            var low = Vector256<double>.Zero;
            var high = Vector256<double>.Zero;
            var none = Vector256.Create(double.NegativeInfinity);
            var (i, count) = (0, 0);
            for (; i <= values.Length - Lanes; i += Lanes)
            {
                var v = Vector256.Create(values[i..]);
                count += BitOperations.PopCount(Vector256.GreaterThan(v, Vector256.Create(float.NegativeInfinity)).ExtractMostSignificantBits());
                var (a, b) = Vector256.Widen(v);
                var (da, db) = (a - middle, b - middle);
                low += Vector256.ConditionalSelect(Vector256.Equals(a, none), Vector256<double>.Zero, power == 1 ? da : da * da);
                high += Vector256.ConditionalSelect(Vector256.Equals(b, none), Vector256<double>.Zero, power == 1 ? db : db * db);
            }

            var sum = Tree(low + high);
            for (; i < values.Length; i++)
            {
                if (values[i] > float.NegativeInfinity)
                {
                    count++;
                    var d = values[i] - center;
                    sum += power == 1 ? d : d * d;
                }
            }

            return (count, sum);
        }
    }

    private static double Tree(Vector256<double> lanes) => (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}
