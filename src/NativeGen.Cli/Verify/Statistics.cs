// Distances between two sets of logits. All sums in double.
namespace NativeGen.Cli.Verify;

internal static class Statistics
{
    public static double MaxDifference(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        double max = 0;
        for (var i = 0; i < a.Length; i++)
            max = Largest(max, Math.Abs((double)a[i] - b[i]));
        return max;
    }

    public static double Rms(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        double sum = 0;
        for (var i = 0; i < a.Length; i++)
            sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        return Math.Sqrt(sum / a.Length);
    }

    /// <summary>Index of the largest value; the first of equals.</summary>
    public static int Best(ReadOnlySpan<float> values)
    {
        var best = 0;
        for (var i = 1; i < values.Length; i++)
        {
            if (values[i] > values[best])
                best = i;
        }
        return best;
    }

    /// <summary>Largest value minus the second largest.</summary>
    public static double Lead(ReadOnlySpan<float> values)
    {
        float first = float.NegativeInfinity, second = float.NegativeInfinity;
        foreach (var v in values)
        {
            if (v > first)
                (first, second) = (v, first);
            else if (v > second)
                second = v;
        }
        return (double)first - second;
    }

    /// <summary>ln of the sum of exp: a logit minus this is its log-probability.</summary>
    public static double LogSumExp(ReadOnlySpan<float> logits)
    {
        double max = double.NegativeInfinity;
        foreach (var v in logits)
            max = Math.Max(max, v);
        double sum = 0;
        foreach (var v in logits)
            sum += Math.Exp(v - max);
        return max + Math.Log(sum);
    }

    /// <summary>KL divergence over the listed tokens and one bucket for all others (real/README.md, "kl64").</summary>
    /// <param name="logits">the product's, of the whole vocabulary</param>
    public static double KlOfTop(ReadOnlySpan<int> ids, ReadOnlySpan<float> logprobs, ReadOnlySpan<float> logits)
    {
        var norm = LogSumExp(logits);
        double kl = 0, p = 0, q = 0;
        for (var i = 0; i < ids.Length; i++)
        {
            var (lp, lq) = ((double)logprobs[i], logits[ids[i]] - norm);
            kl += Math.Exp(lp) * (lp - lq);
            p += Math.Exp(lp);
            q += Math.Exp(lq);
        }
        var (r, s) = (Math.Max(1 - p, 0), Math.Max(1 - q, 0));
        return kl + (r > 0 ? r * Math.Log(r / Math.Max(s, double.Epsilon)) : 0);
    }

    public static double Mean(IReadOnlyCollection<double> values) => values.Count == 0 ? double.NaN : values.Sum() / values.Count;

    /// <summary>Percentile with linear interpolation, as NumPy's default. <paramref name="part"/> from 0 to 1.</summary>
    public static double Percentile(IEnumerable<double> values, double part)
    {
        var sorted = values.Order().ToArray();
        if (sorted.Length == 0)
            return double.NaN;
        if (double.IsNaN(sorted[0])) // NaN sorts first
            return double.NaN;
        var at = part * (sorted.Length - 1);
        var low = (int)at;
        return low + 1 < sorted.Length ? sorted[low] + (at - low) * (sorted[low + 1] - sorted[low]) : sorted[low];
    }

    /// <summary>The larger of the two; NaN if either is, so that a broken value is never hidden by a comparison.</summary>
    public static double Largest(double a, double b) => double.IsNaN(a) || double.IsNaN(b) ? double.NaN : Math.Max(a, b);
}
