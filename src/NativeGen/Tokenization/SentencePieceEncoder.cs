// SentencePiece's BPE (Kudo and Richardson 2018, arXiv 1808.06226): the neighbours whose joint text is the token with the highest score join first;
// a character that ends as no token becomes its bytes.
using System.Buffers;
using NativeGen.Tokenization.Unicode;

namespace NativeGen.Tokenization;

internal sealed class SentencePieceEncoder : TextEncoder
{
    private readonly Vocabulary _vocabulary;
    private readonly bool _addSpacePrefix;
    private readonly int[] _byteTokens = new int[256];

    internal SentencePieceEncoder(Vocabulary vocabulary, bool addSpacePrefix)
    {
        _vocabulary = vocabulary;
        _addSpacePrefix = addSpacePrefix;
        for (int b = 0; b < 256; b++)
        {
            int token = vocabulary.FindByteToken((byte)b);
            _byteTokens[b] = token >= 0 ? token : vocabulary.Table.Find([(byte)b]);
        }
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
        Merge(rented.AsSpan(0, length), ref tokens);
        ArrayPool<byte>.Shared.Return(rented);
    }

    // Symbol i is text[starts[i] .. starts[i] + lengths[i]]; length 0: it has joined its left neighbour.
    private void Merge(ReadOnlySpan<byte> text, ref TokenWriter tokens)
    {
        int[] starts = ArrayPool<int>.Shared.Rent(text.Length), lengths = ArrayPool<int>.Shared.Rent(text.Length);
        int[] next = ArrayPool<int>.Shared.Rent(text.Length), previous = ArrayPool<int>.Shared.Rent(text.Length);
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
        var heap = new PriorityQueue<(int Left, int Length), (float Score, int Left)>(count, BestFirst.Instance);
        for (int i = 0; i + 1 < count; i++)
            Push(heap, text, i, starts, lengths, next);
        while (heap.TryDequeue(out var pair, out _))
        {
            int left = pair.Left, right = next[left];
            if (lengths[left] == 0 || right < 0 || lengths[left] + lengths[right] != pair.Length)
                continue; // one of them has joined another since
            lengths[left] = pair.Length;
            lengths[right] = 0;
            next[left] = next[right];
            if (next[left] >= 0)
                previous[next[left]] = left;
            if (previous[left] >= 0)
                Push(heap, text, previous[left], starts, lengths, next);
            Push(heap, text, left, starts, lengths, next);
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

        foreach (int[] array in (ReadOnlySpan<int[]>)[starts, lengths, next, previous])
            ArrayPool<int>.Shared.Return(array);
    }

    private void Push(PriorityQueue<(int Left, int Length), (float Score, int Left)> heap, ReadOnlySpan<byte> text, int left, int[] starts, int[] lengths, int[] next)
    {
        int right = next[left];
        if (right < 0)
            return;
        int length = lengths[left] + lengths[right];
        int token = _vocabulary.Table.Find(text.Slice(starts[left], length));
        if (token >= 0)
            heap.Enqueue((left, length), (_vocabulary.Score(token), left));
    }

    private sealed class BestFirst : IComparer<(float Score, int Left)>
    {
        internal static readonly BestFirst Instance = new();

        public int Compare((float Score, int Left) a, (float Score, int Left) b) => a.Score != b.Score ? b.Score.CompareTo(a.Score) : a.Left.CompareTo(b.Left);
    }
}
