// Grammars and patterns made to hurt, and garbage: a typed error that names its place, or a result, within steps that are counted.
using System.Text;
using NativeGen.Constraints;
using NativeGen.Models;
using NativeGen.Tokenization;

namespace NativeGen.Tests.Constraints;

public sealed class GrammarHostileTests
{
    [Theory]
    [InlineData("root ::= root \"a\"", "root -> root")]
    [InlineData("root ::= x \"a\"\nx ::= y\ny ::= \"b\"? root", "left recursion")]
    [InlineData("root ::= (\"\" | [a-z]*) root", "left recursion")]
    [InlineData("root ::= x\nx ::= \"a\" x", "No text matches")]
    [InlineData("root ::= \"a\" |\n  b", "Line 2, column 3: the rule b is not defined")]
    [InlineData("root ::= \"a\"{9999999999}", "Line 1, column 14")]
    public void WhatNeverEndsOrIsWrongIsRefused(string gbnf, string says) =>
        Assert.Contains(says, Assert.Throws<GrammarException>(() => GbnfParser.Parse(gbnf)).Message, StringComparison.Ordinal);

    [Fact]
    public void DepthIsMemoryNotStack()
    {
        const int Depth = 10_000;
        StringBuilder chain = new("root ::= r0\n");
        for (int i = 0; i < Depth; i++)
            chain.Append($"r{i} ::= \"(\" r{i + 1} \")\" | r{i + 1} \"!\"\n");
        chain.Append($"r{Depth} ::= \"x\"\n");
        Outcome(() => Run(GbnfParser.Parse(chain.ToString()), new string('(', 50) + "x"));
        Outcome(() => Run(GbnfParser.Parse($"root ::= {new string('(', Depth)}\"a\"{string.Concat(Enumerable.Repeat(")*", Depth))}"), "aaaa"));
        Outcome(() => Dfa.From(RegexParser.Whole(new string('(', Depth) + "a" + string.Concat(Enumerable.Repeat(")?", Depth)))).Matches("a"));
        Outcome(() => Run(GbnfParser.Parse("root ::= \"[\" root \"]\" | \"x\""), new string('[', Depth) + "x" + new string(']', Depth)));
    }

    [Theory]
    [InlineData("(a|a)*(a|a)*(a|a)*(a|a)*(a|a)*b")]
    [InlineData("(a|b)*a(a|b){14}")]
    [InlineData("((((a{0,20}){0,20}){0,20}){0,20}){0,20}")]
    [InlineData("(.*a){12}.{12}b")]
    [InlineData("(?:[^a]*a[^b]*b|.{3,40}){2,30}$")]
    [InlineData("a{1000000}")]
    public void ExponentialPatternsAreRefusedOrBounded(string pattern)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        Outcome(() => RegexParser.Search(pattern).Matches("aaab"));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 30);
    }

    [Fact]
    public void GarbageIsATypedErrorOrAResult()
    {
        const int Seed = 20261124;
        Random random = new(Seed);
        Tokenizer tokenizer = Model.Open(TestData.StoryModel, cancellationToken: TestContext.Current.CancellationToken).Tokenizer;
        string[] parts = ["a", "b", "(", ")", "(?:", "[", "]", "[^", "-", "|", "*", "+", "?", "{2}", "{1,3}", "{", "^", "$", "\\d", "\\", "\\p{L}", "\\u{1F600}", ".", "é", "😀", "\ud83d"];
        int taken = 0, refused = 0;
        for (int round = 0; round < 400; round++)
        {
            string pattern = string.Concat(Enumerable.Range(0, random.Next(16)).Select(_ => parts[random.Next(parts.Length)]));
            try
            {
                GrammarBuilder builder = new();
                TokenGrammar grammar = new(builder.Build(builder.Add("root", RegexParser.Whole(pattern))), TokenVocabulary.Of(tokenizer));
                byte[] garbage = new byte[8];
                random.NextBytes(garbage);
                GrammarState state = grammar.Follow(grammar.Start, garbage);
                ulong[] mask = new ulong[grammar.Vocabulary.Words];
                if (state.IsDead)
                    state = grammar.Start;
                grammar.Allowed(state, mask);
                Assert.True(mask.Any(word => word != 0), $"seed {Seed}: /{pattern}/ lets nothing through and is not refused");
                taken++;
            }
            catch (GrammarException e)
            {
                Assert.True(e.Message.Length > 10, pattern);
                refused++;
            }
        }

        Assert.True(taken > 50 && refused > 50, $"{taken} taken, {refused} refused");
    }

    private static bool Run(Grammar grammar, string text)
    {
        Automaton automaton = new(grammar);
        int state = automaton.Start;
        foreach (byte value in Encoding.UTF8.GetBytes(text))
            state = automaton.Step(state, value);
        return automaton.CanStop(state);
    }

    private static void Outcome(Func<bool> run)
    {
        try
        {
            run();
        }
        catch (GrammarException e)
        {
            Assert.True(e.Message.Length > 10);
        }
    }
}
