// Beams of the golden models through the decode loop and the real engine, as a request's are.
using Microsoft.Extensions.Logging.Abstractions;
using NativeGen.Models;
using NativeGen.Sampling;
using NativeGen.Scheduling;

namespace NativeGen.Cli.Verify;

internal static class EngineBeams
{
    /// <summary>The run of a golden file that <paramref name="golden"/> describes: GenerationConfig's names, sequences and scores.</summary>
    public static (int[] Tokens, double Score)[] Run(Model model, VerifyOptions options, ContextOptions context, int[] prompt, System.Text.Json.JsonElement golden, out int[] ends)
    {
        BeamSettings settings = new()
        {
            Beams = golden.GetProperty("num_beams").GetInt32(),
            Returned = golden.GetProperty("num_return_sequences").GetInt32(),
            LengthPenalty = golden.GetProperty("length_penalty").GetSingle(),
            StopWhenFull = golden.GetProperty("early_stopping").ValueKind == System.Text.Json.JsonValueKind.True,
            StopNever = golden.GetProperty("early_stopping").ValueKind == System.Text.Json.JsonValueKind.String,
        };
        ends = golden.GetProperty("eos_token_id").ValueKind == System.Text.Json.JsonValueKind.Null ? [] : [golden.GetProperty("eos_token_id").GetInt32()];
        InferenceContext engine = new(model, context with { Threads = options.Threads });
        var endTokens = new bool[engine.VocabularySize];
        foreach (var end in ends)
            endTokens[end] = true;
        Sink sink = new();
        LoopRequest request = new()
        {
            Prompt = prompt, Sink = sink, Sampler = Sampler.Greedy, EndTokens = endTokens, MaxNewTokens = golden.GetProperty("max_new_tokens").GetInt32(),
            SequenceCount = settings.Beams, Beams = settings,
        };
        DecodeLoop loop = new(engine, 1, 1, TimeProvider.System, NullLogger.Instance, "verify");
        try
        {
            loop.Submit(request);
            sink.Done.WaitAsync(options.Cancel).GetAwaiter().GetResult();
        }
        finally
        {
            loop.DisposeAsync().AsTask().Wait();
        }
        return [.. request.Results.Select(found => (found.Tokens[prompt.Length..].ToArray(), (double)found.Score!.Value))];
    }

    private sealed class Sink : TokenSink
    {
        private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Done => _done.Task;

        public override bool HasRoom => true;

        public override FinishReason? Accept(LoopSequence sequence, ReadOnlySpan<float> logits, Candidates chosenFrom) => null;

        public override void Finish(LoopSequence sequence, FinishReason reason)
        {
        }

        public override bool Ends(LoopSequence sequence, int token) => false;

        public override void Deliver(LoopSequence sequence, FinishReason reason)
        {
        }

        public override void Complete(LoopRequest request) => _done.TrySetResult();

        public override void Fail(Exception error) => _done.TrySetException(error);
    }
}
