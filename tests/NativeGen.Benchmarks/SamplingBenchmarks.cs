// One token's choice out of 128,256 logits: the default chain, greedy, and everything that can be on at once; then steps that look at a long history.
using BenchmarkDotNet.Attributes;
using NativeGen.Sampling;

namespace NativeGen.Benchmarks;

[SimpleJob(warmupCount: 3, iterationCount: 15)]
[MemoryDiagnoser(displayGenColumns: false)]
public class SamplerChains
{
    private const int Vocabulary = 128_256;

    private readonly Candidates _candidates = new(Vocabulary);
    private float[] _logits = [];
    private int[] _history = [];
    private Sampler _sampler = Sampler.Greedy;

    [Params("greedy", "default", "top-p only", "typical only", "top-n-sigma", "mirostat 1", "mirostat 2", "adaptive-p", "everything", "everything but top-k")]
    public string Chain { get; set; } = "";

    [Params(64, 32_768)]
    public int History { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        // A language model's logits: most far down, some up, one at the top.
        var random = new Random(1);
        _logits = [.. Enumerable.Range(0, Vocabulary).Select(_ => (float)(3 * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(6.28 * random.NextDouble())))];
        _logits[777] = 16;
        _history = [.. Enumerable.Range(0, History).Select(_ => random.Next(0, 64))]; // few tokens, many repetitions
        SamplerStep temperature = new TemperatureStep(0.8f);
        SamplerStep[] penalties =
        [
            new LogitBiasStep([new(5, 1)]), new RepetitionPenaltyStep(1.1f), new OccurrencePenaltyStep(0.1f, 0.1f), new DryStep(0.8f, 1.75f, 2, breakers: [[63], [62, 61]]),
            new NoRepeatNgramStep(4), new EncoderNoRepeatNgramStep(4), SequenceBiasStep.Ban([[1, 2, 3], [9]], [0]), new SuppressTokensStep([1, 2, 3]), new LengthDecayStep([0], 10, 1.01f),
        ];
        SamplerStep[] cuts =
        [
            new TopNSigmaStep(3), new TopHStep(0.9f), new TopKStep(40), new TopPStep(0.95f), new MinPStep(0.05f), new TypicalPStep(0.95f), new EpsilonCutoffStep(1e-4f),
            new EtaCutoffStep(1e-4f), new XtcStep(0.5f, 0.1f),
        ];
        _sampler = Chain switch
        {
            "greedy" => Sampler.Greedy,
            "default" => new([temperature, new TopKStep(40), new TopPStep(0.95f), new MinPStep(0.05f)], draw: true),
            "top-p only" => new([temperature, new TopPStep(0.95f)], draw: true),
            "typical only" => new([temperature, new TypicalPStep(0.95f)], draw: true),
            "top-n-sigma" => new([temperature, new TopNSigmaStep(1)], draw: true),
            "mirostat 1" => new([temperature, new MirostatStep(1, 5, 0.1f)], draw: true),
            "mirostat 2" => new([temperature, new MirostatStep(2, 5, 0.1f)], draw: true),
            "adaptive-p" => new([temperature, new MinPStep(0.05f), new AdaptivePStep(0.5f, 0.9f)], draw: true),
            "everything" => new([.. penalties, new DynamicTemperatureStep(0.8f, 0.5f), .. cuts], draw: true),
            _ => new([.. penalties, new DynamicTemperatureStep(0.8f, 0.5f), .. cuts.Where(step => step is not (TopKStep or TopHStep))], draw: true),
        };
    }

    [Benchmark]
    public int Sample() => _sampler.Sample(_logits, new SamplingContext(_history, _history.Length / 2, 1, 0, _history.Length), _candidates);
}
