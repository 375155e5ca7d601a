// The streaming parser: what is in an output, however it is cut into pieces; nothing a model writes makes it fail.
using CsCheck;
using NativeGen.Chat;

namespace NativeGen.Tests.Chat;

public sealed class ChatParserTests
{
    [Fact]
    public void EveryFormatIsRead()
    {
        foreach (Output output in Outputs.All)
        {
            Parsed parsed = Parsed.Of(output.Format, Outputs.Tools, output.Written, output.Prompt);
            Assert.True(output.Text == parsed.Text && output.Reasoning == parsed.Reasoning && output.Calls.SequenceEqual(parsed.Calls) && output.Malformed == parsed.Diagnostics.Count > 0, $"{output}\n=> {parsed}");
        }
    }

    [Fact]
    public void TheCutIntoPiecesChangesNothing()
    {
        foreach (Output output in Outputs.All)
        {
            string whole = Parsed.Of(output.Format, Outputs.Tools, output.Written, output.Prompt).ToString();
            Assert.Equal(whole, Parsed.Of(output.Format, Outputs.Tools, output.Written, output.Prompt, Enumerable.Range(0, output.Written.Length)).ToString());
            for (int cut = 0; cut <= output.Written.Length; cut++)
                Assert.True(whole == Parsed.Of(output.Format, Outputs.Tools, output.Written, output.Prompt, cut).ToString(), $"{output} cut at {cut}");
        }
    }

    [Fact]
    public void MutatedOutputsAreReadAlikeInAnyPieces() =>
        Gen.Select(Gen.Int[0, Outputs.All.Length - 1], Gen.Int[0, Outputs.All.Length - 1], Gen.Select(Gen.Int[0, 3], Gen.Int[0, 10_000], Gen.Char["<>{}[]\"\\:,=|/ \nax1｜"]).Array[0, 6], Gen.Int[1, 9].Array[64])
            .Sample((a, b, edits, sizes) =>
            {
                Output output = Outputs.All[a];
                string text = output.Written;
                foreach ((int what, int place, char c) in edits)
                {
                    int at = text.Length == 0 ? 0 : place % text.Length;
                    text = what switch
                    {
                        0 => text[..at],
                        1 => text.Insert(at, c.ToString()),
                        2 => text.Length > 0 ? text.Remove(at, 1) : text,
                        _ => text.Insert(at, Outputs.All[b].Written),
                    };
                }

                List<int> cuts = [];
                for (int at = 0, i = 0; at < text.Length; at += sizes[i++ % sizes.Length])
                    cuts.Add(at);
                return Parsed.Of(output.Format, Outputs.Tools, text, output.Prompt).ToString() == Parsed.Of(output.Format, Outputs.Tools, text, output.Prompt, cuts).ToString();
            }, iter: 1_000);

    /// <summary>Single characters, so that anything that looks at old text again for each new character would take hours.</summary>
    [Theory]
    [InlineData("<")]
    [InlineData(" ")]
    [InlineData("{")]
    [InlineData("[")]
    [InlineData("<tool_call>")]
    [InlineData("<tool_call>{\"name\":\"now\",\"arguments\":{\"a\":\"")]
    [InlineData("<tool_call>{\"name\":\"now\"}</tool_call>")]
    [InlineData("<tool_call>{\"a\":[")]
    [InlineData("<function=now><parameter=a>\n")]
    [InlineData("[TOOL_CALLS]now")]
    [InlineData("<|tool_call_start|>[now(a='")]
    [InlineData("<|channel|>commentary to=x<|message|>")]
    [InlineData("<think>")]
    [InlineData("</think> ")]
    [InlineData("\uD800")]
    public void HostileOutputsTakeLinearTime(string part)
    {
        string text = string.Concat(Enumerable.Repeat(part, 20_000 / part.Length));
        foreach (ChatFormat format in Outputs.All.Select(output => output.Format).DistinctBy(format => (format.Tools.Name, format.Reasoning)))
        {
            Parsed parsed = Parsed.Of(format, Outputs.Tools, text, "", Enumerable.Range(0, text.Length));
            Assert.InRange(parsed.Diagnostics.Count, 0, 8);
            Assert.InRange(parsed.Text.Length + parsed.Reasoning.Length, 0, text.Length);
        }
    }

    [Fact]
    public void OnlyWhatMayBecomeAMarkerIsHeldBack()
    {
        Parsed parsed = new();
        ChatParser parser = new(new(ToolFormats.Hermes, ReasoningFormat.None, true), Outputs.Tools, parsed);
        parser.Append("one <");
        Assert.Equal("one", parsed.Text);
        parser.Append("b> two <tool_cal");
        Assert.Equal("one <b> two", parsed.Text);
        parser.Append("l>{\"name\": \"get_weather\", \"arguments\": {\"location\": \"Zü");
        Assert.Contains(""" get_weather {"location": "Zü open""", parsed.ToString(), StringComparison.Ordinal); // told before it ends
        parser.Append("rich\"}}");
        Assert.Single(parsed.Calls);
    }

    [Fact]
    public void WithoutToolsOnlyReasoningIsToldApart()
    {
        ChatFormat format = new(ToolFormats.Hermes, new(["<think>"], ["</think>"]), true);
        Parsed parsed = Parsed.Of(format, ToolSet.None, "<think>a</think> <tool_call>{\"name\": \"now\"}</tool_call> ");
        Assert.Equal(("a", "<tool_call>{\"name\": \"now\"}</tool_call> "), (parsed.Reasoning, parsed.Text));
    }

    [Fact]
    public void JsonIsReadAsSystemTextJsonReadsIt() =>
        Gen.Char["{}[]\",:\\ue12-+.0tfnrlas \nDd8C"].Array[0, 12].Select(chars => new string(chars)).Sample(text =>
        {
            bool right;
            try
            {
                using var document = System.Text.Json.JsonDocument.Parse(text);
                right = !Lone(text);
            }
            catch (System.Text.Json.JsonException)
            {
                right = false;
            }

            return right == new JsonScanner().IsValue(text.Trim(' ', '\n'));

            static bool Lone(string json) => System.Text.RegularExpressions.Regex.IsMatch(json, @"\\u[dD]", System.Text.RegularExpressions.RegexOptions.None, TimeSpan.FromSeconds(1));
        }, iter: 20_000);
}
