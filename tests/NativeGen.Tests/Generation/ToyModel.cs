// A generator over the recording double: tokens are bytes, and the model continues known prompts with known texts.
using System.Text;
using NativeGen.Models;
using NativeGen.Tests.Scheduling;

namespace NativeGen.Tests.Generation;

internal sealed class ToyModel : ITokenizer, IAsyncDisposable
{
    public const int End = 256; // a control token, end of generation and beginning of text
    public const int Vocabulary = 260;

    private readonly Dictionary<string, byte[]> _script = [];

    public ToyModel(TextGeneratorOptions? options = null, int contextLength = 512, int pages = 200, int pageTokens = 4, Func<GenerationOptions?>? defaults = null)
    {
        Context = new RecordingContext(Vocabulary, contextLength, 64, pageTokens, pages) { Steps = null };
        Generator = new TextGenerator(Info, this, Context, options ?? new TextGeneratorOptions(), defaults);
    }

    public static ModelInfo Info { get; } = new()
    {
        Path = "toy", Name = "toy", Architecture = "toy", VocabularySize = Vocabulary, TrainedContextLength = 512, EmbeddingLength = 1, LayerCount = 1,
        HeadCount = 1, ParameterCount = 0, FileBytes = 0, WeightBytes = 0, RepackedBytes = 0, MappedBytes = 0, Hash = 0, InstructionSet = "none",
    };

    public RecordingContext Context { get; }

    public TextGenerator Generator { get; }

    public int Count => Vocabulary;

    public int? BosId => End;

    /// <summary>Makes the model continue a prompt with a text and then end. What it was not told about is noise.</summary>
    public ToyModel Say(string prompt, string answer) => Say(prompt, Encoding.UTF8.GetBytes(answer));

    public ToyModel Say(string prompt, byte[] answer)
    {
        _script[prompt] = answer;
        Context.LogitsOf = history =>
        {
            var logits = new float[Vocabulary];
            foreach (var (start, text) in _script)
            {
                var begin = Encode(start, true, true);
                if (history.Count >= begin.Length && history.Take(begin.Length).SequenceEqual(begin))
                {
                    var at = history.Count - begin.Length;
                    logits[at < text.Length ? text[at] : End] = 50;
                    return logits;
                }
            }

            new RecordingContext(Vocabulary).Fill([.. history], logits);
            return logits;
        };
        return this;
    }

    public int[] Encode(string text, bool addSpecial, bool parseSpecial) => [.. Encoding.UTF8.GetBytes(text)];

    public ReadOnlySpan<byte> Piece(int id) => id < End ? new[] { (byte)id } : id == End ? "<end>"u8 : "?"u8;

    public bool IsEndOfGeneration(int id) => id == End;

    public ITokenDecoder CreateDecoder(bool skipSpecial) => new ByteDecoder(skipSpecial);

    public ValueTask DisposeAsync() => Generator.DisposeAsync();

    private sealed class ByteDecoder(bool skipSpecial) : ITokenDecoder
    {
        private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();
        private readonly char[] _chars = new char[16];

        public ReadOnlySpan<char> Append(int id)
        {
            ReadOnlySpan<byte> bytes = id < End ? [(byte)id] : id == End && !skipSpecial ? "<end>"u8 : [];
            return _chars.AsSpan(0, _decoder.GetChars(bytes, _chars, flush: false));
        }

        public ReadOnlySpan<char> Flush() => _chars.AsSpan(0, _decoder.GetChars([], _chars, flush: true));
    }
}
