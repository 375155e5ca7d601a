// From options to the sampler's chain, for one model: texts become tokens here, and steps that do nothing are left out.
using System.Text;
using NativeGen.Sampling;
using NativeGen.Tokenization;

namespace NativeGen;

/// <summary>Makes samplers for requests to one model. Thread safe.</summary>
/// <param name="tokenizer">The model's.</param>
/// <param name="endTokens">All tokens that end an answer.</param>
internal sealed class SamplerChain(Tokenizer tokenizer, int[] endTokens)
{
    private const int MostBreakerLists = 16; // texts of different requests whose tokens are kept; a list takes a pass over the vocabulary
    private const int LongestTail = 20;      // tokens of a breaker after its first one that are compared

    private static readonly string[] DefaultBreakers = ["\n", ":", "\"", "*"];

    private readonly Dictionary<string, DryBreakers> _breakers = new(StringComparer.Ordinal);

    /// <summary>The chain of an options record, in the order <see cref="SamplerStep"/> lists.</summary>
    /// <param name="options">Checked already.</param>
    /// <param name="maxLength">The most tokens of prompt and answer, or <see cref="int.MaxValue"/>.</param>
    public Sampler Create(GenerationOptions options, int maxLength)
    {
        List<SamplerStep> steps = [];
        Penalties(steps, options, maxLength);
        var draw = OptionCheck.Samples(options);
        if (draw)
        {
            Truncation(steps, options);
        }

        Add(steps, options is { RenormalizeLogits: true, NumBeams: > 1 }, () => new RenormalizeStep());
        Add(steps, draw && options.AdaptivePTarget >= 0 && options.Mirostat is null or 0,
            () => new AdaptivePStep(options.AdaptivePTarget!.Value, options.AdaptivePDecay ?? 0.9f));
        Add(steps, draw && options.Mirostat > 0, () => new MirostatStep(options.Mirostat!.Value, options.MirostatTau ?? 5, options.MirostatEta ?? 0.1f));
        return steps.Count == 0 && !draw ? Sampler.Greedy : new Sampler(steps, draw);
    }

    /// <summary>What changes scores by token, whether tokens are drawn or not.</summary>
    private void Penalties(List<SamplerStep> steps, GenerationOptions options, int maxLength)
    {
        Add(steps, options.LogitBias is { Count: > 0 }, () => new LogitBiasStep(options.LogitBias!));
        Add(steps, options.SequenceBias is { Count: > 0 },
            () => new SequenceBiasStep(options.SequenceBias!.SelectMany(pair => Spellings(pair.Key).Select(tokens => KeyValuePair.Create(tokens, pair.Value)))));
        Add(steps, options.DiversityPenalty is not (null or 0), () => new DiversityPenaltyStep(options.DiversityPenalty!.Value));
        Add(steps, options.EncoderRepetitionPenalty is not (null or 1), () => new EncoderRepetitionPenaltyStep(options.EncoderRepetitionPenalty!.Value));
        Add(steps, options.RepetitionPenalty is not (null or 1), () => new RepetitionPenaltyStep(options.RepetitionPenalty!.Value));
        Add(steps, options.FrequencyPenalty is not (null or 0) || options.PresencePenalty is not (null or 0),
            () => new OccurrencePenaltyStep(options.FrequencyPenalty ?? 0, options.PresencePenalty ?? 0));
        Add(steps, options.DryMultiplier > 0, () => new DryStep(options.DryMultiplier!.Value, options.DryBase ?? 1.75f, options.DryAllowedLength ?? 2,
            options.DryPenaltyLastN ?? int.MaxValue, Breakers(options.DrySequenceBreakers ?? DefaultBreakers)));
        Add(steps, options.NoRepeatNgramSize > 0, () => new NoRepeatNgramStep(options.NoRepeatNgramSize!.Value));
        Add(steps, options.EncoderNoRepeatNgramSize > 0, () => new EncoderNoRepeatNgramStep(options.EncoderNoRepeatNgramSize!.Value));
        Add(steps, options.BadWords is { Count: > 0 }, () => SequenceBiasStep.Ban(options.BadWords!.SelectMany(Spellings), endTokens));
        Add(steps, options.MinLength > 0, () => new MinLengthStep(endTokens, options.MinLength!.Value));
        Add(steps, options.MinNewTokens > 0, () => new SuppressTokensStep(endTokens, options.MinNewTokens!.Value));
        Add(steps, options.ForcedBosTokenId is not null, () => new ForcedTokensStep([options.ForcedBosTokenId!.Value], 1));
        Add(steps, options.ForcedEosTokenIds is { Count: > 0 } && maxLength < int.MaxValue, () => new ForcedTokensStep(options.ForcedEosTokenIds!, maxLength - 1));
        Add(steps, options.ExponentialDecayLengthPenalty is not null,
            () => new LengthDecayStep(endTokens, options.ExponentialDecayLengthPenalty!.Value.Start, options.ExponentialDecayLengthPenalty.Value.Factor));
        Add(steps, options.SuppressTokens is { Count: > 0 }, () => new SuppressTokensStep(options.SuppressTokens!));
        Add(steps, options.BeginSuppressTokens is { Count: > 0 }, () => new SuppressTokensStep(options.BeginSuppressTokens!, 1));
        steps.AddRange((options.LogitsProcessors ?? []).Select(processor => new LogitsProcessorStep(processor)));
    }

    /// <summary>What decides how much chance there is in a draw.</summary>
    private void Truncation(List<SamplerStep> steps, GenerationOptions options)
    {
        // Beams need as many tokens to choose from as may end a text, and one that goes on.
        var keep = options.NumBeams > 1 ? endTokens.Length + 1 : 1;
        var temperature = options.Temperature ?? 0.8f;
        Add(steps, options.DynamicTemperatureRange > 0,
            () => new DynamicTemperatureStep(temperature, options.DynamicTemperatureRange!.Value, options.DynamicTemperatureExponent ?? 1));
        Add(steps, options.DynamicTemperatureRange is null or 0 && temperature != 1, () => new TemperatureStep(temperature));
        if (options.Mirostat > 0)
        {
            return; // it decides by itself what may come
        }

        Add(steps, options.TopNSigma > 0, () => new TopNSigmaStep(options.TopNSigma!.Value));
        Add(steps, options.TopH > 0, () => new TopHStep(options.TopH!.Value));
        Add(steps, options.TopK != 0, () => new TopKStep(options.TopK ?? 40, keep));
        Add(steps, options.TopP != 1, () => new TopPStep(options.TopP ?? 0.95f, keep));
        Add(steps, options.MinP != 0, () => new MinPStep(options.MinP ?? 0.05f, keep));
        Add(steps, options.TypicalP < 1, () => new TypicalPStep(options.TypicalP!.Value, keep));
        Add(steps, options.EpsilonCutoff > 0, () => new EpsilonCutoffStep(options.EpsilonCutoff!.Value, keep));
        Add(steps, options.EtaCutoff > 0, () => new EtaCutoffStep(options.EtaCutoff!.Value, keep));
        Add(steps, options.XtcProbability > 0, () => new XtcStep(options.XtcProbability!.Value, options.XtcThreshold ?? 0.1f, keep));
    }

    private static void Add(List<SamplerStep> steps, bool wanted, Func<SamplerStep> step)
    {
        if (wanted)
        {
            steps.Add(step());
        }
    }

    /// <summary>How the tokenizer writes a text at a beginning and, unless it begins with white space itself, after a space.</summary>
    private IEnumerable<IReadOnlyList<int>> Spellings(string text)
    {
        int[] alone = tokenizer.Encode(text, addSpecial: false, parseSpecial: true);
        if (alone.Length > 0)
        {
            yield return alone;
        }

        if (!char.IsWhiteSpace(text[0]) && tokenizer.Encode(" " + text, addSpecial: false, parseSpecial: true) is { Length: > 0 } spaced && !spaced.SequenceEqual(alone))
        {
            yield return spaced;
        }
    }

    /// <summary>
    /// The tokens in which texts can stand: every token that has one in it, and every token at whose end one begins, with the tokens of the rest.
    /// </summary>
    private DryBreakers Breakers(IReadOnlyList<string> texts)
    {
        var key = string.Join('\0', texts);
        lock (_breakers)
        {
            if (!_breakers.TryGetValue(key, out var breakers))
            {
                if (_breakers.Count == MostBreakerLists)
                {
                    _breakers.Clear();
                }

                _breakers[key] = breakers = new DryBreakers(texts.SelectMany(Occurrences));
            }

            return breakers;
        }
    }

    private List<int[]> Occurrences(string breaker)
    {
        var text = Encoding.UTF8.GetBytes(breaker);
        var rests = new int[text.Length][]; // by the length of what stands at a token's end; made when needed
        List<int[]> found = [];
        for (var id = 0; id < tokenizer.VocabularySize; id++)
        {
            var piece = tokenizer.Piece(id);
            if (piece.IndexOf(text) >= 0)
            {
                found.Add([id]);
                continue;
            }

            for (var length = Math.Min(text.Length - 1, piece.Length); length > 0; length--)
            {
                if (piece.EndsWith(text.AsSpan(0, length)))
                {
                    found.Add([id, .. rests[length] ??= [.. tokenizer.Encode(text.AsSpan(length), addSpecial: false, parseSpecial: false).Take(LongestTail)]]);
                }
            }
        }

        return found;
    }
}
