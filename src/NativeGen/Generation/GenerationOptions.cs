// The options of a request: Hugging Face's generation parameters under .NET names.
using Microsoft.Extensions.AI;
using NativeGen.Sampling;

namespace NativeGen;

/// <summary>
/// How to generate. Everything may be left out: then the model's settings decide, else the defaults (sample with temperature 0.8, top-k 40,
/// top-p 0.95, min-p 0.05 until the model ends its answer or its context is full).
/// </summary>
/// <remarks>
/// The steps run in the order of Hugging Face's <c>generate</c>, which <see cref="SamplerStep"/> lists. An option that has no effect on a request is
/// named in <see cref="GenerationResult.Warnings"/>.
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

    /// <summary>The fewest tokens of prompt and answer together: until then the model cannot end its answer. Default 0.</summary>
    public int? MinLength { get; init; }

    /// <summary>Makes the end of the answer likelier the longer it gets.</summary>
    public LengthDecay? ExponentialDecayLengthPenalty { get; init; }

    /// <summary>True draws tokens at random, false always takes the best one. Default: true, unless <see cref="Temperature"/> is 0 or <see cref="NumBeams"/> more than 1.</summary>
    public bool? DoSample { get; init; }

    /// <summary>Below 1 the likely becomes likelier, above 1 all becomes more alike; 0 (or less than 1e-5) takes the best token. Default 0.8.</summary>
    public float? Temperature { get; init; }

    /// <summary>Only the k best tokens, and those that tie with the k-th, may come; 0 = all. Default 40.</summary>
    public int? TopK { get; init; }

    /// <summary>Only the best tokens that together reach this probability may come, 0 to 1; 1 = all. Default 0.95.</summary>
    public float? TopP { get; init; }

    /// <summary>Only tokens at least this likely, in proportion to the best one, may come, 0 to 1; 0 = all. Default 0.05.</summary>
    public float? MinP { get; init; }

    /// <summary>Locally typical sampling: only the tokens whose surprise is nearest to the expected one and that together reach this probability, 0 to 1; 1 = all, the default.</summary>
    public float? TypicalP { get; init; }

    /// <summary>Only tokens whose logit is within so many standard deviations of the best one; 0 = all, the default.</summary>
    public float? TopNSigma { get; init; }

    /// <summary>Only the best tokens whose entropies together are at most this part of the whole (of the 100 best), 0 to 1; 0 = off, the default.</summary>
    public float? TopH { get; init; }

    /// <summary>Only tokens at least this probable, 0 to 1; 0 = all, the default.</summary>
    public float? EpsilonCutoff { get; init; }

    /// <summary>As <see cref="EpsilonCutoff"/>, but less strict where the model is unsure, 0 to 1; 0 = all, the default.</summary>
    public float? EtaCutoff { get; init; }

    /// <summary>Exclude top choices: how often all tokens above <see cref="XtcThreshold"/> but the least likely of them are left out, 0 to 1; 0 = never, the default.</summary>
    public float? XtcProbability { get; init; }

    /// <summary>From which probability on <see cref="XtcProbability"/> counts a token as a top choice, 0 to 1; above 0.5 it has no effect. Default 0.1.</summary>
    public float? XtcThreshold { get; init; }

    /// <summary>"Don't repeat yourself": lowers tokens that continue a repeated passage, by this much for the shortest that counts; 0 = off, the default.</summary>
    public float? DryMultiplier { get; init; }

    /// <summary>What each further token of the passage multiplies the penalty by, at least 1. Default 1.75.</summary>
    public float? DryBase { get; init; }

    /// <summary>The length of the shortest passage that counts, at least 1. Default 2.</summary>
    public int? DryAllowedLength { get; init; }

    /// <summary>How many tokens of the text's end are searched for repetitions. Default: all.</summary>
    public int? DryPenaltyLastN { get; init; }

    /// <summary>Texts that no passage reaches across. Default: line end, colon, quotation mark, asterisk.</summary>
    public IReadOnlyList<string>? DrySequenceBreakers { get; init; }

    /// <summary>Mirostat sampling, version 1 or 2, in place of all that leaves out unlikely tokens (<see cref="TopK"/>, <see cref="TopP"/> ...); 0 = off, the default.</summary>
    public int? Mirostat { get; init; }

    /// <summary>The surprise <see cref="Mirostat"/> aims at, in bits. Default 5.</summary>
    public float? MirostatTau { get; init; }

    /// <summary>How fast <see cref="Mirostat"/> learns, 0 to 1. Default 0.1.</summary>
    public float? MirostatEta { get; init; }

    /// <summary>Favours tokens that are about this probable, 0 to 1, so that the chosen ones are on average; negative = off, the default.</summary>
    public float? AdaptivePTarget { get; init; }

    /// <summary>How much of the past counts for <see cref="AdaptivePTarget"/>, 0 to 0.99. Default 0.9.</summary>
    public float? AdaptivePDecay { get; init; }

    /// <summary>Lets the temperature go so far below and above <see cref="Temperature"/>, by how unsure the model is; 0 = off, the default.</summary>
    public float? DynamicTemperatureRange { get; init; }

    /// <summary>The power of the model's unsureness that decides within <see cref="DynamicTemperatureRange"/>, above 0. Default 1.</summary>
    public float? DynamicTemperatureExponent { get; init; }

    /// <summary>More than 1 discourages tokens that prompt or answer already have; 1 = off. Above 0.</summary>
    public float? RepetitionPenalty { get; init; }

    /// <summary>More than 1 favours tokens that the prompt has; 1 = off. Above 0.</summary>
    public float? EncoderRepetitionPenalty { get; init; }

    /// <summary>Subtracted from a token's logit for every time the answer already has it; 0 = off.</summary>
    public float? FrequencyPenalty { get; init; }

    /// <summary>Subtracted from a token's logit once the answer has it; 0 = off.</summary>
    public float? PresencePenalty { get; init; }

    /// <summary>No sequence of so many tokens comes twice, the prompt's included; 0 = off, the default.</summary>
    public int? NoRepeatNgramSize { get; init; }

    /// <summary>No sequence of so many tokens of the prompt comes in the answer; 0 = off, the default.</summary>
    public int? EncoderNoRepeatNgramSize { get; init; }

    /// <summary>Added to the logits of single tokens, by token id; negative infinity rules a token out.</summary>
    public IReadOnlyDictionary<int, float>? LogitBias { get; init; }

    /// <summary>
    /// Added to the logit of a text's last token where the tokens before it stand already; negative infinity rules the text out. The text counts as the
    /// model's tokenizer writes it, at a beginning and after a space; spelled with other tokens it is not recognized.
    /// </summary>
    public IReadOnlyDictionary<string, float>? SequenceBias { get; init; }

    /// <summary>Texts that must not come, as the model's tokenizer writes them, at a beginning and after a space.</summary>
    public IReadOnlyList<string>? BadWords { get; init; }

    /// <summary>Token ids that must not come.</summary>
    public IReadOnlyList<int>? SuppressTokens { get; init; }

    /// <summary>Token ids that the answer must not begin with.</summary>
    public IReadOnlyList<int>? BeginSuppressTokens { get; init; }

    /// <summary>The token that follows a prompt of one token (the language of a translation, where the decoder's start is the whole prompt).</summary>
    public int? ForcedBosTokenId { get; init; }

    /// <summary>Tokens of which the last one that <see cref="MaxNewTokens"/> or <see cref="MaxLength"/> allows must be one.</summary>
    public IReadOnlyList<int>? ForcedEosTokenIds { get; init; }

    /// <summary>Steps of your own, run on the logits after all options above and before <see cref="Temperature"/>.</summary>
    public IReadOnlyList<ILogitsProcessor>? LogitsProcessors { get; init; }

    /// <summary>Whether beams sum up log-probabilities of what the options have left, instead of scores that no longer sum to 1. Default false.</summary>
    public bool? RenormalizeLogits { get; init; }

    /// <summary>Same seed, same request, same model: same text. Default: one at random, reported in <see cref="GenerationResult.Seed"/>.</summary>
    public long? Seed { get; init; }

    /// <summary>
    /// Beam search: follows so many texts at once and returns the best, 1 to 64; 1 = off, the default. A stream has an answer's text in one
    /// update, when it is final. With beams nothing is drawn unless <see cref="DoSample"/> is true.
    /// </summary>
    public int? NumBeams { get; init; }

    /// <summary>
    /// Diverse beam search: splits the beams into so many groups, which <see cref="DiversityPenalty"/> keeps apart; divides
    /// <see cref="NumBeams"/>. 1 = off, the default.
    /// </summary>
    public int? NumBeamGroups { get; init; }

    /// <summary>What a token's score is lowered by for every beam of an earlier group that has chosen it for the same place. Needed with groups.</summary>
    public float? DiversityPenalty { get; init; }

    /// <summary>The power of its length that an answer's score is divided by: above 0 favours long ones, below 0 short ones, -10 to 10. Default 1; without beams it has no effect.</summary>
    public float? LengthPenalty { get; init; }

    /// <summary>When beam search ends: true, false (default) or <see cref="NativeGen.EarlyStopping.Never"/>; without beams it has no effect.</summary>
    public EarlyStopping? EarlyStopping { get; init; }

    /// <summary>How many answers, each drawn on its own, or with beams the best ones (at most <see cref="NumBeams"/>); the prompt is computed once. 1 to 64, default 1.</summary>
    public int? NumReturnSequences { get; init; }

    /// <summary>
    /// Draws so many answers and returns the <see cref="NumReturnSequences"/> best of them, 1 to 64: those whose tokens have the highest mean
    /// log-probability by the model itself (OpenAI's <c>best_of</c>). A stream has an answer's text in one update, when all are drawn. Not
    /// together with <see cref="NumBeams"/>. Default: as many as are returned.
    /// </summary>
    public int? BestOf { get; init; }

    /// <summary>Leaves out answers whose text another one has already; then there are fewer than <see cref="NumReturnSequences"/>. Not while streaming. Default false.</summary>
    public bool? DistinctSequences { get; init; }

    /// <summary>
    /// Ends an answer with <see cref="FinishReason.Repetition"/> when its last tokens are one passage (up to 512 tokens) so many times in a row, and at
    /// least 32 tokens in all; at least 2. 0 = off, the default.
    /// </summary>
    public int? MaxRepeats { get; init; }

    /// <summary>Cuts an answer that ends for its length after its last whole sentence, if it has one; a stream then comes sentence by sentence. Default false.</summary>
    public bool? TrimToSentence { get; init; }

    /// <summary>Texts that end the answer, which is cut before them.</summary>
    public IReadOnlyList<string>? StopSequences { get; init; }

    /// <summary>Whether control tokens are left out of the text. Default true.</summary>
    public bool? SkipSpecialTokens { get; init; }

    /// <summary>Report the log-probability of every generated token. Default false.</summary>
    public bool? Logprobs { get; init; }

    /// <summary>Whether these log-probabilities are the model's own or those that tokens were chosen by. Default: the model's own.</summary>
    public LogprobsMode? LogprobsMode { get; init; }

    /// <summary>With each token also the most likely ones at its place, 0 to 20. More than 0 implies <see cref="Logprobs"/>. Default 0.</summary>
    public int? TopLogprobs { get; init; }

    /// <summary>
    /// The form of the answer: text (default), JSON (an object), or JSON that a schema describes. What the answer may be is enforced token by token: it
    /// is compact JSON, with members in the schema's order. A schema (draft 2020-12 or 07) of which something cannot be enforced throws and names the
    /// place. When <see cref="MaxNewTokens"/> or the context leaves no more room than the shortest ending takes, that is what comes: the answer is whole, and
    /// the finish reason says that the limit ended it. Only where no ending fits it is cut. At most one of this, <see cref="Choices"/>,
    /// <see cref="Regex"/> and <see cref="Grammar"/> may be set.
    /// </summary>
    public ChatResponseFormat? ResponseFormat { get; init; }

    /// <summary>The answer is one of these texts.</summary>
    public IReadOnlyList<string>? Choices { get; init; }

    /// <summary>The whole answer matches a regular expression (ECMA-262 without look-around, back references and word boundaries).</summary>
    public string? Regex { get; init; }

    /// <summary>The answer follows a grammar in GBNF, the notation of llama.cpp; its start rule is <c>root</c>.</summary>
    public string? Grammar { get; init; }

    /// <summary>Speculation with tokens of the prompt. Not in this build; 0 = off.</summary>
    public int? PromptLookupNumTokens { get; init; }

    /// <summary>Speculation with a smaller model. Not in this build.</summary>
    public string? DraftModel { get; init; }

    /// <summary>What happens when the context is full. Only <see cref="ContextOverflow.Error"/> in this build.</summary>
    public ContextOverflow? ContextOverflow { get; init; }
}
