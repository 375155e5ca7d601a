// A grammar over a vocabulary: which tokens may come where a text stands, and which must. What has been found stays for all texts that follow it.
using System.Text;
using NativeGen.Tokenization;

namespace NativeGen.Constraints;

/// <summary>Where a text stands in a grammar. Two of one automaton and number are the same.</summary>
internal readonly record struct GrammarState(Automaton Automaton, int Number)
{
    /// <summary>The text does not follow the grammar.</summary>
    internal bool IsDead => Number == Automaton.Dead;
}

/// <summary>
/// A grammar for one vocabulary. Thread safe: one caller at a time works, and what is known already is one look into a table. Its automaton grows with
/// the texts; a full one makes room for a new one, which states that are still in use move to.
/// </summary>
internal sealed class TokenGrammar
{
    private const long WorkPerToken = 4_000_000; // items looked at for one mask or token, see Automaton.Budget

    private readonly Lock _gate = new();
    private readonly (int Token, char Mark)[] _marks;
    private Automaton _automaton;
    private MaskCache _masks;
    private Endings _endings;

    /// <param name="grammar">The grammar.</param>
    /// <param name="vocabulary">The vocabulary.</param>
    /// <param name="marks">Control tokens that the grammar has, each as the character that stands for it there.</param>
    internal TokenGrammar(Grammar grammar, TokenVocabulary vocabulary, ControlMarks? marks = null)
    {
        Vocabulary = vocabulary;
        _marks = [.. marks?.All ?? []];
        _automaton = new(grammar);
        _masks = new(_automaton, vocabulary);
        _endings = new(_automaton, vocabulary.Trie);
    }

    internal TokenVocabulary Vocabulary { get; }

    /// <summary>Before the first token.</summary>
    internal GrammarState Start
    {
        get
        {
            lock (_gate)
                return new(_automaton, _automaton.Start);
        }
    }

    /// <summary>The state behind some bytes; dead if no text goes on like this.</summary>
    /// <exception cref="GrammarException">The grammar is more ambiguous here than the limits allow.</exception>
    internal GrammarState Follow(GrammarState state, ReadOnlySpan<byte> bytes)
    {
        lock (_gate)
        {
            int at = Current(state);
            foreach (byte value in bytes)
            {
                if (at == Automaton.Dead)
                    break;
                at = _automaton.Step(at, value);
            }

            return new(_automaton, at);
        }
    }

    /// <summary>The state behind a token, a control token or the bytes that it is; dead if no text goes on like this.</summary>
    internal GrammarState Follow(GrammarState state, int token, ReadOnlySpan<byte> bytes)
    {
        foreach ((int control, char mark) in _marks)
        {
            if (control != token)
                continue;
            lock (_gate)
            {
                int at = Current(state);
                return new(_automaton, _automaton.IsInsideScalar(at) ? Automaton.Dead : _automaton.Advance(at, mark));
            }
        }

        return Follow(state, bytes);
    }

    /// <summary>The tokens that may come, a bit for each id.</summary>
    /// <param name="state">Where the text stands.</param>
    /// <param name="mask"><see cref="TokenVocabulary.Words"/> long.</param>
    /// <exception cref="GrammarException">The grammar is more ambiguous here than the limits allow.</exception>
    internal void Allowed(GrammarState state, Span<ulong> mask)
    {
        lock (_gate)
        {
            int at = Current(state);
            _masks.Of(at).CopyTo(mask);
            if (_automaton.IsInsideScalar(at))
                return;
            foreach ((int token, char mark) in _marks)
            {
                if (_automaton.Advance(at, mark) != Automaton.Dead)
                    mask[token >> 6] |= 1ul << token;
            }
        }
    }

    /// <summary>Whether the text may end here.</summary>
    internal bool CanStop(GrammarState state)
    {
        lock (_gate)
            return state.Automaton.CanStop(state.Number);
    }

    /// <summary>Whether it ends here and nothing can follow.</summary>
    internal bool IsOver(GrammarState state)
    {
        lock (_gate)
            return state.Automaton.IsOver(state.Number);
    }

    /// <summary>Whether so many tokens are enough to bring the text to where it may end. Not known, so false, for a grammar with control tokens.</summary>
    internal bool CanEnd(GrammarState state, int tokens)
    {
        if (_marks.Length > 0)
            return false; // endings are counted in bytes, and marks have none
        lock (_gate)
        {
            try
            {
                int at = Current(state), bytes = _endings.Bytes(at);
                return bytes != Endings.None && (bytes <= tokens && Vocabulary.SpellsEveryByte ? true : (long)tokens * Vocabulary.Trie.Deepest >= bytes && _endings.Tokens(at) <= tokens);
            }
            catch (GrammarException)
            {
                return false; // too ambiguous to say
            }
        }
    }

    /// <summary>The tokens that begin the shortest way to where the text may end, if no more than <paramref name="left"/> may follow; where it may end, the end's.</summary>
    internal void Ending(GrammarState state, int left, Span<ulong> mask)
    {
        mask.Clear();
        lock (_gate)
        {
            int at = Current(state);
            if (_endings.Tokens(at) == 0)
                Vocabulary.Ends.CopyTo(mask);
            else
                _endings.Mark(at, left, mask);
        }
    }

    /// <summary>Writes the bytes that must come next, in whole scalars, until there is a choice, the text may end, or no more fit; returns how many.</summary>
    internal int Forced(GrammarState state, Span<byte> bytes)
    {
        lock (_gate)
        {
            int at = Current(state), count = 0;
            if (_automaton.IsInsideScalar(at))
                return 0;
            Span<byte> encoded = stackalloc byte[4];
            while (_automaton.ForcedScalar(at) is >= 0 and int scalar && Rune.IsValid(scalar)) // a mark is left to the model
            {
                int length = new Rune(scalar).EncodeToUtf8(encoded);
                if (count + length > bytes.Length)
                    break;
                foreach (byte value in encoded[..length])
                    at = _automaton.Step(at, value);
                encoded[..length].CopyTo(bytes[count..]);
                count += length;
            }

            return count;
        }
    }

    // The state's number in the automaton in use; a full one is left to those whose states are still in it.
    private int Current(GrammarState state)
    {
        if (_automaton.IsFull)
        {
            _automaton = new(_automaton.Grammar);
            _masks = new(_automaton, Vocabulary);
            _endings = new(_automaton, Vocabulary.Trie);
        }

        _automaton.Budget = WorkPerToken;
        return state.Automaton == _automaton ? state.Number : _automaton.Import(state.Automaton, state.Number);
    }
}
