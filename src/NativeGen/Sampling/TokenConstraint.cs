// The seam by which a grammar, or anything else that knows which tokens may come, takes part in the decode loop.
namespace NativeGen.Sampling;

/// <summary>
/// Which tokens may come next in one sequence. Follows the sequence token by token; the loop calls it from its own thread only. What it decides is a
/// function of the generated tokens alone, so that a sequence that starts over comes to the same place.
/// </summary>
internal abstract class TokenConstraint
{
    /// <summary>The tokens that may come, a bit each, lowest first; valid until the next call to any fork of the constraint. Beyond its end no token may.</summary>
    /// <exception cref="NativeGenException">The way here cannot be followed any further.</exception>
    public abstract ReadOnlySpan<ulong> Allowed();

    /// <summary>The sequence has got this token.</summary>
    public abstract void Accept(int token);

    /// <summary>
    /// The same if no more than <paramref name="left"/> tokens may follow. False if the sequence may not have it: the text could then not be completed any more
    /// as it still can without it. <see cref="Allowed"/> gives what completes it soonest then.
    /// </summary>
    public virtual bool Accept(int token, int left)
    {
        Accept(token);
        return true;
    }

    /// <summary>Whether the end of what was left, not the model, has decided how the text goes on.</summary>
    public virtual bool IsCurtailed => false;

    /// <summary>The most tokens that come from <see cref="Forced"/> at once.</summary>
    public const int MostForced = 16;

    /// <summary>Tokens that come next whatever the model says, as many as <paramref name="tokens"/> holds. They are accepted already.</summary>
    /// <param name="tokens">Gets them.</param>
    /// <param name="left">How many may follow; they are none if the text could be completed only without them.</param>
    /// <returns>How many there are.</returns>
    public virtual int Forced(Span<int> tokens, int left) => 0;

    /// <summary>Whether the text so far is complete, and no token can go on from it.</summary>
    public abstract bool IsOver { get; }

    /// <summary>The same place, for a sequence that goes another way from here.</summary>
    public abstract TokenConstraint Fork();
}
