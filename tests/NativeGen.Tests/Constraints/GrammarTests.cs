// Grammars: the goldens, patterns against .NET's regular expressions, masks against trying every token, hostile texts.
using System.Text;
using System.Text.RegularExpressions;
using NativeGen.Constraints;
using NativeGen.Models;
using NativeGen.Tests.Parity;
using NativeGen.Tokenization;

namespace NativeGen.Tests.Constraints;

public sealed class GrammarTests
{
    [Theory, InlineData("gbnf.json"), InlineData("gbnf_errors.json"), InlineData("masks.json")]
    public void Goldens(string file) => Verified.CheckAll(TestData.Shared("fixtures", "grammar", file));

    [Fact]
    public void PatternsMatchWhatDotNetMatches()
    {
        Random random = new(20261124);
        int matched = 0, large = 0;
        for (int round = 0; round < 150; round++)
        {
            string pattern = Pattern(random, 3);
            Dfa whole, within;
            try
            {
                (whole, within) = (Dfa.From(RegexParser.Whole(pattern)), RegexParser.Search(pattern));
            }
            catch (GrammarException)
            {
                large++;
                continue;
            }

            Regex truth = new(pattern, RegexOptions.ECMAScript | RegexOptions.CultureInvariant), bound = new($"^(?:{pattern})(?!\n)$", RegexOptions.CultureInvariant);
            for (int i = 0; i < 20; i++)
            {
                string text = new([.. Enumerable.Range(0, random.Next(7)).Select(_ => "ab01 "[random.Next(5)])]);
                Assert.True(truth.IsMatch(text) == within.Matches(text), $"/{pattern}/ in '{text}'");
                Assert.True(bound.IsMatch(text) == whole.Matches(text), $"/^(?:{pattern})$/ on '{text}'");
                matched += whole.Matches(text) ? 1 : 0;
            }
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{matched} matches, {large} patterns refused for their size");
        Assert.InRange(matched, 50, 2900);
        Assert.InRange(large, 0, 15);
    }

    [Theory]
    [InlineData(@"(a)\1", "back references")]
    [InlineData("a(?=b)", "look-around")]
    [InlineData("(?<!b)a", "look-around")]
    [InlineData(@"\bword", "not supported")]
    [InlineData("(a", "never closed")]
    [InlineData("a)", "without a (")]
    [InlineData("[a", "never closed")]
    [InlineData("*a", "nothing before")]
    [InlineData("a{3,2}", "at least 3")]
    [InlineData(@"\p{Nonsense}", "not supported")]
    public void WhatIsNoRegularPatternIsRefusedWithItsPlace(string pattern, string says)
    {
        GrammarException error = Assert.Throws<GrammarException>(() => RegexParser.Whole(pattern));
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        Assert.True(error.Column >= 1);
    }

    [Fact]
    public void DeepNestingCostsNoStack()
    {
        string deep = new string('(', 20_000) + "a" + new string(')', 20_000);
        Assert.True(Dfa.From(RegexParser.Whole(deep)).Matches("a"));
        try
        {
            GbnfParser.Parse("root ::= " + deep.Replace("a", "\"a\"", StringComparison.Ordinal));
        }
        catch (GrammarException)
        {
            // beyond a limit
        }
    }

    [Fact]
    public void MasksAreWhatTryingEveryTokenGives()
    {
        Tokenizer tokenizer = Model.Open(TestData.StoryModel, cancellationToken: TestContext.Current.CancellationToken).Tokenizer;
        const string Json = """
            root ::= value
            value ::= "{" (string ":" value ("," string ":" value)*)? "}" | "[" (value ("," value)*)? "]" | string | "-"? [0-9]{1,5} | "true" | "null"
            string ::= "\"" ([^"\\\x00-\x1F] | "\\" ["\\/bfnrt])* "\""
            """;
        TokenGrammar masks = new(GbnfParser.Parse(Json), TokenVocabulary.Of(tokenizer));
        ulong[] allowed = new ulong[masks.Vocabulary.Words];
        Random random = new(5);
        int checkedTokens = 0;
        for (int round = 0; round < 40; round++)
        {
            GrammarState state = masks.Start;
            for (int step = 0; step < 8; step++)
            {
                masks.Allowed(state, allowed);
                List<int> next = [];
                for (int id = 0; id < tokenizer.VocabularySize; id++)
                {
                    bool expected = tokenizer.IsEndOfGeneration(id) ? masks.CanStop(state)
                        : !tokenizer.IsSpecial(id) && tokenizer.Piece(id) is [not 0, ..] && !masks.Follow(state, tokenizer.Piece(id)).IsDead;
                    Assert.True(expected == ((allowed[id >> 6] >> id & 1) != 0), $"token {id} '{Encoding.UTF8.GetString(tokenizer.Piece(id))}'");
                    if (expected && !tokenizer.IsEndOfGeneration(id))
                        next.Add(id);
                    checkedTokens++;
                }

                if (next.Count == 0)
                    break;
                state = masks.Follow(state, tokenizer.Piece(next[random.Next(next.Count)]));
            }
        }

        Assert.True(checkedTokens > 100_000);
    }

    [Fact]
    public void ATextThatEndsInsideACharacterGoesOnWithTheRest()
    {
        Automaton automaton = new(GbnfParser.Parse("root ::= [é😀]"));
        byte[] smile = Encoding.UTF8.GetBytes("😀");
        int state = automaton.Start;
        foreach (byte value in smile.AsSpan(0, 3))
            state = automaton.Step(state, value);
        Assert.NotEqual(Automaton.Dead, state);
        Assert.False(automaton.CanStop(state));
        Assert.Equal(Automaton.Dead, automaton.Step(state, 0x81)); // U+1F601
        Assert.True(automaton.CanStop(automaton.Step(state, smile[3])));
        Assert.Equal(Automaton.Dead, automaton.Step(automaton.Start, 0xC0)); // overlong
        Assert.Equal(Automaton.Dead, automaton.Step(automaton.Step(automaton.Start, 0xED), 0xA0)); // a surrogate
    }

    [Fact]
    public void RandomTextsAreGrammarsOrRefused()
    {
        Random random = new(7);
        string[] parts = ["root", " ::= ", "\"a\"", "[a-z]", "(", ")", "|", "*", "+", "?", "{2,3}", "\n", "x", " ", "\\", "[^", "]", "{,", "é", "\0", "#", ".", "\"", "{99999}"];
        int taken = 0;
        for (int round = 0; round < 5000; round++)
        {
            string text = (random.Next(2) == 0 ? "root ::= " : "") + string.Concat(Enumerable.Range(0, random.Next(25)).Select(_ => parts[random.Next(parts.Length)]));
            try
            {
                Automaton automaton = new(GbnfParser.Parse(text));
                int state = automaton.Start;
                for (int i = 0; i < 30 && state != Automaton.Dead; i++)
                    state = automaton.Step(state, (byte)"aaabz \n"[random.Next(7)]);
                taken++;
            }
            catch (GrammarException)
            {
            }
        }

        Assert.InRange(taken, 100, 4900);
    }

    private static string Pattern(Random random, int depth)
    {
        StringBuilder pattern = new();
        int alternatives = random.Next(4) == 0 ? 2 : 1;
        for (int a = 0; a < alternatives; a++)
        {
            if (a > 0)
                pattern.Append('|');
            if (random.Next(8) == 0)
                pattern.Append('^');
            for (int i = random.Next(1, 4); i > 0; i--)
            {
                pattern.Append(random.Next(depth > 0 ? 9 : 7) switch
                {
                    0 => "a",
                    1 => "b",
                    2 => "[ab]",
                    3 => @"\d",
                    4 => "[^a1]",
                    5 => ".",
                    6 => @"\s",
                    _ => "(" + (random.Next(2) == 0 ? "?:" : "") + Pattern(random, depth - 1) + ")",
                });
                pattern.Append(random.Next(8) switch { 0 => "*", 1 => "+", 2 => "?", 3 => "{1,2}", 4 => "*?", _ => "" });
            }

            if (random.Next(8) == 0)
                pattern.Append('$');
        }

        return pattern.ToString();
    }
}
