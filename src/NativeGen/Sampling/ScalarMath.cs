// Logarithm, exponential and powers of single numbers, the same bits on every machine: the C library's differ in their last place.
using System.Runtime.CompilerServices;

namespace NativeGen.Sampling;

internal static class ScalarMath
{
    private const double Ln2 = 0.69314718055994531;

    /// <summary>ln x within 1e-15: x = m 2^e, then the series of artanh((m - 1) / (m + 1)).</summary>
    public static double Log(double x)
    {
        if (!(x > 0) || double.IsPositiveInfinity(x))
        {
            return x == 0 ? double.NegativeInfinity : x > 0 ? x : double.NaN;
        }

        var exponent = 0;
        if (x < 2.2250738585072014e-308)
        {
            (x, exponent) = (x * 18014398509481984.0, -54); // subnormal: times 2^54
        }

        var bits = BitConverter.DoubleToInt64Bits(x);
        exponent += (int)(bits >> 52) - 1023;
        var m = BitConverter.Int64BitsToDouble((bits & 0xFFFFFFFFFFFFF) | 0x3FF0000000000000);
        if (m > 1.4142135623730951)
        {
            m *= 0.5;
            exponent++;
        }

        var s = (m - 1) / (m + 1); // at most 0.1716: the first term left out is 1e-18
        var z = s * s;
        var sum = (1.0 / 21 * z) + (1.0 / 19);
        sum = (sum * z) + (1.0 / 17);
        sum = (sum * z) + (1.0 / 15);
        sum = (sum * z) + (1.0 / 13);
        sum = (sum * z) + (1.0 / 11);
        sum = (sum * z) + (1.0 / 9);
        sum = (sum * z) + (1.0 / 7);
        sum = (sum * z) + (1.0 / 5);
        sum = (sum * z) + (1.0 / 3);
        sum = (sum * z) + 1;
        return (exponent * Ln2) + (2 * s * sum);
    }

    /// <summary>e^x within 1e-15, relative: e^x = 2^n e^r with |r| at most ln(2)/2, then the Taylor polynomial of degree 13.</summary>
    public static double Exp(double x)
    {
        if (!(Math.Abs(x) <= 700))
        {
            return x > 700 ? double.PositiveInfinity : x < -700 ? 0 : x; // beyond what anything here needs; NaN stays
        }

        var n = Math.Round(x / Ln2);
        var r = (x - (n * 0.693147180369123816490)) - (n * 1.90821492927058770002e-10); // ln 2 in two parts, the first with zeros at its end
        var p = 1.0;
        for (var k = 13; k > 0; k--)
        {
            p = 1 + (p * r / k);
        }

        return Math.ScaleB(p, (int)n);
    }

    /// <summary>x^y for x at least 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static double Pow(double x, double y) => y == 0 ? 1 : x == 0 ? 0 : Exp(y * Log(x));

    /// <summary>x^n by squaring.</summary>
    public static double Power(double x, int n)
    {
        var result = 1.0;
        for (; n > 0; n >>= 1)
        {
            result *= (n & 1) != 0 ? x : 1;
            x *= x;
        }

        return result;
    }
}
