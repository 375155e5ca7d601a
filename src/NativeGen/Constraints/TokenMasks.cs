// Which tokens of a vocabulary a grammar lets through at each of its states: one walk over the vocabulary's trie, remembered by state.
using System.Runtime.CompilerServices;
using NativeGen.Tokenization;

namespace NativeGen.Constraints;

/// <summary>
/// A grammar at work on one vocabulary: states by text, masks by state. Allocates when a state is met for the first time only. Not thread safe; sequences
/// that run on one thread share it.
/// </summary>
internal sealed class TokenMasks
{
    private const int MostMasks = 512;
    private const long WorkPerToken = 4_000_000; // items looked at for one mask or token

    private static readonly ConditionalWeakTable<Tokenizer, TokenTrie> _tries = [];

    private readonly Tokenizer _tokenizer;
    private readonly TokenTrie _trie;
    private readonly Automaton _automaton;
    private readonly int[] _ends;      // ids that end a text
    private readonly int[] _path;      // states by depth
    private readonly Dictionary<int, ulong[]> _masks = [];
    private readonly Dictionary<int, ulong> _loopsOf = [];
    private readonly int[] _bytesOfClass;

    internal TokenMasks(Grammar grammar, Tokenizer tokenizer)
    {
        _tokenizer = tokenizer;
        _trie = _tries.GetValue(tokenizer, static t => TokenTrie.Create(t));
        _automaton = new Automaton(grammar);
        _ends = [.. Enumerable.Range(0, tokenizer.VocabularySize).Where(tokenizer.IsEndOfGeneration)];
        _path = new int[_trie.Deepest + 1];
        _bytesOfClass = new int[grammar.ClassCount];
        foreach (byte byteClass in grammar.ByteClasses)
            _bytesOfClass[byteClass]++;
    }

    /// <summary>Before the first byte.</summary>
    internal int Start => _automaton.Start;

    /// <summary>Whether the text may end here.</summary>
    internal bool CanStop(int state) => _automaton.CanStop(state);

    /// <summary>Whether it ends here and nothing can follow.</summary>
    internal bool IsOver(int state)
    {
        if (!_automaton.CanStop(state))
            return false;
        _automaton.Budget = WorkPerToken;
        for (int i = 0; i < _bytesOfClass.Length; i++)
        {
            if (_automaton.StepClass(state, i) != Automaton.Dead)
                return false;
        }

        return true;
    }

    /// <summary>The state behind some bytes; <see cref="Automaton.Dead"/> if no text goes on like this.</summary>
    internal int Follow(int state, ReadOnlySpan<byte> bytes)
    {
        _automaton.Budget = WorkPerToken;
        foreach (byte value in bytes)
        {
            if (state == Automaton.Dead)
                break;
            state = _automaton.Step(state, value);
        }

        return state;
    }

    /// <summary>The tokens that may come at a state, a bit for each id.</summary>
    /// <exception cref="GrammarException">The grammar is too ambiguous here.</exception>
    internal ReadOnlySpan<ulong> Allowed(int state)
    {
        if (_masks.TryGetValue(state, out ulong[]? mask))
            return mask;
        if (_masks.Count == MostMasks)
        {
            _masks.Clear();
            _loopsOf.Clear();
        }

        _automaton.Budget = WorkPerToken;
        mask = new ulong[(_tokenizer.VocabularySize + 63) / 64];
        Walk(state, mask);
        if (_automaton.CanStop(state))
        {
            foreach (int id in _ends)
                mask[id >> 6] |= 1ul << id;
        }

        _masks[state] = mask;
        return mask;
    }

    /// <summary>The bytes that must come next, until there is a choice or the text may end; at most as many as fit.</summary>
    internal int Forced(ref int state, Span<byte> bytes)
    {
        _automaton.Budget = WorkPerToken;
        int count = 0;
        while (count < bytes.Length && !_automaton.CanStop(state))
        {
            int only = -1, after = Automaton.Dead;
            for (int i = 0; i < _bytesOfClass.Length; i++)
            {
                int next = _automaton.StepClass(state, i);
                if (next == Automaton.Dead)
                    continue;
                if (only >= 0 || _bytesOfClass[i] != 1)
                    return count;
                (only, after) = (i, next);
            }

            if (only < 0)
                return count;
            bytes[count++] = _automaton.Grammar.ClassBytes[only];
            state = after;
        }

        return count;
    }

    /// <summary>
    /// Forced bytes as tokens: at each place the longest one, as long as no longer token could begin there whatever comes behind the bytes.
    /// </summary>
    internal int Spell(ReadOnlySpan<byte> bytes, Span<int> tokens)
    {
        int count = 0;
        for (int at = 0; count < tokens.Length;)
        {
            int token = _trie.Longest(bytes[at..], out int length, out bool open);
            if (open || token < 0)
                break;
            tokens[count++] = token;
            at += length;
        }

        return count;
    }

    private void Walk(int start, ulong[] mask)
    {
        byte[] bytes = _trie.Bytes;
        ushort[] depths = _trie.Depths;
        int[] firstTokens = _trie.FirstTokens, ends = _trie.Ends, tokens = _trie.Tokens;
        ulong[] signatures = _trie.Signatures;
        _path[0] = start;
        for (int node = 1; node < bytes.Length;)
        {
            int depth = depths[node];
            int state = _automaton.Step(_path[depth - 1], bytes[node]);
            if (state == Automaton.Dead)
            {
                node = ends[node];
                continue;
            }

            // Where all that follows leads back here, nothing of it has to be looked at.
            int next = node + 1, last = firstTokens[next];
            if (ends[node] > next && (signatures[node] & ~Loops(state)) == 0)
            {
                next = ends[node];
                last = firstTokens[next];
            }

            for (int i = firstTokens[node]; i < last; i++)
                mask[tokens[i] >> 6] |= 1ul << tokens[i];
            _path[depth] = state;
            node = next;
        }
    }

    // The groups of bytes (TokenTrie.GroupOf) all of which lead from a state back to it.
    private ulong Loops(int state)
    {
        if (_loopsOf.TryGetValue(state, out ulong groups))
            return groups;
        if (!_automaton.IsInsideScalar(state))
        {
            groups = (1ul << (TokenTrie.NonAsciiGroup + 1)) - 1;
            for (int value = 0; value < 0x80; value++)
            {
                int group = TokenTrie.GroupOf((byte)value);
                if ((groups >> group & 1) != 0 && _automaton.Step(state, (byte)value) != state)
                    groups &= ~(1ul << group);
            }

            if (!LoopsBeyondAscii(state))
                groups &= ~(1ul << TokenTrie.NonAsciiGroup);
        }

        _loopsOf[state] = groups;
        return groups;
    }

    private bool LoopsBeyondAscii(int state)
    {
        List<int> borders = [];
        _automaton.Borders(state, borders);
        foreach (int border in borders)
        {
            int scalar = Math.Max(border, 0x80);
            if (scalar is >= 0xD800 and <= 0xDFFF)
                scalar = 0xE000;
            if (scalar <= CodePointSet.Most && _automaton.Advance(state, scalar) != state)
                return false;
        }

        return true;
    }
}
