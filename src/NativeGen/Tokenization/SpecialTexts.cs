// Finds special and user-defined tokens in a text. The longest names are found first, wherever they stand; what is left between them is text.
namespace NativeGen.Tokenization;

internal sealed class SpecialTexts
{
    private readonly Vocabulary _vocabulary;
    private readonly int[] _longestFirst;
    private readonly ByteTrie _names = new();
    private readonly System.Buffers.SearchValues<byte> _firstBytes;

    internal SpecialTexts(Vocabulary vocabulary)
    {
        _vocabulary = vocabulary;
        var tokens = new List<int>();
        var first = new HashSet<byte>();
        for (int id = 0; id < vocabulary.Count; id++)
        {
            ReadOnlySpan<byte> text = vocabulary.Text(id);
            if (text.IsEmpty || !vocabulary.Is(id, TokenAttributes.Control | TokenAttributes.UserDefined | TokenAttributes.Unknown) || !_names.Add(text, id))
                continue;
            tokens.Add(id);
            first.Add(text[0]);
        }

        _firstBytes = System.Buffers.SearchValues.Create([.. first]);
        _longestFirst = [.. tokens.OrderByDescending(id => vocabulary.Text(id).Length)];
    }

    /// <summary>A token, or (Token is -1) the text from Start to End.</summary>
    internal readonly record struct Fragment(int Token, int Start, int End);

    /// <summary>
    /// The text's fragments in order. With <paramref name="parseSpecial"/> false only user-defined tokens are found, and so where a name touches a
    /// <paramref name="literal"/> range (bytes, sorted, disjoint).
    /// </summary>
    internal List<Fragment> Partition(ReadOnlySpan<byte> text, bool parseSpecial, ReadOnlySpan<(int Start, int End)> literal = default)
    {
        var fragments = new List<Fragment>();
        if (text.IsEmpty)
            return fragments;
        fragments.Add(new(-1, 0, text.Length));
        HashSet<int> present = FindPresent(text, parseSpecial, literal);
        if (present.Count == 0)
            return fragments;
        foreach (int id in _longestFirst)
        {
            if (!present.Contains(id))
                continue;
            var cut = new List<Fragment>(fragments.Count + 2);
            foreach (Fragment fragment in fragments)
            {
                if (fragment.Token >= 0)
                    cut.Add(fragment);
                else
                    Split(text, fragment, id, literal, cut);
            }

            fragments = cut;
        }

        return fragments;
    }

    // Names that occur at all: most texts hold none, and vocabularies have thousands.
    private HashSet<int> FindPresent(ReadOnlySpan<byte> text, bool parseSpecial, ReadOnlySpan<(int Start, int End)> literal)
    {
        var present = new HashSet<int>();
        for (int at = 0; at < text.Length; at++)
        {
            int step = text[at..].IndexOfAny(_firstBytes);
            if (step < 0)
                break;
            at += step;
            int node = ByteTrie.Root;
            for (int i = at; i < text.Length && (node = _names.Step(node, text[i])) != ByteTrie.None; i++)
            {
                int token = _names.Value(node);
                if (token >= 0 && (!IsControl(token) || (parseSpecial && !Touches(literal, at, i + 1))))
                    present.Add(token);
            }
        }

        return present;
    }

    private void Split(ReadOnlySpan<byte> text, Fragment fragment, int id, ReadOnlySpan<(int Start, int End)> literal, List<Fragment> cut)
    {
        ReadOnlySpan<byte> name = _vocabulary.Text(id);
        bool control = IsControl(id);
        int start = fragment.Start, from = start;
        while (from < fragment.End)
        {
            int found = text[from..fragment.End].IndexOf(name);
            if (found < 0)
                break;
            int left = from + found, right = left + name.Length;
            if (control && Touches(literal, left, right))
            {
                from = left + 1;
                continue;
            }

            if (_vocabulary.Is(id, TokenAttributes.StripLeft))
            {
                while (left > start && IsSpace(text[left - 1]))
                    left--;
            }

            if (_vocabulary.Is(id, TokenAttributes.StripRight))
            {
                while (right < fragment.End && IsSpace(text[right]))
                    right++;
            }

            if (left > start)
                cut.Add(new(-1, start, left));
            cut.Add(new(id, left, right));
            start = from = right;
        }

        if (start < fragment.End)
            cut.Add(fragment with { Start = start });
    }

    private bool IsControl(int id) => _vocabulary.Is(id, TokenAttributes.Control | TokenAttributes.Unknown);

    /// <summary>Whether a stretch shares a byte with any of the ranges.</summary>
    private static bool Touches(ReadOnlySpan<(int Start, int End)> ranges, int start, int end)
    {
        int low = 0, high = ranges.Length; // the first range that ends after start
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (ranges[middle].End > start)
                high = middle;
            else
                low = middle + 1;
        }

        return low < ranges.Length && ranges[low].Start < end;
    }

    private static bool IsSpace(byte b) => b is (byte)' ' or (>= 9 and <= 13);
}
