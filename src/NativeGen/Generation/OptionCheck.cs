// Checks a request's options by themselves, before any model is asked: what cannot be done throws and is named, what has no effect is a warning.
using System.Buffers;
using System.Globalization;
using System.Text;
using Microsoft.Extensions.AI;

namespace NativeGen;

internal static class OptionCheck
{
    /// <summary>Below this a temperature takes the best token; dividing by it would leave the range of a float.</summary>
    public const float LeastTemperature = 1e-5f;

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
        Range(nameof(options.RepetitionPenalty), options.RepetitionPenalty, 1e-3f, float.MaxValue);
        Range(nameof(options.FrequencyPenalty), options.FrequencyPenalty, float.MinValue, float.MaxValue);
        Range(nameof(options.PresencePenalty), options.PresencePenalty, float.MinValue, float.MaxValue);
        Range(nameof(options.NumReturnSequences), options.NumReturnSequences, 1, 64);
        Range(nameof(options.TopLogprobs), options.TopLogprobs, 0, 20);
        Range(nameof(options.NumBeams), options.NumBeams, 1, int.MaxValue);
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

        foreach (var stop in options.StopSequences ?? [])
        {
            if (string.IsNullOrEmpty(stop))
            {
                throw new ArgumentException("StopSequences has an empty text: every answer would end before it begins.", nameof(options.StopSequences));
            }

            if (!IsWellFormed(stop))
            {
                throw new ArgumentException("StopSequences has a text with half a surrogate pair, which no answer ever contains.", nameof(options.StopSequences));
            }
        }

        Unsupported(nameof(options.NumBeams), options.NumBeams is null or 1, "beam search");
        Unsupported(nameof(options.NumBeamGroups), options.NumBeamGroups is null or 1, "beam search");
        Unsupported(nameof(options.DiversityPenalty), options.DiversityPenalty is null or 0, "beam search");
        Unsupported(nameof(options.TypicalP), options.TypicalP is null or 1, "typical sampling");
        Unsupported(nameof(options.TopNSigma), options.TopNSigma is null or 0, "top-n-sigma sampling");
        Unsupported(nameof(options.EpsilonCutoff), options.EpsilonCutoff is null or 0, "epsilon sampling");
        Unsupported(nameof(options.EtaCutoff), options.EtaCutoff is null or 0, "eta sampling");
        Unsupported(nameof(options.XtcProbability), options.XtcProbability is null or 0, "XTC sampling");
        Unsupported(nameof(options.DryMultiplier), options.DryMultiplier is null or 0, "the DRY penalty");
        Unsupported(nameof(options.Mirostat), options.Mirostat is null or 0, "Mirostat sampling");
        Unsupported(nameof(options.DynamicTemperatureRange), options.DynamicTemperatureRange is null or 0, "dynamic temperature");
        Unsupported(nameof(options.NoRepeatNgramSize), options.NoRepeatNgramSize is null or 0, "blocking of repeated n-grams");
        Unsupported(nameof(options.BadWords), options.BadWords is null or { Count: 0 }, "banning of texts");
        Unsupported(nameof(options.ResponseFormat), options.ResponseFormat is null or ChatResponseFormatText, "JSON output");
        Unsupported(nameof(options.Choices), options.Choices is null, "a fixed set of answers");
        Unsupported(nameof(options.Regex), options.Regex is null, "output by a regular expression");
        Unsupported(nameof(options.Grammar), options.Grammar is null, "output by a grammar");
        Unsupported(nameof(options.PromptLookupNumTokens), options.PromptLookupNumTokens is null or 0, "speculation");
        Unsupported(nameof(options.DraftModel), options.DraftModel is null, "speculation");
        Unsupported(nameof(options.ContextOverflow), options.ContextOverflow is null or NativeGen.ContextOverflow.Error, "anything but an error at the end of the context");
    }

    /// <summary>Whether tokens are drawn at random.</summary>
    public static bool Samples(GenerationOptions options) => options.DoSample != false && !(options.Temperature < LeastTemperature);

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
            var why = effective.DoSample == false ? "DoSample is false" : "the temperature is 0";
            Idle(asked.DoSample == true, nameof(asked.DoSample));
            Idle(asked.Temperature >= LeastTemperature, nameof(asked.Temperature));
            Idle(asked.TopK is not null, nameof(asked.TopK));
            Idle(asked.TopP is not null, nameof(asked.TopP));
            Idle(asked.MinP is not null, nameof(asked.MinP));
            Idle(asked.Seed is not null, nameof(asked.Seed));
            if (asked.NumReturnSequences > 1)
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

        Without(asked.EarlyStopping is not null, nameof(asked.EarlyStopping), "NumBeams is 1");
        Without(asked.LengthPenalty is not null, nameof(asked.LengthPenalty), "NumBeams is 1");
        Without(asked.MaxLength is not null && effective.MaxNewTokens is not null, nameof(asked.MaxLength), "MaxNewTokens is set, too");
        Without(asked.XtcThreshold is not null, nameof(asked.XtcThreshold), "XtcProbability is not set");
        Without(asked.DryBase is not null, nameof(asked.DryBase), "DryMultiplier is not set");
        Without(asked.DryAllowedLength is not null, nameof(asked.DryAllowedLength), "DryMultiplier is not set");
        Without(asked.DrySequenceBreakers is not null, nameof(asked.DrySequenceBreakers), "DryMultiplier is not set");
        Without(asked.MirostatTau is not null, nameof(asked.MirostatTau), "Mirostat is not set");
        Without(asked.MirostatEta is not null, nameof(asked.MirostatEta), "Mirostat is not set");
        Without(asked.DynamicTemperatureExponent is not null, nameof(asked.DynamicTemperatureExponent), "DynamicTemperatureRange is not set");
        return warnings;

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
        DoSample = asked.DoSample ?? defaults.DoSample,
        Temperature = asked.Temperature ?? defaults.Temperature,
        TopK = asked.TopK ?? defaults.TopK,
        TopP = asked.TopP ?? defaults.TopP,
        MinP = asked.MinP ?? defaults.MinP,
        TypicalP = asked.TypicalP ?? defaults.TypicalP,
        TopNSigma = asked.TopNSigma ?? defaults.TopNSigma,
        EpsilonCutoff = asked.EpsilonCutoff ?? defaults.EpsilonCutoff,
        EtaCutoff = asked.EtaCutoff ?? defaults.EtaCutoff,
        XtcProbability = asked.XtcProbability ?? defaults.XtcProbability,
        XtcThreshold = asked.XtcThreshold ?? defaults.XtcThreshold,
        DryMultiplier = asked.DryMultiplier ?? defaults.DryMultiplier,
        DryBase = asked.DryBase ?? defaults.DryBase,
        DryAllowedLength = asked.DryAllowedLength ?? defaults.DryAllowedLength,
        DrySequenceBreakers = asked.DrySequenceBreakers ?? defaults.DrySequenceBreakers,
        Mirostat = asked.Mirostat ?? defaults.Mirostat,
        MirostatTau = asked.MirostatTau ?? defaults.MirostatTau,
        MirostatEta = asked.MirostatEta ?? defaults.MirostatEta,
        DynamicTemperatureRange = asked.DynamicTemperatureRange ?? defaults.DynamicTemperatureRange,
        DynamicTemperatureExponent = asked.DynamicTemperatureExponent ?? defaults.DynamicTemperatureExponent,
        RepetitionPenalty = asked.RepetitionPenalty ?? defaults.RepetitionPenalty,
        FrequencyPenalty = asked.FrequencyPenalty ?? defaults.FrequencyPenalty,
        PresencePenalty = asked.PresencePenalty ?? defaults.PresencePenalty,
        NoRepeatNgramSize = asked.NoRepeatNgramSize ?? defaults.NoRepeatNgramSize,
        LogitBias = asked.LogitBias ?? defaults.LogitBias,
        BadWords = asked.BadWords ?? defaults.BadWords,
        SuppressTokens = asked.SuppressTokens ?? defaults.SuppressTokens,
        Seed = asked.Seed ?? defaults.Seed,
        NumBeams = asked.NumBeams ?? defaults.NumBeams,
        NumBeamGroups = asked.NumBeamGroups ?? defaults.NumBeamGroups,
        DiversityPenalty = asked.DiversityPenalty ?? defaults.DiversityPenalty,
        LengthPenalty = asked.LengthPenalty ?? defaults.LengthPenalty,
        EarlyStopping = asked.EarlyStopping ?? defaults.EarlyStopping,
        NumReturnSequences = asked.NumReturnSequences ?? defaults.NumReturnSequences,
        StopSequences = asked.StopSequences ?? defaults.StopSequences,
        SkipSpecialTokens = asked.SkipSpecialTokens ?? defaults.SkipSpecialTokens,
        Logprobs = asked.Logprobs ?? defaults.Logprobs,
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
