// What becomes of an answer's text: whole characters while streaming, whole sentences at the end, loops noticed, equal answers once.
using System.Globalization;
using System.Text;
using CsCheck;
using NativeGen.Sampling;
using NativeGen.Tests.Scheduling;

namespace NativeGen.Tests.Generation;

public sealed class OutputTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("na\u0308ive e\u0301te\u0301")]
    [InlineData("👩‍🚀👨‍👩‍👧‍👦 👍🏽!")]
    [InlineData("🇩🇪🇫🇷🇯🇵🇺")]
    [InlineData("각각 한글 \u1100\u1161\u11A8")]
    [InlineData("one\r\ntwo\n\nthree\t.")]
    [InlineData("क्षत्रिय नमस्ते")]
    public async Task AStreamIsCutBetweenWholeCharactersOnly(string text)
    {
        await using var model = new ToyModel().Say("Hi", text);
        List<GenerationUpdate> updates = [];
        await foreach (var update in model.Generator.StreamAsync("Hi", new() { Temperature = 0 }, Stop))
        {
            updates.Add(update);
        }

        Assert.Equal(text, string.Concat(updates.Select(update => update.Text)));
        HashSet<int> borders = [.. StringInfo.ParseCombiningCharacters(text), text.Length];
        var at = 0;
        foreach (var update in updates)
        {
            at += update.Text.Length;
            Assert.Contains(at, borders);
        }

        Assert.True(updates.Count > borders.Count / 2, $"{updates.Count} updates are no stream");
    }

    [Fact]
    public void NoCutIntoPiecesChangesWhatIsShown() =>
        Gen.Select(Gen.OneOf(new[] { "a", "e\u0301", "👩‍🚀", "🇩🇪", ".", "! ", " ", "\r\n", "stop", "st", "\u0301", "\u200d", "🚀" }.Select(Gen.Const).ToArray()).Array[0, 25], Gen.Int[1, 5].Array[120], Gen.Bool).Sample((parts, sizes, sentences) =>
        {
            var text = string.Concat(parts);
            var expected = text.IndexOf("stop", StringComparison.Ordinal) is >= 0 and var stop ? text[..stop] : text;
            AnswerText answer = new(new StopSequences(["stop"]), wholeGraphemes: true, sentences);
            HashSet<int> borders = [.. StringInfo.ParseCombiningCharacters(expected), expected.Length];
            var shown = "";
            for (int at = 0, i = 0; at < text.Length && !answer.Stopped; i++)
            {
                var length = Math.Min(sizes[i % sizes.Length], text.Length - at);
                length += at + length < text.Length && char.IsLowSurrogate(text[at + length]) ? 1 : 0;
                answer.Append(text.AsSpan(at, length));
                at += length;
                var available = answer.Available;
                var piece = answer.Take();
                shown += piece;
                if (piece.Length != available || !borders.Contains(shown.Length))
                {
                    return false;
                }
            }

            answer.End();
            return shown + answer.Take() == expected;
        }, iter: 20_000);

    [Fact]
    public void WhatIsNoCharacterOfAnyLanguageIsNotHeldBackForEver()
    {
        AnswerText answer = new(StopSequences.None, wholeGraphemes: true);
        answer.Append("a" + new string('\u0301', 300));
        Assert.True(answer.Available > 300 - AnswerText.LongestCluster);
        for (var i = 0; i < 10_000; i++)
        {
            answer.Append("\u0301");
            answer.Take();
        }

        answer.End();
        Assert.True(answer.Available <= AnswerText.LongestCluster + 1);
    }

    [Theory]
    [InlineData("One sentence. And hal", "One sentence.")]
    [InlineData("Is it? Yes! It was so", "Is it? Yes!")]
    [InlineData("\"Stop!\" he said. \"Wh", "\"Stop!\" he said.")]
    [InlineData("It is 3.14 and e.g. this, Mr. Smith said", null)]
    [InlineData("J. R. R. Tolkien wrote. He al", "J. R. R. Tolkien wrote.")]
    [InlineData("Wait... what? No, he", "Wait... what?")]
    [InlineData("これは文です。次の", "これは文です。")]
    [InlineData("「はい。」と言", "「はい。」")]
    [InlineData("A list:\n1. First\n2. Seco", "A list:\n1. First")]
    [InlineData("done.", "done.")]
    [InlineData("Ends here.  ", "Ends here.")]
    [InlineData("نعم؟ ثم", "نعم؟")]
    [InlineData("no end at all", null)]
    [InlineData("", null)]
    [InlineData("\n\nfirst", null)]
    [InlineData("version 2. one", null)]
    public void SentencesEndWhereAReaderSeesIt(string text, string? whole)
    {
        foreach (var size in new[] { 1, 3, 100 })
        {
            AnswerText answer = new(StopSequences.None, wholeGraphemes: true, wholeSentences: true);
            var shown = "";
            for (var at = 0; at < text.Length; at += size)
            {
                answer.Append(text.AsSpan(at, Math.Min(size, text.Length - at)));
                shown += answer.Take();
                Assert.StartsWith(shown, whole ?? "", StringComparison.Ordinal);
            }

            answer.End(trim: true);
            Assert.Equal(whole ?? text, shown + answer.Take());
        }
    }

    [Fact]
    public async Task AnAnswerOfFullLengthEndsWithItsLastSentence()
    {
        await using var model = new ToyModel().Say("Q", "First one. Second one! And the third is too long.");
        GenerationOptions options = new() { MaxNewTokens = 30, TrimToSentence = true, Temperature = 0 };
        var result = await model.Generator.GenerateAsync("Q", options, Stop);
        Assert.Equal(("First one. Second one!", FinishReason.Length, 30), (result.Text, result.FinishReason, result.Usage.GeneratedTokens));
        List<string> pieces = [];
        await foreach (var update in model.Generator.StreamAsync("Q", options, Stop))
        {
            pieces.Add(update.Text);
        }

        Assert.Equal(["First one.", " Second one!", ""], pieces);
        Assert.Equal("First one. Second one! And the", (await model.Generator.GenerateAsync("Q", options with { TrimToSentence = false }, Stop)).Text[..30]);
        var ended = await model.Generator.GenerateAsync("Q", options with { MaxNewTokens = 100 }, Stop);
        Assert.Equal(("First one. Second one! And the third is too long.", FinishReason.Stop), (ended.Text, ended.FinishReason));
    }

    [Fact]
    public async Task ALoopEndsTheAnswerWithItsOwnReason()
    {
        await using var model = new ToyModel().Say("Q", "It began well. " + string.Concat(Enumerable.Repeat("and on ", 60)));
        var result = await model.Generator.GenerateAsync("Q", new() { MaxRepeats = 5, Temperature = 0 }, Stop);
        Assert.Equal(FinishReason.Repetition, result.FinishReason);
        Assert.Equal("It began well." + string.Concat(Enumerable.Repeat(" and on", 5)), result.Text);
        Assert.Equal(FinishReason.Stop, (await model.Generator.GenerateAsync("Q", new() { Temperature = 0 }, Stop)).FinishReason);
    }

    [Fact]
    public void ALoopIsTheSamePassageOverAndOver() =>
        Gen.Select(Gen.Int[0, 5].Array[0, 50], Gen.Int[0, 2].Array[1, 40], Gen.Int[2, 6]).Sample((before, passage, repeats) =>
        {
            int[] tokens = [.. before, .. Enumerable.Repeat(passage, repeats + 40).SelectMany(p => p)];
            LoopDetector detector = new(repeats);
            for (var end = 1; end <= tokens.Length; end++)
            {
                var found = detector.Append(tokens.AsSpan(..end));
                var loops = Enumerable.Range(1, end).Any(length =>
                {
                    var all = (int)Math.Max((long)repeats * length, LoopDetector.LeastTokens);
                    return all <= end && Enumerable.Range(end - all + length, all - length).All(i => tokens[i] == tokens[i - length]);
                });
                if (found != loops)
                {
                    return false;
                }

                if (found)
                {
                    return true;
                }
            }

            return false;
        }, iter: 300);

    [Fact]
    public async Task EqualAnswersComeOnceIfAskedFor()
    {
        await using var model = new ToyModel().Say("Q", "yes");
        GenerationOptions options = new() { NumReturnSequences = 4, Seed = 1, DistinctSequences = true };
        var result = await model.Generator.GenerateAsync("Q", options, Stop);
        Assert.Equal("yes", Assert.Single(result.Sequences).Text);
        Assert.Contains("3 of 4", Assert.Single(result.Warnings), StringComparison.Ordinal);
        Assert.Equal(4, (await model.Generator.GenerateAsync("Q", options with { DistinctSequences = null }, Stop)).Sequences.Count);
        GenerationUpdate? last = null;
        await foreach (var update in model.Generator.StreamAsync("Q", options, Stop))
        {
            last = update;
        }

        Assert.StartsWith("DistinctSequences", Assert.Single(last!.Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public async Task BestOfReturnsTheLikeliestOfWhatWasDrawn()
    {
        await using var model = new ToyModel();
        GenerationOptions options = new() { Seed = 3, MaxNewTokens = 12, Temperature = 2, TopK = 0, TopP = 1, MinP = 0, NumReturnSequences = 6, Logprobs = true };
        var drawn = await model.Generator.GenerateAsync("x", options, Stop);
        var expected = drawn.Sequences.OrderByDescending(one => one.SumLogprob / one.Tokens.Count).Take(2).ToArray();
        Assert.NotSame(drawn.Sequences[0], expected[0]); // the order changes at all
        options = options with { NumReturnSequences = 2, BestOf = 6 };
        var best = await model.Generator.GenerateAsync("x", options, Stop);
        Assert.Equal(expected.Select(one => string.Join(' ', one.Tokens)), best.Sequences.Select(one => string.Join(' ', one.Tokens)));
        Assert.All(best.Sequences, one => Assert.Equal(one.SumLogprob / one.Tokens.Count, one.Score!.Value, 1e-5));
        Assert.Equal(drawn.Usage, best.Usage);
        Assert.All(drawn.Sequences, one => Assert.Null(one.Score));

        List<GenerationUpdate> updates = [];
        await foreach (var update in model.Generator.StreamAsync("x", options, Stop))
        {
            updates.Add(update);
        }

        Assert.Equal([0, 1], updates.Select(update => update.SequenceIndex));
        Assert.Equal(best.Sequences.Select(one => one.Text), updates.Select(update => update.Text));
        Assert.Equal(best.Sequences[1].Tokens, updates[1].Tokens.ToArray());
        Assert.Equal(12, updates[1].Logprobs!.Count);
        Assert.Equal((null, best.Usage), (updates[0].Usage, updates[1].Usage));

        // Where nothing is drawn all answers are one, and one is computed.
        var greedy = await model.Generator.GenerateAsync("x", new() { DoSample = false, BestOf = 5, MaxNewTokens = 3 }, Stop);
        Assert.Equal(3, greedy.Usage.GeneratedTokens);
        Assert.StartsWith("BestOf", Assert.Single(greedy.Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public async Task LogprobsAfterProcessingAreThoseTheTokenWasChosenBy()
    {
        await using var model = new ToyModel();
        GenerationOptions options = new() { Seed = 3, MaxNewTokens = 6, TopK = 4, TopP = 1, MinP = 0, Temperature = 2, TopLogprobs = 6, LogprobsMode = LogprobsMode.Processed, SuppressTokens = [ToyModel.End] };
        var processed = await model.Generator.GenerateAsync("x", options, Stop);
        var raw = await model.Generator.GenerateAsync("x", options with { LogprobsMode = null }, Stop);
        Assert.Equal(raw.Sequences[0].Tokens, processed.Sequences[0].Tokens);
        Assert.Equal(raw.Sequences[0].SumLogprob, processed.Sequences[0].SumLogprob);
        foreach (var (own, other) in processed.Sequences[0].Logprobs!.Zip(raw.Sequences[0].Logprobs!))
        {
            Assert.True(own.Top.Count >= 4 && other.Top.Count == 6);
            Assert.Equal(1, own.Top.Sum(top => Math.Exp(top.Logprob)), 1e-5);
            Assert.Equal(own.Logprob, own.Top.Single(top => top.Token == own.Token).Logprob, 1e-6);
            Assert.True(other.Logprob < own.Logprob);

            // Temperature 2 halves the distances between logarithms.
            Assert.Equal((other.Top[0].Logprob - other.Top[1].Logprob) / 2, own.Top[0].Logprob - own.Top[1].Logprob, 1e-4);
        }
    }

    [Fact]
    public async Task TextsThatMustNotComeDoNot()
    {
        await using var model = new ToyModel().Say("Q", "a bad day");
        Assert.DoesNotContain("bad", (await model.Generator.GenerateAsync("Q", new() { BadWords = ["bad"], Temperature = 0, MaxNewTokens = 9 }, Stop)).Text, StringComparison.Ordinal);
        GenerationOptions bias = new() { SequenceBias = new Dictionary<string, float> { ["ba"] = float.NegativeInfinity }, Temperature = 0, MaxNewTokens = 9 };
        Assert.DoesNotContain("ba", (await model.Generator.GenerateAsync("Q", bias, Stop)).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ForcedAndDelayedEnds()
    {
        await using var model = new ToyModel().Say("Q", "endless text that goes on").Say("R", "short");
        Assert.Equal((FinishReason.Stop, "endle"), await Run("Q", new() { MaxNewTokens = 6, ForcedEosTokenIds = [ToyModel.End] }));
        Assert.Equal(20, (await model.Generator.GenerateAsync("R", new() { MinLength = 20, MaxLength = 21, Temperature = 0 }, Stop)).Usage.GeneratedTokens);
        Assert.StartsWith("X", (await Run("Q", new() { ForcedBosTokenId = 'X', MaxNewTokens = 3 })).Text, StringComparison.Ordinal);
        Assert.NotEqual('e', (await Run("Q", new() { BeginSuppressTokens = ['e'], MaxNewTokens = 3 })).Text[0]);
        Assert.Equal(FinishReason.Stop, (await Run("Q", new() { ExponentialDecayLengthPenalty = new(3, 2), LogitBias = new Dictionary<int, float> { [ToyModel.End] = 1 }, MaxNewTokens = 25 })).Reason);

        async Task<(FinishReason Reason, string Text)> Run(string prompt, GenerationOptions options)
        {
            var result = await model.Generator.GenerateAsync(prompt, options with { Temperature = 0 }, Stop);
            return (result.FinishReason, result.Text);
        }
    }

    [Fact]
    public async Task AProcessorOfTheUsersOwnIsAsked()
    {
        await using var model = new ToyModel().Say("Q", "abc");
        Shouter shouter = new();
        Assert.Equal("ABC", (await model.Generator.GenerateAsync("Q", new() { LogitsProcessors = [shouter], Temperature = 0, MaxNewTokens = 3 }, Stop)).Text);
        Assert.Equal(3, shouter.Calls);
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => model.Generator.GenerateAsync("Q", new() { LogitsProcessors = [new Thrower()] }, Stop));
        Assert.Equal("on purpose", error.Message);
        Assert.Equal("abc", (await model.Generator.GenerateAsync("Q", null, Stop)).Text);
    }

    /// <summary>A letter's small form gives its score to the capital.</summary>
    private sealed class Shouter : ILogitsProcessor
    {
        public int Calls { get; private set; }

        public void Process(Span<float> scores, in SamplingContext context)
        {
            Calls++;
            scores[0] = 100;
            var text = "abc"[Math.Min(context.Generated.Length, 2)];
            scores[char.ToUpperInvariant(text)] = 200;
        }
    }

    private sealed class Thrower : ILogitsProcessor
    {
        public void Process(Span<float> scores, in SamplingContext context) => throw new InvalidOperationException("on purpose");
    }

    /// <summary>Steps that remember belong to their sequence: company does not change what they do.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(0)]
    public async Task StepsThatAdaptGiveTheSameAloneAndInCompany(int mirostat)
    {
        await using var model = new ToyModel(pages: 60); // few pages: sequences are evicted now and then
        GenerationOptions Options(int i) => new()
        {
            Mirostat = mirostat, AdaptivePTarget = mirostat == 0 ? 0.3f : null, Seed = i, MaxNewTokens = 30, NumReturnSequences = 1 + (i % 2), SuppressTokens = [ToyModel.End], XtcProbability = mirostat == 0 ? 0.5f : null,
            DryMultiplier = 0.8f, Temperature = 1.3f,
        };
        List<GenerationResult> alone = [];
        for (var i = 0; i < 6; i++)
        {
            alone.Add(await model.Generator.GenerateAsync($"Prompt {i}", Options(i), Stop));
        }

        var together = await Task.WhenAll(Enumerable.Range(0, 6).Select(i => model.Generator.GenerateAsync($"Prompt {i}", Options(i), Stop)));
        Assert.Equal(alone.SelectMany(result => result.Sequences).SelectMany(sequence => sequence.Tokens), together.SelectMany(result => result.Sequences).SelectMany(sequence => sequence.Tokens));
    }

    /// <summary>Whatever options meet each other: an answer that comes again with its seed, or an error that says what to change.</summary>
    [Fact]
    public async Task AnyMixtureOfOptionsAnswersOrSaysWhy()
    {
        await using var model = new ToyModel();
        var (answers, refusals) = (0, 0);
        for (var seed = 0; seed < 400; seed++)
        {
            var options = Mixture(new Random(seed));
            try
            {
                var first = await model.Generator.GenerateAsync("abcabcab", options, Stop);
                var second = await model.Generator.GenerateAsync("abcabcab", options, Stop);
                Assert.Equal(first.Sequences.Select(sequence => sequence.Text), second.Sequences.Select(sequence => sequence.Text));
                Assert.True(first.Sequences.All(sequence => double.IsFinite(sequence.SumLogprob) && sequence.Tokens.Count <= 12), $"seed {seed}");
                answers++;
            }
            catch (Exception error) when (error is ArgumentException { ParamName: not null } or NativeGenException { Code: NativeGenErrorCode.InvalidRequest })
            {
                refusals++;
            }
        }

        Assert.True(answers > 300, $"{answers} answers, {refusals} refusals");

        static GenerationOptions Mixture(Random random)
        {
            float? Number(double least, double most) => random.Next(3) == 0 ? (float)(least + (random.NextDouble() * (most - least))) : null;
            int? Whole(int least, int most) => random.Next(4) == 0 ? random.Next(least, most + 1) : null;
            int[]? Ids() => random.Next(4) == 0 ? [random.Next(300), random.Next(300)] : null;
            string[]? Texts() => random.Next(4) == 0 ? ["ab", "\n", "🚀"] : null;
            return new()
            {
                Seed = 1, MaxNewTokens = 12, Temperature = Number(0, 3), TopK = Whole(0, 50), TopP = Number(0, 1), MinP = Number(0, 1), TypicalP = Number(0, 1), TopNSigma = Number(0, 4),
                TopH = Number(0, 1), EpsilonCutoff = Number(0, 1), EtaCutoff = Number(0, 1), XtcProbability = Number(0, 1), XtcThreshold = Number(0, 1), DryMultiplier = Number(0, 5),
                DryBase = Number(1, 9), DryAllowedLength = Whole(1, 5), DryPenaltyLastN = Whole(1, 9), DrySequenceBreakers = Texts(), Mirostat = Whole(0, 2), MirostatTau = Number(0, 9),
                MirostatEta = Number(0, 1), AdaptivePTarget = Number(-1, 1), AdaptivePDecay = Number(0, 0.99), DynamicTemperatureRange = Number(0, 3), DynamicTemperatureExponent = Number(0.1, 3),
                RepetitionPenalty = Number(0.01, 3), EncoderRepetitionPenalty = Number(0.01, 3), FrequencyPenalty = Number(-2, 2), PresencePenalty = Number(-2, 2),
                NoRepeatNgramSize = Whole(0, 4), EncoderNoRepeatNgramSize = Whole(0, 4), BadWords = Texts(), SequenceBias = random.Next(4) == 0 ? new Dictionary<string, float> { ["abc"] = 5, ["x"] = float.NegativeInfinity } : null,
                SuppressTokens = Ids(), BeginSuppressTokens = Ids(), ForcedBosTokenId = Whole(0, 300), ForcedEosTokenIds = Ids(), MinLength = Whole(0, 30), MinNewTokens = Whole(0, 12),
                ExponentialDecayLengthPenalty = random.Next(4) == 0 ? new(random.Next(9), (float)(random.NextDouble() * 3) + 0.01f) : null, LogitBias = random.Next(4) == 0 ? new Dictionary<int, float> { [7] = float.MaxValue, [8] = float.NegativeInfinity } : null,
                NumReturnSequences = Whole(1, 3), DistinctSequences = random.Next(2) == 0, MaxRepeats = random.Next(3) == 0 ? 2 : null, TrimToSentence = random.Next(2) == 0, TopLogprobs = Whole(0, 5),
                LogprobsMode = random.Next(2) == 0 ? LogprobsMode.Processed : null, DoSample = random.Next(5) == 0 ? false : null,
            };
        }
    }

    [Fact]
    public void BeamsHaveEnoughToChooseFrom()
    {
        Candidates candidates = new(ToyModel.Vocabulary);
        float[] logits = [.. Enumerable.Range(0, ToyModel.Vocabulary).Select(i => i / 10f)];
        foreach (var options in new GenerationOptions[] { new() { TopK = 1 }, new() { TopK = 0, TopP = 0.01f }, new() { TopK = 0, TopP = 1, EpsilonCutoff = 0.99f } })
        {
            new SamplerChain(ToyModel.Bytes, [ToyModel.End, 0]).Create(options with { NumBeams = 4, DoSample = true }, int.MaxValue).Process(logits, default, candidates);
            Assert.Equal(3, candidates.Count); // one more than there are ends
        }
    }

    /// <summary>The loop carries each sequence's state from token to token.</summary>
    [Fact]
    public async Task WhatAStepHasLearntGoesOnWithItsSequence()
    {
        await using var model = new ToyModel();
        GenerationOptions options = new() { Mirostat = 2, MirostatTau = 3, MirostatEta = 1, Seed = 5, MaxNewTokens = 20, NumReturnSequences = 2, SuppressTokens = [ToyModel.End] };
        var result = await model.Generator.GenerateAsync("Prompt", options, Stop);
        var sampler = new SamplerChain(ToyModel.Bytes, [ToyModel.End]).Create(options, int.MaxValue);
        Candidates candidates = new(ToyModel.Vocabulary);
        for (var sequence = 0; sequence < 2; sequence++)
        {
            List<int> history = [.. Encoding.UTF8.GetBytes("Prompt").Select(b => (int)b)];
            SamplerState state = default;
            var logits = new float[ToyModel.Vocabulary];
            while (history.Count < 26)
            {
                new RecordingContext(ToyModel.Vocabulary).Fill([.. history], logits);
                history.Add(sampler.Sample(logits, new SamplingContext(history.ToArray(), 6, 5, sequence, history.Count) { State = state }, candidates, out state));
            }

            Assert.Equal(history.Skip(6), result.Sequences[sequence].Tokens);
        }
    }

    [Fact]
    public void BreakersAreFoundInsideTokensAndAcrossThem()
    {
        // Bytes only: every token is one byte, so that "ab" is a head and a tail.
        SamplerChain chain = new(ToyModel.Bytes, [ToyModel.End]);
        var history = Encoding.ASCII.GetBytes("xyz1xyz").Select(b => (int)b).ToArray();
        float After(params string[] breakers)
        {
            Candidates candidates = new(ToyModel.Vocabulary);
            chain.Create(new() { DryMultiplier = 1, DryBase = 1, DrySequenceBreakers = breakers, DoSample = false }, int.MaxValue)
                .Process(new float[ToyModel.Vocabulary], new SamplingContext(history, 0, 0, 0, 0), candidates);
            return candidates.Scores['1'];
        }

        Assert.Equal(-1, After("q"));
        Assert.Equal(0, After("z"));
        Assert.Equal(0, After("yz"));
        Assert.Equal(-1, After("xz"));
        Assert.Equal(0, After("1"));
    }
}
