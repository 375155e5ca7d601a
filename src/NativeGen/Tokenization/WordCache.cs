// Words of a text repeat: the tokens of recent short ones, so that most need one look instead of merges or a search. Each thread has one,
// 458 KB, shared by all tokenizers.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace NativeGen.Tokenization;

/// <summary>A word has two slots, and the last two that came there stay. Not thread safe.</summary>
internal sealed class WordCache
{
    private const int LongestWord = 16, Pairs = 4096, MostTokens = 8;
    private static int _owners;
    [ThreadStatic] private static WordCache? _ofThread;

    private readonly Entry[] _entries = new Entry[2 * Pairs]; // 56 bytes each

    /// <summary>The calling thread's.</summary>
    internal static WordCache OfThread => _ofThread ??= new();

    /// <summary>A number that tells one encoder's words from another's.</summary>
    internal static int NewOwner() => Interlocked.Increment(ref _owners);

    /// <summary>Appends the word's tokens if they are known. Words of more than 16 bytes never are; the empty one may not be asked for.</summary>
    internal bool TryAppend(ReadOnlySpan<byte> word, int owner, ref TokenWriter tokens)
    {
        if (word.Length > LongestWord)
            return false;
        (ulong first, ulong last) = Key(word);
        ref Entry entry = ref _entries[Slot(first, last)];
        if (!entry.Is(first, last, owner, word.Length))
        {
            entry = ref Unsafe.Add(ref entry, 1);
            if (!entry.Is(first, last, owner, word.Length))
                return false;
        }

        for (int i = 0; i < entry.Count; i++)
            tokens.Add(entry.Tokens[i]);
        return true;
    }

    /// <summary>Remembers what was appended for a word since there were <paramref name="before"/> tokens.</summary>
    internal void Keep(ReadOnlySpan<byte> word, int owner, in TokenWriter tokens, int before)
    {
        int count = tokens.Count - before;
        if (word.Length > LongestWord || count > MostTokens || !tokens.AllFitted)
            return;
        (ulong first, ulong last) = Key(word);
        ref Entry entry = ref _entries[Slot(first, last)];
        Unsafe.Add(ref entry, 1) = entry;
        (entry.First, entry.Last, entry.Owner, entry.Length, entry.Count) = (first, last, owner, (byte)word.Length, (byte)count);
        tokens.Written[before..].CopyTo(entry.Tokens);
    }

    // First and last eight bytes, which may overlap; with the length they are the word.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (ulong First, ulong Last) Key(ReadOnlySpan<byte> word)
    {
        ref byte p = ref MemoryMarshal.GetReference(word);
        int n = word.Length;
        if (n >= 8)
            return (Unsafe.ReadUnaligned<ulong>(ref p), Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref p, n - 8)));
        return n >= 4
            ? (Unsafe.ReadUnaligned<uint>(ref p), Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref p, n - 4)))
            : (p, Unsafe.Add(ref p, n >> 1) | (ulong)Unsafe.Add(ref p, n - 1) << 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Slot(ulong first, ulong last) => 2 * (int)(ByteStringTable.Mix(first ^ 0xA0761D6478BD642F, last ^ 0xE7037ED1A0B428DB) & (Pairs - 1));

    private struct Entry
    {
        internal ulong First, Last;
        internal int Owner; // 0: free
        internal byte Length, Count;
        internal TokenBuffer Tokens;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        internal readonly bool Is(ulong first, ulong last, int owner, int length) => First == first && Last == last && Owner == owner && Length == length;
    }

    [InlineArray(MostTokens)]
    private struct TokenBuffer
    {
        private int _first;
    }
}
