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
    // Speed of one test at one setting, a figure a repeat.
    private sealed record Measurement(int Threads, int BatchRows, int Depth, bool IsPrompt, int Tokens, double[] TokensPerSecond)
    {
        public string Test => $"{(IsPrompt ? "pp" : "tg")}{Tokens}" + (Depth > 0 ? $" @ d{Depth}" : "");
        public double Median => Verify.Statistics.Percentile(TokensPerSecond, 0.5);
        public double Min => TokensPerSecond.Min();
        public double Max => TokensPerSecond.Max();
    }

    private sealed record Plan(int[] Prompts, int[] Generated, int[] Threads, int[] BatchRows, int[] Depths, KvCacheType KvCacheType, int Repeats)
    {
        public long LongestSequence => (long)Depths.Max() + Math.Max(Prompts.Max(), Generated.Max());
        public int ContextLength => (int)LongestSequence; // refused above the model's context

        public List<Measurement> Tests(int threads, int rows, int depth) =>
        [
            .. Prompts.Where(n => n > 0).Select(n => new Measurement(threads, rows, depth, true, n, new double[Repeats])),
            .. Generated.Where(n => n > 0).Select(n => new Measurement(threads, rows, depth, false, n, new double[Repeats])),
        ];
    }

    public static Command Create(Terminal terminal)
    {
        var verb = new Verb("bench", "Measures tokens a second of prompts (pp) and of generated text (tg), and memory bandwidth.",
            ("nativegen bench", "the story model, 512 prompt tokens and 64 generated ones"),
            ("nativegen bench -m model.gguf -t 1,2,4 --depth 0,4096 --markdown", "every combination, as a table for an issue or a README"),
            ("NATIVEGEN_ISA=scalar nativegen bench -m model.gguf --json", "another instruction set, for a script"));
        var model = CommonOptions.Model();
        var prompt = Numbers("--prompt-tokens", "-p", "Tokens of the prompt test, 0 = none", 0, 512);
        var generate = Numbers("--generate-tokens", "-n", "Tokens of the generation test, 0 = none", 0, 64);
        var threads = Numbers("--threads", "-t", "Threads; 0 = as many as there are cores", 0, 0);
        var rows = Numbers("--batch-rows", "-b", "Most prompt tokens of a step", 1, 512);
        var depth = Numbers("--depth", "-d", "Tokens in the cache before a test begins", 0, 0);
        var kv = CommonOptions.KvCacheType();
        kv.Aliases.Add("--type");
        var repeats = CommonOptions.AtLeast(new Option<int>("--repeats", "-r") { Description = "Runs of each test, after one to warm up", HelpName = "N", DefaultValueFactory = _ => 5 }, 1);
        var json = CommonOptions.Json("All figures as JSON: an array with an object for each test");
        var markdown = new Option<bool>("--markdown") { Description = "A Markdown table" };
        foreach (var option in new Option[] { model, prompt, generate, threads, rows, depth, kv, repeats, json, markdown })
            verb.Add(option);

        verb.SetAction((parsed, cancel) =>
        {
            var plan = new Plan(parsed.GetValue(prompt)!, parsed.GetValue(generate)!, parsed.GetValue(threads)!, parsed.GetValue(rows)!,
                [.. parsed.GetValue(depth)!.Order()], parsed.GetValue(kv), parsed.GetValue(repeats));
            if (plan.Prompts.Max() + plan.Generated.Max() == 0)
                throw new CliException(ExitCode.Usage, "--prompt-tokens and --generate-tokens are both 0: nothing to measure");
            if (parsed.GetValue(json) && parsed.GetValue(markdown))
                throw new CliException(ExitCode.Usage, "--json and --markdown exclude each other");
            using var opened = CommonOptions.Open(terminal, parsed.GetValue(model), new ModelOptions { Threads = plan.Threads.Max() }, cancel);
            if (plan.LongestSequence > opened.Info.TrainedContextLength)
                throw new CliException(ExitCode.Usage, $"{plan.LongestSequence} tokens are more than the model's context of {opened.Info.TrainedContextLength}; lower --prompt-tokens, --generate-tokens or --depth");

            var run = new Run(opened.Info, plan);
            foreach (var count in plan.Threads)
                Measure(terminal, opened, run, count, cancel);
            terminal.ClearStatus();
            if (parsed.GetValue(json))
                WriteJson(terminal, run);
            else if (parsed.GetValue(markdown))
                terminal.Write(run.Markdown());
            else
                WriteTable(terminal, run);
            return Task.FromResult(ExitCode.Done);
        });
        return verb;
    }

    /// <summary>One number or several, separated by commas.</summary>
    private static Option<int[]> Numbers(string name, string alias, string description, int least, int otherwise)
    {
        var option = new Option<int[]>(name, alias)
        {
            Description = description,
            HelpName = "N,N...",
            DefaultValueFactory = _ => [otherwise],
            CustomParser = result =>
            {
                var texts = result.Tokens[0].Value.Split(',');
                var numbers = new int[texts.Length];
                for (var i = 0; i < texts.Length; i++)
                    if (!int.TryParse(texts[i], NumberStyles.None, CultureInfo.InvariantCulture, out numbers[i]) || numbers[i] < least)
                        return CommonOptions.Refuse<int[]>(result, $"{name} takes numbers of at least {least}, separated by commas, not '{result.Tokens[0].Value}'", []);
                return numbers;
            },
        };
        option.Arity = ArgumentArity.ExactlyOne;
        return option;
    }

    private static void Measure(Terminal terminal, Model model, Run run, int threads, CancellationToken cancel)
    {
        terminal.Status("measuring memory bandwidth");
        var bandwidth = CpuInfo.MeasureBandwidth(threads);
        var random = new Random(1);
        var tokens = Enumerable.Range(0, run.Plan.ContextLength).Select(_ => random.Next(model.Info.VocabularySize)).ToArray();
        var logits = new float[model.Info.VocabularySize];
        foreach (var rows in run.Plan.BatchRows)
        {
            using var context = new InferenceContext(model, new ContextOptions { ContextLength = run.Plan.ContextLength, MaxBatchRows = rows, KvCacheType = run.Plan.KvCacheType, Threads = threads });
            var used = context.GetStatistics().Threads;
            run.Bandwidth[used] = bandwidth;
            var sequence = context.CreateSequence();
            foreach (var depth in run.Plan.Depths)
            {
                terminal.Status($"filling the cache with {depth} tokens");
                var filled = context.SequenceLength(sequence);
                Decode(context, sequence, tokens.AsSpan(filled, depth - filled), rows, logits, cancel);
                var tests = run.Plan.Tests(used, rows, depth);
                run.Tests.AddRange(tests);
                for (var repeat = -1; repeat < run.Plan.Repeats; repeat++) // -1 warms up
                {
                    foreach (var test in tests) // in turns, so that a slow minute of the machine meets all of them
                    {
                        terminal.Status($"{test.Test}, {used} threads: {(repeat < 0 ? "warm-up" : $"{repeat + 1} of {run.Plan.Repeats}")}");
                        var started = Stopwatch.GetTimestamp();
                        Decode(context, sequence, tokens.AsSpan(depth, test.Tokens), test.IsPrompt ? rows : 1, logits, cancel);
                        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
                        context.CutSequence(sequence, depth);
                        if (repeat >= 0)
                            test.TokensPerSecond[repeat] = test.Tokens / seconds;
                    }
                }
            }
        }
    }

    // The logits of each step's last row, as a generator needs them.
    private static void Decode(InferenceContext context, int sequence, ReadOnlySpan<int> tokens, int chunk, float[] logits, CancellationToken cancel)
    {
        int[] sequences = new int[chunk], positions = new int[chunk];
        var outputs = new byte[chunk];
        Array.Fill(sequences, sequence);
        var length = context.SequenceLength(sequence);
        for (var done = 0; done < tokens.Length; done += chunk)
        {
            var rows = Math.Min(chunk, tokens.Length - done);
            for (var i = 0; i < rows; i++)
                (positions[i], outputs[i]) = (length + done + i, (byte)(i == rows - 1 ? 1 : 0));
            if (!context.Decode(tokens.Slice(done, rows), sequences.AsSpan(0, rows), positions.AsSpan(0, rows), outputs.AsSpan(0, rows), logits, cancel))
                throw new CliException(ExitCode.Failed, "the KV cache is too small for this test");
        }
    }

    private sealed class Run(ModelInfo model, Plan plan)
    {
        public ModelInfo Model { get; } = model;
        public Plan Plan { get; } = plan;
        public List<Measurement> Tests { get; } = [];
        public SortedDictionary<int, double> Bandwidth { get; } = []; // GB/s by threads

        public string[] Row(Measurement test) =>
        [
            Model.Name, Units.Bytes(Model.FileBytes), Units.Count(Model.ParameterCount), Model.InstructionSet, Whole(test.Threads), Whole(test.BatchRows),
            test.Test, Number(test.Median), $"{Number(test.Min)}-{Number(test.Max)}", Share(test) is { } share ? share.ToString("0 '%'", CultureInfo.InvariantCulture) : "",
        ];

        /// <summary>Part of the bandwidth that reading every weight once a token takes; a prompt reads them once for many tokens.</summary>
        public double? Share(Measurement test) => test.IsPrompt ? null : 100 * test.Median * Model.WeightBytes / (Bandwidth[test.Threads] * 1e9);

        public string Footer => string.Create(CultureInfo.InvariantCulture, $"median, min-max of {Plan.Repeats}; KV {Plan.KvCacheType.ToString().ToLowerInvariant()}; weights {Model.WeightBytes / 1e6:0.#} MB a token; ")
            + string.Join("; ", Bandwidth.Select(b => string.Create(CultureInfo.InvariantCulture, $"{b.Key} {(b.Key == 1 ? "thread reads" : "threads read")} {b.Value:0.0} GB/s: at most {b.Value * 1e9 / Model.WeightBytes:0.#} t/s")));

        public string Markdown()
        {
            var text = new StringBuilder("| " + string.Join(" | ", Heads.Select(h => h.TrimStart('>'))) + " |\n");
            text.Append("| " + string.Join(" | ", Heads.Select(h => h.StartsWith('>') ? "---:" : "---")) + " |\n");
            foreach (var test in Tests)
                text.Append("| " + string.Join(" | ", Row(test)) + " |\n");
            return text.Append($"\n{Footer}\n").ToString();
        }

        private static string Number(double value) => value.ToString(value < 100 ? "0.00" : "0.0", CultureInfo.InvariantCulture);

        private static string Whole(int value) => value.ToString(CultureInfo.InvariantCulture);
    }

    private static readonly string[] Heads = ["model", ">size", ">params", "isa", ">threads", ">batch", "test", ">t/s", ">min-max", ">of bandwidth"];

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
            json.WriteNumber("n_threads", test.Threads);
            json.WriteNumber("n_batch", test.BatchRows);
            json.WriteString("kv_cache_type", run.Plan.KvCacheType.ToString().ToLowerInvariant());
            json.WriteNumber("n_depth", test.Depth);
            json.WriteString("test", test.Test);
            json.WriteNumber("n_tokens", test.Tokens);
            json.WriteNumber("median_ts", test.Median);
            json.WriteNumber("min_ts", test.Min);
            json.WriteNumber("max_ts", test.Max);
            json.WriteStartArray("samples_ts");
            foreach (var sample in test.TokensPerSecond)
                json.WriteNumberValue(sample);
            json.WriteEndArray();
            json.WriteNumber("bandwidth_gb_per_s", run.Bandwidth[test.Threads]);
            if (run.Share(test) is { } share)
                json.WriteNumber("percent_of_bandwidth", share);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    });
}
