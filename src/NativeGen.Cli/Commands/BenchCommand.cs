// nativegen bench: prompt (pp) and text generation (tg) speed as llama-bench measures them, beside the machine's memory bandwidth.
using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using NativeGen.Cli.Shell;
using NativeGen.Models;

namespace NativeGen.Cli.Commands;

internal static class BenchCommand
{
    private sealed record Measurement(string Test, int Tokens, double[] TokensPerSecond)
    {
        public double Median => Quantile(0.5);
        public double Min => TokensPerSecond.Min();
        public double Max => TokensPerSecond.Max();

        private double Quantile(double part) => Verify.Statistics.Percentile(TokensPerSecond, part);
    }

    public static Command Create(Terminal terminal)
    {
        var verb = new Verb("bench", "Measures tokens a second of prompts (pp) and of generated text (tg), and memory bandwidth.",
            ("nativegen bench", "the story model, 512 prompt tokens and 64 generated ones"),
            ("nativegen bench -m model.gguf -p 512 -n 64 -t 2 --repeats 5 -o md", "a table for an issue or a README"),
            ("NATIVEGEN_ISA=scalar nativegen bench -m model.gguf -o json", "another instruction set, for a script"));
        var model = CommonOptions.Model();
        var prompt = CommonOptions.AtLeast(new Option<int>("--prompt-tokens", "-p") { Description = "Tokens of the prompt test, 0 = none", HelpName = "N", DefaultValueFactory = _ => 512 }, 0);
        var generate = CommonOptions.AtLeast(new Option<int>("--generate-tokens", "-n") { Description = "Tokens of the generation test, 0 = none", HelpName = "N", DefaultValueFactory = _ => 64 }, 0);
        var depth = CommonOptions.AtLeast(new Option<int>("--depth", "-d") { Description = "Tokens in the cache before a test begins", HelpName = "N" }, 0);
        var threads = CommonOptions.Threads();
        var repeats = CommonOptions.AtLeast(new Option<int>("--repeats", "-r") { Description = "Runs of each test, after one to warm up", HelpName = "N", DefaultValueFactory = _ => 5 }, 1);
        var kv = CommonOptions.KvCacheType();
        var output = new Option<string>("--output", "-o") { Description = "Format of the result", DefaultValueFactory = _ => "table" };
        output.AcceptOnlyFromAmong("table", "md", "json");
        foreach (var option in new Option[] { model, prompt, generate, depth, threads, repeats, kv, output })
            verb.Add(option);

        verb.SetAction((parsed, cancel) =>
        {
            var (pp, tg, filled) = (parsed.GetValue(prompt), parsed.GetValue(generate), parsed.GetValue(depth));
            if (pp + tg == 0)
                throw new CliException(ExitCode.Usage, "--prompt-tokens and --generate-tokens are both 0: nothing to measure");
            using var opened = CommonOptions.Open(terminal, parsed.GetValue(model), new ModelOptions { Threads = parsed.GetValue(threads) }, cancel);
            var length = filled + Math.Max(pp, tg);
            if (length > opened.Info.TrainedContextLength)
                throw new CliException(ExitCode.Usage, $"{length} tokens are more than the model's context of {opened.Info.TrainedContextLength}; lower --prompt-tokens, --generate-tokens or --depth");
            using var context = new InferenceContext(opened, new ContextOptions { ContextLength = length, KvCacheType = parsed.GetValue(kv), Threads = parsed.GetValue(threads) });

            terminal.Status("measuring memory bandwidth");
            var bandwidth = CpuInfo.MeasureBandwidth(parsed.GetValue(threads));
            cancel.ThrowIfCancellationRequested();
            var results = Measure(terminal, context, pp, tg, filled, parsed.GetValue(repeats), cancel);
            terminal.ClearStatus();
            var run = new Run(opened.Info, context.GetStatistics().Threads, parsed.GetValue(kv).ToString().ToLowerInvariant(), filled, bandwidth, results);
            switch (parsed.GetValue(output))
            {
                case "json": WriteJson(terminal, run); break;
                case "md": terminal.Write(run.Markdown()); break;
                default: WriteTable(terminal, run); break;
            }
            return Task.FromResult(ExitCode.Done);
        });
        return verb;
    }

    // Tests take turns, so that a slow minute of the machine meets all of them.
    private static List<Measurement> Measure(Terminal terminal, InferenceContext context, int pp, int tg, int depth, int repeats, CancellationToken cancel)
    {
        List<Measurement> tests = [];
        if (pp > 0)
            tests.Add(new Measurement($"pp{pp}", pp, new double[repeats]));
        if (tg > 0)
            tests.Add(new Measurement($"tg{tg}", tg, new double[repeats]));
        var random = new Random(1);
        var tokens = Enumerable.Range(0, depth + Math.Max(pp, tg)).Select(_ => random.Next(context.VocabularySize)).ToArray();
        var logits = new float[context.VocabularySize];
        for (var repeat = -1; repeat < repeats; repeat++) // -1 warms up
        {
            foreach (var test in tests)
            {
                terminal.Status($"{test.Test} {(repeat < 0 ? "warm-up" : $"{repeat + 1}/{repeats}")}");
                var sequence = context.CreateSequence();
                Decode(context, sequence, tokens.AsSpan(0, depth), context.MaxBatchRows, logits, cancel);
                var started = Stopwatch.GetTimestamp();
                Decode(context, sequence, tokens.AsSpan(depth, test.Tokens), test.Test.StartsWith("pp", StringComparison.Ordinal) ? context.MaxBatchRows : 1, logits, cancel);
                var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
                context.DropSequence(sequence);
                if (repeat >= 0)
                    test.TokensPerSecond[repeat] = test.Tokens / seconds;
            }
        }
        return tests;
    }

    // The logits of each step's last row, as a generator needs them.
    private static void Decode(InferenceContext context, int sequence, ReadOnlySpan<int> tokens, int chunk, float[] logits, CancellationToken cancel)
    {
        Span<int> sequences = stackalloc int[Math.Min(chunk, 1024)], positions = stackalloc int[sequences.Length];
        Span<byte> outputs = stackalloc byte[sequences.Length];
        sequences.Fill(sequence);
        var length = context.SequenceLength(sequence);
        for (var done = 0; done < tokens.Length; done += sequences.Length)
        {
            var rows = Math.Min(sequences.Length, tokens.Length - done);
            for (var i = 0; i < rows; i++)
                (positions[i], outputs[i]) = (length + done + i, (byte)(i == rows - 1 ? 1 : 0));
            if (!context.Decode(tokens.Slice(done, rows), sequences[..rows], positions[..rows], outputs[..rows], logits, cancel))
                throw new CliException(ExitCode.Failed, "the KV cache is too small for this test");
        }
    }

    private sealed record Run(ModelInfo Model, int Threads, string KvCacheType, int Depth, double Bandwidth, List<Measurement> Tests)
    {
        public string[] Row(Measurement test) =>
        [
            Model.Name, Units.Bytes(Model.FileBytes), Units.Count(Model.ParameterCount), Model.InstructionSet, Threads.ToString(CultureInfo.InvariantCulture),
            test.Test + (Depth > 0 ? $" @ d{Depth}" : ""), Number(test.Median), $"{Number(test.Min)}-{Number(test.Max)}", Share(test) is { } share ? share.ToString("0 '%'", CultureInfo.InvariantCulture) : "",
        ];

        /// <summary>Part of the bandwidth that reading every weight once a token takes; a prompt reads them once for many tokens.</summary>
        public double? Share(Measurement test) => test.Test.StartsWith("tg", StringComparison.Ordinal) ? 100 * test.Median * Model.WeightBytes / (Bandwidth * 1e9) : null;

        public string Footer => string.Create(CultureInfo.InvariantCulture, $"median, min-max of {Tests[0].TokensPerSecond.Length}; memory read {Bandwidth:0.0} GB/s, weights {Model.WeightBytes / 1e6:0.#} MB a token: at most {Bandwidth * 1e9 / Model.WeightBytes:0.#} t/s; KV {KvCacheType}");

        public string Markdown()
        {
            var text = new StringBuilder("| " + string.Join(" | ", Heads.Select(h => h.TrimStart('>'))) + " |\n");
            text.Append("| " + string.Join(" | ", Heads.Select(h => h.StartsWith('>') ? "---:" : "---")) + " |\n");
            foreach (var test in Tests)
                text.Append("| " + string.Join(" | ", Row(test)) + " |\n");
            return text.Append($"\n{Footer}\n").ToString();
        }

        private static string Number(double value) => value.ToString(value < 100 ? "0.00" : "0.0", CultureInfo.InvariantCulture);
    }

    private static readonly string[] Heads = ["model", ">size", ">params", "isa", ">threads", "test", ">t/s", ">min-max", ">of bandwidth"];

    private static void WriteTable(Terminal terminal, Run run)
    {
        var table = Tables.Columns(Heads);
        foreach (var test in run.Tests)
            table.Row(run.Row(test));
        terminal.Write(table);
        terminal.WriteLine(run.Footer);
    }

    private static void WriteJson(Terminal terminal, Run run) => terminal.WriteJson(json =>
    {
        json.WriteStartArray();
        foreach (var test in run.Tests)
        {
            json.WriteStartObject();
            json.WriteString("model", run.Model.Name);
            json.WriteString("model_filename", run.Model.Path);
            json.WriteNumber("model_size", run.Model.FileBytes);
            json.WriteNumber("model_n_params", run.Model.ParameterCount);
            json.WriteNumber("weight_bytes_per_token", run.Model.WeightBytes);
            json.WriteString("isa", run.Model.InstructionSet);
            json.WriteNumber("n_threads", run.Threads);
            json.WriteString("kv_cache_type", run.KvCacheType);
            json.WriteNumber("n_depth", run.Depth);
            json.WriteString("test", test.Test);
            json.WriteNumber("n_tokens", test.Tokens);
            json.WriteNumber("median_ts", test.Median);
            json.WriteNumber("min_ts", test.Min);
            json.WriteNumber("max_ts", test.Max);
            json.WriteStartArray("samples_ts");
            foreach (var sample in test.TokensPerSecond)
                json.WriteNumberValue(sample);
            json.WriteEndArray();
            json.WriteNumber("bandwidth_gb_per_s", run.Bandwidth);
            if (run.Share(test) is { } share)
                json.WriteNumber("percent_of_bandwidth", share);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    });
}
