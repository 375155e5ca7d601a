// nativegen doctor: what this machine offers, what this build makes of it, and whether it computes what it should.
using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using NativeGen.Cli.Shell;
using NativeGen.Models;

namespace NativeGen.Cli.Commands;

internal static class DoctorCommand
{
    // What the story model's weights say comes after "Once upon a time" (greedy, float activations): ", there was a little girl".
    private static readonly int[] StoryStart = [12, 376, 278, 259, 366, 562];

    private sealed record Finding(string Name, string Value, bool Problem = false);

    public static Command Create(Terminal terminal)
    {
        var verb = new Verb("doctor", "Reports the processor, instruction set, memory and bandwidth, and checks that the engine computes rightly. Exit code 1 if something is wrong.",
            ("nativegen doctor", "the report"),
            ("nativegen doctor --json", "for a bug report or a script"));
        var json = CommonOptions.Json("The report as JSON");
        verb.Add(json);
        verb.SetAction((parsed, cancel) =>
        {
            var findings = Examine(terminal, cancel);
            terminal.ClearStatus();
            if (parsed.GetValue(json))
                WriteJson(terminal, findings);
            else
                WriteTable(terminal, findings);
            return Task.FromResult(findings.Any(f => f.Problem) ? ExitCode.Failed : ExitCode.Done);
        });
        return verb;
    }

    private static List<Finding> Examine(Terminal terminal, CancellationToken cancel)
    {
        List<Finding> findings =
        [
            new("nativegen", Assembly.GetExecutingAssembly().GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "?"),
            new("platform", $"{RuntimeInformation.OSDescription}, {RuntimeInformation.FrameworkDescription}, {RuntimeInformation.ProcessArchitecture}"),
        ];
        CpuInfo? cpu = null;
        Examine(findings, "native library", () =>
        {
            var device = DeviceReport.Create();
            cpu = device.Cpu;
            findings.Add(new("native library", device.LibraryPath ?? "found by the runtime"));
            findings.Add(new("native build", device.Build));
            findings.Add(new("processor", cpu.Brand));
            findings.Add(new("cores", $"{cpu.PhysicalCores} physical, {cpu.LogicalProcessors} logical; {cpu.DefaultThreads} threads by default"));
            var forced = Environment.GetEnvironmentVariable("NATIVEGEN_ISA");
            findings.Add(new("instruction set", $"{cpu.InstructionSet}{(string.IsNullOrEmpty(forced) ? "" : " (forced by NATIVEGEN_ISA)")}, of {string.Join(", ", cpu.AvailableInstructionSets)}"));
            findings.Add(new("features", string.Join(' ', cpu.Features)));
        });
        if (cpu is null)
            return findings;

        Examine(findings, "memory bandwidth", () =>
        {
            terminal.Status("measuring memory bandwidth");
            var counts = new[] { 1, cpu.DefaultThreads }.Distinct();
            findings.Add(new("memory bandwidth", string.Join(", ", counts.Select(n => string.Create(CultureInfo.InvariantCulture, $"{CpuInfo.MeasureBandwidth(n):0.0} GB/s with {n} thread{(n == 1 ? "" : "s")}")))));
        });
        cancel.ThrowIfCancellationRequested();
        Examine(findings, "story model", () => Story(terminal, findings, cancel));
        return findings;
    }

    private static void Story(Terminal terminal, List<Finding> findings, CancellationToken cancel)
    {
        var path = ModelLocator.Find(null);
        findings.Add(new("memory available", Units.Bytes(Model.EstimateMemory(path).Available)));
        terminal.Status("checking the story model");
        var started = Stopwatch.GetTimestamp();
        using var subject = new Verify.Subject(path, new Verify.VerifyOptions(Cancel: cancel), new ContextOptions());
        var opened = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        findings.Add(new("story model", string.Create(CultureInfo.InvariantCulture, $"{path}, opened in {opened:0} ms")));
        var prompt = subject.Model.Tokenizer.Encode("Once upon a time", addSpecial: true, parseSpecial: false);
        var right = subject.Greedy(prompt, StoryStart.Length).AsSpan().SequenceEqual(StoryStart);
        findings.Add(new("self-test", right ? "the story model writes what it should" : "the story model writes something else than it should: this build computes wrongly on this machine", !right));
    }

    private static void Examine(List<Finding> findings, string what, Action examine)
    {
        try
        {
            examine();
        }
        catch (Exception e) when (e is NativeGenException or CliException or DllNotFoundException)
        {
            findings.Add(new(what, e.Message, Problem: true));
        }
    }

    private static void WriteTable(Terminal terminal, List<Finding> findings)
    {
        var table = Tables.Facts();
        foreach (var f in findings)
            table.Fact(f.Name, (f.Problem ? "PROBLEM: " : "") + f.Value);
        terminal.Write(table);
    }

    private static void WriteJson(Terminal terminal, List<Finding> findings) => terminal.WriteJson(json =>
    {
        json.WriteStartObject();
        json.WriteBoolean("healthy", !findings.Any(f => f.Problem));
        foreach (var f in findings)
            json.WriteString(f.Name.Replace(' ', '_').Replace('-', '_'), f.Value);
        json.WriteEndObject();
    });
}
