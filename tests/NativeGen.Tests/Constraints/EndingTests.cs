// An answer in a form is whole within any limit that its shortest text fits into, whatever the model draws.
using System.Text;
using System.Text.Json;
using NativeGen.Constraints;
using NativeGen.Constraints.Schema;
using NativeGen.Models;
using NativeGen.Tokenization;

namespace NativeGen.Tests.Constraints;

public sealed class EndingTests
{
    private static readonly Tokenizer Tokenizer = Model.Open(TestData.StoryModel).Tokenizer;

    [Theory, InlineData("schema_real.json"), InlineData("schema_llamacpp.json")]
    public void AnAnswerIsWholeWithinAnyLimitThatItsShortestTextFitsInto(string file)
    {
        Random random = new(20261124);
        int whole = 0, curtailed = 0;
        foreach (JsonElement item in JsonDocument.Parse(File.ReadAllBytes(TestData.Shared("fixtures", "grammar", file))).RootElement.GetProperty("cases").EnumerateArray())
        {
            TokenGrammar grammar = new(SchemaCompiler.Compile(item.GetProperty("schema").GetRawText()), TokenVocabulary.Of(Tokenizer));
            int least = 1;
            while (!grammar.CanEnd(grammar.Start, least))
                least++;
            foreach (int limit in (int[])[least, least + 1, least + 4, least + 20])
            {
                GrammarConstraint constraint = new(grammar, Tokenizer);
                string text = Draw(constraint, limit, random);
                Assert.True(grammar.CanStop(grammar.Follow(grammar.Start, Encoding.UTF8.GetBytes(text))), $"{item.GetProperty("name")}, {limit} tokens, at least {least}: {text}");
                whole++;
                curtailed += constraint.IsCurtailed ? 1 : 0;
            }
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{whole} whole, {curtailed} of them by the limit");
        Assert.True(curtailed > whole / 4, $"{curtailed} of {whole}");
    }

    [Theory]
    [InlineData("root ::= [a-z]{3} \"!\"", 0, "aaa!")]
    [InlineData("root ::= \"(\" root \")\" | \"[\" root \"]\" | [0-9]", 0, "0")]
    [InlineData("root ::= \"{\" (\"long\" | \"ab\" | \"aa\") \"}\"", 0, "{aa}")]
    [InlineData("root ::= (\"x\" [é]){90,95} | \"yes\"{3}", 0, "yesyesyes")]
    [InlineData("root ::= (\"x\" [é]){90,95} | \"yes\"{3}", 3, "éxé")]
    public void TheShortestEndingIsFound(string gbnf, int read, string begins)
    {
        Automaton automaton = new(GbnfParser.Parse(gbnf));
        Endings endings = new(automaton, TokenVocabulary.Of(Tokenizer).Trie);
        int state = automaton.Start;
        foreach (byte value in Encoding.UTF8.GetBytes("xéx").AsSpan(0, read == 0 ? 0 : 1))
            state = automaton.Step(state, value);
        int bytes = endings.Bytes(state);
        if (read == 0)
            Assert.Equal(Encoding.UTF8.GetByteCount(begins), bytes);
        else
            Assert.Equal((90 * 3) - 1, bytes);
        foreach (byte value in Encoding.UTF8.GetBytes(begins))
        {
            state = automaton.Step(state, value);
            Assert.Equal(--bytes, endings.Bytes(state));
        }
    }

    [Fact]
    public void WhatCannotBeWholeIsCut()
    {
        GrammarConstraint constraint = new(GbnfParser.Parse("root ::= \"The quick brown fox jumps over the lazy dog\" [a-z]{30} \".\""), Tokenizer);
        string text = Draw(constraint, 5, new Random(1));
        Assert.StartsWith("The q", text, StringComparison.Ordinal);
        Assert.False(constraint.IsCurtailed);
    }

    [Fact]
    public void ATokenOfAKnownWayAllocatesNothing()
    {
        GrammarConstraint start = new(SchemaCompiler.Compile("""{"type":"object","properties":{"name":{"type":"string","maxLength":40},"tags":{"type":"array","items":{"enum":["red","green"]}}},"required":["name","tags"]}"""), Tokenizer);
        int[] tokens = Tokenizer.Encode("""{"name":"once upon a time","tags":["red","green","red"]}""", addSpecial: false);
        Walk();
        long before = GC.GetAllocatedBytesForCurrentThread();
        GrammarConstraint at = (GrammarConstraint)start.Fork();
        long fork = GC.GetAllocatedBytesForCurrentThread() - before;
        before = GC.GetAllocatedBytesForCurrentThread();
        Follow(at);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.InRange(fork, 1, 200);

        void Walk() => Follow((GrammarConstraint)start.Fork());

        void Follow(GrammarConstraint constraint)
        {
            for (int i = 0; i < tokens.Length; i++)
            {
                if ((constraint.Allowed()[tokens[i] >> 6] >> tokens[i] & 1) == 0)
                    throw new InvalidOperationException($"token {i} is not allowed");
                constraint.Accept(tokens[i], tokens.Length - i - 1);
            }
        }
    }

    // As the decode loop does it, with every allowed token as likely as any other.
    private static string Draw(GrammarConstraint constraint, int limit, Random random)
    {
        List<int> written = [];
        int[] forced = new int[16];
        while (written.Count < limit && !constraint.IsOver)
        {
            int token = One(), left = limit - written.Count - 1;
            if (!constraint.Accept(token, left))
                Assert.True(constraint.Accept(token = One(), left));
            if (Tokenizer.IsEndOfGeneration(token))
                break;
            written.Add(token);
            if (left > 0 && !constraint.IsOver)
                written.AddRange(forced.AsSpan(0, constraint.Forced(forced, left)));
        }

        List<byte> bytes = [];
        foreach (int token in written.Take(limit))
            bytes.AddRange(Tokenizer.Piece(token));
        return Encoding.UTF8.GetString([.. bytes]);

        int One()
        {
            ulong[] mask = constraint.Allowed().ToArray();
            int[] allowed = [.. Enumerable.Range(0, Tokenizer.VocabularySize).Where(id => (mask[id >> 6] >> id & 1) != 0)];
            Assert.NotEmpty(allowed);
            return allowed[random.Next(allowed.Length)];
        }
    }
}
