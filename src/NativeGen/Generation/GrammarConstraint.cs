// A compiled grammar as the decode loop's constraint: one per sequence, all of a request on the same masks.
using NativeGen.Constraints;
using NativeGen.Sampling;
using NativeGen.Tokenization;

namespace NativeGen;

/// <summary>Keeps one sequence to the texts of a grammar.</summary>
internal sealed class GrammarConstraint : TokenConstraint
{
    private const int MostForcedBytes = 512;
    private const int LeastForcedBytes = 2;

    private readonly TokenMasks _masks;
    private readonly Tokenizer _tokenizer;
    private readonly bool _mayForce;
    private int _state;

    /// <param name="grammar">What the sequence's text has to be.</param>
    /// <param name="tokenizer">The model's.</param>
    /// <param name="mayForce">Whether tokens may come without asking the model.</param>
    internal GrammarConstraint(Grammar grammar, Tokenizer tokenizer, bool mayForce = true)
        : this(new TokenMasks(grammar, tokenizer), tokenizer, mayForce, null)
    {
    }

    private GrammarConstraint(TokenMasks masks, Tokenizer tokenizer, bool mayForce, int? state)
    {
        _masks = masks;
        _tokenizer = tokenizer;
        _mayForce = mayForce;
        _state = state ?? masks.Start;
    }

    public override bool IsOver => _masks.IsOver(_state);

    public override ReadOnlySpan<ulong> Allowed()
    {
        try
        {
            return _masks.Allowed(_state);
        }
        catch (GrammarException e)
        {
            throw new NativeGenException(NativeGenErrorCode.InvalidRequest, "The answer cannot be kept to the grammar any further: " + e.Message, e);
        }
    }

    public override void Accept(int token)
    {
        if (!_tokenizer.IsEndOfGeneration(token))
            _state = _masks.Follow(_state, _tokenizer.Piece(token));
    }

    /// <summary>Longest tokens first; the last one is left to the model, since what comes behind the forced bytes may belong to it.</summary>
    public override int Forced(Span<int> tokens)
    {
        if (!_mayForce)
            return 0;
        int state = _state;
        Span<byte> bytes = stackalloc byte[MostForcedBytes];
        int length = _masks.Forced(ref state, bytes);
        if (length < LeastForcedBytes)
            return 0;
        int count = _masks.Spell(bytes[..length], tokens);
        for (int i = 0; i < count; i++)
            Accept(tokens[i]);
        return count;
    }

    public override TokenConstraint Fork() => new GrammarConstraint(_masks, _tokenizer, _mayForce, _state);
}
