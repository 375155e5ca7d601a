// BPE with a list of merges (Sennrich et al. 2016, arXiv 1508.07909): text is cut into words, a word into symbols (bytes, or characters in
// Gemma's kind), and the neighbours whose merge stands first in the list join until none is left.
using System.Buffers;
using System.Runtime.CompilerServices;
using NativeGen.Tokenization.Splitting;
using NativeGen.Tokenization.Unicode;

namespace NativeGen.Tokenization;

internal sealed class BpeEncoder : TextEncoder
{
    private const int ShortWord = 48; // symbols; up to here a scan finds the next merge faster than a heap

    // A symbol is an entry of the vocabulary's table: a token, or behind them a string that only occurs on the way to one.
    private readonly Vocabulary _vocabulary;
    private readonly ByteStringTable _symbols;
    private readonly PreTokenizer _pre;
    private readonly int[] _byteSymbols = new int[256]; // symbol of a single byte
    private readonly int[] _byteTokens = new int[256];  // token for a byte of a symbol that is none, or -1
    private readonly MergeTable _merges;
    private readonly int _owner = WordCache.NewOwner();
    private readonly byte[] _wholeWord; // by token: 0 not known yet, 1 its text merges to itself, 2 it does not
    [ThreadStatic] private static Scratch? _scratch;

    internal BpeEncoder(Vocabulary vocabulary, PreTokenizer pre, Utf8Strings merges)
    {
        _vocabulary = vocabulary;
        _symbols = vocabulary.Table;
        _pre = pre;
        _wholeWord = new byte[vocabulary.Count];
        for (int b = 0; b < 256; b++)
        {
            int token = pre.IsSentencePieceLike ? vocabulary.FindByteToken((byte)b) : _symbols.Find([(byte)b]);
            _byteTokens[b] = token < vocabulary.Count ? token : -1;
        }

        for (int b = 0; b < 256; b++)
            _byteSymbols[b] = _symbols.FindOrAppend([(byte)b]);
        _merges = new MergeTable(merges.Count);
        byte[] left = new byte[64], right = new byte[64], both = new byte[128];
        for (int rank = 0; rank < merges.Count; rank++)
        {
            ReadOnlySpan<byte> line = merges[rank];
            int space = line.Length > 1 ? line[1..].IndexOf((byte)' ') + 1 : 0;
            if (space <= 0)
                throw Vocabulary.Invalid("tokenizer.ggml.merges", $"has a line without a space: number {rank}");
            if (left.Length < line.Length)
                (left, right, both) = (new byte[line.Length * 2], new byte[line.Length * 2], new byte[line.Length * 4]);
            int l = Spell(line[..space], left), r = Spell(line[(space + 1)..], right);
            if (l <= 0 || r <= 0)
                continue; // a character outside the alphabet: no text can lead here
            left.AsSpan(0, l).CopyTo(both);
            right.AsSpan(0, r).CopyTo(both.AsSpan(l));
            _merges.Add(_symbols.FindOrAppend(left.AsSpan(0, l)), _symbols.FindOrAppend(right.AsSpan(0, r)), rank, _symbols.FindOrAppend(both.AsSpan(0, l + r)));
        }
    }

    internal override void Encode(ReadOnlySpan<byte> text, bool atStart, ref TokenWriter tokens)
    {
        Scratch scratch = _scratch ??= new Scratch();
        byte[]? escaped = null;
        if (_pre.IsSentencePieceLike)
        {
            escaped = ArrayPool<byte>.Shared.Rent(text.Length * 3);
            text = escaped.AsSpan(0, SpaceEscape.Apply(text, escaped));
        }

        int start = 0;
        foreach (int end in _pre.Split(text, ref scratch.Pieces, ref scratch.SparePieces))
        {
            EncodeWord(text[start..end], scratch, ref tokens);
            start = end;
        }

        scratch.Trim();
        if (escaped is not null)
            ArrayPool<byte>.Shared.Return(escaped);
    }

    private int Spell(ReadOnlySpan<byte> text, Span<byte> bytes)
    {
        if (!_pre.IsSentencePieceLike)
            return ByteAlphabet.Decode(text, bytes);
        text.CopyTo(bytes);
        return text.Length;
    }

    private void EncodeWord(ReadOnlySpan<byte> word, Scratch scratch, ref TokenWriter tokens)
    {
        if (scratch.Words.TryAppend(word, _owner, ref tokens))
            return;
        int before = tokens.Count;
        EncodeNewWord(word, scratch, ref tokens);
        scratch.Words.Keep(word, _owner, in tokens, before);
    }

    private void EncodeNewWord(ReadOnlySpan<byte> word, Scratch scratch, ref TokenWriter tokens)
    {
        // Most words are tokens. Whether the merges would end there too is found out once for each.
        int token = _symbols.Find(word);
        if ((uint)token < (uint)_vocabulary.Count)
        {
            if (_pre.IgnoreMerges || _wholeWord[token] == 1)
            {
                tokens.Add(token);
                return;
            }

            if (_wholeWord[token] == 0)
            {
                int count = Merge(word, scratch);
                _wholeWord[token] = (byte)(count == 1 && scratch.Symbols[0] == token ? 1 : 2);
                Emit(scratch.Symbols.AsSpan(0, count), ref tokens);
                return;
            }
        }

        int merged = Merge(word, scratch); // may replace scratch.Symbols
        Emit(scratch.Symbols.AsSpan(0, merged), ref tokens);
    }

    private void Emit(ReadOnlySpan<int> symbols, ref TokenWriter tokens)
    {
        foreach (int symbol in symbols)
        {
            if (symbol < _vocabulary.Count)
            {
                tokens.Add(symbol);
                continue;
            }

            foreach (byte b in _symbols[symbol])
            {
                if (_byteTokens[b] >= 0)
                    tokens.Add(_byteTokens[b]);
            }
        }
    }

    /// <summary>Leaves the word's symbols in scratch.Symbols; returns how many.</summary>
    private int Merge(ReadOnlySpan<byte> word, Scratch scratch)
    {
        int count = 0;
        scratch.Reserve(word.Length);
        int[] symbols = scratch.Symbols;
        if (!_pre.IsSentencePieceLike)
        {
            foreach (byte b in word)
                symbols[count++] = _byteSymbols[b];
        }
        else
        {
            for (int at = 0; at < word.Length;)
            {
                int length = Math.Min(UnicodeTables.AnnouncedLength(word[at]), word.Length - at);
                int symbol = _symbols.Find(word.Slice(at, length));
                if (symbol >= 0)
                    symbols[count++] = symbol;
                else
                {
                    // A character that is neither a token nor part of a merge goes byte by byte. Bytes of it merge with nothing.
                    for (int i = 0; i < length; i++)
                        symbols[count++] = _byteTokens[word[at + i]] >= 0 ? _byteTokens[word[at + i]] : _byteSymbols[word[at + i]];
                }

                at += length;
            }
        }

        return count <= ShortWord ? MergeByScan(symbols, count, scratch.Merges) : MergeByHeap(scratch, count);
    }

    // merges[i]: what symbols i and i + 1 make. Each round joins the best pair and looks at its two new neighbours.
    private int MergeByScan(int[] symbols, int count, ulong[] merges)
    {
        for (int i = 0; i + 1 < count; i++)
            merges[i] = _merges.Find(symbols[i], symbols[i + 1]);
        while (count > 1)
        {
            ulong best = MergeTable.None;
            int at = -1;
            for (int i = 0; i + 1 < count; i++)
            {
                if (merges[i] < best)
                    (best, at) = (merges[i], i);
            }

            if (at < 0)
                break;
            symbols[at] = MergeTable.Symbol(best);
            count--;
            symbols.AsSpan(at + 2, count - at - 1).CopyTo(symbols.AsSpan(at + 1));
            if (count - at - 1 > 0)
                merges.AsSpan(at + 1, count - at - 1).CopyTo(merges.AsSpan(at));
            if (at > 0)
                merges[at - 1] = _merges.Find(symbols[at - 1], symbols[at]);
            if (at + 1 < count)
                merges[at] = _merges.Find(symbols[at], symbols[at + 1]);
        }

        return count;
    }

    // The same for long words: a heap of candidate pairs, ordered by rank, then place; symbols are a linked list. A rank belongs to one pair: when
    // it is no longer that of the two symbols at its place, one of them has merged with another since.
    private int MergeByHeap(Scratch scratch, int count)
    {
        int[] symbols = scratch.Symbols, next = scratch.Next, previous = scratch.Previous;
        MergeHeap heap = scratch.Heap;
        heap.Clear();
        for (int i = 0; i < count; i++)
        {
            next[i] = i + 1 < count ? i + 1 : -1;
            previous[i] = i - 1;
        }

        for (int i = 0; i + 1 < count; i++)
            Push(i);
        while (heap.TryPop(out ulong key))
        {
            int left = (int)(uint)key, right = next[left];
            if (right < 0 || symbols[left] < 0)
                continue;
            ulong merge = _merges.Find(symbols[left], symbols[right]);
            if (merge >> 32 != key >> 32)
                continue;
            symbols[left] = MergeTable.Symbol(merge);
            symbols[right] = -1;
            next[left] = next[right];
            if (next[left] >= 0)
                previous[next[left]] = left;
            if (previous[left] >= 0)
                Push(previous[left]);
            if (next[left] >= 0)
                Push(left);
        }

        int kept = 0;
        for (int i = 0; i >= 0; i = next[i])
            symbols[kept++] = symbols[i];
        return kept;

        void Push(int left)
        {
            int right = next[left];
            ulong merge = _merges.Find(symbols[left], symbols[right]);
            if (merge != MergeTable.None)
                heap.Push(merge >> 32 << 32 | (uint)left);
        }
    }

    // Working memory of a thread, kept between calls unless a very long word made it large.
    private sealed class Scratch
    {
        private const int Kept = 1 << 16, KeptPieces = 1 << 18;

        internal PieceList Pieces = new(), SparePieces = new();
        internal int[] Symbols = new int[256], Next = [], Previous = [];
        internal ulong[] Merges = new ulong[ShortWord];
        internal MergeHeap Heap = new();
        internal readonly WordCache Words = WordCache.OfThread;

        internal void Reserve(int symbols)
        {
            if (Symbols.Length < symbols)
                Symbols = new int[symbols * 2];
            if (symbols > ShortWord && Next.Length < symbols)
                (Next, Previous) = (new int[symbols * 2], new int[symbols * 2]);
        }

        internal void Trim()
        {
            if (Symbols.Length > Kept)
                (Symbols, Next, Previous, Heap) = (new int[256], [], [], new());
            if (Pieces.Capacity > KeptPieces || SparePieces.Capacity > KeptPieces)
                (Pieces, SparePieces) = (new(), new());
        }
    }
}

/// <summary>(left symbol, right symbol) -> rank and merged symbol: open addressing, at most half full.</summary>
internal sealed class MergeTable
{
    internal const ulong None = ulong.MaxValue;

    private readonly ulong[] _keys; // left << 32 | right, plus 1 in neither: symbols are below 2^31, so 2^64 - 1 is free
    private readonly ulong[] _values;

    internal MergeTable(int count)
    {
        _keys = new ulong[System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Max(count, 8) * 2)];
        _keys.AsSpan().Fill(None);
        _values = new ulong[_keys.Length];
    }

    internal static int Symbol(ulong merge) => (int)(uint)merge;

    /// <summary>The first of equal pairs counts.</summary>
    internal void Add(int left, int right, int rank, int merged)
    {
        ulong key = (ulong)(uint)left << 32 | (uint)right;
        uint i = Slot(key);
        if (_keys[i] == key)
            return;
        _keys[i] = key;
        _values[i] = (ulong)(uint)rank << 32 | (uint)merged;
    }

    /// <summary>Rank in the upper half, merged symbol in the lower; <see cref="None"/> if the pair does not merge.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal ulong Find(int left, int right)
    {
        ulong key = (ulong)(uint)left << 32 | (uint)right;
        uint i = Slot(key);
        return _keys[i] == key ? _values[i] : None;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private uint Slot(ulong key)
    {
        uint mask = (uint)_keys.Length - 1;
        uint i = (uint)ByteStringTable.HashPair(key) & mask;
        while (_keys[i] != key && _keys[i] != None)
            i = (i + 1) & mask;
        return i;
    }
}
