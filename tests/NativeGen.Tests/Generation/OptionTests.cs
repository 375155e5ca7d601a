// Options by themselves: ranges, what this build does not do, what has no effect, and how settings lie under a request.
using Microsoft.Extensions.AI;
using NativeGen.Sampling;

namespace NativeGen.Tests.Generation;

public sealed class OptionTests
{
    public static TheoryData<string, GenerationOptions> Refused { get; } = new()
    {
        { "MaxNewTokens", new() { MaxNewTokens = 0 } },
        { "MinNewTokens", new() { MinNewTokens = -1 } },
        { "MinNewTokens", new() { MinNewTokens = 5, MaxNewTokens = 4 } },
        { "MaxLength", new() { MaxLength = 0 } },
        { "Temperature", new() { Temperature = -0.1f } },
        { "Temperature", new() { Temperature = float.NaN } },
        { "Temperature", new() { Temperature = float.PositiveInfinity } },
        { "TopK", new() { TopK = -1 } },
        { "TopP", new() { TopP = 1.01f } },
        { "TopP", new() { TopP = float.NaN } },
        { "MinP", new() { MinP = -0.01f } },
        { "RepetitionPenalty", new() { RepetitionPenalty = 0 } },
        { "FrequencyPenalty", new() { FrequencyPenalty = float.NaN } },
        { "PresencePenalty", new() { PresencePenalty = float.NegativeInfinity } },
        { "LogitBias", new() { LogitBias = new Dictionary<int, float> { [1] = float.NaN } } },
        { "NumReturnSequences", new() { NumReturnSequences = 0 } },
        { "TopLogprobs", new() { TopLogprobs = 21 } },
        { "StopSequences", new() { StopSequences = ["a", ""] } },
        { "StopSequences", new() { StopSequences = ["a\ud83d"] } },
        { "NumBeams", new() { NumBeams = 0 } },
        { "NumBeams", new() { NumBeams = 65 } },
        { "NumBeamGroups", new() { NumBeamGroups = 2 } },
        { "NumBeamGroups", new() { NumBeams = 4, NumBeamGroups = 3, DiversityPenalty = 1 } },
        { "NumBeamGroups", new() { NumBeams = 4, NumBeamGroups = 2, DiversityPenalty = 1, DoSample = true } },
        { "DiversityPenalty", new() { NumBeams = 4, NumBeamGroups = 2 } },
        { "DiversityPenalty", new() { DiversityPenalty = -1 } },
        { "LengthPenalty", new() { LengthPenalty = 11 } },
        { "NumReturnSequences", new() { NumBeams = 4, NumReturnSequences = 5 } },
        { "BestOf", new() { BestOf = 2, NumReturnSequences = 3 } },
        { "BestOf", new() { BestOf = 65 } },
        { "BestOf", new() { BestOf = 4, NumBeams = 4 } },
        { "TopLogprobs", new() { NumBeams = 4, TopLogprobs = 2 } },
        { "LogprobsMode", new() { NumBeams = 4, LogprobsMode = LogprobsMode.Processed } },
        { "MinLength", new() { MinLength = -1 } },
        { "TypicalP", new() { TypicalP = 1.1f } },
        { "TopNSigma", new() { TopNSigma = -1 } },
        { "TopH", new() { TopH = 1.5f } },
        { "EpsilonCutoff", new() { EpsilonCutoff = float.NaN } },
        { "EtaCutoff", new() { EtaCutoff = 2 } },
        { "XtcProbability", new() { XtcProbability = 1.5f } },
        { "XtcThreshold", new() { XtcThreshold = -0.1f } },
        { "DryMultiplier", new() { DryMultiplier = -1 } },
        { "DryBase", new() { DryBase = 0.5f } },
        { "DryAllowedLength", new() { DryAllowedLength = 0 } },
        { "DryPenaltyLastN", new() { DryPenaltyLastN = 0 } },
        { "DrySequenceBreakers", new() { DrySequenceBreakers = [""] } },
        { "Mirostat", new() { Mirostat = 3 } },
        { "Mirostat", new() { Mirostat = 2, NumBeams = 2 } },
        { "MirostatTau", new() { MirostatTau = -1 } },
        { "MirostatEta", new() { MirostatEta = 2 } },
        { "AdaptivePTarget", new() { AdaptivePTarget = 1.5f } },
        { "AdaptivePDecay", new() { AdaptivePDecay = 1 } },
        { "DynamicTemperatureRange", new() { DynamicTemperatureRange = -0.5f } },
        { "DynamicTemperatureExponent", new() { DynamicTemperatureExponent = 0 } },
        { "ExponentialDecayLengthPenalty", new() { ExponentialDecayLengthPenalty = new(-1, 1.1f) } },
        { "ExponentialDecayLengthPenalty", new() { ExponentialDecayLengthPenalty = new(0, 0) } },
        { "EncoderRepetitionPenalty", new() { EncoderRepetitionPenalty = 0 } },
        { "NoRepeatNgramSize", new() { NoRepeatNgramSize = -2 } },
        { "EncoderNoRepeatNgramSize", new() { EncoderNoRepeatNgramSize = -2 } },
        { "BadWords", new() { BadWords = ["x", ""] } },
        { "SequenceBias", new() { SequenceBias = new Dictionary<string, float> { ["x"] = float.NaN } } },
        { "SequenceBias", new() { SequenceBias = new Dictionary<string, float> { [""] = 1 } } },
        { "ForcedBosTokenId", new() { ForcedBosTokenId = -1 } },
        { "LogitsProcessors", new() { LogitsProcessors = [null!] } },
        { "LogprobsMode", new() { LogprobsMode = (LogprobsMode)9 } },
        { "MaxRepeats", new() { MaxRepeats = 1 } },
        { "MaxRepeats", new() { MaxRepeats = -1 } },
        { "Choices", new() { ResponseFormat = ChatResponseFormat.Json, Choices = ["a"] } },
        { "Grammar", new() { Regex = "a", Grammar = "root ::= \"a\"" } },
        { "Choices", new() { Choices = [] } },
        { "Choices", new() { Choices = ["a", null!] } },
        { "PromptLookupNumTokens", new() { PromptLookupNumTokens = 3 } },
        { "DraftModel", new() { DraftModel = "small" } },
        { "ContextOverflow", new() { ContextOverflow = ContextOverflow.ShiftWindow } },
    };

    [Theory]
    [MemberData(nameof(Refused), DisableDiscoveryEnumeration = true)]
    public void WhatCannotBeDoneThrowsAndIsNamed(string option, GenerationOptions options)
    {
        var error = Assert.Throws<ArgumentException>(() => OptionCheck.Validate(options));
        Assert.Equal(option, error.ParamName);
        Assert.Contains(option, error.Message, StringComparison.Ordinal);
    }

    /// <summary>Every option is one that this build carries out, one that throws, or one of those that may have no effect: none is forgotten.</summary>
    [Fact]
    public void NoOptionIsIgnoredSilently()
    {
        string[] carriedOut =
        [
            "MaxNewTokens", "MinNewTokens", "MaxLength", "DoSample", "Temperature", "TopK", "TopP", "MinP", "RepetitionPenalty", "FrequencyPenalty",
            "PresencePenalty", "LogitBias", "SuppressTokens", "Seed", "NumReturnSequences", "BestOf", "StopSequences", "SkipSpecialTokens", "Logprobs", "TopLogprobs",
            "BeginSuppressTokens", "ForcedEosTokenIds", "RenormalizeLogits", "DistinctSequences", "TrimToSentence", "ResponseFormat", "Regex",
        ];
        string[] withoutEffect =
        [
            "EarlyStopping", "LengthPenalty", "XtcThreshold", "DryBase", "DryAllowedLength", "DrySequenceBreakers", "MirostatTau", "MirostatEta",
            "DynamicTemperatureExponent", "DryPenaltyLastN", "AdaptivePDecay", "ForcedEosTokenIds", "RenormalizeLogits", "DistinctSequences", "LogprobsMode",
            "DiversityPenalty",
        ];
        var all = typeof(GenerationOptions).GetProperties().Select(property => property.Name);
        Assert.Empty(all.Except(carriedOut).Except(withoutEffect).Except(Refused.Select(row => row.Data.Item1)));
        GenerationOptions idle = new()
        {
            EarlyStopping = true, LengthPenalty = 2, XtcThreshold = 0.1f, DryBase = 2, DryAllowedLength = 3, DrySequenceBreakers = ["x"], MirostatTau = 5,
            MirostatEta = 0.1f, DynamicTemperatureExponent = 1, DryPenaltyLastN = 5, AdaptivePDecay = 0.5f, ForcedEosTokenIds = [1], RenormalizeLogits = true,
            DistinctSequences = true, LogprobsMode = LogprobsMode.Processed, DiversityPenalty = 1,
        };
        OptionCheck.Validate(idle);
        var warnings = OptionCheck.Warnings(idle, idle);
        Assert.All(withoutEffect, option => Assert.Single(warnings, warning => warning.StartsWith(option, StringComparison.Ordinal)));
    }

    [Fact]
    public void ValuesThatMeanOffAreTaken() => OptionCheck.Validate(new()
    {
        NumBeams = 1, NumBeamGroups = 1, DiversityPenalty = 0, TypicalP = 1, TopNSigma = 0, EpsilonCutoff = 0, EtaCutoff = 0, XtcProbability = 0,
        DryMultiplier = 0, Mirostat = 0, DynamicTemperatureRange = 0, NoRepeatNgramSize = 0, BadWords = [], ResponseFormat = ChatResponseFormat.Text,
        PromptLookupNumTokens = 0, ContextOverflow = ContextOverflow.Error, TopK = 0, TopP = 1, MinP = 0, RepetitionPenalty = 1, TopH = 0, AdaptivePTarget = -1,
        EncoderNoRepeatNgramSize = 0, MaxRepeats = 0, EncoderRepetitionPenalty = 1, MinLength = 0,
    });

    [Fact]
    public void NothingDrawnMeansItsOptionsHaveNoEffect()
    {
        GenerationOptions options = new() { DoSample = false, Temperature = 0.7f, TopK = 5, TopP = 0.5f, MinP = 0.1f, Seed = 1, NumReturnSequences = 2 };
        var warnings = OptionCheck.Warnings(options, options);
        Assert.Equal(6, warnings.Count);
        Assert.All(["Temperature", "TopK", "TopP", "MinP", "Seed", "NumReturnSequences"], option => Assert.Single(warnings, warning => warning.StartsWith(option, StringComparison.Ordinal)));

        GenerationOptions cold = new() { DoSample = true, Temperature = 0 };
        Assert.StartsWith("DoSample", Assert.Single(OptionCheck.Warnings(cold, cold)), StringComparison.Ordinal);
        Assert.Empty(OptionCheck.Warnings(new() { Temperature = 0.7f, Seed = 3 }, new() { Temperature = 0.7f, Seed = 3 }));

        // What comes from the settings is not the caller's doing.
        Assert.Empty(OptionCheck.Warnings(new() { DoSample = false }, new() { DoSample = false, Temperature = 0.7f }));
        Assert.Single(OptionCheck.Warnings(new() { MaxNewTokens = 5, MaxLength = 9 }, new() { MaxNewTokens = 5, MaxLength = 9 }));
    }

    [Fact]
    public void BeamsAreDrawnOnlyWhenAsked()
    {
        Assert.False(OptionCheck.Samples(new() { NumBeams = 4 }));
        Assert.False(OptionCheck.Samples(new() { NumBeams = 4, DoSample = true, Temperature = 0 }));
        Assert.True(OptionCheck.Samples(new() { NumBeams = 4, DoSample = true }));
        Assert.True(OptionCheck.Samples(new() { NumBeams = 1 }));

        GenerationOptions beams = new() { NumBeams = 4, EarlyStopping = EarlyStopping.Never, LengthPenalty = 2, NumReturnSequences = 4 };
        Assert.Empty(OptionCheck.Warnings(beams, beams));
        GenerationOptions idle = beams with { TopK = 3, MaxRepeats = 3, DiversityPenalty = 1 };
        Assert.Equal(["DiversityPenalty", "MaxRepeats", "TopK"], OptionCheck.Warnings(idle, idle).Select(warning => warning.Split(' ')[0]).Order());
    }

    [Theory]
    [InlineData("true", "true")]
    [InlineData("False", "false")]
    [InlineData("NEVER", "never")]
    public void EarlyStoppingIsReadAndWritten(string text, string expected)
    {
        Assert.True(EarlyStopping.TryParse(text, out var value));
        Assert.Equal(expected, value.ToString());
        Assert.False(EarlyStopping.TryParse("soon", out _));
        Assert.Equal(EarlyStopping.True, (EarlyStopping)true);
        Assert.Equal(default, (EarlyStopping)false);
    }

    [Fact]
    public void ARequestLiesOverTheSettings()
    {
        var all = typeof(GenerationOptions).GetProperties();
        GenerationOptions settings = new()
        {
            MaxNewTokens = 1, MinNewTokens = 1, DoSample = true, Temperature = 1, TopK = 1, TopP = 1, MinP = 1, TypicalP = 1, TopNSigma = 1, EpsilonCutoff = 1,
            EtaCutoff = 1, XtcProbability = 1, XtcThreshold = 1, DryMultiplier = 1, DryBase = 1, DryAllowedLength = 1, DrySequenceBreakers = ["1"], Mirostat = 1,
            MirostatTau = 1, MirostatEta = 1, DynamicTemperatureRange = 1, DynamicTemperatureExponent = 1, RepetitionPenalty = 1, FrequencyPenalty = 1,
            PresencePenalty = 1, NoRepeatNgramSize = 1, LogitBias = new Dictionary<int, float> { [1] = 1 }, BadWords = ["1"], SuppressTokens = [1], Seed = 1,
            NumBeams = 1, NumBeamGroups = 1, DiversityPenalty = 1, LengthPenalty = 1, EarlyStopping = true, NumReturnSequences = 1, BestOf = 1, StopSequences = ["1"],
            SkipSpecialTokens = true, Logprobs = true, TopLogprobs = 1, ResponseFormat = ChatResponseFormat.Text, Choices = ["1"], Regex = "1", Grammar = "1",
            PromptLookupNumTokens = 1, DraftModel = "1", ContextOverflow = ContextOverflow.TruncateOldestTurns, MinLength = 1,
            ExponentialDecayLengthPenalty = new(1, 1), TopH = 1, DryPenaltyLastN = 1, AdaptivePTarget = 1, AdaptivePDecay = 1, EncoderRepetitionPenalty = 1,
            EncoderNoRepeatNgramSize = 1, SequenceBias = new Dictionary<string, float> { ["1"] = 1 }, BeginSuppressTokens = [1], ForcedBosTokenId = 1,
            ForcedEosTokenIds = [1], LogitsProcessors = [new Nothing()], RenormalizeLogits = true, DistinctSequences = true, MaxRepeats = 2,
            TrimToSentence = true, LogprobsMode = LogprobsMode.Processed,
        };
        var filled = new GenerationOptions { MaxLength = 7 }.Over(settings);
        Assert.Equal(7, filled.MaxLength);
        Assert.Null(filled.MaxNewTokens); // the request named the other length
        Assert.Equal(settings with { MaxNewTokens = null, MaxLength = 7 }, filled);
        Assert.All(all.Where(property => property.Name != "MaxLength"), property => Assert.NotNull(property.GetValue(settings)));

        GenerationOptions asked = new() { Temperature = 0.1f, MaxNewTokens = 9, SkipSpecialTokens = false };
        Assert.Equal(settings with { Temperature = 0.1f, MaxNewTokens = 9, SkipSpecialTokens = false }, asked.Over(settings));
        Assert.Same(asked, asked.Over(null));
    }

    [Fact]
    public void RequestsWithoutAPromptOrInAFormThatCannotBeAreRefused()
    {
        Assert.Throws<ArgumentNullException>(() => GenerationRequest.Validate(null!));
        Assert.Equal("Prompt", Assert.Throws<ArgumentException>(() => GenerationRequest.Validate(new() { Prompt = null! })).ParamName);
        Assert.Equal("PromptFormat", Assert.Throws<ArgumentException>(() => GenerationRequest.Validate(new(new[] { new ChatMessage(ChatRole.User, "x") }) { PromptFormat = PromptFormat.Raw })).ParamName);
        Assert.Equal("PromptFormat", Assert.Throws<ArgumentException>(() => GenerationRequest.Validate(new(new int[] { 1 }) { PromptFormat = PromptFormat.Chat })).ParamName);
        Assert.Equal("Tools", Assert.Throws<ArgumentException>(() => GenerationRequest.Validate(new("x") { Tools = [new HostedWebSearchTool()] })).ParamName);
        Assert.Equal("Priority", Assert.Throws<ArgumentException>(() => GenerationRequest.Validate(new("x") { Priority = (GenerationPriority)7 })).ParamName);
        Assert.Throws<ArgumentException>(() => GenerationPrompt.FromTokens(ReadOnlyMemory<int>.Empty));
        Assert.Throws<ArgumentException>(() => GenerationPrompt.FromMessages([]));
        GenerationRequest.Validate(new(new[] { 1, 2 }, new() { Temperature = 0 }));
    }

    [Fact]
    public void MirostatNamesTheCutsItReplaces()
    {
        GenerationOptions options = new() { Mirostat = 2, TopK = 5, TopP = 0.5f, TypicalP = 0.5f, Temperature = 0.7f };
        Assert.Equal(["TopK", "TopP", "TypicalP"], OptionCheck.Warnings(options, options).Select(warning => warning.Split(' ')[0]));
    }

    private sealed class Nothing : ILogitsProcessor
    {
        public void Process(Span<float> scores, in SamplingContext context)
        {
        }
    }
}
