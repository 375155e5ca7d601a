// The options of a request: Hugging Face's generation parameters under .NET names.
using Microsoft.Extensions.AI;

namespace NativeGen;

/// <summary>
/// How to generate. Everything may be left out: then the model's settings decide, else the defaults (sample with temperature 0.8, top-k 40,
/// top-p 0.95, min-p 0.05 until the model ends its answer or its context is full).
/// </summary>
/// <remarks>
/// The steps run in the order of Hugging Face's <c>generate</c>: logit bias, repetition penalty, frequency and presence penalty, suppressed
/// tokens, temperature, top-k, top-p, min-p. An option that has no effect on a request is named in <see cref="GenerationResult.Warnings"/>.
/// An option that this build does not implement throws an <see cref="ArgumentException"/> that names it, unless its value means "off".
/// Immutable.
/// </remarks>
public sealed record GenerationOptions
{
    /// <summary>The most tokens to generate, at least 1. Default: until the model ends or its context is full. Wins over <see cref="MaxLength"/>.</summary>
    public int? MaxNewTokens { get; init; }

    /// <summary>The fewest tokens to generate: until then the model cannot end its answer. Default 0.</summary>
    public int? MinNewTokens { get; init; }

    /// <summary>The most tokens of prompt and answer together; more than the prompt has.</summary>
    public int? MaxLength { get; init; }

    /// <summary>True draws tokens at random, false always takes the best one. Default: true, unless <see cref="Temperature"/> is 0.</summary>
    public bool? DoSample { get; init; }

    /// <summary>Below 1 the likely becomes likelier, above 1 all becomes more alike; 0 (or less than 1e-5) takes the best token. Default 0.8.</summary>
    public float? Temperature { get; init; }

    /// <summary>Only the k best tokens, and those that tie with the k-th, may come; 0 = all. Default 40.</summary>
    public int? TopK { get; init; }

    /// <summary>Only the best tokens that together reach this probability may come, 0 to 1; 1 = all. Default 0.95.</summary>
    public float? TopP { get; init; }

    /// <summary>Only tokens at least this likely, in proportion to the best one, may come, 0 to 1; 0 = all. Default 0.05.</summary>
    public float? MinP { get; init; }

    /// <summary>Locally typical sampling. Not in this build; 1 = off.</summary>
    public float? TypicalP { get; init; }

    /// <summary>Top-n-sigma sampling. Not in this build; 0 = off.</summary>
    public float? TopNSigma { get; init; }

    /// <summary>Epsilon sampling. Not in this build; 0 = off.</summary>
    public float? EpsilonCutoff { get; init; }

    /// <summary>Eta sampling. Not in this build; 0 = off.</summary>
    public float? EtaCutoff { get; init; }

    /// <summary>Exclude-top-choices sampling. Not in this build; 0 = off.</summary>
    public float? XtcProbability { get; init; }

    /// <summary>Threshold of <see cref="XtcProbability"/>.</summary>
    public float? XtcThreshold { get; init; }

    /// <summary>"Don't repeat yourself" penalty. Not in this build; 0 = off.</summary>
    public float? DryMultiplier { get; init; }

    /// <summary>Base of <see cref="DryMultiplier"/>.</summary>
    public float? DryBase { get; init; }

    /// <summary>Longest repetition that <see cref="DryMultiplier"/> lets pass.</summary>
    public int? DryAllowedLength { get; init; }

    /// <summary>Texts that <see cref="DryMultiplier"/> does not look across.</summary>
    public IReadOnlyList<string>? DrySequenceBreakers { get; init; }

    /// <summary>Mirostat sampling, 1 or 2. Not in this build; 0 = off.</summary>
    public int? Mirostat { get; init; }

    /// <summary>Target surprise of <see cref="Mirostat"/>.</summary>
    public float? MirostatTau { get; init; }

    /// <summary>Learning rate of <see cref="Mirostat"/>.</summary>
    public float? MirostatEta { get; init; }

    /// <summary>Entropy-dependent temperature. Not in this build; 0 = off.</summary>
    public float? DynamicTemperatureRange { get; init; }

    /// <summary>Exponent of <see cref="DynamicTemperatureRange"/>.</summary>
    public float? DynamicTemperatureExponent { get; init; }

    /// <summary>More than 1 discourages tokens that prompt or answer already have; 1 = off. Above 0.</summary>
    public float? RepetitionPenalty { get; init; }

    /// <summary>Subtracted from a token's logit for every time the answer already has it; 0 = off.</summary>
    public float? FrequencyPenalty { get; init; }

    /// <summary>Subtracted from a token's logit once the answer has it; 0 = off.</summary>
    public float? PresencePenalty { get; init; }

    /// <summary>No sequence of so many tokens twice. Not in this build; 0 = off.</summary>
    public int? NoRepeatNgramSize { get; init; }

    /// <summary>Added to the logits of single tokens, by token id; negative infinity rules a token out.</summary>
    public IReadOnlyDictionary<int, float>? LogitBias { get; init; }

    /// <summary>Texts that must not come. Not in this build.</summary>
    public IReadOnlyList<string>? BadWords { get; init; }

    /// <summary>Token ids that must not come.</summary>
    public IReadOnlyList<int>? SuppressTokens { get; init; }

    /// <summary>Same seed, same request, same model: same text. Default: one at random, reported in <see cref="GenerationResult.Seed"/>.</summary>
    public long? Seed { get; init; }

    /// <summary>Beam search. Not in this build; 1 = off.</summary>
    public int? NumBeams { get; init; }

    /// <summary>Groups of beams. Not in this build; 1 = off.</summary>
    public int? NumBeamGroups { get; init; }

    /// <summary>Penalty between groups of beams. Not in this build; 0 = off.</summary>
    public float? DiversityPenalty { get; init; }

    /// <summary>Exponent of the length that beams' scores are divided by; without beams it has no effect.</summary>
    public float? LengthPenalty { get; init; }

    /// <summary>When beam search ends; without beams it has no effect.</summary>
    public bool? EarlyStopping { get; init; }

    /// <summary>How many answers, each drawn on its own; the prompt is computed once. 1 to 64, default 1.</summary>
    public int? NumReturnSequences { get; init; }

    /// <summary>Texts that end the answer, which is cut before them.</summary>
    public IReadOnlyList<string>? StopSequences { get; init; }

    /// <summary>Whether control tokens are left out of the text. Default true.</summary>
    public bool? SkipSpecialTokens { get; init; }

    /// <summary>Report the log-probability of every generated token. Default false.</summary>
    public bool? Logprobs { get; init; }

    /// <summary>With each token also the most likely ones at its place, 0 to 20. More than 0 implies <see cref="Logprobs"/>. Default 0.</summary>
    public int? TopLogprobs { get; init; }

    /// <summary>The form of the answer: text. JSON is not in this build.</summary>
    public ChatResponseFormat? ResponseFormat { get; init; }

    /// <summary>The answer is one of these texts. Not in this build.</summary>
    public IReadOnlyList<string>? Choices { get; init; }

    /// <summary>The answer matches a regular expression. Not in this build.</summary>
    public string? Regex { get; init; }

    /// <summary>The answer follows a grammar. Not in this build.</summary>
    public string? Grammar { get; init; }

    /// <summary>Speculation with tokens of the prompt. Not in this build; 0 = off.</summary>
    public int? PromptLookupNumTokens { get; init; }

    /// <summary>Speculation with a smaller model. Not in this build.</summary>
    public string? DraftModel { get; init; }

    /// <summary>What happens when the context is full. Only <see cref="ContextOverflow.Error"/> in this build.</summary>
    public ContextOverflow? ContextOverflow { get; init; }
}
