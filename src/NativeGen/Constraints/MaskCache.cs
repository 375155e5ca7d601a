// Masks of an automaton's states: found by walking the vocabulary's trie and the automaton together, kept for the states asked for last.
namespace NativeGen.Constraints;

/// <summary>Not thread safe. Keeps at most <see cref="MostMasks"/> masks of a bit per token.</summary>
internal sealed class MaskCache
{
    internal const int MostMasks = 256;
    private const int WorthTesting = 24; // nodes of a subtree from which on it pays to ask whether all of it is allowed

    private readonly Automaton _automaton;
    private readonly TokenVocabulary _vocabulary;
    private readonly Dictionary<int, int> _slots = []; // state -> index of its mask
    private readonly List<(int State, ulong[] Mask)> _masks = [];
    private readonly int[] _path; // by depth: the state there
    private readonly List<(int First, int End)> _allowed = []; // stretches of the trie's tokens
    private Loose[] _loose = []; // by state
    private readonly List<int> _passing = [];
    private int _oldest;

    internal MaskCache(Automaton automaton, TokenVocabulary vocabulary)
    {
        (_automaton, _vocabulary) = (automaton, vocabulary);
        _path = new int[vocabulary.Trie.Deepest + 1];
    }

    /// <summary>The tokens that may come in a state. Valid until the next call.</summary>
    internal ReadOnlySpan<ulong> Of(int state)
    {
        if (_slots.TryGetValue(state, out int slot))
            return _masks[slot].Mask;
        int relaxed = state, slack = int.MaxValue;
        if (state != Automaton.Dead && !_automaton.IsInsideScalar(state))
            relaxed = _automaton.Relax(state, out slack);
        ulong[] mask = relaxed != state && slack >= TokenVocabulary.ShortScalars ? Tightened(Of(relaxed), state, slack) : Walked(state);
        if (_automaton.CanStop(state))
        {
            for (int i = 0; i < mask.Length; i++)
                mask[i] |= _vocabulary.Ends[i];
        }

        return mask;
    }

    // Counts are far from their ends: short tokens do not notice, the long ones are looked at.
    private ulong[] Tightened(ReadOnlySpan<ulong> relaxed, int state, int slack)
    {
        bool all = slack >= _vocabulary.Trie.MostScalars[0];
        if (!all)
            Walk(_vocabulary.LongTrie, state);
        ulong[] mask = Slot(state);
        relaxed.CopyTo(mask); // or is the same: the slot used longest ago
        if (all)
            return mask;
        for (int i = 0; i < mask.Length; i++)
            mask[i] &= ~_vocabulary.Long[i];
        foreach ((int first, int end) in _allowed)
            Set(mask, _vocabulary.LongTrie.Tokens.AsSpan(first..end));
        return mask;
    }

    private ulong[] Slot(int state)
    {
        if (_masks.Count < MostMasks)
        {
            _masks.Add((state, new ulong[_vocabulary.Words]));
            _slots.Add(state, _masks.Count - 1);
            return _masks[^1].Mask;
        }

        (int before, ulong[] mask) = _masks[_oldest];
        _slots.Remove(before);
        _masks[_oldest] = (state, mask);
        _slots.Add(state, _oldest);
        _oldest = (_oldest + 1) % MostMasks;
        return mask;
    }

    private ulong[] Walked(int state)
    {
        TokenTrie trie = _vocabulary.Trie;
        Walk(trie, state);
        ulong[] mask = Slot(state);
        int allowed = 0;
        foreach ((int first, int end) in _allowed)
            allowed += end - first;
        if (allowed <= trie.Tokens.Length / 2)
        {
            mask.AsSpan().Clear();
            foreach ((int first, int end) in _allowed)
                Set(mask, trie.Tokens.AsSpan(first..end));
            return mask;
        }

        // Most are allowed: take out the others.
        _vocabulary.All.CopyTo(mask, 0);
        int at = 0;
        foreach ((int first, int end) in _allowed)
        {
            Clear(trie.Tokens.AsSpan(at..first));
            at = end;
        }

        Clear(trie.Tokens.AsSpan(at..));
        return mask;

        void Clear(ReadOnlySpan<int> tokens)
        {
            foreach (int token in tokens)
                mask[token >> 6] &= ~(1ul << token);
        }
    }

    private static void Set(ulong[] mask, ReadOnlySpan<int> tokens)
    {
        foreach (int token in tokens)
            mask[token >> 6] |= 1ul << token;
    }

    // Leaves the allowed tokens in _allowed, in the trie's order.
    private void Walk(TokenTrie trie, int start)
    {
        _allowed.Clear();
        if (start == Automaton.Dead)
            return;
        _path[0] = start;
        byte[] bytes = trie.Bytes;
        ushort[] depths = trie.Depths;
        int[] ends = trie.Ends, firstTokens = trie.FirstTokens;
        byte[] classes = _automaton.Grammar.ByteClasses;
        for (int node = 1; node < bytes.Length;)
        {
            int depth = depths[node], state = _automaton.StepClass(_path[depth - 1], classes[bytes[node]]), end = ends[node];
            if (state == Automaton.Dead)
            {
                node = end;
                continue;
            }

            if (end - node > WorthTesting && TakesAll(trie, node, _path[depth - 1], state))
            {
                Allow(firstTokens[node], firstTokens[end]);
                node = end;
                continue;
            }

            _path[depth] = state;
            node++;
            Allow(firstTokens[node - 1], firstTokens[node]);
        }
    }

    private void Allow(int first, int end)
    {
        if (first == end)
            return;
        if (_allowed.Count > 0 && _allowed[^1].End == first)
            _allowed[^1] = (_allowed[^1].First, end);
        else
            _allowed.Add((first, end));
    }

    // Whether a state lets every byte below a node through: if it always comes back to itself, but for counts that are far enough from their ends.
    private bool TakesAll(TokenTrie trie, int node, int before, int state)
    {
        ulong signature = trie.Signatures[node];
        if ((signature & TokenTrie.Malformed) != 0 || _automaton.IsInsideScalar(state))
            return false;
        int came = before == state ? 0 : LooseOf(before).Relaxed;
        ref Loose loose = ref LooseOf(state);
        if (loose.Slack < trie.MostScalars[node] || (before != state && came != loose.Relaxed))
            return false;
        if (loose.Groups == Loose.NotAsked)
        {
            ulong groups = Circles(loose.Relaxed);
            loose = ref LooseOf(state);
            loose = loose with { Groups = groups };
        }

        return (signature & ~loose.Groups) == 0;
    }

    // The entry stays where it is until this is asked of a new state.
    private ref Loose LooseOf(int state)
    {
        if (state >= _loose.Length)
            Array.Resize(ref _loose, Math.Max(_automaton.StateCount, _loose.Length * 2));
        ref Loose loose = ref _loose[state];
        if (loose.Groups == 0)
        {
            int slack = int.MaxValue;
            int relaxed = _automaton.IsInsideScalar(state) ? state : _automaton.Relax(state, out slack);
            loose = new(relaxed, slack, Loose.NotAsked);
        }

        return ref loose;
    }

    // The groups of bytes (TokenTrie.GroupOf) on which a state stays what it is.
    private ulong Circles(int state)
    {
        ulong groups = (1ul << TokenTrie.NonAsciiGroup) - 1; // those that no byte is in stay: 0 is a state not looked at
        for (int value = 0; value < 0x80; value++)
        {
            ulong group = 1ul << TokenTrie.GroupOf((byte)value);
            if ((groups & group) != 0 && _automaton.Step(state, (byte)value) != state)
                groups &= ~group;
        }

        return CirclesBeyondAscii(state) ? groups | 1ul << TokenTrie.NonAsciiGroup : groups;
    }

    // All scalars from U+0080 on lead back: every byte that UTF-8 allows leads on, and ends there.
    private bool CirclesBeyondAscii(int state)
    {
        _passing.Clear();
        for (int lead = 0xC2; lead <= 0xF4; lead++)
        {
            int next = _automaton.Step(state, (byte)lead);
            if (next == Automaton.Dead)
                return false;
            if (!_passing.Contains(next))
                _passing.Add(next);
        }

        for (int i = 0; i < _passing.Count; i++)
        {
            Utf8Part part = _automaton.PartOf(_passing[i]);
            for (int value = 0x80; value < 0xC0; value++)
            {
                if (!part.TryAdd((byte)value, out Utf8Part longer) || (!longer.IsBegun && longer.First is >= 0xD800 and <= 0xDFFF) || (longer.IsBegun && longer.First >= 0xD800 && longer.Last <= 0xDFFF))
                    continue;
                int next = _automaton.Step(_passing[i], (byte)value);
                if (next == state)
                    continue;
                if (!_automaton.IsInsideScalar(next))
                    return false; // dead, or somewhere else
                if (!_passing.Contains(next))
                    _passing.Add(next);
            }
        }

        return true;
    }

    /// <summary>What a state is without its counts, for how many scalars that is true, and the groups of bytes on which that state stays; all 0: not looked at.</summary>
    private readonly record struct Loose(int Relaxed, int Slack, ulong Groups)
    {
        internal const ulong NotAsked = ulong.MaxValue;
    }
}
