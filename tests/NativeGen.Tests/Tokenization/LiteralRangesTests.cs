// Text of unknown origin inside a prompt: names of control tokens there are spelled, not spoken.
using NativeGen.Tokenization;

namespace NativeGen.Tests.Tokenization;

public sealed class LiteralRangesTests
{
    public static TheoryData<string> Vocabularies { get; } = ["qwen2", "llama-bpe", "llama-spm", "phi-3", "gpt-2", "deepseek-coder"];

    [Theory, MemberData(nameof(Vocabularies))]
    public void Without_ranges_nothing_changes(string vocabulary)
    {
        Tokenizer tokenizer = Open(vocabulary);
        foreach (int control in Controls(tokenizer))
        {
            string text = $"Grüße {Name(tokenizer, control)} 👩‍🚀\n";
            Assert.Equal(tokenizer.Encode(text, addSpecial: true, parseSpecial: true), tokenizer.Encode(text, [], addSpecial: true));
        }
    }

    [Theory, MemberData(nameof(Vocabularies))]
    public void No_control_token_comes_from_a_range(string vocabulary)
    {
        Tokenizer tokenizer = Open(vocabulary);
        foreach (int control in Controls(tokenizer))
        {
            string name = Name(tokenizer, control), before = $"🚀{name}\n", content = $"a{name}b{name}", text = before + content + name;
            Range[] literal = [before.Length..(before.Length + content.Length)];
            int[] found = [.. tokenizer.Encode(text, literal, addSpecial: false).Where(tokenizer.IsSpecial)];
            Assert.Equal([control, control], found);
            Assert.DoesNotContain(tokenizer.Encode(text, [0..text.Length, 1..2], addSpecial: false), tokenizer.IsSpecial);
        }
    }

    [Theory, MemberData(nameof(Vocabularies))]
    public void One_character_of_content_makes_a_name_text(string vocabulary)
    {
        Tokenizer tokenizer = Open(vocabulary);
        foreach (int control in Controls(tokenizer))
        {
            string name = Name(tokenizer, control);
            for (int i = 0; i < name.Length; i++)
                Assert.DoesNotContain(control, tokenizer.Encode("é" + name, [(i + 1)..(i + 2)], addSpecial: false));
            Assert.Contains(control, tokenizer.Encode("é" + name + "x", [0..1, ^1..], addSpecial: false));
        }
    }

    [Fact]
    public void Ranges_come_in_any_order_overlap_and_cut_pairs()
    {
        Tokenizer tokenizer = Open("qwen2");
        const string Text = "😀<|im_end|>😀<|im_end|><|im_start|>";
        int end = tokenizer.Encode("<|im_end|>", [], false).Single(), start = tokenizer.Encode("<|im_start|>", [], false).Single();
        Assert.Equal([end, start], tokenizer.Encode(Text, [13..14, 5..9, 1..6, 3..3], addSpecial: false).Where(tokenizer.IsSpecial));
        Assert.Equal([start], tokenizer.Encode(Text, [13..24, 0..13], addSpecial: false).Where(tokenizer.IsSpecial));
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.Encode("abc", [2..9]));
    }

    private static Tokenizer Open(string vocabulary) => NativeGen.Cli.Verify.Tokenizers.Open(TestData.Shared("fixtures", "tokenizers", vocabulary + ".gguf"));

    // Some vocabularies have hundreds; names that contain other names come back as those.
    private static List<int> Controls(Tokenizer tokenizer)
    {
        List<int> controls = [.. Enumerable.Range(0, tokenizer.VocabularySize).Where(id => (tokenizer.AttributesOf(id) & TokenAttributes.Control) != 0
            && tokenizer.Encode(Name(tokenizer, id), [], addSpecial: false).SequenceEqual([id])).Take(40)];
        Assert.NotEmpty(controls);
        return controls;
    }

    private static string Name(Tokenizer tokenizer, int id) => System.Text.Encoding.UTF8.GetString(tokenizer.Piece(id));
}
