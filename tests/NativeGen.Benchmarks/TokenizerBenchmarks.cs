// 1 MB of text to tokens and back: English beside Microsoft.ML.Tokenizers on the same vocabulary, then texts that are made to be slow.
using System.Text;
using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Engines;
using NativeGen.Tests.Tokenization;
using NativeGen.Tokenization;

namespace NativeGen.Benchmarks;

/// <summary>String to ids, no special tokens; both sides must agree before anything is measured.</summary>
[SimpleJob(warmupCount: 2, iterationCount: 11)]
[MemoryDiagnoser(displayGenColumns: false)]
public class EncodeEnglish
{
    private string _text = "";
    private Tokenizer _ours = null!;
    private Microsoft.ML.Tokenizers.Tokenizer _theirs = null!;

    [Params("gpt-2", "llama-bpe", "qwen2", "llama-spm", "bert-bge", "xlmr-ugm-32k")]
    public string Vocabulary { get; set; } = "";

    [GlobalSetup]
    public void Setup()
    {
        // Beyond plain text Microsoft's differ from the original: BERT loses line ends and symbols, and where tokens have equal scores SentencePiece
        // takes the right one first.
        _text = Texts.English(plain: Vocabulary is "bert-bge" or "llama-spm");
        if (Vocabulary == "bert-bge")
            _text = _text.Replace('\n', ' ');
        TokenizerData data = Texts.Vocabulary(Vocabulary);
        _ours = Tokenizer.Create(data);
        _theirs = MicrosoftTokenizers.Create(data, _ours);
        IReadOnlyList<int> ours = NativeGen(), theirs = MicrosoftML();
        int same = ours.Zip(theirs).TakeWhile(pair => pair.First == pair.Second).Count();
        bool ties = _ours.Kind is TokenizerKind.SentencePiece or TokenizerKind.Unigram; // fall otherwise there: a few words differ
        if ((same != ours.Count || same != theirs.Count) && !(ties && Math.Abs(ours.Count - theirs.Count) <= ours.Count / 10_000))
        {
            throw new InvalidOperationException($"{Vocabulary}: {ours.Count} and {theirs.Count} tokens, from the {same}th on "
                + string.Join(' ', ours.Skip(same).Take(8).Select(id => $"{id}'{_ours.Decode([id])}'")) + " and " + string.Join(' ', theirs.Skip(same).Take(8).Select(id => $"{id}'{_ours.Decode([id])}'")));
        }
    }

    [Benchmark(Baseline = true)]
    public IReadOnlyList<int> MicrosoftML() => _theirs switch
    {
        Microsoft.ML.Tokenizers.SentencePieceTokenizer s => s.EncodeToIds(_text, addBeginningOfSentence: false, addEndOfSentence: false),
        Microsoft.ML.Tokenizers.BertTokenizer b => b.EncodeToIds(_text, addSpecialTokens: false),
        _ => _theirs.EncodeToIds(_text),
    };

    [Benchmark]
    public int[] NativeGen() => _ours.Encode(_text, addSpecial: false);
}

/// <summary>Tokens to text, one call a token.</summary>
[SimpleJob(warmupCount: 2, iterationCount: 11)]
[MemoryDiagnoser(displayGenColumns: false)]
public class StreamEnglish
{
    private int[] _tokens = [];
    private Detokenizer _detokenizer = null!;

    [Params("llama-bpe", "llama-spm", "bert-bge")]
    public string Vocabulary { get; set; } = "";

    [GlobalSetup]
    public void Setup()
    {
        Tokenizer tokenizer = Tokenizer.Create(Texts.Vocabulary(Vocabulary));
        _tokens = tokenizer.Encode(Texts.English(plain: false), addSpecial: false);
        _detokenizer = new(tokenizer);
    }

    [Benchmark]
    public int Detokenize()
    {
        int characters = 0;
        foreach (int token in _tokens)
            characters += _detokenizer.Append(token).Length;
        return characters + _detokenizer.Flush().Length;
    }
}

/// <summary>Every kind of tokenizer on 1 MB that is made to be slow: linear work means tens of milliseconds, squares would be minutes.</summary>
[SimpleJob(RunStrategy.Monitoring, warmupCount: 1, iterationCount: 3)]
public class EncodeHostile
{
    private byte[] _text = [];
    private Tokenizer _tokenizer = null!;

    [Params("gpt-2", "llama-bpe", "qwen2", "deepseek-coder", "falcon", "gemma-4", "llama-spm", "phi-3", "bert-bge", "xlmr-ugm-32k")]
    public string Vocabulary { get; set; } = "";

    [ParamsSource(nameof(Names))]
    public string Text { get; set; } = "";

    public static IEnumerable<string> Names => HostileTexts.Names;

    [GlobalSetup]
    public void Setup()
    {
        _text = HostileTexts.Make(Text, Texts.Bytes);
        _tokenizer = Tokenizer.Create(Texts.Vocabulary(Vocabulary));
    }

    [Benchmark]
    public int[] Encode() => _tokenizer.Encode(_text, addSpecial: false, parseSpecial: true);
}
