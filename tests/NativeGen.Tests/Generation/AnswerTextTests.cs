// Stop sequences across token borders: the text never depends on how it was cut into pieces.
using CsCheck;
using NativeGen.Sampling;

namespace NativeGen.Tests.Generation;

public sealed class AnswerTextTests
{
    private static readonly Gen<string> Text = Gen.Char["abc"].Array[0, 40].Select(chars => new string(chars));
    private static readonly Gen<string[]> Stops = Gen.Char["abc"].Array[1, 5].Select(chars => new string(chars)).Array[0, 3];

    [Fact]
    public void AnyCutIntoPiecesGivesTheSameText() =>
        Gen.Select(Text, Stops, Gen.Int[1, 6].Array[40]).Sample((text, stops, sizes) =>
        {
            AnswerText answer = new(new StopSequences(stops));
            var shown = "";
            for (int at = 0, i = 0; at < text.Length && !answer.Stopped; at += sizes[i++])
            {
                answer.Append(text.AsSpan(at, Math.Min(sizes[i], text.Length - at)));
                shown += answer.Take();
                if (stops.Any(stop => shown.Contains(stop, StringComparison.Ordinal)))
                {
                    return false; // a part of a stop sequence was let out
                }
            }

            answer.End();
            return shown + answer.Take() == Cut(text, stops);
        }, iter: 20_000);

    [Fact]
    public void OnlyWhatMayBecomeAStopSequenceIsHeldBack()
    {
        AnswerText answer = new(new StopSequences(["</end>", "STOP"]));
        answer.Append("one </en");
        Assert.Equal("one ", answer.Take());
        answer.Append("x ST");
        Assert.Equal("</enx ", answer.Take());
        answer.End();
        Assert.Equal("ST", answer.Take());
    }

    [Fact]
    public void NothingCountsAfterAStopSequence()
    {
        AnswerText answer = new(new StopSequences(["."]));
        Assert.True(answer.Append("a.b"));
        Assert.True(answer.Append("c"));
        answer.End();
        Assert.Equal("a", answer.Take());
    }

    [Fact]
    public void LongAnswersOutgrowTheBufferWhetherTakenOrNot()
    {
        AnswerText kept = new(StopSequences.None), taken = new(new StopSequences(["zz"]));
        var shown = "";
        for (var i = 0; i < 1000; i++)
        {
            kept.Append($"{i} ");
            taken.Append($"{i} z");
            shown += taken.Take();
        }

        kept.End();
        taken.End();
        Assert.Equal(string.Concat(Enumerable.Range(0, 1000).Select(i => $"{i} ")), kept.Take());
        Assert.Equal(string.Concat(Enumerable.Range(0, 1000).Select(i => $"{i} z")), shown + taken.Take());
    }

    /// <summary>The definition: the stop sequence that is complete first, of those that end together the longest.</summary>
    private static string Cut(string text, string[] stops)
    {
        for (var end = 1; end <= text.Length; end++)
        {
            var longest = stops.Where(stop => text[..end].EndsWith(stop, StringComparison.Ordinal)).Select(stop => stop.Length).DefaultIfEmpty(0).Max();
            if (longest > 0)
            {
                return text[..(end - longest)];
            }
        }

        return text;
    }
}
