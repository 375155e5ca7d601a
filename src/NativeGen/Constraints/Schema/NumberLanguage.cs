// Sets of numbers as automata over their canonical decimal text (no exponent, no useless zeros): one text for one value, so the operations of
// sets are exact.
using System.Numerics;

namespace NativeGen.Constraints.Schema;

internal static class NumberLanguage
{
    /// <summary>The most remainders a multipleOf may have.</summary>
    internal const int MostRemainders = 5_000;

    /// <summary>Digits of a number with a fraction that a double keeps apart: with more of them a reader would round across a bound.</summary>
    private const int SureDigits = 15;

    private static readonly Expr Digit = Digits('0', '9');
    private static readonly Expr Whole = Expr.Choice(Expr.Text("0"), Expr.Sequence(Digits('1', '9'), Expr.Repeat(Digit, 0)));

    // The rest of a fraction; the last digit says something.
    private static readonly Expr FractionDigits = Expr.Sequence(Expr.Repeat(Digit, 0), Digits('1', '9'));
    private static readonly Expr Fraction = Expr.Sequence(Expr.Text("."), FractionDigits);

    internal static Dfa NotNegative { get; } = Dfa.From(Expr.Sequence(Whole, Expr.Optional(Fraction)));

    internal static Dfa All { get; } = Negative(NotNegative).Union(NotNegative);

    internal static Dfa Integers { get; } = Dfa.From(Expr.Choice(Expr.Text("0"), Expr.Sequence(Expr.Optional(Expr.Text("-")), Digits('1', '9'), Expr.Repeat(Digit, 0))));

    /// <summary>Integers of any length, and fractions short enough for a double.</summary>
    internal static Dfa Sure { get; } = Integers.Union(Dfa.From(Expr.Sequence(Expr.Optional(Expr.Text("-")),
        Expr.Choice([.. Enumerable.Range(1, SureDigits - 1).Select(i => Expr.Sequence(Expr.Repeat(Digit, i, i), Expr.Text("."), Expr.Repeat(Digit, 1, SureDigits - i)))]))));

    /// <summary>Any number as JSON allows it, exponents too.</summary>
    internal static Expr Json { get; } = Expr.Sequence(Expr.Optional(Expr.Text("-")), Whole, Expr.Optional(Expr.Sequence(Expr.Text("."), Expr.Repeat(Digit, 1))),
        Expr.Optional(Expr.Sequence(Expr.Chars(CodePointSet.Of("eE")), Expr.Optional(Expr.Chars(CodePointSet.Of("+-"))), Expr.Repeat(Digit, 1, 2))));

    /// <param name="bound">Canonical.</param>
    internal static Dfa Above(string bound, bool inclusive)
    {
        if (bound[0] != '-')
            return MagnitudeAbove(bound, inclusive);
        // -2 <= x: what is not negative, and -m with m <= 2
        return NotNegative.Union(Negative(NotNegative.Except(MagnitudeAbove(bound[1..], !inclusive))));
    }

    /// <param name="bound">Canonical.</param>
    internal static Dfa Below(string bound, bool inclusive) => All.Except(Above(bound, !inclusive));

    /// <param name="factor">Canonical, above 0.</param>
    /// <returns>null: it would take too many states.</returns>
    internal static Dfa? MultiplesOf(string factor)
    {
        int dot = factor.IndexOf('.', StringComparison.Ordinal), scale = dot < 0 ? 0 : factor.Length - dot - 1;
        BigInteger divisor = BigInteger.Parse(factor.Replace(".", "", StringComparison.Ordinal), System.Globalization.CultureInfo.InvariantCulture);
        if (divisor * (scale + 1) > MostRemainders)
            return null;

        // x is a multiple if x * 10^scale is one of the divisor: read digits, keep the remainder, fill up to scale with zeros.
        int m = (int)divisor;
        GrammarBuilder builder = new();
        RuleId[,] states = new RuleId[scale + 1, m];
        for (int place = 0; place <= scale; place++)
        {
            for (int rest = 0; rest < m; rest++)
                states[place, rest] = builder.Declare("remainder");
        }

        for (int place = 0; place <= scale; place++)
        {
            for (int rest = 0; rest < m; rest++)
            {
                List<Expr> ways = [];
                if (place == 0 || place < scale)
                {
                    int to = place == 0 ? 0 : place + 1;
                    for (int digit = 0; digit < 10; digit++)
                        ways.Add(Expr.Sequence(Expr.Text(((char)('0' + digit)).ToString()), Expr.Reference(states[to, ((rest * 10) + digit) % m])));
                }

                if (place == 0 && scale > 0)
                {
                    for (int digit = 0; digit < 10; digit++)
                        ways.Add(Expr.Sequence(Expr.Text("." + (char)('0' + digit)), Expr.Reference(states[1, ((rest * 10) + digit) % m])));
                }

                BigInteger filled = rest * BigInteger.Pow(10, scale - place) % m;
                if (filled.IsZero)
                    ways.Add(Expr.Empty);
                builder.Define(states[place, rest], Expr.Choice([.. ways]));
            }
        }

        RuleId root = builder.Add("multiple", Expr.Sequence(Expr.Optional(Expr.Text("-")), Expr.Reference(states[0, 0])));
        return Dfa.FromGrammar(builder, root).Intersect(All);
    }

    private static Dfa Negative(Dfa magnitudes)
    {
        Dfa some = magnitudes.Except(Dfa.OfTexts(["0"]));
        return some.IsEmpty ? Dfa.None : Dfa.From(Expr.Sequence(Expr.Text("-"), Expr.Regular(some)));
    }

    private static Dfa MagnitudeAbove(string bound, bool inclusive)
    {
        int dot = bound.IndexOf('.', StringComparison.Ordinal);
        string whole = dot < 0 ? bound : bound[..dot], part = dot < 0 ? "" : bound[(dot + 1)..];
        Expr anyFraction = Expr.Optional(Fraction), anyTail = Expr.Optional(FractionDigits);
        List<Expr> ways = [Expr.Sequence(Digits('1', '9'), Expr.Repeat(Digit, whole.Length), anyFraction)]; // more digits
        for (int i = 0; i < whole.Length; i++)
        {
            if (whole[i] < '9')
                ways.Add(Expr.Sequence(Expr.Text(whole[..i]), Digits((char)(whole[i] + 1), '9'), Expr.Repeat(Digit, whole.Length - i - 1, whole.Length - i - 1), anyFraction));
        }

        if (part.Length == 0)
            ways.Add(Expr.Sequence(Expr.Text(whole), inclusive ? anyFraction : Fraction));
        for (int i = 0; i < part.Length; i++)
        {
            if (part[i] < '9')
                ways.Add(Expr.Sequence(Expr.Text($"{whole}.{part[..i]}"), Digits((char)(part[i] + 1), '9'), anyTail));
        }

        if (part.Length > 0)
            ways.Add(Expr.Sequence(Expr.Text(bound), inclusive ? anyTail : FractionDigits));
        return Dfa.From(Expr.Choice([.. ways]));
    }

    private static Expr Digits(char first, char last) => Expr.Chars(CodePointSet.Range(first, last));
}
