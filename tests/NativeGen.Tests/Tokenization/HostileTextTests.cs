// Long texts without words, for every kind of tokenizer: nothing is lost, and twice the text is twice the tokens. Work that grew with the square of
// the text would take minutes at these lengths; how long it takes is the benchmarks' business.
using NativeGen.Cli.Verify;
using NativeGen.Tokenization;

namespace NativeGen.Tests.Tokenization;

public sealed class HostileTextTests
{
    private const int Bytes = 60_000;

    public static TheoryData<string> Vocabularies { get; } =
        ["gpt-2", "llama-bpe", "qwen2", "deepseek-coder", "falcon", "gemma-4", "llama-spm", "phi-3", "bert-bge", "xlmr-ugm-32k"];

    [Theory, MemberData(nameof(Vocabularies))]
    public void SharedVocabulary(string name) => Check(Tokenizers.Open(TestData.Shared("fixtures", "tokenizers", name + ".gguf")));

    [Fact]
    public void StoryModel() => Check(Tokenizers.Open(TestData.StoryModel));

    private static void Check(Tokenizer tokenizer)
    {
        foreach (string name in HostileTexts.Names)
        {
            byte[] text = HostileTexts.Make(name, Bytes), twice = HostileTexts.Make(name, 2 * Bytes);
            int[] once = tokenizer.Encode(text, addSpecial: false, parseSpecial: true), all = tokenizer.Encode(twice, addSpecial: false, parseSpecial: true);
            bool isText = name != "random bytes"; // not every vocabulary has a token for each byte that no text holds
            Assert.True(Math.Abs(all.Length - 2 * once.Length) <= (isText ? 8 : once.Length / 20), $"{name}: {once.Length} tokens, and {all.Length} of twice the text");
            if (isText && tokenizer.Kind is TokenizerKind.Bpe or TokenizerKind.SentencePiece)
                Assert.True(Join(tokenizer, all).SequenceEqual(twice), $"{name}: the pieces are not the text");
        }
    }

    // SentencePiece's own space may come first.
    private static ReadOnlySpan<byte> Join(Tokenizer tokenizer, int[] ids)
    {
        var text = new MemoryStream();
        foreach (int id in ids)
            text.Write(tokenizer.Piece(id));
        ReadOnlySpan<byte> bytes = text.ToArray();
        return tokenizer.Kind == TokenizerKind.SentencePiece ? bytes[1..] : bytes;
    }
}
