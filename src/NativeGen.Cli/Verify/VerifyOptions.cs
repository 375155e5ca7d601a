// How golden data is run. Nothing here changes a bound.
namespace NativeGen.Cli.Verify;

/// <param name="Exact">float activations and float keys and values: the READMEs' tight rows apply</param>
/// <param name="Positions">at most this many positions of each long text, 0 = all; only with <paramref name="Exact"/>, whose bounds hold for every position</param>
/// <param name="Threads">0 = the engine's default</param>
internal sealed record VerifyOptions(bool Exact = false, int Positions = 0, int Threads = 0, CancellationToken Cancel = default)
{
    /// <summary>The part of <paramref name="all"/> positions that is run.</summary>
    public int Limit(int all) => Positions == 0 ? all : Math.Min(Positions, all);
}
