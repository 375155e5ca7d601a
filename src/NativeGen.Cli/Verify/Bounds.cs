// How far a result may be from the golden data: what the READMEs beside the data say, and nothing else. Written once, here; no option loosens them.
namespace NativeGen.Cli.Verify;

internal static class Bounds
{
    // ---- arch/README.md, "How exact a test may be" ----

    /// <summary>Largest logit difference of a float model.</summary>
    public static double Logits(string architecture) => architecture switch
    {
        "qwen3next" or "qwen35" => 1e-3,
        "mamba" or "jamba" or "falcon-h1" or "granite" => 5e-4,
        _ => 1e-4,
    };

    /// <summary>The same with keys and values in half precision.</summary>
    public const double LogitsKvF16 = 1e-2;

    /// <summary>Root mean square of the differences, as a part of the bound on the largest one.</summary>
    public const double RmsPart = 0.1;

    /// <summary>The best token must be the same wherever the reference's lead exceeds this many times the bound.</summary>
    public const double SureLead = 2;

    /// <summary>quant/ with float activations.</summary>
    public const double LogitsQuantExact = 2e-4;

    /// <summary>quant/ with 8-bit activations: rms difference, in units of the recorded rms_diff_hf_llamacpp.</summary>
    public const double RmsQuantFactor = 2;

    // ---- real/README.md, "Advised tolerances" ----

    public const double Kl64Mean = 0.0034, Kl64P99 = 0.024, Kl64Max = 0.25;
    public const double BestTokenSame = 0.953;
    public const double NllMean = 0.006, NllTokenMean = 0.065;
    public const double Top20Mean = 0.125, Top20P95 = 0.36, Top1Mean = 0.032, Top1P95 = 0.12;
    public const double PathSureShare = 0.99, PathCertainMargin = 1.5;
    /// <summary>Cases whose own greedy text may leave the path before <see cref="GreedyStep"/>, as a share of all.</summary>
    public const double GreedyLeft = 12.0 / 18;
    public const int GreedyStep = 30;
    public const double Perplexity = 0.06;

    /// <summary>A lead that 8-bit activations do not change (smollm2.logprobs.json, "sure_margin").</summary>
    public const double SureMargin = 0.71;

    /// <summary>The last row of that table: float activations and float keys and values.</summary>
    public const double ExactKl = 1e-6, ExactLogprob = 2e-3, ExactNll = 1e-3;
    /// <summary>A lead under which two next tokens count as equal ("near tie").</summary>
    public const double NearTie = 0.05;

    /// <summary>Score of the best beam, and with float activations of each.</summary>
    public const double RealBeamScore = 0.06, ExactBeamScore = 1e-3;

    /// <summary>What the project aims at; printed beside the bound, tests nothing.</summary>
    public const double GoalKlMean = 0.0011;

    // ---- sampling/README.md; kept sets are exact ----

    public const double SamplingScore = 1e-5, SamplingProbability = 1e-5;

    /// <summary>Scores of beams, arch/README.md's, too; their sequences are exact.</summary>
    public const double BeamScore = 1e-4;

    // ---- real/README.md, embeddings ----

    public const double EmbeddingsF16Cosine = 0.99999, EmbeddingsF16Component = 6e-4, EmbeddingsF16Pair = 7e-4;
    public const double EmbeddingsQ8Cosine = 0.9975, EmbeddingsQ8CosineMean = 0.9994, EmbeddingsQ8Pair = 0.012;
}
