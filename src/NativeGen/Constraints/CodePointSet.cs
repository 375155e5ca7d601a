// A set of Unicode scalars as sorted ranges: what one place of a grammar lets through.
using System.Text;

namespace NativeGen.Constraints;

/// <summary>Scalars from <see cref="First"/> to <see cref="Last"/>, both included.</summary>
internal readonly record struct CodePointRange(int First, int Last);

/// <summary>Immutable. Surrogates (U+D800 to U+DFFF) are in no set: UTF-8 cannot say them.</summary>
internal sealed class CodePointSet : IEquatable<CodePointSet>
{
    internal const int Most = 0x10FFFF;
    private const int FirstSurrogate = 0xD800, LastSurrogate = 0xDFFF;

    private readonly CodePointRange[] _ranges; // sorted; neighbours do not touch

    private CodePointSet(CodePointRange[] ranges) => _ranges = ranges;

    internal static CodePointSet None { get; } = new([]);

    internal static CodePointSet Any { get; } = Range(0, Most);

    internal ReadOnlySpan<CodePointRange> Ranges => _ranges;

    internal bool IsEmpty => _ranges.Length == 0;

    /// <summary>How many scalars.</summary>
    internal int Count
    {
        get
        {
            int count = 0;
            foreach (CodePointRange range in _ranges)
                count += range.Last - range.First + 1;
            return count;
        }
    }

    internal static CodePointSet Single(int scalar) => Range(scalar, scalar);

    /// <summary>Scalars from first to last without the surrogates among them.</summary>
    internal static CodePointSet Range(int first, int last) => Of([new(first, last)]);

    /// <summary>Ranges in any order, touching or not. Empty ones, surrogates and what is beyond U+10FFFF fall out.</summary>
    internal static CodePointSet Of(IEnumerable<CodePointRange> ranges)
    {
        List<CodePointRange> sorted = [];
        foreach ((int first, int last) in ranges)
        {
            Add(Math.Max(first, 0), Math.Min(last, FirstSurrogate - 1));
            Add(Math.Max(first, LastSurrogate + 1), Math.Min(last, Most));
        }

        sorted.Sort(static (a, b) => a.First.CompareTo(b.First));
        int n = 0;
        for (int i = 0; i < sorted.Count; i++)
        {
            CodePointRange range = sorted[i];
            if (n > 0 && range.First <= sorted[n - 1].Last + 1)
                sorted[n - 1] = new(sorted[n - 1].First, Math.Max(sorted[n - 1].Last, range.Last));
            else
                sorted[n++] = range;
        }

        return n == 0 ? None ?? new([]) : new([.. sorted[..n]]);

        void Add(int first, int last)
        {
            if (first <= last)
                sorted.Add(new(first, last));
        }
    }

    /// <summary>The characters of a text.</summary>
    internal static CodePointSet Of(string characters) => Of(characters.EnumerateRunes().Select(rune => new CodePointRange(rune.Value, rune.Value)));

    internal CodePointSet Union(CodePointSet other) => IsEmpty ? other : other.IsEmpty ? this : Of(_ranges.Concat(other._ranges));

    internal CodePointSet Intersect(CodePointSet other)
    {
        List<CodePointRange> both = [];
        for (int i = 0, j = 0; i < _ranges.Length && j < other._ranges.Length;)
        {
            CodePointRange a = _ranges[i], b = other._ranges[j];
            both.Add(new(Math.Max(a.First, b.First), Math.Min(a.Last, b.Last)));
            if (a.Last < b.Last)
                i++;
            else
                j++;
        }

        return Of(both);
    }

    /// <summary>All other scalars.</summary>
    internal CodePointSet Complement()
    {
        List<CodePointRange> others = [];
        int next = 0;
        foreach (CodePointRange range in _ranges)
        {
            others.Add(new(next, range.First - 1));
            next = range.Last + 1;
        }

        others.Add(new(next, Most));
        return Of(others);
    }

    internal CodePointSet Except(CodePointSet other) => Intersect(other.Complement());

    internal bool Contains(int scalar)
    {
        int at = FirstEndingAtOrAfter(scalar);
        return at < _ranges.Length && _ranges[at].First <= scalar;
    }

    /// <summary>Whether a scalar from first to last is in the set.</summary>
    internal bool Intersects(int first, int last)
    {
        int at = FirstEndingAtOrAfter(first);
        return at < _ranges.Length && _ranges[at].First <= last;
    }

    public bool Equals(CodePointSet? other) => other is not null && _ranges.AsSpan().SequenceEqual(other._ranges);

    public override bool Equals(object? obj) => Equals(obj as CodePointSet);

    public override int GetHashCode()
    {
        HashCode hash = default;
        foreach (CodePointRange range in _ranges)
            hash.Add(range);
        return hash.ToHashCode();
    }

    /// <summary>For messages: [a-z\u0009].</summary>
    public override string ToString()
    {
        StringBuilder text = new("[");
        foreach ((int first, int last) in _ranges)
        {
            Show(first);
            if (last > first)
            {
                text.Append('-');
                Show(last);
            }
        }

        return text.Append(']').ToString();

        void Show(int scalar) => text.Append(scalar is > 0x20 and < 0x7F ? ((char)scalar).ToString() : $"\\u{{{scalar:X}}}");
    }

    private int FirstEndingAtOrAfter(int scalar)
    {
        int low = 0, high = _ranges.Length;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_ranges[middle].Last < scalar)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }
}
