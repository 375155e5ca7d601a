// Bounds as automata against decimal arithmetic.
using System.Globalization;
using NativeGen.Constraints;
using NativeGen.Constraints.Schema;

namespace NativeGen.Tests.Constraints.Schema;

public sealed class NumberLanguageTests
{
    [Fact]
    public void BoundsAreThoseOfArithmetic()
    {
        int seed = Environment.TickCount;
        Random random = new(seed);
        for (int i = 0; i < 60; i++)
        {
            decimal bound = Draw(random);
            Dfa atLeast = NumberLanguage.Above(Text(bound), inclusive: true), above = NumberLanguage.Above(Text(bound), inclusive: false);
            Dfa atMost = NumberLanguage.Below(Text(bound), inclusive: true), below = NumberLanguage.Below(Text(bound), inclusive: false);
            for (int j = 0; j < 100; j++)
            {
                decimal value = j == 0 ? bound : j % 4 == 0 ? bound + (random.Next(-3, 4) * 0.01m) : Draw(random);
                string text = Text(value), what = $"seed {seed}: {text} and {Text(bound)}";
                Assert.True(atLeast.Matches(text) == value >= bound, what);
                Assert.True(above.Matches(text) == value > bound, what);
                Assert.True(atMost.Matches(text) == value <= bound, what);
                Assert.True(below.Matches(text) == value < bound, what);
            }
        }
    }

    [Theory]
    [InlineData("7")]
    [InlineData("0.25")]
    [InlineData("1.5")]
    [InlineData("100")]
    public void MultiplesAreThoseOfArithmetic(string factor)
    {
        Dfa multiples = NumberLanguage.MultiplesOf(factor)!;
        decimal divisor = decimal.Parse(factor, CultureInfo.InvariantCulture);
        for (decimal value = -30; value < 230; value += 0.125m)
            Assert.True(multiples.Matches(Text(value)) == (value % divisor == 0), Text(value));
    }

    [Theory]
    [InlineData("-0.0", "0")]
    [InlineData("1.50e1", "15")]
    [InlineData("-12.500", "-12.5")]
    [InlineData("1e-3", "0.001")]
    [InlineData("0.00012E+2", "0.012")]
    [InlineData("120e2", "12000")]
    public void OneTextForOneValue(string raw, string canonical) => Assert.Equal(canonical, JsonTexts.Number(raw));

    private static decimal Draw(Random random) => random.Next(4) switch
    {
        0 => random.Next(-12, 13),
        1 => random.Next(-2000, 2000) / 100m,
        2 => random.Next(-100_000, 100_000),
        _ => random.Next(-1000, 1000) / 1000m,
    };

    private static string Text(decimal value) => JsonTexts.Number(value.ToString(CultureInfo.InvariantCulture));
}
