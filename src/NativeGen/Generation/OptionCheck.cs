// Checks a request's options by themselves, before any model is asked: what cannot be done throws and is named, what has no effect is a warning.
using System.Buffers;
using System.Globalization;
using System.Text;
using Microsoft.Extensions.AI;
using NativeGen.Sampling;

namespace NativeGen;

internal static class OptionCheck
{
    /// <summary>Below this a temperature takes the best token; dividing by it would leave the range of a float.</summary>
    public const float LeastTemperature = TemperatureStep.Least;

    /// <summary>Throws for the first option that is out of range or not in this build.</summary>
    /// <exception cref="ArgumentException">Its ParamName is the option's.</exception>
    public static void Validate(GenerationOptions options)
    {
        Range(nameof(options.MaxNewTokens), options.MaxNewTokens, 1, int.MaxValue);
        Range(nameof(options.MinNewTokens), options.MinNewTokens, 0, int.MaxValue);
        Range(nameof(options.MaxLength), options.MaxLength, 1, int.MaxValue);
        Range(nameof(options.Temperature), options.Temperature, 0, float.MaxValue);
        Range(nameof(options.TopK), options.TopK, 0, int.MaxValue);
        Range(nameof(options.TopP), options.TopP, 0, 1);
        Range(nameof(options.MinP), options.MinP, 0, 1);
        Range(nameof(options.MinLength), options.MinLength, 0, int.MaxValue);
        Range(nameof(options.TypicalP), options.TypicalP, 0, 1);
        Range(nameof(options.TopNSigma), options.TopNSigma, 0, float.MaxValue);
        Range(nameof(options.TopH), options.TopH, 0, 1);
        Range(nameof(options.EpsilonCutoff), options.EpsilonCutoff, 0, 1);
        Range(nameof(options.EtaCutoff), options.EtaCutoff, 0, 1);
        Range(nameof(options.XtcProbability), options.XtcProbability, 0, 1);
        Range(nameof(options.XtcThreshold), options.XtcThreshold, 0, 1);
        Range(nameof(options.DryMultiplier), options.DryMultiplier, 0, float.MaxValue);
        Range(nameof(options.DryBase), options.DryBase, 1, float.MaxValue);
        Range(nameof(options.DryAllowedLength), options.DryAllowedLength, 1, int.MaxValue);
        Range(nameof(options.DryPenaltyLastN), options.DryPenaltyLastN, 1, int.MaxValue);
        Range(nameof(options.Mirostat), options.Mirostat, 0, 2);
        Range(nameof(options.MirostatTau), options.MirostatTau, 0, float.MaxValue);
        Range(nameof(options.MirostatEta), options.MirostatEta, 0, 1);
        Range(nameof(options.AdaptivePTarget), options.AdaptivePTarget, -1, 1);
        Range(nameof(options.AdaptivePDecay), options.AdaptivePDecay, 0, 0.99f);
        Range(nameof(options.DynamicTemperatureRange), options.DynamicTemperatureRange, 0, float.MaxValue);
        Range(nameof(options.DynamicTemperatureExponent), options.DynamicTemperatureExponent, 1e-3f, float.MaxValue);
        Range(nameof(options.ExponentialDecayLengthPenalty), options.ExponentialDecayLengthPenalty?.Start, 0, int.MaxValue);
        Range(nameof(options.ExponentialDecayLengthPenalty), options.ExponentialDecayLengthPenalty?.Factor, 1e-3f, float.MaxValue);
        Range(nameof(options.RepetitionPenalty), options.RepetitionPenalty, 1e-3f, float.MaxValue);
        Range(nameof(options.EncoderRepetitionPenalty), options.EncoderRepetitionPenalty, 1e-3f, float.MaxValue);
        Range(nameof(options.NoRepeatNgramSize), options.NoRepeatNgramSize, 0, int.MaxValue);
        Range(nameof(options.EncoderNoRepeatNgramSize), options.EncoderNoRepeatNgramSize, 0, int.MaxValue);
        Range(nameof(options.ForcedBosTokenId), options.ForcedBosTokenId, 0, int.MaxValue);
        Range(nameof(options.FrequencyPenalty), options.FrequencyPenalty, float.MinValue, float.MaxValue);
        Range(nameof(options.PresencePenalty), options.PresencePenalty, float.MinValue, float.MaxValue);
        Range(nameof(options.NumReturnSequences), options.NumReturnSequences, 1, 64);
        Range(nameof(options.BestOf), options.BestOf, Math.Max(options.NumReturnSequences ?? 1, 1), 64);
        Range(nameof(options.TopLogprobs), options.TopLogprobs, 0, 20);
        Range(nameof(options.MaxRepeats), options.MaxRepeats, 0, 1000);
        if (options.MaxRepeats == 1)
        {
            throw new ArgumentException("MaxRepeats is 1; what comes once is no repetition. 2 or more is needed, or 0 for off.", nameof(options.MaxRepeats));
        }

        if (options.LogprobsMode is { } mode && !Enum.IsDefined(mode))
        {
            throw new ArgumentException($"LogprobsMode {mode} does not exist.", nameof(options.LogprobsMode));
        }

        Range(nameof(options.NumBeams), options.NumBeams, 1, 64);
        Range(nameof(options.NumBeamGroups), options.NumBeamGroups, 1, options.NumBeams ?? 1);
        Range(nameof(options.DiversityPenalty), options.DiversityPenalty, 0, float.MaxValue);
        Range(nameof(options.LengthPenalty), options.LengthPenalty, -10, 10);
        if (options is { MinNewTokens: { } least, MaxNewTokens: { } most } && least > most)
        {
            throw new ArgumentException($"MinNewTokens is {least}, more than MaxNewTokens, {most}.", nameof(options.MinNewTokens));
        }

        foreach (var (id, bias) in options.LogitBias ?? new Dictionary<int, float>())
        {
            if (float.IsNaN(bias) || float.IsPositiveInfinity(bias))
            {
                throw new ArgumentException($"LogitBias of token {id} is {bias.ToString(CultureInfo.InvariantCulture)}; a finite number or negative infinity is needed.", nameof(options.LogitBias));
            }
        }

        Texts(nameof(options.StopSequences), options.StopSequences, "every answer would end before it begins");
        Texts(nameof(options.BadWords), options.BadWords, "it is a part of every answer");
        Texts(nameof(options.DrySequenceBreakers), options.DrySequenceBreakers, "it is a part of every text");
        Texts(nameof(options.SequenceBias), options.SequenceBias?.Keys, "it is a part of every answer");
        foreach (var (text, bias) in options.SequenceBias ?? new Dictionary<string, float>())
        {
            if (float.IsNaN(bias) || float.IsPositiveInfinity(bias))
            {
                throw new ArgumentException($"SequenceBias of '{text}' is {bias.ToString(CultureInfo.InvariantCulture)}; a finite number or negative infinity is needed.", nameof(options.SequenceBias));
            }
        }

        if (options.LogitsProcessors?.Contains(null!) == true)
        {
            throw new ArgumentException("LogitsProcessors has an entry that is null.", nameof(options.LogitsProcessors));
        }

        if (options is { NumBeams: > 1, Mirostat: > 0 } or { NumBeams: > 1, AdaptivePTarget: >= 0 })
        {
            var option = options.Mirostat > 0 ? nameof(options.Mirostat) : nameof(options.AdaptivePTarget);
            throw new ArgumentException($"{option} cannot be set together with NumBeams: it learns from one sequence of drawn tokens.", option);
        }

        Beams(options);
        if (ResponseForm.Set(options).ToArray() is [_, _, ..] forms)
        {
            throw new ArgumentException($"{string.Join(" and ", forms)} each bind the form of the answer; set one of them.", forms[1]);
        }

        if (options.Choices is { } choices && (choices.Count == 0 || choices.Any(choice => choice?.Contains('\0') != false)))
        {
            throw new ArgumentException("Choices needs at least one text, and none of them may be null or have a NUL character.", nameof(options.Choices));
        }

        Unsupported(nameof(options.PromptLookupNumTokens), options.PromptLookupNumTokens is null or 0, "speculation");
        Unsupported(nameof(options.DraftModel), options.DraftModel is null, "speculation");
        Unsupported(nameof(options.ContextOverflow), options.ContextOverflow is null or NativeGen.ContextOverflow.Error, "anything but an error at the end of the context");
    }

    /// <summary>Whether tokens are drawn at random.</summary>
    public static bool Samples(GenerationOptions options) => (options.DoSample ?? !HasBeams(options)) && !(options.Temperature < LeastTemperature);

    /// <summary>How many answers are generated, of which NumReturnSequences are returned.</summary>
    public static int Answers(GenerationOptions options) =>
        Samples(options) ? Math.Max(options.NumReturnSequences ?? 1, options.BestOf ?? 1) : options.NumReturnSequences ?? 1;

    public static bool HasBeams(GenerationOptions options) => options.NumBeams > 1;

    private static void Beams(GenerationOptions options)
    {
        if (!HasBeams(options))
        {
            return;
        }

        var (beams, groups) = (options.NumBeams!.Value, options.NumBeamGroups ?? 1);
        if (options.NumReturnSequences > beams)
        {
            throw new ArgumentException($"NumReturnSequences is {options.NumReturnSequences}, more than NumBeams, {beams}.", nameof(options.NumReturnSequences));
        }

        if (groups > 1 && beams % groups != 0)
        {
            throw new ArgumentException($"NumBeamGroups is {groups}, which does not divide NumBeams, {beams}.", nameof(options.NumBeamGroups));
        }

        if (groups > 1 && Samples(options))
        {
            throw new ArgumentException("NumBeamGroups cannot be set together with DoSample: groups differ by their penalty, not by chance.", nameof(options.NumBeamGroups));
        }

        if (groups > 1 && options.DiversityPenalty is null or 0)
        {
            throw new ArgumentException("NumBeamGroups needs a DiversityPenalty above 0: without one all groups find the same.", nameof(options.DiversityPenalty));
        }

        if (options.BestOf > 1)
        {
            throw new ArgumentException("BestOf cannot be set together with NumBeams, which searches for the best answers itself.", nameof(options.BestOf));
        }

        if (options.TopLogprobs > 0 || options.LogprobsMode == LogprobsMode.Processed)
        {
            var option = options.TopLogprobs > 0 ? nameof(options.TopLogprobs) : nameof(options.LogprobsMode);
            throw new ArgumentException($"{option} cannot be set together with NumBeams: of each token the beams keep only the log-probability that the model gave it.", option);
        }
    }

    /// <summary>The most tokens an answer may have; the context may end it earlier.</summary>
    public static int MaxNewTokens(GenerationOptions options, int promptLength)
    {
        if (options is { MaxNewTokens: null, MaxLength: { } length })
        {
            return length > promptLength ? length - promptLength : throw new ArgumentException(
                $"MaxLength is {length}, but the prompt alone has {promptLength} tokens. Raise it, or set MaxNewTokens, which counts the answer only.",
                nameof(options.MaxLength));
        }

        return options.MaxNewTokens ?? int.MaxValue;
    }

    /// <summary>What the caller set in vain.</summary>
    /// <param name="asked">The request's own options.</param>
    /// <param name="effective">With the model's settings under them.</param>
    public static List<string> Warnings(GenerationOptions asked, GenerationOptions effective)
    {
        List<string> warnings = [];
        if (!Samples(effective))
        {
            var why = effective.DoSample == false ? "DoSample is false" : effective.Temperature < LeastTemperature ? "the temperature is 0"
                : "beams are not drawn unless DoSample is true";
            Idle(asked.DoSample == true, nameof(asked.DoSample));
            Idle(asked.Temperature >= LeastTemperature, nameof(asked.Temperature));
            Idle(asked.TopK is not null, nameof(asked.TopK));
            Idle(asked.TopP is not null, nameof(asked.TopP));
            Idle(asked.MinP is not null, nameof(asked.MinP));
            Idle(asked.TypicalP is not (null or 1), nameof(asked.TypicalP));
            Idle(asked.TopNSigma > 0, nameof(asked.TopNSigma));
            Idle(asked.TopH > 0, nameof(asked.TopH));
            Idle(asked.EpsilonCutoff > 0, nameof(asked.EpsilonCutoff));
            Idle(asked.EtaCutoff > 0, nameof(asked.EtaCutoff));
            Idle(asked.XtcProbability > 0, nameof(asked.XtcProbability));
            Idle(asked.Mirostat > 0, nameof(asked.Mirostat));
            Idle(asked.AdaptivePTarget >= 0, nameof(asked.AdaptivePTarget));
            Idle(asked.DynamicTemperatureRange > 0, nameof(asked.DynamicTemperatureRange));
            Idle(asked.Seed is not null, nameof(asked.Seed));
            Idle(asked.BestOf > 1 && !HasBeams(effective), nameof(asked.BestOf));
            if (asked.NumReturnSequences > 1 && !HasBeams(effective))
            {
                warnings.Add($"NumReturnSequences gives {asked.NumReturnSequences} equal answers, because {why}: nothing is drawn at random.");
            }

            void Idle(bool set, string option)
            {
                if (set)
                {
                    warnings.Add($"{option} has no effect, because {why}: the best token is always taken.");
                }
            }
        }

        if (HasBeams(effective))
        {
            Without(asked.MaxRepeats > 0, nameof(asked.MaxRepeats), "NumBeams is more than 1");
            Without(asked.DiversityPenalty > 0 && effective.NumBeamGroups is null or 1, nameof(asked.DiversityPenalty), "NumBeamGroups is 1");
        }
        else
        {
            Without(asked.EarlyStopping is not null, nameof(asked.EarlyStopping), "NumBeams is 1");
            Without(asked.LengthPenalty is not null, nameof(asked.LengthPenalty), "NumBeams is 1");
            Without(asked.DiversityPenalty > 0, nameof(asked.DiversityPenalty), "NumBeams is 1");
        }

        Without(asked.MaxLength is not null && effective.MaxNewTokens is not null, nameof(asked.MaxLength), "MaxNewTokens is set, too");
        Without(asked.RenormalizeLogits == true && effective.NumBeams is null or 1, nameof(asked.RenormalizeLogits), "NumBeams is 1");
        Needs(effective.XtcProbability > 0, nameof(effective.XtcProbability), (asked.XtcThreshold is not null, nameof(asked.XtcThreshold)));
        Without(asked.XtcThreshold > 0.5f && effective.XtcProbability > 0, nameof(asked.XtcProbability), "XtcThreshold is above 0.5");
        Needs(effective.DryMultiplier > 0, nameof(effective.DryMultiplier), (asked.DryBase is not null, nameof(asked.DryBase)),
            (asked.DryAllowedLength is not null, nameof(asked.DryAllowedLength)), (asked.DryPenaltyLastN is not null, nameof(asked.DryPenaltyLastN)),
            (asked.DrySequenceBreakers is not null, nameof(asked.DrySequenceBreakers)));
        Needs(effective.Mirostat > 0, nameof(effective.Mirostat), (asked.MirostatTau is not null, nameof(asked.MirostatTau)),
            (asked.MirostatEta is not null, nameof(asked.MirostatEta)));
        Needs(effective.AdaptivePTarget >= 0, nameof(effective.AdaptivePTarget), (asked.AdaptivePDecay is not null, nameof(asked.AdaptivePDecay)));
        Needs(effective.DynamicTemperatureRange > 0, nameof(effective.DynamicTemperatureRange),
            (asked.DynamicTemperatureExponent is not null, nameof(asked.DynamicTemperatureExponent)));
        Needs(effective.Logprobs == true || effective.TopLogprobs > 0, nameof(effective.Logprobs), (asked.LogprobsMode is not null, nameof(asked.LogprobsMode)));
        Needs(effective.NumReturnSequences > 1, nameof(effective.NumReturnSequences), (asked.DistinctSequences == true, nameof(asked.DistinctSequences)));
        Without(asked.ForcedEosTokenIds is { Count: > 0 } && effective is { MaxNewTokens: null, MaxLength: null }, nameof(asked.ForcedEosTokenIds),
            "neither MaxNewTokens nor MaxLength is set");
        if (Samples(effective) && effective.Mirostat > 0)
        {
            foreach (var (set, option) in new[]
            {
                (asked.TopNSigma > 0, nameof(asked.TopNSigma)), (asked.TopH > 0, nameof(asked.TopH)), (asked.TopK > 0, nameof(asked.TopK)),
                (asked.TopP < 1, nameof(asked.TopP)), (asked.MinP > 0, nameof(asked.MinP)), (asked.TypicalP < 1, nameof(asked.TypicalP)),
                (asked.EpsilonCutoff > 0, nameof(asked.EpsilonCutoff)), (asked.EtaCutoff > 0, nameof(asked.EtaCutoff)),
                (asked.XtcProbability > 0, nameof(asked.XtcProbability)), (asked.AdaptivePTarget >= 0, nameof(asked.AdaptivePTarget)),
            })
            {
                Without(set, option, "Mirostat decides which tokens may come");
            }
        }

        return warnings;

        void Needs(bool set, string main, params ReadOnlySpan<(bool Set, string Option)> parts)
        {
            foreach (var (asked, option) in parts)
            {
                Without(asked && !set, option, $"{main} is not set");
            }
        }

        void Without(bool set, string option, string why)
        {
            if (set)
            {
                warnings.Add($"{option} has no effect, because {why}.");
            }
        }
    }

    /// <summary>The request's options over the model's settings.</summary>
    public static GenerationOptions Over(this GenerationOptions asked, GenerationOptions? defaults) => defaults is null ? asked : new()
    {
        // A request that says one of the two lengths means that one.
        MaxNewTokens = asked.MaxNewTokens ?? (asked.MaxLength is null ? defaults.MaxNewTokens : null),
        MaxLength = asked.MaxLength ?? (asked.MaxNewTokens is null ? defaults.MaxLength : null),
        MinNewTokens = asked.MinNewTokens ?? defaults.MinNewTokens,
        MinLength = asked.MinLength ?? defaults.MinLength,
        ExponentialDecayLengthPenalty = asked.ExponentialDecayLengthPenalty ?? defaults.ExponentialDecayLengthPenalty,
        DoSample = asked.DoSample ?? defaults.DoSample,
        Temperature = asked.Temperature ?? defaults.Temperature,
        TopK = asked.TopK ?? defaults.TopK,
        TopP = asked.TopP ?? defaults.TopP,
        MinP = asked.MinP ?? defaults.MinP,
        TypicalP = asked.TypicalP ?? defaults.TypicalP,
        TopNSigma = asked.TopNSigma ?? defaults.TopNSigma,
        TopH = asked.TopH ?? defaults.TopH,
        EpsilonCutoff = asked.EpsilonCutoff ?? defaults.EpsilonCutoff,
        EtaCutoff = asked.EtaCutoff ?? defaults.EtaCutoff,
        XtcProbability = asked.XtcProbability ?? defaults.XtcProbability,
        XtcThreshold = asked.XtcThreshold ?? defaults.XtcThreshold,
        DryMultiplier = asked.DryMultiplier ?? defaults.DryMultiplier,
        DryBase = asked.DryBase ?? defaults.DryBase,
        DryAllowedLength = asked.DryAllowedLength ?? defaults.DryAllowedLength,
        DryPenaltyLastN = asked.DryPenaltyLastN ?? defaults.DryPenaltyLastN,
        DrySequenceBreakers = asked.DrySequenceBreakers ?? defaults.DrySequenceBreakers,
        Mirostat = asked.Mirostat ?? defaults.Mirostat,
        MirostatTau = asked.MirostatTau ?? defaults.MirostatTau,
        MirostatEta = asked.MirostatEta ?? defaults.MirostatEta,
        AdaptivePTarget = asked.AdaptivePTarget ?? defaults.AdaptivePTarget,
        AdaptivePDecay = asked.AdaptivePDecay ?? defaults.AdaptivePDecay,
        DynamicTemperatureRange = asked.DynamicTemperatureRange ?? defaults.DynamicTemperatureRange,
        DynamicTemperatureExponent = asked.DynamicTemperatureExponent ?? defaults.DynamicTemperatureExponent,
        RepetitionPenalty = asked.RepetitionPenalty ?? defaults.RepetitionPenalty,
        EncoderRepetitionPenalty = asked.EncoderRepetitionPenalty ?? defaults.EncoderRepetitionPenalty,
        FrequencyPenalty = asked.FrequencyPenalty ?? defaults.FrequencyPenalty,
        PresencePenalty = asked.PresencePenalty ?? defaults.PresencePenalty,
        NoRepeatNgramSize = asked.NoRepeatNgramSize ?? defaults.NoRepeatNgramSize,
        EncoderNoRepeatNgramSize = asked.EncoderNoRepeatNgramSize ?? defaults.EncoderNoRepeatNgramSize,
        LogitBias = asked.LogitBias ?? defaults.LogitBias,
        SequenceBias = asked.SequenceBias ?? defaults.SequenceBias,
        BadWords = asked.BadWords ?? defaults.BadWords,
        SuppressTokens = asked.SuppressTokens ?? defaults.SuppressTokens,
        BeginSuppressTokens = asked.BeginSuppressTokens ?? defaults.BeginSuppressTokens,
        ForcedBosTokenId = asked.ForcedBosTokenId ?? defaults.ForcedBosTokenId,
        ForcedEosTokenIds = asked.ForcedEosTokenIds ?? defaults.ForcedEosTokenIds,
        LogitsProcessors = asked.LogitsProcessors ?? defaults.LogitsProcessors,
        RenormalizeLogits = asked.RenormalizeLogits ?? defaults.RenormalizeLogits,
        Seed = asked.Seed ?? defaults.Seed,
        NumBeams = asked.NumBeams ?? defaults.NumBeams,
        NumBeamGroups = asked.NumBeamGroups ?? defaults.NumBeamGroups,
        DiversityPenalty = asked.DiversityPenalty ?? defaults.DiversityPenalty,
        LengthPenalty = asked.LengthPenalty ?? defaults.LengthPenalty,
        EarlyStopping = asked.EarlyStopping ?? defaults.EarlyStopping,
        NumReturnSequences = asked.NumReturnSequences ?? defaults.NumReturnSequences,
        BestOf = asked.BestOf ?? defaults.BestOf,
        DistinctSequences = asked.DistinctSequences ?? defaults.DistinctSequences,
        MaxRepeats = asked.MaxRepeats ?? defaults.MaxRepeats,
        TrimToSentence = asked.TrimToSentence ?? defaults.TrimToSentence,
        StopSequences = asked.StopSequences ?? defaults.StopSequences,
        SkipSpecialTokens = asked.SkipSpecialTokens ?? defaults.SkipSpecialTokens,
        Logprobs = asked.Logprobs ?? defaults.Logprobs,
        LogprobsMode = asked.LogprobsMode ?? defaults.LogprobsMode,
        TopLogprobs = asked.TopLogprobs ?? defaults.TopLogprobs,
        ResponseFormat = asked.ResponseFormat ?? defaults.ResponseFormat,
        Choices = asked.Choices ?? defaults.Choices,
        Regex = asked.Regex ?? defaults.Regex,
        Grammar = asked.Grammar ?? defaults.Grammar,
        PromptLookupNumTokens = asked.PromptLookupNumTokens ?? defaults.PromptLookupNumTokens,
        DraftModel = asked.DraftModel ?? defaults.DraftModel,
        ContextOverflow = asked.ContextOverflow ?? defaults.ContextOverflow,
    };

    private static void Range<T>(string option, T? value, T least, T most)
        where T : struct, IComparable<T>, IFormattable
    {
        // NaN compares as less than everything.
        if (value is { } set && (set.CompareTo(least) < 0 || set.CompareTo(most) > 0))
        {
            var given = set.ToString(null, CultureInfo.InvariantCulture);
            throw new ArgumentException(most switch
            {
                int.MaxValue or float.MaxValue => $"{option} is {given}; it must be at least {least.ToString(null, CultureInfo.InvariantCulture)} and finite.",
                _ => $"{option} is {given}; it must be from {least.ToString(null, CultureInfo.InvariantCulture)} to {most.ToString(null, CultureInfo.InvariantCulture)}.",
            }, option);
        }
    }

    private static void Unsupported(string option, bool off, string what)
    {
        if (!off)
        {
            throw new ArgumentException($"{option} cannot be set: this build does not implement {what}.", option);
        }
    }

    private static void Texts(string option, IEnumerable<string>? texts, string why)
    {
        foreach (var text in texts ?? [])
        {
            if (string.IsNullOrEmpty(text))
            {
                throw new ArgumentException($"{option} has an empty text: {why}.", option);
            }

            if (!IsWellFormed(text))
            {
                throw new ArgumentException($"{option} has a text with half a surrogate pair, which no answer ever contains.", option);
            }
        }
    }

    private static bool IsWellFormed(ReadOnlySpan<char> text)
    {
        while (!text.IsEmpty)
        {
            if (Rune.DecodeFromUtf16(text, out _, out var used) != OperationStatus.Done)
            {
                return false;
            }

            text = text[used..];
        }

        return true;
    }
}
