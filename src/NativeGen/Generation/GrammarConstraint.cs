// A grammar as the decode loop's constraint: one per sequence, all that follow a grammar on the same tables.
using NativeGen.Constraints;
using NativeGen.Sampling;
using NativeGen.Tokenization;

namespace NativeGen;

/// <summary>Keeps one sequence to the texts of a grammar.</summary>
internal sealed class GrammarConstraint : TokenConstraint
{
    private const int MostForcedBytes = 512;
    private const int LeastForcedBytes = 2;

    private readonly TokenGrammar _grammar;
    private readonly Tokenizer _tokenizer;
    private readonly bool _mayForce;
    private readonly ulong[] _mask; // all forks' one
    private bool _curtailed;
    private GrammarState _state;
    private int _left = -1; // tokens behind the next one, if that has to begin the shortest ending

    /// <param name="grammar">What the sequence's text has to be.</param>
    /// <param name="tokenizer">The model's.</param>
    /// <param name="mayForce">Whether tokens may come without asking the model.</param>
    internal GrammarConstraint(TokenGrammar grammar, Tokenizer tokenizer, bool mayForce = true)
        : this(grammar, tokenizer, mayForce, new ulong[grammar.Vocabulary.Words], grammar.Start)
    {
    }

    /// <summary>The same for a grammar that nobody shares.</summary>
    internal GrammarConstraint(Grammar grammar, Tokenizer tokenizer)
        : this(new TokenGrammar(grammar, TokenVocabulary.Of(tokenizer)), tokenizer)
    {
    }

    private GrammarConstraint(TokenGrammar grammar, Tokenizer tokenizer, bool mayForce, ulong[] mask, GrammarState state) =>
        (_grammar, _tokenizer, _mayForce, _mask, _state) = (grammar, tokenizer, mayForce, mask, state);

    public override bool IsOver => _grammar.IsOver(_state);

    public override bool IsCurtailed => _curtailed;

    public override ReadOnlySpan<ulong> Allowed()
    {
        try
        {
            if (_left >= 0)
                _grammar.Ending(_state, _left, _mask);
            else
                _grammar.Allowed(_state, _mask);
            return _mask;
        }
        catch (GrammarException e)
        {
            throw Lost(e);
        }
    }

    public override void Accept(int token)
    {
        if (!_tokenizer.IsEndOfGeneration(token))
            _state = After(token);
        _left = -1;
    }

    public override bool Accept(int token, int left)
    {
        if (_left >= 0 || _tokenizer.IsEndOfGeneration(token))
        {
            Accept(token);
            return true;
        }

        GrammarState next = After(token);
        if (!LeavesRoom(next, left, left + 1))
        {
            _curtailed = true;
            _left = left;
            return false;
        }

        _state = next;
        return true;
    }

    /// <summary>As the tokenizer writes them; the last one is left to the model, since what comes behind the forced bytes may belong to it.</summary>
    public override int Forced(Span<int> tokens, int left)
    {
        if (!_mayForce)
            return 0;
        Span<byte> bytes = stackalloc byte[MostForcedBytes];
        int length;
        try
        {
            length = _grammar.Forced(_state, bytes);
        }
        catch (GrammarException e)
        {
            throw Lost(e);
        }

        if (length < LeastForcedBytes)
            return 0;
        int count = _grammar.Vocabulary.Spell(bytes[..length], tokens);
        GrammarState state = _state;
        for (int i = 0; i < count; i++)
            state = After(state, tokens[i]);
        if (!LeavesRoom(state, left - count, left))
            return 0;
        _state = state;
        return count;
    }

    public override TokenConstraint Fork() => new GrammarConstraint(_grammar, _tokenizer, _mayForce, _mask, _state) { _curtailed = _curtailed };

    // A text that cannot be completed anyway goes on until it is cut.
    private bool LeavesRoom(GrammarState next, int left, int before) => _grammar.CanEnd(next, left) || !_grammar.CanEnd(_state, before);

    private GrammarState After(int token) => After(_state, token);

    private GrammarState After(GrammarState state, int token)
    {
        try
        {
            return _grammar.Follow(state, token, _tokenizer.Piece(token));
        }
        catch (GrammarException e)
        {
            throw Lost(e);
        }
    }

    private static NativeGenException Lost(GrammarException e) =>
        new(NativeGenErrorCode.InvalidRequest, "The answer cannot be kept to the grammar any further: " + e.Message, e);
}
