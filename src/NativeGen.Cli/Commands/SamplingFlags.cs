// The many flags of `generate` that decide how tokens are chosen and where a text ends: a table of names, ranges and what each sets.
using System.CommandLine;
using System.Globalization;
using System.Numerics;
using NativeGen.Cli.Shell;

namespace NativeGen.Cli.Commands;

internal sealed class SamplingFlags
{
    private readonly List<Func<ParseResult, GenerationOptions, GenerationOptions>> _setters = [];
    private readonly List<OptionGroup> _groups = [];

    public SamplingFlags()
    {
        Group("Which tokens may come");
        Number<float>("--typical-p", "P", "Choose among tokens about as surprising as expected, up to this probability; 1 = off", p => p is >= 0 and <= 1, "from 0 to 1", (o, v) => o with { TypicalP = v });
        Number<float>("--top-n-sigma", "N", "Leave out logits more than N standard deviations below the best; 0 = off", n => n >= 0, "at least 0", (o, v) => o with { TopNSigma = v });
        Number<float>("--top-h", "H", "Choose among the best that have this part of the entropy; 0 = off", h => h is >= 0 and <= 1, "from 0 to 1", (o, v) => o with { TopH = v });
        Number<float>("--epsilon-cutoff", "P", "Leave out what is less probable; 0 = off", p => p is >= 0 and <= 1, "from 0 to 1", (o, v) => o with { EpsilonCutoff = v });
        Number<float>("--eta-cutoff", "P", "The same, less strict where the model is unsure; 0 = off", p => p is >= 0 and <= 1, "from 0 to 1", (o, v) => o with { EtaCutoff = v });
        Number<float>("--xtc-probability", "P", "How often to leave out the top choices; 0 = never", p => p is >= 0 and <= 1, "from 0 to 1", (o, v) => o with { XtcProbability = v });
        Number<float>("--xtc-threshold", "P", "From which probability on a token is a top choice [default: 0.1]", p => p is >= 0 and <= 1, "from 0 to 1", (o, v) => o with { XtcThreshold = v });
        Number<int>("--mirostat", "1|2", "Aim at a surprise instead of all these cuts; 0 = off", n => n is >= 0 and <= 2, "from 0 to 2", (o, v) => o with { Mirostat = v });
        Number<float>("--mirostat-tau", "BITS", "The surprise to aim at [default: 5]", t => t >= 0, "at least 0", (o, v) => o with { MirostatTau = v });
        Number<float>("--mirostat-eta", "X", "How fast mirostat learns [default: 0.1]", e => e is >= 0 and <= 1, "from 0 to 1", (o, v) => o with { MirostatEta = v });
        Number<float>("--adaptive-p-target", "P", "Favour tokens about this probable; negative = off", p => p is >= -1 and <= 1, "from -1 to 1", (o, v) => o with { AdaptivePTarget = v });
        Number<float>("--adaptive-p-decay", "X", "How much of the past counts for it [default: 0.9]", d => d is >= 0 and <= 0.99f, "from 0 to 0.99", (o, v) => o with { AdaptivePDecay = v });
        Number<float>("--dynamic-temperature-range", "R", "Let the temperature move so far down and up, as the model is sure or not; 0 = off", r => r >= 0, "at least 0", (o, v) => o with { DynamicTemperatureRange = v });
        Number<float>("--dynamic-temperature-exponent", "X", "The power of the unsureness [default: 1]", x => x >= 1e-3f, "above 0", (o, v) => o with { DynamicTemperatureExponent = v });

        Group("Repetition");
        Number<float>("--repetition-penalty", "X", "Above 1: less of what was said already [default: 1]", p => p >= 1e-3f, "above 0", (o, v) => o with { RepetitionPenalty = v });
        Number<float>("--frequency-penalty", "X", "Less of a token each time the answer has it [default: 0]", float.IsFinite, "finite", (o, v) => o with { FrequencyPenalty = v });
        Number<float>("--presence-penalty", "X", "Less of a token once the answer has it [default: 0]", float.IsFinite, "finite", (o, v) => o with { PresencePenalty = v });
        Number<float>("--encoder-repetition-penalty", "X", "Above 1: more of what the prompt says [default: 1]", p => p >= 1e-3f, "above 0", (o, v) => o with { EncoderRepetitionPenalty = v });
        Number<int>("--no-repeat-ngram-size", "N", "No passage of N tokens twice; 0 = off", n => n >= 0, "at least 0", (o, v) => o with { NoRepeatNgramSize = v });
        Number<int>("--encoder-no-repeat-ngram-size", "N", "No passage of N tokens of the prompt in the answer; 0 = off", n => n >= 0, "at least 0", (o, v) => o with { EncoderNoRepeatNgramSize = v });
        Number<float>("--dry-multiplier", "X", "Penalty on going on with a repeated passage; 0 = off", x => x >= 0, "at least 0", (o, v) => o with { DryMultiplier = v });
        Number<float>("--dry-base", "X", "Its growth with each token of the passage [default: 1.75]", x => x >= 1, "at least 1", (o, v) => o with { DryBase = v });
        Number<int>("--dry-allowed-length", "N", "The shortest passage that counts [default: 2]", n => n >= 1, "at least 1", (o, v) => o with { DryAllowedLength = v });
        Number<int>("--dry-penalty-last-n", "N", "Tokens to search for passages [default: all]", n => n >= 1, "at least 1", (o, v) => o with { DryPenaltyLastN = v });
        Texts("--dry-sequence-breaker", "A text that ends a passage; may be given several times [default: line end, colon, quotation mark, asterisk]", (o, v) => o with { DrySequenceBreakers = v });
        Number<int>("--max-repeats", "N", "End a text that says one passage N times in a row; 0 = off", n => n is 0 or >= 2 and <= 1000, "0, or from 2 to 1000", (o, v) => o with { MaxRepeats = v });

        Group("Search");
        Number<int>("--num-beams", "N", "Follow N texts at once and take the best; 1 = off", n => n is >= 1 and <= 64, "from 1 to 64", (o, v) => o with { NumBeams = v });
        Number<float>("--length-penalty", "X", "Above 0 favours long texts, below 0 short ones [default: 1]", x => x is >= -10 and <= 10, "from -10 to 10", (o, v) => o with { LengthPenalty = v });
        EarlyStops();
        Number<int>("--num-beam-groups", "N", "Split the beams into N groups that differ [default: 1]", n => n is >= 1 and <= 64, "from 1 to 64", (o, v) => o with { NumBeamGroups = v });
        Number<float>("--diversity-penalty", "X", "Less of what earlier groups chose at the same place", x => x >= 0, "at least 0", (o, v) => o with { DiversityPenalty = v });
        Number<int>("--best-of", "N", "Draw N texts and write only the likeliest", n => n is >= 1 and <= 64, "from 1 to 64", (o, v) => o with { BestOf = v });

        Group("Words and length");
        Texts("--bad-words", "A text that must not come; may be given several times", (o, v) => o with { BadWords = v });
        Biases();
        Ids("--suppress-tokens", "Token ids that must not come", (o, v) => o with { SuppressTokens = v });
        Ids("--begin-suppress-tokens", "Token ids that must not come first", (o, v) => o with { BeginSuppressTokens = v });
        Number<int>("--forced-bos-token-id", "ID", "The token after a prompt of one token", n => n >= 0, "at least 0", (o, v) => o with { ForcedBosTokenId = v });
        Ids("--forced-eos-token-ids", "Token ids of which the last token allowed must be one", (o, v) => o with { ForcedEosTokenIds = v });
        Number<int>("--min-new-tokens", "N", "Fewest tokens to write [default: 0]", n => n >= 0, "at least 0", (o, v) => o with { MinNewTokens = v });
        Number<int>("--min-length", "N", "Fewest tokens of prompt and text together [default: 0]", n => n >= 0, "at least 0", (o, v) => o with { MinLength = v });
        Number<int>("--max-length", "N", "Most tokens of prompt and text together", n => n >= 1, "at least 1", (o, v) => o with { MaxLength = v });
        Decay();
        Flag("--trim-to-sentence", "Cut a text that ends for its length after its last whole sentence", o => o with { TrimToSentence = true });
        Flag("--distinct-sequences", "With --json: leave out texts that another answer has already", o => o with { DistinctSequences = true });
    }

    public IReadOnlyList<OptionGroup> Groups => _groups;

    public IEnumerable<Option> All => _groups.SelectMany(group => group.Options);

    /// <summary>The options with what the command line says.</summary>
    public GenerationOptions Apply(ParseResult parsed, GenerationOptions options) => _setters.Aggregate(options, (so, set) => set(parsed, so));

    private void Group(string title) => _groups.Add(new OptionGroup(title, []));

    private void Add<T>(Option<T> option, Func<GenerationOptions, T, GenerationOptions> set)
    {
        _groups[^1].Options.Add(option);
        _setters.Add((parsed, options) => parsed.GetResult(option) is { Implicit: false } && parsed.GetValue(option) is { } value ? set(options, value) : options);
    }

    private void Number<T>(string name, string helpName, string description, Func<T, bool> holds, string range, Func<GenerationOptions, T, GenerationOptions> set)
        where T : struct, INumber<T>, IMinMaxValue<T> =>
        Add(CommonOptions.Checked(new Option<T?>(name) { Description = description, HelpName = helpName }, holds, range), (options, value) => set(options, value!.Value));

    private void Flag(string name, string description, Func<GenerationOptions, GenerationOptions> set) =>
        Add(new Option<bool>(name) { Description = description }, (options, on) => on ? set(options) : options);

    private void Texts(string name, string description, Func<GenerationOptions, string[], GenerationOptions> set)
    {
        var option = new Option<string[]>(name) { Description = description, HelpName = "TEXT", AllowMultipleArgumentsPerToken = false };
        option.Validators.Add(result =>
        {
            if (result.Tokens.Any(token => token.Value.Length == 0))
                result.AddError($"{name} must not be empty");
        });
        Add(option, set);
    }

    private void Ids(string name, string description, Func<GenerationOptions, int[], GenerationOptions> set)
    {
        var option = new Option<int[]>(name) { Description = description, HelpName = "ID,ID" };
        option.CustomParser = result =>
        {
            var words = result.Tokens[0].Value.Split(',', StringSplitOptions.TrimEntries);
            var ids = new int[words.Length];
            for (var i = 0; i < ids.Length; i++)
            {
                if (!int.TryParse(words[i], NumberStyles.None, CultureInfo.InvariantCulture, out ids[i]))
                    return CommonOptions.Refuse(result, $"{name} takes token ids such as 5,17, not '{result.Tokens[0].Value}'", ids);
            }
            return ids;
        };
        Add(option, set);
    }

    private void Biases()
    {
        var option = new Option<Dictionary<string, float>>("--sequence-bias")
        {
            Description = "A text and what to add to its last token's logit, as 'text=-2.5'; may be given several times", HelpName = "TEXT=X", Arity = ArgumentArity.OneOrMore, AllowMultipleArgumentsPerToken = false,
        };
        option.CustomParser = result =>
        {
            Dictionary<string, float> biases = new(StringComparer.Ordinal);
            foreach (var token in result.Tokens)
            {
                var at = token.Value.LastIndexOf('=');
                if (at <= 0 || !float.TryParse(token.Value.AsSpan(at + 1), NumberStyles.Float, CultureInfo.InvariantCulture, out var bias) || float.IsNaN(bias) || float.IsPositiveInfinity(bias))
                    return CommonOptions.Refuse(result, $"--sequence-bias takes a text and a number such as 'sea=-2.5', not '{token.Value}'", biases);
                biases[token.Value[..at]] = bias;
            }
            return biases;
        };
        Add(option, (options, biases) => options with { SequenceBias = biases });
    }

    private void EarlyStops()
    {
        var option = new Option<EarlyStopping?>("--early-stopping")
        {
            Description = "End with as many texts as beams (true), when better ones are unlikely (false, the default) or impossible (never)", HelpName = "WHEN",
        };
        option.CustomParser = result => EarlyStopping.TryParse(result.Tokens[0].Value, out var when)
            ? when
            : CommonOptions.Refuse<EarlyStopping?>(result, $"--early-stopping takes true, false or never, not '{result.Tokens[0].Value}'", null);
        Add(option, (options, when) => options with { EarlyStopping = when });
    }

    private void Decay()
    {
        var option = new Option<LengthDecay?>("--exponential-decay-length-penalty")
        {
            Description = "Make the end likelier with every token after N, by the factor X each, as '50,1.05'", HelpName = "N,X",
        };
        option.CustomParser = result =>
        {
            var words = result.Tokens[0].Value.Split(',', StringSplitOptions.TrimEntries);
            return words.Length == 2 && int.TryParse(words[0], NumberStyles.None, CultureInfo.InvariantCulture, out var start)
                && float.TryParse(words[1], NumberStyles.Float, CultureInfo.InvariantCulture, out var factor) && factor is >= 1e-3f and <= 1000
                ? new LengthDecay(start, factor)
                : CommonOptions.Refuse<LengthDecay?>(result, $"--exponential-decay-length-penalty takes a number of tokens and a factor such as 50,1.05, not '{result.Tokens[0].Value}'", null);
        };
        Add(option, (options, decay) => options with { ExponentialDecayLengthPenalty = decay });
    }
}
