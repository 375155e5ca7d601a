// The automaton beside the slowest thing that could do the same, masks beside trying every token, and what happens when memory or patience runs out.
using System.Runtime.InteropServices;
using System.Text;
using NativeGen.Constraints;
using NativeGen.Models;
using NativeGen.Tokenization;

namespace NativeGen.Tests.Constraints;

public sealed class AutomatonTests
{
    private static readonly int[] Alphabet = ['a', 'b', 'c', 0xE9, 0xEA, 0x1F600];

    [Fact]
    public void TakesTheTextsThatAListOfWhatIsLeftTakes()
    {
        const int Seed = 20261124;
        Random random = new(Seed);
        int grammars = 0, alive = 0, dead = 0, complete = 0;
        for (int round = 0; round < 60; round++)
        {
            (GrammarBuilder builder, RuleId root) = RandomGrammar(random);
            Grammar grammar;
            try
            {
                grammar = builder.Build(root);
            }
            catch (GrammarException e)
            {
                Assert.Contains("left recursion", e.Message, StringComparison.Ordinal);
                continue;
            }

            grammars++;
            for (int text = 0; text < 6; text++)
            {
                Automaton automaton = new(grammar);
                Remainders truth = new(builder, root);
                int state = automaton.Start;
                StringBuilder written = new();
                for (int i = 0; i < 14; i++)
                {
                    string at = $"seed {Seed}, round {round}, after '{written}'";
                    Assert.True(automaton.CanStop(state) == truth.CanStop, $"{at}: complete");
                    complete += truth.CanStop ? 1 : 0;

                    // Mostly a scalar that leads on, so that texts get long.
                    int scalar = Alphabet[random.Next(Alphabet.Length)];
                    for (int attempt = 0; attempt < 6 && automaton.Advance(state, scalar) == Automaton.Dead; attempt++)
                        scalar = Alphabet[random.Next(Alphabet.Length)];
                    written.Append(char.ConvertFromUtf32(scalar));
                    int byScalar = automaton.Advance(state, scalar);
                    foreach (byte value in Encoding.UTF8.GetBytes(char.ConvertFromUtf32(scalar)))
                        state = state == Automaton.Dead ? state : automaton.Step(state, value);
                    Assert.Equal(byScalar, state);
                    truth.Read(scalar);
                    Assert.True(state != Automaton.Dead == truth.IsAlive, $"{at}: U+{scalar:X} is {(truth.IsAlive ? "allowed" : "refused")} in truth");
                    if (state == Automaton.Dead)
                    {
                        dead++;
                        break;
                    }

                    alive++;
                }
            }
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"seed {Seed}: {grammars} grammars, {alive} steps, {dead} dead ends, {complete} complete texts");
        Assert.True(grammars > 30 && alive > 400 && dead > 40 && complete > 100, $"{grammars} {alive} {dead} {complete}");
    }

    [Fact]
    public void MasksOfRandomGrammarsAreWhatTryingEveryTokenGives()
    {
        Tokenizer tokenizer = Model.Open(TestData.StoryModel, cancellationToken: TestContext.Current.CancellationToken).Tokenizer;
        Random random = new(99);
        int masks = 0;
        for (int round = 0; round < 150; round++)
        {
            (GrammarBuilder builder, RuleId root) = RandomGrammar(random, words: true);
            try
            {
                masks += CheckMasks(builder.Build(root), tokenizer, random, steps: 6);
            }
            catch (GrammarException e) when (e.Message.Contains("left recursion", StringComparison.Ordinal))
            {
            }
        }

        Assert.True(masks > 200, $"{masks}");
    }

    [Theory]
    [InlineData("root ::= \"\\\"\" [^\"\\\\]{0,40} \"\\\"\"")]
    [InlineData("root ::= [a-z ]{30,50} \"!\"")]
    [InlineData("root ::= (\"<\" .{20,70} \">\"){1,3}")]
    [InlineData("root ::= ([^\\x00-\\x1F\\\"\\\\] | \"\\\\\" [nrt\\\"\\\\]){0,25} \"\\\"\"")]
    [InlineData("root ::= [^а-я]* [а-я]{2,300}")]
    public void CountsAreKeptInTheMasksOfALargeVocabulary(string gbnf)
    {
        using GgufFile file = GgufFile.Open(TestData.Shared("fixtures", "tokenizers", "gpt-2.gguf"));
        Tokenizer tokenizer = Tokenizer.Create(TokenizerDataReader.Read(file));
        Grammar grammar = GbnfParser.Parse(gbnf);
        int masks = 0;
        for (int seed = 0; masks < 6; seed++)
            masks += CheckMasks(grammar, tokenizer, new Random(seed), steps: 6);
    }

    [Fact]
    public void AFullAutomatonMakesRoomAndTextsGoOn()
    {
        Tokenizer tokenizer = Model.Open(TestData.StoryModel, cancellationToken: TestContext.Current.CancellationToken).Tokenizer;
        TokenGrammar grammar = new(GbnfParser.Parse("root ::= \"(\" root \")\" | \"[\" root \"]\" | \"\""), TokenVocabulary.Of(tokenizer));
        GrammarState state = grammar.Start;
        Random random = new(1);
        Stack<byte> open = new();
        HashSet<Automaton> automata = new(ReferenceEqualityComparer.Instance);
        for (int i = 0; i < 120_000; i++)
        {
            bool round = random.Next(2) == 0;
            state = grammar.Follow(state, round ? "("u8 : "["u8);
            open.Push(round ? (byte)')' : (byte)']');
            automata.Add(state.Automaton);
        }

        while (open.TryPop(out byte close))
        {
            Assert.False(grammar.CanStop(state));
            Assert.True(grammar.Follow(state, close == ')' ? "]"u8 : ")"u8).IsDead);
            state = grammar.Follow(state, [close]);
            Assert.False(state.IsDead);
        }

        Assert.True(grammar.IsOver(state));
        Assert.True(automata.Count > 1);
    }

    [Theory]
    [InlineData("root ::= (((([a-z]{0,99}){0,99}){0,99}){0,99}){0,99}")]
    [InlineData("root ::= (\"a\"? \"a\"? \"a\"? \"a\"? \"a\"? \"a\"? \"a\"?)* \"b\"")]
    [InlineData("root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"a\" root root | \"a\"")]
    [InlineData("root ::= (\"a\" | \"aa\" | \"aaa\"){50,5000} \"c\"")]
    [InlineData("root ::= x{0,3000}\nx ::= \"a\" x | \"a\" x \"a\" | \"a\"")]
    public void AmbiguityAddsUpInsteadOfMultiplying(string gbnf)
    {
        Automaton automaton = new(GbnfParser.Parse(gbnf));
        try
        {
            int state = automaton.Start;
            for (int i = 0; i < 150; i++)
                state = automaton.Step(state, (byte)'a');
            Assert.NotEqual(Automaton.Dead, state);
        }
        catch (GrammarException e)
        {
            Assert.Contains("ambiguous", e.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void ForcedTextIsSpelledAsTheTokenizerSpellsIt()
    {
        foreach (string vocabulary in (string[])["gpt-2.gguf", "llama-spm.gguf", "phi-3.gguf", "deepseek-coder.gguf"])
        {
            using GgufFile file = GgufFile.Open(TestData.Shared("fixtures", "tokenizers", vocabulary));
            Tokenizer tokenizer = Tokenizer.Create(TokenizerDataReader.Read(file));
            const string Text = "The answer to every question, \"naïve\" or not, is 42; unbelievably";
            GrammarConstraint constraint = new(GbnfParser.Parse($"root ::= \"{Text.Replace("\"", "\\\"", StringComparison.Ordinal)}\" [a-z]*"), tokenizer);
            int[] forced = new int[64];
            int count = constraint.Forced(forced, 100);
            int[] whole = tokenizer.Encode("\n" + Text, addSpecial: false);
            int[] own = whole[(tokenizer.Decode(whole.AsSpan(0, 1)).Contains('\n', StringComparison.Ordinal) ? 1 : 2)..];
            Assert.Equal(own[..^1], forced[..count]);

            // The rest is open: the model may write on.
            ulong[] mask = constraint.Allowed().ToArray();
            Assert.True((mask[own[^1] >> 6] >> own[^1] & 1) != 0, vocabulary);
        }
    }

    // Walks along random allowed tokens; returns how many masks were compared.
    private static int CheckMasks(Grammar grammar, Tokenizer tokenizer, Random random, int steps)
    {
        TokenGrammar tokens = new(grammar, TokenVocabulary.Of(tokenizer));
        Automaton automaton = new(grammar); // of its own: nothing is known beforehand
        ulong[] allowed = new ulong[tokens.Vocabulary.Words];
        GrammarState state = tokens.Start;
        int truth = automaton.Start, masks = 0;
        for (int step = 0; step < steps; step++)
        {
            tokens.Allowed(state, allowed);
            masks++;
            List<int> next = [];
            for (int id = 0; id < tokenizer.VocabularySize; id++)
            {
                automaton.Budget = 4_000_000;
                bool expected = tokenizer.IsEndOfGeneration(id) ? automaton.CanStop(truth)
                    : !tokenizer.IsSpecial(id) && tokenizer.Piece(id) is [not 0, ..] && Follow(automaton, truth, tokenizer.Piece(id)) != Automaton.Dead;
                Assert.True(expected == ((allowed[id >> 6] >> id & 1) != 0), $"step {step}: token {id} '{Encoding.UTF8.GetString(tokenizer.Piece(id))}' is {(expected ? "allowed" : "refused")} in truth");
                if (expected && !tokenizer.IsEndOfGeneration(id))
                    next.Add(id);
            }

            if (next.Count == 0)
                break;
            int token = next[random.Next(next.Count)];
            state = tokens.Follow(state, tokenizer.Piece(token));
            truth = Follow(automaton, truth, tokenizer.Piece(token));
        }

        return masks;
    }

    private static int Follow(Automaton automaton, int state, ReadOnlySpan<byte> bytes)
    {
        foreach (byte value in bytes)
            state = state == Automaton.Dead ? state : automaton.Step(state, value);
        return state;
    }

    // Rules that can all end: each has a way without rules.
    private static (GrammarBuilder, RuleId) RandomGrammar(Random random, bool words = false)
    {
        GrammarBuilder builder = new();
        RuleId[] rules = [.. Enumerable.Range(0, random.Next(1, 4)).Select(i => builder.Declare($"r{i}"))];
        foreach (RuleId rule in rules)
            builder.Define(rule, Expr.Choice(Random(2, false), Random(3, true)));
        return (builder, rules[0]);

        Expr Random(int depth, bool mayRefer)
        {
            switch (random.Next(depth == 0 ? 3 : 9))
            {
                case 0:
                    return Expr.Chars(CodePointSet.Of(Enumerable.Range(0, random.Next(1, 4)).Select(_ => Alphabet[random.Next(Alphabet.Length)]).Select(c => new CodePointRange(c, c))));
                case 1:
                    return Expr.Text(words ? ((string[])["a", "the", "\"", "{\"", "be", " "])[random.Next(6)] : ((string[])["a", "ab", "", "bé", "😀", "ca"])[random.Next(6)]);
                case 2:
                    return words ? Expr.Chars(CodePointSet.Of("\"\\").Complement()) : Expr.Chars(CodePointSet.Of("é").Complement());
                case 3 or 4:
                    return Expr.Sequence(Random(depth - 1, mayRefer), Random(depth - 1, mayRefer));
                case 5:
                    return Expr.Choice(Random(depth - 1, mayRefer), Random(depth - 1, mayRefer));
                case 6:
                    int min = random.Next(4);
                    return Expr.Repeat(Random(depth - 1, mayRefer), min, random.Next(3) switch { 0 => null, 1 => min + random.Next(1, 4), _ => min + 70 });
                default:
                    return mayRefer ? Expr.Reference(rules[random.Next(rules.Length)]) : Random(depth - 1, false);
            }
        }
    }

    /// <summary>All lists of what is still to come: slow, and plainly right.</summary>
    private sealed class Remainders
    {
        private readonly GrammarBuilder _builder;
        private readonly Dictionary<(Expr, int, int, int), int> _numbers = [];
        private readonly List<(Expr Head, int Min, int Max, int Tail)> _lists = [default]; // 0: nothing is left
        private readonly Dictionary<string, Expr> _rests = [];
        private HashSet<int> _open;

        internal Remainders(GrammarBuilder builder, RuleId root)
        {
            _builder = builder;
            _open = Expanded([List(Expr.Reference(root), 0)]);
        }

        internal bool IsAlive => _open.Count > 0;

        internal bool CanStop => _open.Contains(0);

        internal void Read(int scalar)
        {
            HashSet<int> next = [];
            foreach (int list in _open)
            {
                if (list == 0)
                    continue;
                (Expr head, _, _, int tail) = _lists[list];
                if (head is Expr.CharsExpr chars && chars.Set.Contains(scalar))
                    next.Add(tail);
                if (head is Expr.TextExpr text && char.ConvertToUtf32(text.Value, 0) == scalar)
                    next.Add(List(Rest(text.Value[(scalar > 0xFFFF ? 2 : 1)..]), tail));
            }

            _open = Expanded(next);
        }

        // One expression for one text, so that equal lists are one.
        private Expr Rest(string text)
        {
            if (!_rests.TryGetValue(text, out Expr? rest))
                _rests.Add(text, rest = Expr.Text(text));
            return rest;
        }

        // Until every list begins with something to read.
        private HashSet<int> Expanded(IEnumerable<int> lists)
        {
            HashSet<int> seen = [], ready = [];
            Stack<int> stack = new(lists);
            while (stack.TryPop(out int list))
            {
                if (!seen.Add(list))
                    continue;
                (Expr head, int min, int max, int tail) = _lists[list];
                switch (head)
                {
                    case null or Expr.CharsExpr or Expr.TextExpr { Value.Length: > 0 }:
                        ready.Add(list);
                        break;
                    case Expr.TextExpr:
                        stack.Push(tail);
                        break;
                    case Expr.SequenceExpr sequence:
                        for (int i = sequence.Parts.Length - 1; i >= 0; i--)
                            tail = List(sequence.Parts[i], tail);
                        stack.Push(tail);
                        break;
                    case Expr.ChoiceExpr choice:
                        foreach (Expr alternative in choice.Alternatives)
                            stack.Push(List(alternative, tail));
                        break;
                    case Expr.RepeatExpr repeat:
                        if (min == 0)
                            stack.Push(tail);
                        if (max > 0)
                            stack.Push(List(repeat.Body, List(repeat, Math.Max(min - 1, 0), max == int.MaxValue ? max : max - 1, tail)));
                        break;
                    case Expr.ReferenceExpr reference:
                        stack.Push(List(_builder.Rules[reference.Rule.Index].Body!, tail));
                        break;
                }
            }

            return ready;
        }

        private int List(Expr head, int tail) => head is Expr.RepeatExpr repeat ? List(repeat, repeat.Min, repeat.Max ?? int.MaxValue, tail) : List(head, 0, 0, tail);

        private int List(Expr head, int min, int max, int tail)
        {
            ref int number = ref CollectionsMarshal.GetValueRefOrAddDefault(_numbers, (head, min, max, tail), out bool exists);
            if (!exists)
            {
                number = _lists.Count;
                _lists.Add((head, min, max, tail));
            }

            return number;
        }
    }
}
