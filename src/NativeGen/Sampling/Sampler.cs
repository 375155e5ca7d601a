// logits -> steps -> one token. Called by the decode loop for every row it asked logits for.
namespace NativeGen.Sampling;

/// <summary>
/// Chooses the next token: a chain of steps over the logits, then the best token or a draw. A pure function of logits, history, seed,
/// sequence, position and, for steps that adapt, <see cref="SamplingContext.State"/>: the same input gives the same token on any machine,
/// alone or in company. Immutable and thread safe; the caller brings the buffers.
/// </summary>
public sealed class Sampler
{
    private readonly SamplerStep[] _steps;
    private readonly AdaptiveStep? _adaptive;
    private readonly bool _draw;

    /// <summary>Makes a sampler of steps that run in the order given.</summary>
    /// <param name="steps">The chain, in any order; a step that adapts (mirostat, adaptive-p) can only be the last.</param>
    /// <param name="draw">True draws from what is left, false takes the best; of equal ones the lowest id.</param>
    /// <exception cref="ArgumentException">A step that adapts is not the last one.</exception>
    public Sampler(IEnumerable<SamplerStep> steps, bool draw)
    {
        _steps = [.. steps];
        _draw = draw;
        _adaptive = _steps.Length > 0 ? _steps[^1] as AdaptiveStep : null;
        if (_steps.SkipLast(1).OfType<AdaptiveStep>().Any())
        {
            throw new ArgumentException("A step that learns from the chosen token must be the last one of the chain.", nameof(steps));
        }
    }

    /// <summary>Always the best token.</summary>
    public static Sampler Greedy { get; } = new([], draw: false);

    /// <summary>Chooses a token.</summary>
    /// <param name="logits">One value per token of the vocabulary; not changed. Negative infinity is a token that cannot come.</param>
    /// <param name="context">What the choice depends on besides the logits.</param>
    /// <param name="candidates">Buffers, of at least the vocabulary's size; afterwards they hold what the token was chosen from.</param>
    /// <exception cref="NativeGenException">
    /// <see cref="NativeGenErrorCode.InvalidModel"/> if a logit is NaN or positive infinity;
    /// <see cref="NativeGenErrorCode.InvalidRequest"/> if no token is left.
    /// </exception>
    public int Sample(ReadOnlySpan<float> logits, in SamplingContext context, Candidates candidates) => Sample(logits, context, candidates, out _);

    /// <summary>Chooses a token and tells what steps that adapt have learnt from it.</summary>
    /// <param name="logits">One value per token of the vocabulary; not changed. Negative infinity is a token that cannot come.</param>
    /// <param name="context">What the choice depends on besides the logits.</param>
    /// <param name="candidates">Buffers, of at least the vocabulary's size; afterwards they hold what the token was chosen from.</param>
    /// <param name="next"><see cref="SamplingContext.State"/> of this sequence's next token; what came in if no step adapts.</param>
    /// <exception cref="NativeGenException">As the other form.</exception>
    public int Sample(ReadOnlySpan<float> logits, in SamplingContext context, Candidates candidates, out SamplerState next) =>
        Sample(logits, null, context, candidates, out next);

    /// <summary>The same among the tokens that a constraint lets through; null lets all.</summary>
    internal int Sample(ReadOnlySpan<float> logits, TokenConstraint? constraint, in SamplingContext context, Candidates candidates, out SamplerState next)
    {
        Process(logits, constraint, context, candidates);
        var index = _draw ? Draw(candidates, context) : VectorMath.NextAtLeast(candidates.Scores, 0, candidates.Best());
        next = _adaptive is null ? context.State : _adaptive.Learn(candidates, index, context.State);
        return candidates.Id(index);
    }

    /// <summary>Runs the chain without a choice: <paramref name="candidates"/> then hold the tokens that are left and their scores.</summary>
    /// <param name="scores">One value per token of the vocabulary, logits or log-probabilities; not changed.</param>
    /// <param name="context">What the steps may look at.</param>
    /// <param name="candidates">Buffers, of at least the vocabulary's size.</param>
    /// <exception cref="NativeGenException"><see cref="NativeGenErrorCode.InvalidModel"/> if a score is NaN or positive infinity.</exception>
    public void Process(ReadOnlySpan<float> scores, in SamplingContext context, Candidates candidates) => Process(scores, null, context, candidates);

    /// <summary>The same among the tokens that a constraint lets through; null lets all.</summary>
    internal void Process(ReadOnlySpan<float> scores, TokenConstraint? constraint, in SamplingContext context, Candidates candidates)
    {
        ArgumentNullException.ThrowIfNull(candidates);
        VectorMath.Max(scores, out var usable);
        if (!usable)
        {
            throw new NativeGenException(NativeGenErrorCode.InvalidModel,
                $"The model's logits for position {context.Position} are not numbers (NaN or infinity): its weights are damaged, or beyond what its types can hold.");
        }

        candidates.Load(scores);
        if (constraint is not null)
        {
            candidates.Restrict(constraint.Allowed());
        }

        foreach (var step in _steps)
        {
            step.Apply(candidates, context);
        }
    }

    /// <summary>
    /// The log-probability the model itself gives a token, before any step: log softmax over all logits. After the steps it is
    /// <see cref="Candidates.LogProbability"/>.
    /// </summary>
    public static float LogProbability(ReadOnlySpan<float> logits, int token) => LogProbability(logits, token, LogNormalizer(logits));

    /// <summary>The same with <see cref="LogNormalizer"/> at hand: that is one pass over the vocabulary, this is a subtraction.</summary>
    internal static float LogProbability(ReadOnlySpan<float> logits, int token, double normalizer) => (float)(logits[token] - normalizer);

    /// <summary>The logarithm of the sum of e^logit over the vocabulary.</summary>
    internal static double LogNormalizer(ReadOnlySpan<float> logits) => VectorMath.LogSumExp(logits, VectorMath.Max(logits, out _));

    /// <summary>The most likely tokens, best first, of equal ones the lowest id first. Reported, never decided upon; allocates its result.</summary>
    public static int[] Best(ReadOnlySpan<float> logits, int count, Candidates candidates)
    {
        ArgumentNullException.ThrowIfNull(candidates);
        candidates.Load(logits);
        return Best(count, candidates);
    }

    /// <summary>The most likely of the tokens that are left; drops the others.</summary>
    internal static int[] Best(int count, Candidates candidates)
    {
        candidates.KeepBest(count);
        var scores = candidates.Scores.ToArray();
        return [.. Enumerable.Range(0, scores.Length).OrderByDescending(i => scores[i]).Select(candidates.Id).Take(count)]; // a stable sort
    }

    /// <summary>
    /// Inverse transform sampling over the weights in rising order of ids: sums of blocks find the block, then its weights one by one the token.
    /// </summary>
    private static int Draw(Candidates candidates, in SamplingContext context)
    {
        var weights = candidates.Weights();
        var size = Math.Max(512, (weights.Length + 2047) / 2048); // beyond a million tokens the blocks grow
        Span<double> sums = stackalloc double[(weights.Length + size - 1) / size];
        var total = 0.0;
        for (var b = 0; b < sums.Length; b++)
        {
            sums[b] = total; // what lies before the block
            total += VectorMath.Sum(weights[(b * size)..Math.Min((b + 1) * size, weights.Length)]);
        }

        var target = Philox.Uniform(context.Seed, context.Sequence, context.Position) * total;
        var block = sums.Length - 1;
        while (sums[block] > target)
        {
            block--;
        }

        // Where a block's sum and the sums within it round differently, its last token that can come is meant.
        var (sum, last) = (sums[block], -1);
        for (var i = block * size; i < Math.Min((block + 1) * size, weights.Length); i++)
        {
            sum += weights[i];
            last = weights[i] > 0 ? i : last;
            if (sum > target)
            {
                return last;
            }
        }

        return last >= 0 ? last : throw new InvalidOperationException("A draw beyond the sum of its own weights.");
    }
}
