// Reads the settings out of a configuration section by hand: without reflection, and with messages that name the whole key.
using System.Globalization;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;
using NativeGen.Models;

namespace NativeGen.Hosting;

internal static class SettingsReader
{
    public static void Read(IConfiguration configuration, NativeGenOptions options)
    {
        List<string> problems = [];
        Section root = new(configuration, problems);
        options.DefaultModel = root.Text(nameof(options.DefaultModel)) ?? options.DefaultModel;
        options.MemoryBudget = root.Text(nameof(options.MemoryBudget)) ?? options.MemoryBudget;
        options.CacheDirectory = root.Text(nameof(options.CacheDirectory)) ?? options.CacheDirectory;
        foreach (var child in root.Children(nameof(options.Models)))
        {
            if (!options.Models.TryGetValue(child.Key, out var model))
            {
                options.Models[child.Key] = model = new ModelSettings();
            }

            Read(new Section(child, problems), model);
        }

        root.CheckUnknown();
        if (problems.Count > 0)
        {
            throw new OptionsValidationException(Options.DefaultName, typeof(NativeGenOptions), problems);
        }
    }

    private static void Read(Section section, ModelSettings model)
    {
        model.Source = section.Text(nameof(model.Source)) ?? model.Source;
        model.ContextLength = section.Int(nameof(model.ContextLength)) ?? model.ContextLength;
        model.Device = section.Text(nameof(model.Device)) ?? model.Device;
        model.GpuLayers = section.Text(nameof(model.GpuLayers)) ?? model.GpuLayers;
        model.KvCacheType = section.Enum<KvCacheType>(nameof(model.KvCacheType)) ?? model.KvCacheType;
        model.Threads = section.Int(nameof(model.Threads)) ?? model.Threads;
        model.MemoryMap = section.Bool(nameof(model.MemoryMap)) ?? model.MemoryMap;
        model.MaxConcurrentRequests = section.Int(nameof(model.MaxConcurrentRequests)) ?? model.MaxConcurrentRequests;
        model.MaxQueueLength = section.Int(nameof(model.MaxQueueLength)) ?? model.MaxQueueLength;
        model.LoadAtStart = section.Bool(nameof(model.LoadAtStart)) ?? model.LoadAtStart;
        model.IdleUnload = section.Time(nameof(model.IdleUnload)) ?? model.IdleUnload;
        if (section.Child(nameof(model.Defaults)) is { } defaults)
        {
            model.Defaults = ReadDefaults(defaults);
        }

        section.CheckUnknown();
    }

    private static GenerationOptions ReadDefaults(Section section)
    {
        GenerationOptions options = new()
        {
            MaxNewTokens = section.Int(nameof(options.MaxNewTokens)),
            MinNewTokens = section.Int(nameof(options.MinNewTokens)),
            MaxLength = section.Int(nameof(options.MaxLength)),
            MinLength = section.Int(nameof(options.MinLength)),
            ExponentialDecayLengthPenalty = section.LengthDecay(nameof(options.ExponentialDecayLengthPenalty)),
            DoSample = section.Bool(nameof(options.DoSample)),
            Temperature = section.Float(nameof(options.Temperature)),
            TopK = section.Int(nameof(options.TopK)),
            TopP = section.Float(nameof(options.TopP)),
            MinP = section.Float(nameof(options.MinP)),
            TypicalP = section.Float(nameof(options.TypicalP)),
            TopNSigma = section.Float(nameof(options.TopNSigma)),
            TopH = section.Float(nameof(options.TopH)),
            EpsilonCutoff = section.Float(nameof(options.EpsilonCutoff)),
            EtaCutoff = section.Float(nameof(options.EtaCutoff)),
            XtcProbability = section.Float(nameof(options.XtcProbability)),
            XtcThreshold = section.Float(nameof(options.XtcThreshold)),
            DryMultiplier = section.Float(nameof(options.DryMultiplier)),
            DryBase = section.Float(nameof(options.DryBase)),
            DryAllowedLength = section.Int(nameof(options.DryAllowedLength)),
            DryPenaltyLastN = section.Int(nameof(options.DryPenaltyLastN)),
            DrySequenceBreakers = section.Texts(nameof(options.DrySequenceBreakers)),
            Mirostat = section.Int(nameof(options.Mirostat)),
            MirostatTau = section.Float(nameof(options.MirostatTau)),
            MirostatEta = section.Float(nameof(options.MirostatEta)),
            AdaptivePTarget = section.Float(nameof(options.AdaptivePTarget)),
            AdaptivePDecay = section.Float(nameof(options.AdaptivePDecay)),
            DynamicTemperatureRange = section.Float(nameof(options.DynamicTemperatureRange)),
            DynamicTemperatureExponent = section.Float(nameof(options.DynamicTemperatureExponent)),
            RepetitionPenalty = section.Float(nameof(options.RepetitionPenalty)),
            EncoderRepetitionPenalty = section.Float(nameof(options.EncoderRepetitionPenalty)),
            FrequencyPenalty = section.Float(nameof(options.FrequencyPenalty)),
            PresencePenalty = section.Float(nameof(options.PresencePenalty)),
            NoRepeatNgramSize = section.Int(nameof(options.NoRepeatNgramSize)),
            EncoderNoRepeatNgramSize = section.Int(nameof(options.EncoderNoRepeatNgramSize)),
            LogitBias = section.Biases(nameof(options.LogitBias)),
            SequenceBias = section.TextBiases(nameof(options.SequenceBias)),
            BadWords = section.Texts(nameof(options.BadWords)),
            SuppressTokens = section.Ints(nameof(options.SuppressTokens)),
            BeginSuppressTokens = section.Ints(nameof(options.BeginSuppressTokens)),
            ForcedBosTokenId = section.Int(nameof(options.ForcedBosTokenId)),
            ForcedEosTokenIds = section.Ints(nameof(options.ForcedEosTokenIds)),
            RenormalizeLogits = section.Bool(nameof(options.RenormalizeLogits)),
            Seed = section.Long(nameof(options.Seed)),
            NumBeams = section.Int(nameof(options.NumBeams)),
            NumBeamGroups = section.Int(nameof(options.NumBeamGroups)),
            DiversityPenalty = section.Float(nameof(options.DiversityPenalty)),
            LengthPenalty = section.Float(nameof(options.LengthPenalty)),
            EarlyStopping = section.EarlyStopping(nameof(options.EarlyStopping)),
            NumReturnSequences = section.Int(nameof(options.NumReturnSequences)),
            BestOf = section.Int(nameof(options.BestOf)),
            DistinctSequences = section.Bool(nameof(options.DistinctSequences)),
            MaxRepeats = section.Int(nameof(options.MaxRepeats)),
            TrimToSentence = section.Bool(nameof(options.TrimToSentence)),
            StopSequences = section.Texts(nameof(options.StopSequences)),
            SkipSpecialTokens = section.Bool(nameof(options.SkipSpecialTokens)),
            Logprobs = section.Bool(nameof(options.Logprobs)),
            LogprobsMode = section.Enum<LogprobsMode>(nameof(options.LogprobsMode)),
            TopLogprobs = section.Int(nameof(options.TopLogprobs)),
            Choices = section.Texts(nameof(options.Choices)),
            Regex = section.Text(nameof(options.Regex)),
            Grammar = section.Text(nameof(options.Grammar)),
            PromptLookupNumTokens = section.Int(nameof(options.PromptLookupNumTokens)),
            DraftModel = section.Text(nameof(options.DraftModel)),
            ContextOverflow = section.Enum<ContextOverflow>(nameof(options.ContextOverflow)),
        };
        section.CheckUnknown();
        return options;
    }

    /// <summary>One section: every key that is read is known, whatever is left over is a mistake.</summary>
    private sealed class Section(IConfiguration configuration, List<string> problems)
    {
        private readonly List<string> _known = [];

        public string? Text(string key)
        {
            _known.Add(key);
            return configuration[key];
        }

        public int? Int(string key) => Parse<int>(key, "a whole number");

        public long? Long(string key) => Parse<long>(key, "a whole number");

        public float? Float(string key) => Parse(key, "a number", static (string text, out float value) =>
            float.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out value)); // no thousands: "0,8" is not 8

        public bool? Bool(string key) => Parse(key, "true or false", static (string text, out bool value) => bool.TryParse(text, out value));

        public EarlyStopping? EarlyStopping(string key) => Parse<EarlyStopping>(key, "true, false or never", NativeGen.EarlyStopping.TryParse);

        public TimeSpan? Time(string key) => Parse<TimeSpan>(key, "a time such as 00:10:00");

        public T? Enum<T>(string key)
            where T : struct, System.Enum =>
            Parse(key, $"one of {string.Join(", ", System.Enum.GetNames<T>())}", static (string text, out T value) =>
                System.Enum.TryParse(text, ignoreCase: true, out value) && System.Enum.IsDefined(value));

        public IReadOnlyList<string>? Texts(string key)
        {
            var children = Children(key);
            return children.Length == 0 ? null : [.. children.Select(child => child.Value ?? "")];
        }

        public IReadOnlyList<int>? Ints(string key)
        {
            Section items = new(configuration.GetSection(key), problems);
            int?[] values = [.. Children(key).Select(child => items.Int(child.Key))];
            return values.Length == 0 ? null : [.. values.OfType<int>()];
        }

        public IReadOnlyDictionary<int, float>? Biases(string key)
        {
            Section items = new(configuration.GetSection(key), problems);
            Dictionary<int, float> biases = [];
            foreach (var child in Children(key))
            {
                if (!int.TryParse(child.Key, CultureInfo.InvariantCulture, out var id))
                {
                    problems.Add($"{child.Path}: '{child.Key}' is not a token id.");
                }
                else if (items.Float(child.Key) is { } bias)
                {
                    biases[id] = bias;
                }
            }

            return biases.Count == 0 ? null : biases;
        }

        /// <summary>Keys are texts; one with a colon in it cannot be a key, as everywhere in configuration.</summary>
        public IReadOnlyDictionary<string, float>? TextBiases(string key)
        {
            Section items = new(configuration.GetSection(key), problems);
            Dictionary<string, float> biases = new(StringComparer.Ordinal);
            foreach (var child in Children(key))
            {
                if (items.Float(child.Key) is { } bias)
                {
                    biases[child.Key] = bias;
                }
            }

            return biases.Count == 0 ? null : biases;
        }

        public LengthDecay? LengthDecay(string key)
        {
            if (Child(key) is not { } child)
            {
                return null;
            }

            var (start, factor) = (child.Int("Start"), child.Float("Factor"));
            child.CheckUnknown();
            if (start is { } from && factor is { } by)
            {
                return new LengthDecay(from, by);
            }

            problems.Add($"{configuration.GetSection(key).Path} needs both Start and Factor.");
            return null;
        }

        public IConfigurationSection[] Children(string key)
        {
            _known.Add(key);
            return [.. configuration.GetSection(key).GetChildren()];
        }

        public Section? Child(string key)
        {
            _known.Add(key);
            var child = configuration.GetSection(key);
            return child.Exists() ? new Section(child, problems) : null;
        }

        public void CheckUnknown()
        {
            foreach (var child in configuration.GetChildren())
            {
                if (!_known.Contains(child.Key, StringComparer.OrdinalIgnoreCase))
                {
                    problems.Add($"{child.Path} is not a setting of this build. Known here: {string.Join(", ", _known)}.");
                }
            }
        }

        private delegate bool TryParse<T>(string text, out T value);

        private T? Parse<T>(string key, string what)
            where T : struct, ISpanParsable<T> =>
            Parse(key, what, static (string text, out T value) => T.TryParse(text, CultureInfo.InvariantCulture, out value));

        private T? Parse<T>(string key, string what, TryParse<T> parse)
            where T : struct
        {
            if (Text(key) is not { Length: > 0 } text)
            {
                return null;
            }

            if (parse(text, out var value))
            {
                return value;
            }

            problems.Add($"{configuration.GetSection(key).Path} is '{text}'; it must be {what}.");
            return null;
        }
    }
}
