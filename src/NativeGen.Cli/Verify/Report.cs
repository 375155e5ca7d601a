// What a verification found. A file holds cases; a case passes when all its checks hold, and names each measured value beside its bound.
using System.Globalization;

namespace NativeGen.Cli.Verify;

internal enum Outcome { Passed, Failed, Unsupported }

/// <summary>A measured value and the bound it must keep.</summary>
internal sealed record Check(string What, double Measured, bool AtLeast, double Bound, string? Aside = null)
{
    // A NaN keeps no bound.
    public bool Holds => AtLeast ? Measured >= Bound : Measured <= Bound;

    /// <summary>1 at the bound, above it when broken: tells which of many checks came nearest.</summary>
    public double Strain => AtLeast ? Bound / Math.Max(Measured, double.Epsilon) : Bound == 0 ? (Measured == 0 ? 0 : double.PositiveInfinity) : Measured / Bound;

    public override string ToString() =>
        $"{What} {Number(Measured)} {(AtLeast ? ">=" : "<=")} {Number(Bound)}{(Aside is null ? "" : $" ({Aside})")}{(Holds ? "" : " BROKEN")}";

    private static string Number(double value) => Math.Abs(value) is >= 0.01 and < 1e6 || value == 0
        ? value.ToString("0.#####", CultureInfo.InvariantCulture)
        : value.ToString("0.0e+00", CultureInfo.InvariantCulture);
}

internal sealed record CaseResult(string Name, Outcome Outcome, IReadOnlyList<Check> Checks, string? Detail);

/// <summary>Collects what one case finds. The first mismatch decides; later ones are counted.</summary>
internal sealed class CaseBuilder
{
    private readonly List<Check> _checks = [];
    private string? _mismatch;
    private int _mismatches;

    public void AtMost(string what, double measured, double bound, string? aside = null) => _checks.Add(new(what, measured, false, bound, aside));

    public void AtLeast(string what, double measured, double bound) => _checks.Add(new(what, measured, true, bound));

    public void That(bool holds, Func<string> otherwise)
    {
        if (!holds && _mismatches++ == 0)
            _mismatch = otherwise();
    }

    public void Same(string what, ReadOnlySpan<int> expected, ReadOnlySpan<int> actual)
    {
        if (expected.SequenceEqual(actual))
            return;
        var at = expected.CommonPrefixLength(actual);
        var (e, a) = (Near(expected, at), Near(actual, at));
        That(false, () => $"{what} differ at {at}: expected {e}, got {a}");
    }

    public void Same(string what, string expected, string actual) =>
        That(expected == actual, () => $"{what}: expected {Quote(expected)}, got {Quote(actual)}");

    public bool Holds => _mismatches == 0 && _checks.All(c => c.Holds);

    public CaseResult Build(string name)
    {
        var failed = !Holds;
        var detail = _mismatches > 1 ? $"{_mismatch} (and {_mismatches - 1} more)" : _mismatch;
        return new(name, failed ? Outcome.Failed : Outcome.Passed, _checks, detail);
    }

    private static string Near(ReadOnlySpan<int> ids, int at)
    {
        var shown = ids[Math.Min(at, ids.Length)..];
        return shown.IsEmpty ? "the end" : string.Join(' ', shown[..Math.Min(shown.Length, 6)].ToArray()) + (shown.Length > 6 ? " ..." : "");
    }

    private static string Quote(string text) => "'" + Shell.Terminal.Escape(text.Length > 80 ? text[..80] + "..." : text) + "'";
}

/// <summary>The cases of one golden file.</summary>
internal sealed class FileReport(string path)
{
    private readonly List<CaseResult> _cases = [];

    public string Path { get; } = path;
    public IReadOnlyList<CaseResult> Cases => _cases;

    /// <summary>What a reader should know about the choice of cases.</summary>
    public string? Note { get; set; }

    public int Count(Outcome outcome) => _cases.Count(c => c.Outcome == outcome);

    /// <summary>The check that came nearest to its bound, or broke it most.</summary>
    public Check? Worst => _cases.SelectMany(c => c.Checks).MaxBy(c => double.IsNaN(c.Strain) ? double.PositiveInfinity : c.Strain);

    /// <summary>Runs one case. What the engine does not run is unsupported, in its own words; any other error is a failure.</summary>
    public void Case(string name, Action<CaseBuilder> check)
    {
        var builder = new CaseBuilder();
        try
        {
            check(builder);
            _cases.Add(builder.Build(name));
        }
        catch (UnsupportedException e)
        {
            Unsupported(name, e.Message);
        }
        catch (NativeGenException e) when (e.Code == NativeGenErrorCode.UnsupportedArchitecture)
        {
            Unsupported(name, e.Message);
        }
        catch (Exception e) when (e is not OperationCanceledException and not Shell.OutputClosedException)
        {
            Failed(name, e is NativeGenException or GoldenDataException ? e.Message : $"{e.GetType().Name}: {e.Message}");
        }
    }

    public void Unsupported(string name, string reason) => _cases.Add(new(name, Outcome.Unsupported, [], reason));

    public void Failed(string name, string reason) => _cases.Add(new(name, Outcome.Failed, [], reason));
}

/// <summary>This build can not do what the case asks; the message says why.</summary>
internal sealed class UnsupportedException(string reason) : Exception(reason);

/// <summary>The golden data itself is incomplete or damaged.</summary>
internal sealed class GoldenDataException(string message) : Exception(message);
