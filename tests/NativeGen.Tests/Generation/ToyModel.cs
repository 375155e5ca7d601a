// A generator over the recording double: tokens are bytes, and the model continues known prompts with known texts.
using System.Text;
using NativeGen.Models;
using NativeGen.Tokenization;
using NativeGen.Tests.Scheduling;

namespace NativeGen.Tests.Generation;

internal sealed class ToyModel : IAsyncDisposable
{
    public const int End = 256; // a control token, end of generation and beginning of text
    public const int Vocabulary = 260;

    private readonly Dictionary<string, byte[]> _script = [];

    public ToyModel(TextGeneratorOptions? options = null, int contextLength = 512, int pages = 200, int pageTokens = 4, Func<GenerationOptions?>? defaults = null)
    {
        Context = new RecordingContext(Vocabulary, contextLength, 64, pageTokens, pages) { Steps = null };
        Generator = new TextGenerator(Info, Bytes, Context, options ?? new TextGeneratorOptions(), defaults);
    }

    public static ModelInfo Info { get; } = new()
    {
        Path = "toy", Name = "toy", Architecture = "toy", VocabularySize = Vocabulary, TrainedContextLength = 512, EmbeddingLength = 1, LayerCount = 1,
        HeadCount = 1, ParameterCount = 0, FileBytes = 0, WeightBytes = 0, RepackedBytes = 0, MappedBytes = 0, Hash = 0, InstructionSet = "none",
    };

    public RecordingContext Context { get; }

    public TextGenerator Generator { get; }

    /// <summary>A byte-level vocabulary without merges: 256 bytes and the end. The model's last ids only fill its vocabulary up.</summary>
    public static Tokenizer Bytes { get; } = Tokenizer.Create(new TokenizerData
    {
        Model = "gpt2",
        Pre = "gpt-2",
        Tokens = Utf8Strings.Create([.. Enumerable.Range(0, 256).Select(Spelled), "<end>"]),
        Types = [.. Enumerable.Repeat((int)TokenType.Normal, 256), (int)TokenType.Control],
        BosId = End,
        EosId = End,
        AddBos = false,
    });

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
                var begin = Encoding.UTF8.GetBytes(start).Select(b => (int)b).ToArray();
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

    public ValueTask DisposeAsync() => Generator.DisposeAsync();

    /// <summary>A byte in GPT-2's alphabet of printable characters.</summary>
    private static string Spelled(int value)
    {
        static bool Printable(int b) => b is (>= 0x21 and <= 0x7E) or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
        return ((char)(Printable(value) ? value : 256 + Enumerable.Range(0, value).Count(b => !Printable(b)))).ToString();
    }
}
