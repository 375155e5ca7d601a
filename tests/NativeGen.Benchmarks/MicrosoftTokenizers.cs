// The same vocabularies in Microsoft.ML.Tokenizers: what its documentation recommends for each kind, with regular expressions compiled ahead.
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.ML.Tokenizers;
using NativeGen.Tokenization;

namespace NativeGen.Benchmarks;

internal static partial class MicrosoftTokenizers
{
    [GeneratedRegex(@"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")]
    private static partial Regex Gpt2Words { get; }

    [GeneratedRegex(@"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")]
    private static partial Regex Llama3Words { get; }

    [GeneratedRegex(@"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")]
    private static partial Regex Qwen2Words { get; }

    public static Microsoft.ML.Tokenizers.Tokenizer Create(TokenizerData data, NativeGen.Tokenization.Tokenizer ours) => (data.Model, data.Pre) switch
    {
        ("gpt2", "llama-bpe") => Tiktoken(ours, Llama3Words),
        ("gpt2", "qwen2") => Tiktoken(ours, Qwen2Words),
        ("gpt2", _) => Tiktoken(ours, Gpt2Words),
        ("llama", _) => LlamaTokenizer.Create(SentencePieceModel(data, isBpe: true), false),
        ("t5", _) => SentencePieceTokenizer.Create(SentencePieceModel(data, isBpe: false), false),
        ("bert", _) => BertTokenizer.Create(WordPieceVocabulary(data), new BertOptions { RemoveNonSpacingMarks = true }),
        _ => throw new ArgumentException(data.Model),
    };

    // In these vocabularies a token's number is its rank.
    private static TiktokenTokenizer Tiktoken(NativeGen.Tokenization.Tokenizer ours, Regex words)
    {
        var ranks = new StringBuilder();
        for (int id = 0; id < ours.VocabularySize; id++)
        {
            if (ours.AttributesOf(id) == TokenAttributes.Normal)
                ranks.Append(Convert.ToBase64String(ours.Piece(id))).Append(' ').Append(id).Append('\n');
        }

        return TiktokenTokenizer.Create(Stream(ranks), new RegexPreTokenizer(words, null), normalizer: null);
    }

    // A line per token; GGUF marks beginnings of words by U+2581, BERT's file continuations by ##.
    private static MemoryStream WordPieceVocabulary(TokenizerData data)
    {
        var lines = new StringBuilder();
        for (int id = 0; id < data.Tokens.Count; id++)
        {
            string text = Encoding.UTF8.GetString(data.Tokens[id]);
            bool begins = text[0] == '\u2581', plain = data.Types![id] == 1 && !(text[0] == '[' && text[^1] == ']' && text.Length > 1);
            lines.Append(begins ? text[1..] : plain ? "##" + text : text).Append('\n');
        }

        return Stream(lines);
    }

    private static MemoryStream Stream(StringBuilder text) => new(Encoding.UTF8.GetBytes(text.ToString()));

    // sentencepiece_model.proto: pieces = 1, trainer_spec = 2, normalizer_spec = 3
    private static MemoryStream SentencePieceModel(TokenizerData data, bool isBpe)
    {
        var model = new ProtoWriter();
        for (int id = 0; id < data.Tokens.Count; id++)
            model.Bytes(1, new ProtoWriter().Bytes(1, data.Tokens[id]).Float(2, data.Scores![id]).Number(3, data.Types![id]).Written);
        model.Bytes(2, new ProtoWriter().Number(3, isBpe ? 2 : 1).Number(35, isBpe ? 1 : 0)
            .Number(40, (int)data.UnknownId!).Number(41, (int)data.BosId!).Number(42, (int)data.EosId!).Number(43, (int)(data.PaddingId ?? 0)).Written);
        model.Bytes(3, new ProtoWriter().Bytes(2, data.CharacterMap ?? []).Number(3, 1).Number(4, data.RemoveExtraWhitespace == true ? 1 : 0).Number(5, 1).Written);
        return new(model.Written);
    }

    private sealed class ProtoWriter
    {
        private readonly MemoryStream _stream = new();

        public byte[] Written => _stream.ToArray();

        public ProtoWriter Number(int field, int value)
        {
            Varint(field << 3);
            Varint(value);
            return this;
        }

        public ProtoWriter Float(int field, float value)
        {
            Varint(field << 3 | 5);
            _stream.Write(BitConverter.GetBytes(value));
            return this;
        }

        public ProtoWriter Bytes(int field, ReadOnlySpan<byte> value)
        {
            Varint(field << 3 | 2);
            Varint(value.Length);
            _stream.Write(value);
            return this;
        }

        private void Varint(int value)
        {
            for (uint left = (uint)value; ; left >>= 7)
            {
                _stream.WriteByte((byte)(left < 0x80 ? left : left | 0x80));
                if (left < 0x80)
                    return;
            }
        }
    }
}
