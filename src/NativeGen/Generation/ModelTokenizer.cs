// A model's own tokenizer as generation uses it.
using NativeGen.Tokenization;

namespace NativeGen;

internal sealed class ModelTokenizer(Tokenizer tokenizer) : ITokenizer
{
    public int Count => tokenizer.VocabularySize;

    public int? BosId => tokenizer.BosId;

    public int[] Encode(string text, bool addSpecial, bool parseSpecial) => tokenizer.Encode(text, addSpecial, parseSpecial);

    public ReadOnlySpan<byte> Piece(int id) => tokenizer.Piece(id);

    public bool IsEndOfGeneration(int id) => tokenizer.IsEndOfGeneration(id);

    public ITokenDecoder CreateDecoder(bool skipSpecial) => new StreamDecoder(new Detokenizer(tokenizer, skipSpecial));

    private sealed class StreamDecoder(Detokenizer detokenizer) : ITokenDecoder
    {
        public ReadOnlySpan<char> Append(int id) => detokenizer.Append(id);

        public ReadOnlySpan<char> Flush() => detokenizer.Flush();
    }
}
