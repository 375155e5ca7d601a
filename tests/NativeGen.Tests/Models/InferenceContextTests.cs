// The managed face of a context: its results, its refusals, and what disposing and interrupting do while a step runs.
using System.Runtime.InteropServices;
using System.Text.Json;
using NativeGen.Models;

namespace NativeGen.Tests.Models;

public sealed class InferenceContextTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    // ---- results

    [Theory]
    [InlineData("llama"), InlineData("llama3"), InlineData("mistral"), InlineData("gpt2")]
    public void Logits_are_the_references(string name)
    {
        using JsonDocument description = JsonDocument.Parse(File.ReadAllBytes(Path.ChangeExtension(TestData.TinyModel(name), ".json")));
        int[] tokens = [.. description.RootElement.GetProperty("input_ids").EnumerateArray().Select(id => id.GetInt32())];
        float[] expected = MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(Path.ChangeExtension(TestData.TinyModel(name), ".logits.f32"))).ToArray();
        using Model model = Model.Open(TestData.TinyModel(name), new ModelOptions { ExactActivations = true }, cancellationToken: Stop);
        using InferenceContext context = new(model, new ContextOptions { KvCacheType = KvCacheType.F32 });
        float[] logits = new float[tokens.Length * context.VocabularySize];
        Assert.Equal(expected.Length, logits.Length);
        Assert.True(Append(context, context.CreateSequence(), tokens, logits));
        Assert.InRange(expected.Zip(logits, (a, b) => Math.Abs(a - b)).Max(), 0, 1e-4f);
    }

    [Fact]
    public void Forks_and_cuts_continue_with_the_same_bits()
    {
        using Model model = Model.Open(TestData.TinyModel("llama"), cancellationToken: Stop);
        using InferenceContext context = new(model, new ContextOptions { KvCacheTokens = 1024 });
        int[] prompt = [.. Enumerable.Range(3, 70)]; // ends in mid-page
        float[] expected = new float[context.VocabularySize], logits = new float[context.VocabularySize];
        int plain = context.CreateSequence();
        Append(context, plain, [.. prompt, 9], LastOf(prompt.Length + 1), expected);

        int source = context.CreateSequence();
        Append(context, source, prompt, []);
        int fork = context.ForkSequence(source, prompt.Length);
        Append(context, source, [200, 201, 202], []); // the source goes on and must not disturb its fork
        Append(context, fork, [9], [1], logits);
        Assert.Equal(expected, logits);

        context.CutSequence(source, prompt.Length);
        Assert.Equal(prompt.Length, context.SequenceLength(source));
        Append(context, source, [9], [1], logits);
        Assert.Equal(expected, logits);

        Assert.Equal(3, context.GetStatistics().SequenceCount);
        foreach (int sequence in new[] { plain, source, fork })
            context.DropSequence(sequence);
        Assert.Equal((0, context.PagesTotal), (context.GetStatistics().SequenceCount, context.PagesFree));
    }

    [Fact]
    public void Pages_needed_is_what_a_step_takes()
    {
        using Model model = Model.Open(TestData.TinyModel("llama"), cancellationToken: Stop);
        using InferenceContext context = new(model, new ContextOptions { KvCacheTokens = 512 });
        int sequence = context.CreateSequence();
        foreach (int count in new[] { 1, 63, 1, 30 })
        {
            int free = context.PagesFree, needed = context.PagesNeeded(sequence, count);
            Append(context, sequence, new int[count], []);
            Assert.Equal(needed, free - context.PagesFree);
        }
        int fork = context.ForkSequence(sequence, 95); // shares a half-full page
        int before = context.PagesFree;
        Assert.Equal(1, context.PagesNeeded(fork, 1));
        Append(context, fork, [5], []);
        Assert.Equal(1, before - context.PagesFree);
    }

    [Fact]
    public void A_full_cache_costs_what_was_estimated()
    {
        foreach (KvCacheType type in new[] { KvCacheType.F16, KvCacheType.F32 })
        {
            ContextOptions options = new() { ContextLength = 256, KvCacheTokens = 256, MaxBatchRows = 64, KvCacheType = type };
            MemoryEstimate estimate = Model.EstimateMemory(TestData.StoryModel, null, options);
            using Model model = Model.Open(TestData.StoryModel, cancellationToken: Stop);
            using InferenceContext context = new(model, options);
            int sequence = context.CreateSequence();
            for (int position = 0; position < 256; position += 64)
                Assert.True(Append(context, sequence, new int[64], []));
            ContextStatistics statistics = context.GetStatistics();
            Assert.Equal(0, statistics.PagesFree);
            Assert.Equal(estimate.KvCache, statistics.KvBytes);
            Assert.Equal(estimate.KvCachePerToken, context.KvBytesPerToken);
            Assert.Equal(estimate.KvCache, 256 * context.KvBytesPerToken);
            Assert.Equal(estimate.Scratch, statistics.ScratchBytes);
            Assert.Equal(estimate.WeightsMapped, model.Info.MappedBytes);
            Assert.Equal(estimate.WeightsOwned, model.Info.RepackedBytes);
            Assert.Equal(estimate.Total, estimate.WeightsMapped + estimate.WeightsOwned + estimate.KvCache + estimate.Scratch);
            Assert.Equal((4L, 256L), (statistics.Steps, statistics.Rows));
        }
    }

    [Fact]
    public void A_step_allocates_nothing()
    {
        using Model model = Model.Open(TestData.TinyModel("llama"), cancellationToken: Stop);
        using InferenceContext context = new(model);
        using CancellationTokenSource source = new();
        int sequence = context.CreateSequence();
        float[] logits = new float[context.VocabularySize];
        for (int position = 0; position < 20; position++)
            Step(position);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int position = 20; position < 120; position++)
            Step(position);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Step(int position)
        {
            Span<int> row = [5, sequence, position];
            context.Decode(row[..1], row[1..2], row[2..], [1], logits, source.Token);
        }
    }

    // ---- saved sequences

    [Fact]
    public void A_saved_sequence_continues_in_another_context_with_the_same_bits()
    {
        using Model model = Model.Open(TestData.TinyModel("gpt2"), cancellationToken: Stop);
        using InferenceContext first = new(model), second = new(model);
        int sequence = first.CreateSequence();
        Append(first, sequence, [.. Enumerable.Range(3, 70)], []);
        byte[] state = first.SaveSequence(sequence);
        int loaded = second.LoadSequence(state);
        Assert.Equal(70, second.SequenceLength(loaded));
        float[] expected = new float[first.VocabularySize], logits = new float[first.VocabularySize];
        Append(first, sequence, [7], [1], expected);
        Append(second, loaded, [7], [1], logits);
        Assert.Equal(expected, logits);
    }

    [Fact]
    public void Saved_bytes_that_are_damaged_or_of_another_model_are_refused()
    {
        using Model model = Model.Open(TestData.TinyModel("llama"), cancellationToken: Stop), other = Model.Open(TestData.TinyModel("mistral"), cancellationToken: Stop);
        using InferenceContext context = new(model), f32 = new(model, new ContextOptions { KvCacheType = KvCacheType.F32 }), otherContext = new(other);
        int sequence = context.CreateSequence();
        Append(context, sequence, [1, 2, 3], []);
        byte[] state = context.SaveSequence(sequence);
        byte[] damaged = [.. state];
        damaged[^20] ^= 1;
        Refused(context, damaged);
        Refused(context, state[..^1]);
        Refused(context, []);
        Refused(context, [1, 2, 3]);
        Refused(f32, state);
        Refused(otherContext, state);
        Assert.Equal(3, context.SequenceLength(context.LoadSequence(state)));

        static void Refused(InferenceContext context, byte[] state)
        {
            int before = context.GetStatistics().SequenceCount;
            Assert.Equal(NativeGenErrorCode.InvalidModel, Assert.Throws<NativeGenException>(() => context.LoadSequence(state)).Code);
            Assert.Equal(before, context.GetStatistics().SequenceCount);
        }
    }

    [Fact]
    public void A_saved_sequence_without_room_is_refused_and_leaves_nothing()
    {
        using Model model = Model.Open(TestData.TinyModel("llama"), cancellationToken: Stop);
        using InferenceContext context = new(model, new ContextOptions { ContextLength = 128, KvCacheTokens = 128 });
        int sequence = context.CreateSequence();
        Append(context, sequence, new int[100], []);
        byte[] state = context.SaveSequence(sequence);
        Assert.Equal(NativeGenErrorCode.ContextOverflow, Assert.Throws<NativeGenException>(() => context.LoadSequence(state)).Code);
        Assert.Equal(1, context.GetStatistics().SequenceCount);
        context.DropSequence(sequence);
        Assert.Equal(100, context.SequenceLength(context.LoadSequence(state)));
    }

    // ---- refusals

    [Fact]
    public void Wrong_arguments_are_refused_and_change_nothing()
    {
        using Model model = Model.Open(TestData.TinyModel("llama"), cancellationToken: Stop);
        using InferenceContext context = new(model, new ContextOptions { ContextLength = 16, KvCacheTokens = 64, MaxBatchRows = 16 });
        int sequence = context.CreateSequence();
        float[] logits = new float[context.VocabularySize];
        Append(context, sequence, [1, 2, 3], []);
        Assert.Throws<ArgumentException>(() => context.Decode([1, 2], [sequence], [3], [1], logits, Stop));
        Assert.Throws<ArgumentException>(() => context.Decode([1], [sequence], [3], [1, 1], logits, Stop));
        Assert.Throws<ArgumentException>(() => context.Decode([1], [sequence], [3], [1], logits.AsSpan(1), Stop));
        Assert.Throws<ArgumentException>(() => context.Decode([], [], [], [], logits, Stop));
        Assert.Throws<ArgumentException>(() => context.Decode([320], [sequence], [3], [1], logits, Stop));
        Assert.Throws<ArgumentException>(() => context.Decode([1], [sequence + 1], [3], [1], logits, Stop));
        Assert.Throws<ArgumentException>(() => context.Decode([1], [sequence], [4], [1], logits, Stop));
        Assert.Throws<ArgumentException>(() => context.Decode([1], [sequence], [3], [2], logits, Stop));
        Assert.Throws<ArgumentException>(() => context.Decode(new int[17], new int[17], new int[17], [], [], Stop));
        Assert.Throws<ArgumentException>(() => context.CutSequence(sequence, 4));
        Assert.Throws<ArgumentOutOfRangeException>(() => context.CutSequence(sequence, -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => context.ForkSequence(sequence, -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => context.PagesNeeded(sequence, -1));
        Assert.Throws<ArgumentException>(() => context.DropSequence(99));
        Assert.Equal((3, 1), (context.SequenceLength(sequence), context.GetStatistics().SequenceCount));
        NativeGenException overflow = Assert.Throws<NativeGenException>(() => Append(context, sequence, new int[14], []));
        Assert.Equal(NativeGenErrorCode.ContextOverflow, overflow.Code);
        Assert.Equal(3, context.SequenceLength(sequence));
    }

    [Fact]
    public void Wild_options_are_refused()
    {
        using Model model = Model.Open(TestData.TinyModel("llama"), cancellationToken: Stop);
        foreach (ContextOptions options in new ContextOptions[]
        {
            new() { ContextLength = -1 }, new() { KvCacheTokens = -1 }, new() { MaxBatchRows = -1 }, new() { Threads = -1 },
            new() { Threads = 100_000 }, new() { KvCacheType = (KvCacheType)5 }, new() { ContextLength = int.MaxValue }, new() { MaxBatchRows = int.MaxValue },
        })
        {
            Assert.ThrowsAny<ArgumentException>(() => new InferenceContext(model, options));
        }
        Assert.Throws<ArgumentNullException>(() => new InferenceContext(null!));
    }

    [Fact]
    public void No_room_is_an_answer()
    {
        using Model model = Model.Open(TestData.TinyModel("llama"), cancellationToken: Stop);
        using InferenceContext context = new(model, new ContextOptions { ContextLength = 128, KvCacheTokens = 128 });
        int a = context.CreateSequence(), b = context.CreateSequence();
        Assert.True(Append(context, a, new int[100], []));
        Assert.False(Append(context, b, new int[100], []));
        Assert.Equal(0, context.SequenceLength(b));
        context.DropSequence(a);
        Assert.True(Append(context, b, new int[100], []));
    }

    // ---- cancel

    [Fact]
    public void A_cancelled_token_ends_a_step_and_not_the_next()
    {
        using Model model = Model.Open(TestData.TinyModel("llama"), cancellationToken: Stop);
        using InferenceContext context = new(model);
        int sequence = context.CreateSequence();
        using (CancellationTokenSource source = new())
        {
            source.Cancel();
            Assert.Throws<OperationCanceledException>(() => context.Decode([1], [sequence], [0], [], [], source.Token));
        }
        Assert.Equal(0, context.SequenceLength(sequence));
        using (CancellationTokenSource source = new())
        {
            Assert.True(context.Decode([1], [sequence], [0], [], [], source.Token));
            source.Cancel();
        }
        Assert.True(context.Decode([1], [sequence], [1], [], [], Stop));
        Assert.Equal(2, context.SequenceLength(sequence));
    }

    [Fact]
    public void An_interrupt_ends_one_step()
    {
        using Model model = Model.Open(TestData.TinyModel("llama"), cancellationToken: Stop);
        using IInferenceContext context = new InferenceContext(model);
        int sequence = context.CreateSequence();
        context.Interrupt();
        context.Interrupt();
        Assert.Equal(DecodeStatus.Cancelled, context.Decode([1], [sequence], [0], [], []));
        Assert.Equal(0, context.SequenceLength(sequence));
        Assert.Equal(DecodeStatus.Done, context.Decode([1], [sequence], [0], [], []));
    }

    [Fact]
    public void A_running_step_is_cancelled_and_can_be_repeated()
    {
        using Model model = Model.Open(TestData.StoryModel, cancellationToken: Stop);
        ContextOptions options = new() { ContextLength = 256, MaxBatchRows = 256, Threads = 1 };
        using InferenceContext context = new(model, options), reference = new(model, options);
        int[] prompt = [.. Enumerable.Range(3, 250)];
        float[] expected = new float[context.VocabularySize], logits = new float[context.VocabularySize];
        Append(reference, reference.CreateSequence(), prompt, LastOf(prompt.Length), expected);

        int sequence = context.CreateSequence(), cancelled = 0;
        for (int attempt = 0; attempt < 1000 && cancelled < 3; attempt++)
        {
            using CancellationTokenSource source = new();
            Thread canceller = new(() =>
            {
                while (!source.IsCancellationRequested && !IsBusy(context)) { }
                source.Cancel();
            });
            canceller.Start();
            try
            {
                context.Decode(prompt, Filled(prompt.Length, sequence), Positions(0, prompt.Length), LastOf(prompt.Length), logits, source.Token);
            }
            catch (OperationCanceledException)
            {
                cancelled++;
                source.Cancel();
                canceller.Join();
                Assert.Equal(0, context.SequenceLength(sequence));
                continue;
            }
            catch (NativeGenException e) when (e.Code == NativeGenErrorCode.Busy)
            {
                // the canceller looked at the context just then
            }
            source.Cancel();
            canceller.Join();
            context.CutSequence(sequence, 0);
        }
        Assert.Equal(3, cancelled);
        Assert.True(Append(context, sequence, prompt, LastOf(prompt.Length), logits));
        Assert.Equal(expected, logits);
    }

    // ---- disposing

    [Fact]
    public void A_disposed_context_says_so()
    {
        using Model model = Model.Open(TestData.TinyModel("llama"), cancellationToken: Stop);
        InferenceContext context = new(model);
        int sequence = context.CreateSequence();
        context.Dispose();
        context.Dispose();
        Action[] calls =
        [
            () => context.CreateSequence(), () => context.ForkSequence(sequence, 0), () => context.CutSequence(sequence, 0), () => context.DropSequence(sequence),
            () => context.SequenceLength(sequence), () => context.PagesNeeded(sequence, 1), () => context.SaveSequence(sequence), () => context.LoadSequence([1]),
            () => context.GetStatistics(), () => _ = context.PagesFree, () => context.Decode([1], [sequence], [0], [], [], Stop), () => context.Decode([1], [sequence], [0], [], []),
        ];
        Assert.All(calls, call => Assert.Throws<ObjectDisposedException>(call));
        context.Interrupt(); // whoever interrupts may come late
        Assert.Equal(320, context.VocabularySize);
    }

    [Fact]
    public void A_context_outlives_its_model()
    {
        Model model = Model.Open(TestData.TinyModel("llama"), cancellationToken: Stop);
        using InferenceContext context = new(model);
        model.Dispose();
        Assert.Throws<ObjectDisposedException>(() => new InferenceContext(model));
        float[] logits = new float[context.VocabularySize];
        Assert.True(Append(context, context.CreateSequence(), [1, 2, 3], [0, 0, 1], logits));
        Assert.All(logits, value => Assert.True(float.IsFinite(value)));
    }

    [Fact]
    public void Disposing_during_a_step_takes_effect_when_it_returns()
    {
        using Model model = Model.Open(TestData.StoryModel, cancellationToken: Stop);
        int during = 0;
        for (int attempt = 0; attempt < 1000 && during < 1; attempt++)
        {
            InferenceContext context = new(model, new ContextOptions { ContextLength = 256, MaxBatchRows = 256, Threads = 1 });
            int sequence = context.CreateSequence();
            float[] logits = new float[context.VocabularySize];
            int[] tokens = new int[250], sequences = Filled(250, sequence), positions = Positions(0, 250);
            byte[] outputs = LastOf(250); // in the thread nothing but the step touches the context
            Exception? failure = null;
            int returned = 0;
            Thread stepper = new(() =>
            {
                try
                {
                    context.Decode(tokens, sequences, positions, outputs, logits, Stop);
                }
                catch (Exception e)
                {
                    failure = e;
                }
                Volatile.Write(ref returned, 1);
            });
            stepper.Start();
            bool busy = false;
            while (!busy && Volatile.Read(ref returned) == 0)
                busy = IsBusy(context);
            context.Dispose();
            stepper.Join();
            if (failure is NativeGenException { Code: NativeGenErrorCode.Busy })
                continue; // it met IsBusy
            Assert.True(failure is null or ObjectDisposedException, failure?.ToString());
            if (busy)
            {
                Assert.Null(failure);
                Assert.Contains(logits, value => value != 0);
                during++;
            }
        }
        Assert.Equal(1, during);
    }

    [Fact]
    public void Disposing_from_many_threads_while_others_call_ends_in_ObjectDisposedException()
    {
        using Model model = Model.Open(TestData.TinyModel("llama"), cancellationToken: Stop);
        for (int round = 0; round < 50; round++)
        {
            InferenceContext context = new(model, new ContextOptions { Threads = 1 });
            Thread[] callers = [.. Enumerable.Range(0, 4).Select(i => new Thread(() =>
            {
                try
                {
                    while (true)
                    {
                        try
                        {
                            int sequence = context.CreateSequence();
                            context.Decode([1], [sequence], [0], [], [], Stop);
                            context.DropSequence(sequence);
                            if (i == 0 && Environment.TickCount % 3 == 0)
                                context.Dispose();
                        }
                        catch (NativeGenException e) when (e.Code == NativeGenErrorCode.Busy)
                        {
                        }
                    }
                }
                catch (ObjectDisposedException)
                {
                }
            }))];
            foreach (Thread caller in callers)
                caller.Start();
            Thread.Sleep(1);
            context.Dispose();
            foreach (Thread caller in callers)
                caller.Join();
        }
    }

    [Fact]
    public void What_is_forgotten_is_collected_in_any_order()
    {
        for (int i = 0; i < 20; i++)
            Forget();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        using Model model = Model.Open(TestData.TinyModel("llama"), cancellationToken: Stop);
        using InferenceContext context = new(model);
        Assert.True(Append(context, context.CreateSequence(), [1], []));

        static void Forget()
        {
            InferenceContext context = new(Model.Open(TestData.TinyModel("llama"), cancellationToken: Stop));
            Append(context, context.CreateSequence(), [1, 2, 3], []);
        }
    }

    // ---- helpers

    private static bool Append(InferenceContext context, int sequence, int[] tokens, float[] logits) =>
        Append(context, sequence, tokens, logits.Length == 0 ? new byte[tokens.Length] : [.. Enumerable.Repeat((byte)1, tokens.Length)], logits);

    private static bool Append(InferenceContext context, int sequence, int[] tokens, byte[] outputs, float[] logits) =>
        context.Decode(tokens, Filled(tokens.Length, sequence), Positions(context.SequenceLength(sequence), tokens.Length), outputs, logits, Stop);

    private static int[] Filled(int count, int value) => [.. Enumerable.Repeat(value, count)];

    private static int[] Positions(int first, int count) => [.. Enumerable.Range(first, count)];

    private static byte[] LastOf(int count)
    {
        byte[] outputs = new byte[count];
        outputs[^1] = 1;
        return outputs;
    }

    private static bool IsBusy(InferenceContext context)
    {
        try
        {
            context.GetStatistics();
            return false;
        }
        catch (NativeGenException e) when (e.Code == NativeGenErrorCode.Busy)
        {
            return true;
        }
    }
}
