// The simple expressions among the cuts: an optional character and a run of a class ("\s?\p{L}+"), fixed strings, alternatives of those.
namespace NativeGen.Tokenization.Splitting;

/// <summary>
/// Matches the first of its alternatives that fits. An alternative is a row of parts; a part takes as much as it can and gives nothing back,
/// except that an optional character is left out where the rest fits only without it. That is all these expressions need, and it is linear.
/// </summary>
internal sealed class SequenceStage(params SequenceStage.Part[][] alternatives) : MatchStage
{
    private readonly Part[][] _alternatives = alternatives;

    /// <summary>A fixed ASCII string, or between <paramref name="Least"/> and <paramref name="Most"/> characters of a set.</summary>
    internal sealed record Part(byte[]? Text, CharSet? Set, int Least, int Most);

    internal static Part Literal(string ascii) => new(System.Text.Encoding.ASCII.GetBytes(ascii), null, 0, 0);

    internal static Part Some(string set, int most = int.MaxValue) => new(null, CharSet.Parse(set), 1, most);

    internal static Part Optional(string set) => new(null, CharSet.Parse(set), 0, 1);

    /// <summary>"[prefix]?[set]+", or without a prefix.</summary>
    internal static SequenceStage Run(string set, string? prefix = null, int most = int.MaxValue) =>
        new(prefix is null ? [Some(set, most)] : [Optional(prefix), Some(set, most)]);

    protected override int Match(ReadOnlySpan<byte> text, int at)
    {
        foreach (Part[] parts in _alternatives)
        {
            int end = MatchParts(parts, text, at);
            if (end >= 0)
                return end;
        }

        return -1;
    }

    private static int MatchParts(ReadOnlySpan<Part> parts, ReadOnlySpan<byte> text, int at)
    {
        for (int i = 0; i < parts.Length; i++)
        {
            Part part = parts[i];
            if (part.Text is not null)
            {
                if (!text[at..].StartsWith(part.Text))
                    return -1;
                at += part.Text.Length;
            }
            else if (part.Least == 0)
            {
                int with = part.Set!.MatchOne(text, at);
                if (with > 0)
                {
                    int end = MatchParts(parts[(i + 1)..], text, at + with);
                    if (end >= 0)
                        return end;
                }
            }
            else
            {
                int end = part.Set!.SkipRun(text, at, part.Most);
                if (end == at)
                    return -1;
                at = end;
            }
        }

        return at;
    }
}
