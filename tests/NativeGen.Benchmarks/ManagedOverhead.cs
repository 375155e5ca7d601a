// What the managed side costs: ITextGenerator beside a bare loop of Decode and argmax on the same model, taking turns; time between tokens; and
// bytes allocated a token. dotnet run -c Release --project tests/NativeGen.Benchmarks -- overhead MODEL [TOKENS [ROUNDS]]
using System.Diagnostics;
using System.Globalization;
using System.Numerics.Tensors;
using NativeGen.Models;

namespace NativeGen.Benchmarks;

internal static class ManagedOverhead
{
    private static readonly int[] Prompt = [1, 2, 3, 4, 5, 6, 7, 8];

    public static async Task RunAsync(string[] args)
    {
        string path = args[0];
        int tokens = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 64;
        int rounds = args.Length > 2 ? int.Parse(args[2], CultureInfo.InvariantCulture) : 5;
        using Model model = Model.Open(path);
        using InferenceContext context = new(model, new ContextOptions { ContextLength = 2 * tokens + Prompt.Length + 1 });
        await using TextGenerator generator = TextGenerator.Open(path, new TextGeneratorOptions
        {
            Context = new ContextOptions { ContextLength = 2 * tokens + Prompt.Length + 1 },
            MaxConcurrentRequests = 1,
        });

        double[] bare = new double[rounds], generated = new double[rounds], streamed = new double[rounds];
        List<double> intervals = [];
        for (int i = -1; i < rounds; i++) // the first one warms up
        {
            double loop = Bare(context, tokens), once = await GenerateAsync(generator, tokens);
            List<double> times = await StreamAsync(generator, tokens);
            if (i < 0)
                continue;
            (bare[i], generated[i], streamed[i]) = (loop, once, times.Count / times.Sum());
            intervals.AddRange(times);
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{model.Info.Name}, {model.Info.InstructionSet}, {context.GetStatistics().Threads} threads, {tokens} tokens, median (min-max) of {rounds}\n"));
        Console.WriteLine("| | tokens/s | of the bare loop |\n|---|---|---|");
        Row("Decode and argmax", bare, bare);
        Row("GenerateAsync", generated, bare);
        Row("StreamAsync", streamed, bare);
        intervals.Sort();
        double median = intervals[intervals.Count / 2], late = intervals[(int)(intervals.Count * 0.99)];
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"\nBetween updates of a stream: median {1e3 * median:0.00} ms, p99 {1e3 * late:0.00} ms ({late / median:0.00} times the median)."));

        double whole = await PerTokenAsync(n => GenerateAsync(generator, n), tokens), stream = await PerTokenAsync(n => StreamAsync(generator, n), tokens);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Allocated a token more: GenerateAsync {whole:0.0} bytes, StreamAsync {stream:0.0} bytes."));
    }

    private static double Bare(InferenceContext context, int tokens)
    {
        float[] logits = new float[context.VocabularySize];
        int sequence = context.CreateSequence();
        int[] positions = [.. Enumerable.Range(0, Prompt.Length)], sequences = new int[Prompt.Length];
        Array.Fill(sequences, sequence);
        byte[] outputs = new byte[Prompt.Length];
        outputs[^1] = 1;
        context.Decode(Prompt, sequences, positions, outputs, logits, default);
        int token = TensorPrimitives.IndexOfMax(logits);
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < tokens - 1; i++)
        {
            context.Decode([token], [sequence], [Prompt.Length + i], [1], logits, default);
            token = TensorPrimitives.IndexOfMax(logits);
        }

        double speed = (tokens - 1) / Stopwatch.GetElapsedTime(start).TotalSeconds;
        context.DropSequence(sequence);
        return speed;
    }

    private static GenerationRequest Request(int tokens) => new(Prompt, new GenerationOptions { DoSample = false, MaxNewTokens = tokens });

    private static async Task<double> GenerateAsync(ITextGenerator generator, int tokens)
    {
        GenerationResult result = await generator.GenerateAsync(Request(tokens));
        if (result.Usage.GeneratedTokens != tokens)
            throw new InvalidOperationException($"The model ended after {result.Usage.GeneratedTokens} tokens: take another one.");
        return result.Timings.TokensPerSecond;
    }

    private static async Task<List<double>> StreamAsync(ITextGenerator generator, int tokens)
    {
        List<double> times = new(tokens);
        long last = 0;
        await foreach (GenerationUpdate update in generator.StreamAsync(Request(tokens)))
        {
            long now = Stopwatch.GetTimestamp();
            if (last != 0 && update.Tokens.Length == 1)
                times.Add(Stopwatch.GetElapsedTime(last, now).TotalSeconds);
            last = now;
        }

        return times;
    }

    private static async Task<double> PerTokenAsync(Func<int, Task> run, int tokens)
    {
        await run(tokens);
        long start = GC.GetTotalAllocatedBytes(true);
        await run(tokens);
        long middle = GC.GetTotalAllocatedBytes(true);
        await run(2 * tokens);
        return (double)(GC.GetTotalAllocatedBytes(true) - middle - (middle - start)) / tokens;
    }

    private static void Row(string what, double[] values, double[] bare) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
        $"| {what} | {Median(values):0.00} ({values.Min():0.00}-{values.Max():0.00}) | {100 * Median(values) / Median(bare):0.0} % |"));

    private static double Median(double[] values) => values.Order().ElementAt(values.Length / 2);
}
