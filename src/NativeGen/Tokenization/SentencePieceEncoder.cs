// SentencePiece's BPE (Kudo and Richardson 2018, arXiv 1808.06226): the neighbours whose joint text is the token with the highest score join first;
// a character that ends as no token becomes its bytes.
using System.Buffers;
using NativeGen.Tokenization.Unicode;

namespace NativeGen.Tokenization;

internal sealed class SentencePieceEncoder : TextEncoder
{
    private readonly Vocabulary _vocabulary;
    private readonly bool _addSpacePrefix, _cutsWords;
    private readonly int[] _byteTokens = new int[256];
    private readonly int _owner = WordCache.NewOwner();
    [ThreadStatic] private static Scratch? _scratch;

    internal SentencePieceEncoder(Vocabulary vocabulary, bool addSpacePrefix)
    {
        _vocabulary = vocabulary;
        _addSpacePrefix = addSpacePrefix;
        for (int b = 0; b < 256; b++)
        {
            int token = vocabulary.FindByteToken((byte)b);
            _byteTokens[b] = token >= 0 ? token : vocabulary.Table.Find([(byte)b]);
        }

        // Where no token holds a space behind another character, nothing joins across the beginning of a word.
        _cutsWords = true;
        for (int id = 0; id < vocabulary.Count; id++)
            _cutsWords &= !SpaceEscape.IsInside(vocabulary.Table[id]);
    }

    internal override void Encode(ReadOnlySpan<byte> text, bool atStart, ref TokenWriter tokens)
    {
        if (text.IsEmpty)
            return;
        byte[] rented = ArrayPool<byte>.Shared.Rent(text.Length * 3 + 3);
        int length = 0;
        if (atStart && _addSpacePrefix)
        {
            SpaceEscape.Utf8.CopyTo(rented);
            length = SpaceEscape.Utf8.Length;
        }

        length += SpaceEscape.Apply(text, rented.AsSpan(length));
        Scratch scratch = _scratch ??= new Scratch();
        if (_cutsWords)
            EncodeWords(rented.AsSpan(0, length), scratch, ref tokens);
        else
            Merge(rented.AsSpan(0, length), scratch, ref tokens);
        scratch.Trim();
        ArrayPool<byte>.Shared.Return(rented);
    }

    private void EncodeWords(ReadOnlySpan<byte> text, Scratch scratch, ref TokenWriter tokens)
    {
        for (int start = 0; start < text.Length;)
        {
            int end = SpaceEscape.EndOfWord(text, start);
            EncodeWord(text[start..end], scratch, ref tokens);
            start = end;
        }
    }

    private void EncodeWord(ReadOnlySpan<byte> word, Scratch scratch, ref TokenWriter tokens)
    {
        if (scratch.Words.TryAppend(word, _owner, ref tokens))
            return;
        int before = tokens.Count;
        Merge(word, scratch, ref tokens);
        scratch.Words.Keep(word, _owner, in tokens, before);
    }

    // Symbol i is text[Starts[i] .. Starts[i] + Lengths[i]]; length 0: it has joined its left neighbour.
    private void Merge(ReadOnlySpan<byte> text, Scratch scratch, ref TokenWriter tokens)
    {
        scratch.Reserve(text.Length);
        int[] starts = scratch.Starts, lengths = scratch.Lengths, next = scratch.Next, previous = scratch.Previous;
        MergeHeap heap = scratch.Heap;
        heap.Clear();
        int count = 0;
        for (int at = 0; at < text.Length; count++)
        {
            starts[count] = at;
            lengths[count] = Math.Min(UnicodeTables.AnnouncedLength(text[at]), text.Length - at);
            at += lengths[count];
            previous[count] = count - 1;
            next[count] = count + 1;
        }

        next[count - 1] = -1;
        for (int i = 0; i + 1 < count; i++)
            Push(text, scratch, i);
        while (heap.TryPop(out ulong key))
        {
            int left = (int)(uint)key;
            if (lengths[left] == 0 || Urgency(text, scratch, left) != key >> 32)
                continue; // one of them has joined another since
            int right = next[left];
            lengths[left] += lengths[right];
            lengths[right] = 0;
            next[left] = next[right];
            if (next[left] >= 0)
                previous[next[left]] = left;
            if (previous[left] >= 0)
                Push(text, scratch, previous[left]);
            Push(text, scratch, left);
        }

        for (int i = 0; i >= 0; i = next[i])
        {
            ReadOnlySpan<byte> symbol = text.Slice(starts[i], lengths[i]);
            int token = _vocabulary.Table.Find(symbol);
            if (token >= 0)
            {
                tokens.Add(token);
                continue;
            }

            foreach (byte b in symbol)
            {
                int single = _byteTokens[b] >= 0 ? _byteTokens[b] : _vocabulary.Special.Unknown;
                if (single >= 0)
                    tokens.Add(single);
            }
        }
    }

    private void Push(ReadOnlySpan<byte> text, Scratch scratch, int left)
    {
        ulong urgency = Urgency(text, scratch, left);
        if (urgency != None)
            scratch.Heap.Push(urgency << 32 | (uint)left);
    }

    private const ulong None = ulong.MaxValue;

    // Of the symbol and its right neighbour: below 2^32, and the less the higher their token's score.
    private ulong Urgency(ReadOnlySpan<byte> text, Scratch scratch, int left)
    {
        int right = scratch.Next[left];
        if (right < 0)
            return None;
        int token = _vocabulary.Table.Find(text.Slice(scratch.Starts[left], scratch.Lengths[left] + scratch.Lengths[right]));
        if (token < 0)
            return None;
        int bits = BitConverter.SingleToInt32Bits(_vocabulary.Score(token) + 0f); // + 0: no negative zero
        return (uint)(bits >= 0 ? int.MaxValue - bits : bits);
    }

    // Working memory of a thread, kept between calls unless a very long word made it large.
    private sealed class Scratch
    {
        private const int Kept = 1 << 16;

        internal readonly WordCache Words = WordCache.OfThread;
        internal MergeHeap Heap = new();
        internal int[] Starts = [], Lengths = [], Next = [], Previous = [];

        internal void Reserve(int symbols)
        {
            if (Starts.Length < symbols)
                (Starts, Lengths, Next, Previous) = (new int[symbols * 2], new int[symbols * 2], new int[symbols * 2], new int[symbols * 2]);
        }

        internal void Trim()
        {
            if (Starts.Length > Kept)
                (Starts, Lengths, Next, Previous, Heap) = ([], [], [], [], new());
        }
    }
}
