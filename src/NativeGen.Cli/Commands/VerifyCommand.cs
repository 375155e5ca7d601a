// nativegen verify: golden data and the promise of equal bits, run against this build.
using System.CommandLine;
using System.Globalization;
using NativeGen.Cli.Shell;
using NativeGen.Cli.Verify;

namespace NativeGen.Cli.Commands;

internal static class VerifyCommand
{
    public static Command Create(Terminal terminal)
    {
        var verb = new Verb("verify", "Runs golden data against this build. Exit code 1 unless every case passed; unsupported is not passed.",
            ("nativegen verify fixtures/arch", "every golden file below a folder"),
            ("nativegen verify fixtures/real --exact", "with float activations, against the tight bounds"),
            ("nativegen verify --invariance model.gguf --full", "equal bits in any company, chunking, paging and number of threads"));
        var paths = new Argument<string[]>("PATH") { Description = "Folders or files of golden data", Arity = ArgumentArity.ZeroOrMore };
        var exact = new Option<bool>("--exact") { Description = "Float activations, float keys and values (slow): tells mistakes from rounding" };
        var positions = CommonOptions.AtLeast(new Option<int>("--positions") { Description = "With --exact: run this many positions of each long text; 0 = all", HelpName = "N" }, 0);
        var threads = CommonOptions.Threads();
        var allow = new Option<bool>("--allow-unsupported") { Description = "Exit code 0 also if some cases are unsupported" };
        var verbose = new Option<bool>("--verbose", "-v") { Description = "Every case, not only each file" };
        var json = CommonOptions.Json("All cases with measured values and bounds as JSON");
        var invariance = new Option<string?>("--invariance") { Description = "Check that this model's answers are bitwise the same however they are computed", HelpName = "MODEL" };
        var full = new Option<bool>("--full") { Description = "With --invariance: the whole grid, not a sample" };
        var seed = CommonOptions.Checked(new Option<int?>("--seed") { Description = "With --invariance: which sample; the one taken is printed", HelpName = "N" }, _ => true, "");
        var fingerprint = new Option<string?>("--fingerprint") { Description = "Print a hash of this model's logits on a fixed run: the same on every machine and instruction set", HelpName = "MODEL" };
        verb.Add(paths);
        foreach (var option in new Option[] { exact, positions, threads, allow, verbose, invariance, full, seed, fingerprint, json })
            verb.Add(option);

        verb.SetAction((parsed, cancel) =>
        {
            var options = new VerifyOptions(parsed.GetValue(exact), parsed.GetValue(positions), parsed.GetValue(threads), cancel);
            var (model, given) = (parsed.GetValue(invariance), parsed.GetValue(paths)!);
            if (options.Positions > 0 && !options.Exact)
                throw new CliException(ExitCode.Usage, "--positions needs --exact: the bounds of 8-bit activations are means over whole texts");
            if ((parsed.GetValue(full) || parsed.GetValue(seed) is not null) && model is null)
                throw new CliException(ExitCode.Usage, "--full and --seed belong to --invariance MODEL");
            if (parsed.GetValue(fingerprint) is { } printed)
            {
                terminal.WriteLine(Invariance.Fingerprint(ModelLocator.Find(printed), options));
                return Task.FromResult(ExitCode.Done);
            }
            if (given.Length == 0 && model is null)
                throw new CliException(ExitCode.Usage, "name a folder or file of golden data, or a model with --invariance; see 'nativegen verify --help'");

            IReadOnlyList<string> files;
            try
            {
                files = Verifier.Find(given);
            }
            catch (FileNotFoundException e)
            {
                throw new CliException(ExitCode.Usage, e.Message);
            }
            if (files.Count == 0 && model is null)
                throw new CliException(ExitCode.Usage, $"no golden data in {string.Join(", ", given)}");

            var printer = new VerifyPrinter(terminal, parsed.GetValue(json), parsed.GetValue(verbose));
            foreach (var file in files)
            {
                cancel.ThrowIfCancellationRequested();
                terminal.Status($"{printer.Files.Count + 1}/{files.Count} {file}");
                printer.Add(Verifier.Run(file, options));
            }
            if (model is not null)
            {
                var report = new FileReport(ModelLocator.Find(model));
                Invariance.Run(report, options, parsed.GetValue(full), parsed.GetValue(seed) ?? Random.Shared.Next(), terminal.Status);
                printer.Add(report);
            }
            printer.Finish();
            var unsupported = printer.Files.Sum(f => f.Count(Outcome.Unsupported));
            var failed = printer.Files.Sum(f => f.Count(Outcome.Failed));
            return Task.FromResult(failed == 0 && (unsupported == 0 || parsed.GetValue(allow)) ? ExitCode.Done : ExitCode.Failed);
        });
        return verb;
    }
}

/// <summary>Writes reports as they come, then the sums and the reasons of what is unsupported.</summary>
internal sealed class VerifyPrinter(Terminal terminal, bool json, bool verbose)
{
    private readonly List<FileReport> _files = [];

    public IReadOnlyList<FileReport> Files => _files;

    public void Add(FileReport file)
    {
        _files.Add(file);
        if (json)
            return;
        var counts = string.Join(", ", new[] { (Outcome.Passed, "passed"), (Outcome.Failed, "FAILED"), (Outcome.Unsupported, "unsupported") }
            .Where(o => file.Count(o.Item1) > 0).Select(o => $"{file.Count(o.Item1)} {o.Item2}"));
        terminal.WriteLine($"{Relative(file.Path)}{(file.Note is null ? "" : $" ({file.Note})")}: {counts}{(file.Worst is { } worst ? $"; nearest to its bound: {worst}" : "")}");
        foreach (var c in file.Cases.Where(c => verbose || c.Outcome == Outcome.Failed || c.Checks.Count > 0))
            terminal.WriteLine($"  {c.Outcome switch { Outcome.Passed => "ok  ", Outcome.Failed => "FAIL", _ => "--  " }} {c.Name}{Details(c)}");
    }

    public void Finish()
    {
        if (json)
        {
            WriteJson();
            return;
        }
        var unsupported = _files.SelectMany(f => f.Cases.Where(c => c.Outcome == Outcome.Unsupported).Select(c => (f.Path, Reason: c.Detail!))).ToArray();
        if (unsupported.Length > 0)
            terminal.WriteLine("\nunsupported:");
        foreach (var reason in unsupported.GroupBy(u => u.Reason).OrderByDescending(g => g.Count()))
            terminal.WriteLine($"  {reason.Count()} in {Plural(reason.Select(u => u.Path).Distinct().Count(), "file")}: {reason.Key}");
        terminal.WriteLine($"\n{Plural(_files.Count, "file")}: {Sum(Outcome.Passed)} passed, {Sum(Outcome.Failed)} failed, {Sum(Outcome.Unsupported)} unsupported");
    }

    private int Sum(Outcome outcome) => _files.Sum(f => f.Count(outcome));

    private static string Plural(int count, string what) => $"{count} {what}{(count == 1 ? "" : "s")}";

    private static string Details(CaseResult c)
    {
        var parts = c.Checks.Select(check => check.ToString());
        if (c.Detail is not null)
            parts = parts.Prepend(c.Detail);
        return c.Checks.Count == 0 && c.Detail is null ? "" : ": " + string.Join(", ", parts);
    }

    private static string Relative(string path)
    {
        var relative = Path.GetRelativePath(Directory.GetCurrentDirectory(), path);
        return relative.Length < path.Length ? relative : path;
    }

    private void WriteJson() => terminal.WriteJson(writer =>
    {
        writer.WriteStartObject();
        writer.WriteNumber("passed", Sum(Outcome.Passed));
        writer.WriteNumber("failed", Sum(Outcome.Failed));
        writer.WriteNumber("unsupported", Sum(Outcome.Unsupported));
        writer.WriteStartArray("files");
        foreach (var file in _files)
        {
            writer.WriteStartObject();
            writer.WriteString("file", file.Path);
            if (file.Note is not null)
                writer.WriteString("note", file.Note);
            writer.WriteStartArray("cases");
            foreach (var c in file.Cases)
            {
                writer.WriteStartObject();
                writer.WriteString("name", c.Name);
                writer.WriteString("outcome", c.Outcome.ToString().ToLowerInvariant());
                if (c.Detail is not null)
                    writer.WriteString("detail", c.Detail);
                writer.WriteStartArray("checks");
                foreach (var check in c.Checks)
                {
                    writer.WriteStartObject();
                    writer.WriteString("what", check.What);
                    if (double.IsFinite(check.Measured))
                        writer.WriteNumber("measured", check.Measured);
                    else
                        writer.WriteString("measured", check.Measured.ToString(CultureInfo.InvariantCulture)); // JSON has no NaN
                    writer.WriteString("relation", check.AtLeast ? ">=" : "<=");
                    writer.WriteNumber("bound", check.Bound);
                    writer.WriteBoolean("holds", check.Holds);
                    writer.WriteEndObject();
                }
                writer.WriteEndArray();
                writer.WriteEndObject();
            }
            writer.WriteEndArray();
            writer.WriteEndObject();
        }
        writer.WriteEndArray();
        writer.WriteEndObject();
    });
}
