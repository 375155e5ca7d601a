// The boundary of models and contexts: whatever a caller passes, a status comes back, nothing has changed and the process lives.
using NativeGen.Interop;

namespace NativeGen.Tests.Interop;

public sealed unsafe class ModelBoundaryTests : IDisposable
{
    private const int Vocabulary = 320, ContextLength = 128;

    private readonly nint _model;
    private readonly nint _context;

    public ModelBoundaryTests()
    {
        NgError error = new();
        nint model = 0, context = 0;
        NativeStatus status = Raw.ng_model_open(LlamaPath, null, 0, &model, &error);
        Assert.True(status == NativeStatus.Ok, error.Message);
        NgContextOptions options = new() { ContextLength = ContextLength, CacheTokens = 4 * ContextLength, BatchRows = 32 };
        status = Raw.ng_context_create(model, &options, &context, &error);
        Assert.True(status == NativeStatus.Ok, error.Message);
        (_model, _context) = (model, context);
    }

    public void Dispose()
    {
        Raw.ng_model_close(_model); // first, on purpose: the context holds it
        Raw.ng_context_close(_context);
    }

    private static byte* LlamaPath => Raw.Text(TestData.TinyModel("llama"));

    // ---- models

    [Fact]
    public void Opening_refuses_null_wrong_sizes_and_unknown_options()
    {
        NgError error = new();
        nint model = 7;
        NgModelOptions options = new();
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_model_open(null, &options, 0, &model, &error));
        Assert.Equal(0, model);
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_model_open(LlamaPath, &options, 0, null, &error));
        Assert.Equal(NativeStatus.NotFound, Raw.ng_model_open(Raw.Text("/no/such.gguf"), &options, 0, &model, &error));
        foreach (uint size in Raw.WrongSizes<NgModelOptions>())
        {
            options = new() { StructSize = size };
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_model_open(LlamaPath, &options, 0, &model, &error));
        }
        foreach (uint flags in new uint[] { 8, 16, 1u << 31, uint.MaxValue })
        {
            options = new() { Flags = (NgModelFlags)flags };
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_model_open(LlamaPath, &options, 0, &model, &error));
        }
        foreach (uint threads in new uint[] { 100_000, uint.MaxValue })
        {
            options = new() { Threads = threads };
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_model_open(LlamaPath, &options, 0, &model, &error));
        }
        options = new() { Reserved = 1 };
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_model_open(LlamaPath, &options, 0, &model, &error));
        Assert.Equal(0, model);
        Raw.ng_model_close(0);
    }

    [Theory]
    [InlineData(0), InlineData(1), InlineData(2), InlineData(3), InlineData(4), InlineData(5), InlineData(6), InlineData(7)]
    public void Every_combination_of_options_opens_and_decodes(uint flags)
    {
        NgError error = new();
        nint model = 0, context = 0;
        NgModelOptions options = new() { Flags = (NgModelFlags)flags };
        Assert.Equal(NativeStatus.Ok, Raw.ng_model_open(LlamaPath, &options, 0, &model, &error));
        Assert.Equal(NativeStatus.Ok, Raw.ng_context_create(model, null, &context, &error));
        int seq;
        Assert.Equal(NativeStatus.Ok, Raw.ng_seq_create(context, &seq, &error));
        float[] logits = new float[Vocabulary];
        Assert.Equal(NativeStatus.Ok, Decode(context, [1], [seq], [0], [1], logits, &error));
        Assert.All(logits, value => Assert.True(float.IsFinite(value)));
        Raw.ng_context_close(context);
        Raw.ng_model_close(model);
    }

    [Fact]
    public void A_cancelled_task_ends_opening()
    {
        NgError error = new();
        nint task = 0, model = 7;
        Assert.Equal(NativeStatus.Ok, Raw.ng_task_create(&task, &error));
        Raw.ng_task_cancel(task);
        Assert.Equal(NativeStatus.Cancelled, Raw.ng_model_open(LlamaPath, null, task, &model, &error));
        Assert.Equal(0, model);
        Raw.ng_task_reset(task);
        Assert.Equal(NativeStatus.Ok, Raw.ng_model_open(LlamaPath, null, task, &model, &error));
        Assert.Equal(1f, Raw.ng_task_progress(task));
        Raw.ng_model_close(model);
        Raw.ng_task_close(task);
    }

    [Fact]
    public void Model_info_refuses_null_and_wrong_sizes()
    {
        NgError error = new();
        NgModelInfo info = new();
        Assert.Equal(NativeStatus.Ok, Raw.ng_model_get_info(_model, &info, &error));
        Assert.Equal((uint)Vocabulary, info.VocabularySize);
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_model_get_info(0, &info, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_model_get_info(_model, null, &error));
        foreach (uint size in Raw.WrongSizes<NgModelInfo>())
        {
            info.StructSize = size;
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_model_get_info(_model, &info, &error));
        }
    }

    [Fact]
    public void The_models_file_outlives_the_model()
    {
        NgError error = new();
        nint model = 0, gguf = 7;
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_model_get_gguf(0, &gguf, &error));
        Assert.Equal(0, gguf);
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_model_get_gguf(_model, null, &error));
        Assert.Equal(NativeStatus.Ok, Raw.ng_model_open(LlamaPath, null, 0, &model, &error));
        Assert.Equal(NativeStatus.Ok, Raw.ng_model_get_gguf(model, &gguf, &error));
        Raw.ng_model_close(model);
        NgGgufInfo info = new();
        Assert.Equal(NativeStatus.Ok, Raw.ng_gguf_get_info(gguf, &info, &error));
        Assert.Equal(21ul, info.TensorCount);
        Raw.ng_gguf_close(gguf);
    }

    [Fact]
    public void The_estimate_refuses_what_opening_and_creating_refuse()
    {
        NgError error = new();
        NgModelOptions model = new();
        NgContextOptions context = new();
        NgMemoryEstimate estimate = new();
        Assert.Equal(NativeStatus.Ok, Raw.ng_memory_get_estimate(LlamaPath, &model, &context, &estimate, &error));
        Assert.Equal(NativeStatus.Ok, Raw.ng_memory_get_estimate(LlamaPath, null, null, &estimate, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_memory_get_estimate(null, &model, &context, &estimate, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_memory_get_estimate(LlamaPath, &model, &context, null, &error));
        Assert.Equal(NativeStatus.NotFound, Raw.ng_memory_get_estimate(Raw.Text("/no/such.gguf"), &model, &context, &estimate, &error));
        foreach (uint size in Raw.WrongSizes<NgMemoryEstimate>())
        {
            estimate.StructSize = size;
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_memory_get_estimate(LlamaPath, &model, &context, &estimate, &error));
        }
        estimate = new();
        foreach (uint size in Raw.WrongSizes<NgModelOptions>())
        {
            model.StructSize = size;
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_memory_get_estimate(LlamaPath, &model, &context, &estimate, &error));
        }
        model = new();
        foreach (uint size in Raw.WrongSizes<NgContextOptions>())
        {
            context.StructSize = size;
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_memory_get_estimate(LlamaPath, &model, &context, &estimate, &error));
        }
        context = new() { KvType = 3 };
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_memory_get_estimate(LlamaPath, &model, &context, &estimate, &error));
    }

    // ---- contexts

    [Fact]
    public void Creating_a_context_refuses_null_wrong_sizes_and_wild_numbers()
    {
        NgError error = new();
        nint context = 7;
        NgContextOptions options = new();
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_context_create(0, &options, &context, &error));
        Assert.Equal(0, context);
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_context_create(_model, &options, null, &error));
        foreach (uint size in Raw.WrongSizes<NgContextOptions>())
        {
            options = new() { StructSize = size };
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_context_create(_model, &options, &context, &error));
        }
        foreach (uint type in new uint[] { 3, 30, uint.MaxValue })
        {
            options = new() { KvType = type };
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_context_create(_model, &options, &context, &error));
        }
        Action<NgContextOptions> refused = wild =>
        {
            NgError why = new();
            nint none = 7;
            NativeStatus status = Raw.ng_context_create(_model, &wild, &none, &why);
            Assert.True(status is NativeStatus.InvalidArgument or NativeStatus.OutOfMemory or NativeStatus.ContextOverflow, $"{status}: {why.Message}");
            Assert.NotEmpty(why.Message);
            Assert.Equal(0, none);
        };
        refused(new() { ContextLength = uint.MaxValue });
        refused(new() { CacheTokens = uint.MaxValue });
        refused(new() { BatchRows = uint.MaxValue });
        refused(new() { Threads = uint.MaxValue });
        refused(new() { Threads = 100_000 });
        refused(new() { ContextLength = 1u << 31, CacheTokens = 1u << 31, BatchRows = 1u << 31 });
        Raw.ng_context_close(0);
    }

    [Fact]
    public void A_null_context_is_refused_by_every_call()
    {
        NgError error = new();
        NgContextStats stats = new();
        int seq;
        uint number;
        nuint needed;
        byte* bytes = stackalloc byte[64];
        NgBatch batch = new();
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_context_get_stats(0, &stats, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_seq_create(0, &seq, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_seq_drop(0, 0, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_seq_fork(0, 0, 0, &seq, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_seq_cut(0, 0, 0, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_seq_get_length(0, 0, &number, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_seq_get_pages_needed(0, 0, 1, &number, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_context_decode(0, &batch, null, 0, 0, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_seq_save(0, 0, bytes, 64, &needed, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_seq_load(0, bytes, 64, &seq, &error));
        Assert.NotEmpty(error.Message);
    }

    [Fact]
    public void Outputs_that_are_null_or_of_wrong_size_are_refused()
    {
        NgError error = new();
        int seq = NewSequence();
        NgContextStats stats = new();
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_context_get_stats(_context, null, &error));
        foreach (uint size in Raw.WrongSizes<NgContextStats>())
        {
            stats.StructSize = size;
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_context_get_stats(_context, &stats, &error));
        }
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_seq_create(_context, null, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_seq_fork(_context, seq, 0, null, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_seq_get_length(_context, seq, null, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_seq_get_pages_needed(_context, seq, 1, null, &error));
        Assert.Equal(1u, Stats().SequenceCount); // nothing was created on the way
    }

    [Fact]
    public void Unknown_sequences_are_refused_by_every_call()
    {
        NgError error = new();
        byte* bytes = stackalloc byte[64];
        int dropped = NewSequence();
        Assert.Equal(NativeStatus.Ok, Raw.ng_seq_drop(_context, dropped, &error));
        foreach (int unknown in new[] { dropped, -1, 12345, int.MinValue, int.MaxValue })
        {
            int seq = 7;
            uint number;
            nuint needed;
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_seq_drop(_context, unknown, &error));
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_seq_fork(_context, unknown, 0, &seq, &error));
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_seq_cut(_context, unknown, 0, &error));
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_seq_get_length(_context, unknown, &number, &error));
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_seq_get_pages_needed(_context, unknown, 1, &number, &error));
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_seq_save(_context, unknown, bytes, 64, &needed, &error));
            Assert.Equal(NativeStatus.InvalidArgument, Decode(_context, [1], [unknown], [0], [0], [], &error));
            Assert.NotEmpty(error.Message);
        }
    }

    [Fact]
    public void Keeping_more_than_there_is_is_refused()
    {
        NgError error = new();
        int seq = NewSequence(tokens: 5), fork;
        foreach (uint keep in new uint[] { 6, 1000, 1u << 31, uint.MaxValue })
        {
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_seq_cut(_context, seq, keep, &error));
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_seq_fork(_context, seq, keep, &fork, &error));
        }
        Assert.Equal(5u, Length(seq));
        Assert.Equal(NativeStatus.Ok, Raw.ng_seq_fork(_context, seq, 5, &fork, &error));
        Assert.Equal(NativeStatus.Ok, Raw.ng_seq_cut(_context, seq, 0, &error));
        Assert.Equal((0u, 5u), (Length(seq), Length(fork)));
    }

    [Fact]
    public void Pages_needed_takes_any_number()
    {
        NgError error = new();
        int seq = NewSequence(tokens: 5);
        uint pages;
        Assert.Equal(NativeStatus.Ok, Raw.ng_seq_get_pages_needed(_context, seq, 0, &pages, &error));
        Assert.Equal(0u, pages);
        foreach (uint added in new uint[] { 1000, 1u << 31, uint.MaxValue - 4, uint.MaxValue })
        {
            NativeStatus status = Raw.ng_seq_get_pages_needed(_context, seq, added, &pages, &error);
            Assert.True(status == NativeStatus.InvalidArgument || status == NativeStatus.ContextOverflow || (status == NativeStatus.Ok && pages >= added / 4096), $"{added}: {status}, {pages}");
        }
    }

    // ---- decode

    [Fact]
    public void Decode_refuses_null_arrays_and_wrong_sizes()
    {
        NgError error = new();
        int token = 1, seq = NewSequence(), position = 0;
        byte wanted = 1;
        float* logits = stackalloc float[Vocabulary];
        NgBatch batch = new() { RowCount = 1, Tokens = &token, Sequences = &seq, Positions = &position, Outputs = &wanted };
        NgBatch b;
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_context_decode(_context, null, logits, Vocabulary, 0, &error));
        b = batch; b.Tokens = null;
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_context_decode(_context, &b, logits, Vocabulary, 0, &error));
        b = batch; b.Sequences = null;
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_context_decode(_context, &b, logits, Vocabulary, 0, &error));
        b = batch; b.Positions = null;
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_context_decode(_context, &b, logits, Vocabulary, 0, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_context_decode(_context, &batch, null, Vocabulary, 0, &error));
        foreach (nuint count in new nuint[] { 0, 1, Vocabulary - 1 })
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_context_decode(_context, &batch, logits, count, 0, &error));
        foreach (uint rows in new uint[] { 0, 33, 100_000, 1u << 30, 1u << 31, uint.MaxValue }) // more than n_batch is refused before an array is read
        {
            b = batch; b.RowCount = rows;
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_context_decode(_context, &b, logits, Vocabulary, 0, &error));
        }
        foreach (uint size in Raw.WrongSizes<NgBatch>())
        {
            b = batch; b.StructSize = size;
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_context_decode(_context, &b, logits, Vocabulary, 0, &error));
        }
        foreach (byte output in new byte[] { 2, 128, 255 })
        {
            wanted = output;
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_context_decode(_context, &batch, logits, Vocabulary, 0, &error));
        }
        Assert.Equal(0u, Length(seq));
        b = batch; b.Outputs = null;
        Assert.Equal(NativeStatus.Ok, Raw.ng_context_decode(_context, &b, null, 0, 0, &error));
        Assert.Equal(1u, Length(seq));
    }

    [Fact]
    public void Decode_refuses_wild_tokens_and_positions_and_changes_nothing()
    {
        NgError error = new();
        int seq = NewSequence(tokens: 5), other = NewSequence(tokens: 2);
        float[] logits = new float[8 * Vocabulary];
        foreach (int token in new[] { -1, Vocabulary, 1 << 20, int.MinValue, int.MaxValue })
        {
            Assert.Equal(NativeStatus.InvalidArgument, Decode(_context, [token], [seq], [5], [1], logits, &error));
            Assert.Equal(NativeStatus.InvalidArgument, Decode(_context, [1, 1, token], [seq, other, seq], [5, 2, 6], [1, 1, 1], logits, &error));
        }
        foreach (int position in new[] { 4, 6, 0, -1, int.MinValue, int.MaxValue })
        {
            NativeStatus status = Decode(_context, [1], [seq], [position], [1], logits, &error);
            Assert.True(status == NativeStatus.InvalidArgument, $"position {position}: {status}");
        }
        Assert.Equal(NativeStatus.InvalidArgument, Decode(_context, [1, 1], [seq, seq], [5, 5], [1, 1], logits, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Decode(_context, [1, 1], [seq, seq], [6, 5], [1, 1], logits, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Decode(_context, [1, 1], [seq, other], [5, 3], [1, 1], logits, &error));
        Assert.Equal((5u, 2u), (Length(seq), Length(other)));
        Assert.Equal(NativeStatus.Ok, Decode(_context, [1, 1, 1], [seq, other, seq], [5, 2, 6], [1, 0, 1], logits, &error));
        Assert.Equal((7u, 3u), (Length(seq), Length(other)));
    }

    [Fact]
    public void A_sequence_ends_at_the_context_length()
    {
        NgError error = new();
        int seq = NewSequence();
        float[] logits = new float[Vocabulary];
        for (int position = 0; position < ContextLength; position++)
            Assert.Equal(NativeStatus.Ok, Decode(_context, [1], [seq], [position], [0], [], &error));
        Assert.Equal(NativeStatus.ContextOverflow, Decode(_context, [1], [seq], [ContextLength], [1], logits, &error));
        Assert.Contains("128", error.Message);
        Assert.Equal((uint)ContextLength, Length(seq));
    }

    [Fact]
    public void A_step_without_room_changes_nothing()
    {
        NgError error = new();
        NgContextOptions options = new() { ContextLength = ContextLength, CacheTokens = ContextLength, BatchRows = ContextLength };
        nint context = 0;
        Assert.Equal(NativeStatus.Ok, Raw.ng_context_create(_model, &options, &context, &error));
        int a, b;
        Assert.Equal(NativeStatus.Ok, Raw.ng_seq_create(context, &a, &error));
        Assert.Equal(NativeStatus.Ok, Raw.ng_seq_create(context, &b, &error));
        int[] positions = [.. Enumerable.Range(0, 100)];
        Assert.Equal(NativeStatus.Ok, Decode(context, Fill(100, 1), Fill(100, a), positions, new byte[100], [], &error));
        Assert.Equal(NativeStatus.NoRoom, Decode(context, Fill(100, 1), Fill(100, b), positions, new byte[100], [], &error));
        uint length;
        Raw.ng_seq_get_length(context, b, &length, &error);
        Assert.Equal(0u, length);
        Assert.Equal(NativeStatus.Ok, Raw.ng_seq_drop(context, a, &error));
        Assert.Equal(NativeStatus.Ok, Decode(context, Fill(100, 1), Fill(100, b), positions, new byte[100], [], &error));
        Raw.ng_context_close(context);
    }

    [Fact]
    public void A_cancelled_step_changes_nothing()
    {
        NgError error = new();
        nint task = 0;
        int seq = NewSequence(tokens: 5);
        float[] logits = new float[Vocabulary], again = new float[Vocabulary];
        Assert.Equal(NativeStatus.Ok, Raw.ng_task_create(&task, &error));
        Raw.ng_task_cancel(task);
        Assert.Equal(NativeStatus.Cancelled, Decode(_context, [1], [seq], [5], [1], logits, &error, task));
        Assert.Equal(5u, Length(seq));
        Raw.ng_task_reset(task);
        Assert.Equal(NativeStatus.Ok, Decode(_context, [1], [seq], [5], [1], again, &error, task));
        Raw.ng_task_close(task);
    }

    // ---- threads

    [Fact]
    public void A_second_caller_is_told_to_wait()
    {
        NgError error = new();
        nint model = 0, created = 0;
        Assert.Equal(NativeStatus.Ok, Raw.ng_model_open(Raw.Text(TestData.StoryModel), null, 0, &model, &error));
        NgContextOptions options = new() { ContextLength = 256, BatchRows = 256 };
        Assert.Equal(NativeStatus.Ok, Raw.ng_context_create(model, &options, &created, &error));
        Raw.ng_model_close(model);
        nint context = created;
        int seq;
        Assert.Equal(NativeStatus.Ok, Raw.ng_seq_create(context, &seq, &error));
        int sequence = seq, stop = 0, busy = 0, ok = 0;
        string? wrong = null;
        Thread meddler = new(() =>
        {
            while (Volatile.Read(ref stop) == 0)
            {
                NgError why = new();
                uint length;
                int created;
                NgContextStats stats = new();
                foreach (NativeStatus status in new[]
                {
                    Raw.ng_seq_get_length(context, sequence, &length, &why),
                    Raw.ng_context_get_stats(context, &stats, &why),
                    Raw.ng_seq_fork(context, sequence, 0, &created, &why),
                    Decode(context, [1], [sequence], [1000], [0], [], &why),
                })
                {
                    if (status is not (NativeStatus.Ok or NativeStatus.Busy or NativeStatus.InvalidArgument or NativeStatus.ContextOverflow))
                        wrong = status.ToString();
                    if (status == NativeStatus.Busy)
                        busy++;
                    else
                        ok++;
                }
            }
        });
        meddler.Start();
        int[] positions = [.. Enumerable.Range(0, 200)];
        int done = 0;
        for (long end = Environment.TickCount64 + 120_000; Environment.TickCount64 < end && (done < 5 || busy == 0);)
        {
            NativeStatus status = Decode(context, Fill(200, 1), Fill(200, sequence), positions, new byte[200], [], &error);
            Assert.True(status is NativeStatus.Ok or NativeStatus.Busy, $"{status}: {error.Message}");
            if (status != NativeStatus.Ok)
                continue;
            done++;
            while (Raw.ng_seq_cut(context, sequence, 0, &error) == NativeStatus.Busy) { }
        }
        Volatile.Write(ref stop, 1);
        meddler.Join();
        Assert.Null(wrong);
        Assert.True(done > 0 && busy > 0, $"{done} steps, {busy} busy, {ok} let through");
        Raw.ng_context_close(context);
    }

    [Fact]
    public void Contexts_of_one_model_work_at_the_same_time()
    {
        float[] expected = Run();
        Parallel.For(0, 8, new ParallelOptions { MaxDegreeOfParallelism = 4 }, _ => Assert.Equal(expected, Run()));

        float[] Run()
        {
            NgError error = new();
            nint context = 0;
            int seq;
            Assert.Equal(NativeStatus.Ok, Raw.ng_context_create(_model, null, &context, &error));
            Assert.Equal(NativeStatus.Ok, Raw.ng_seq_create(context, &seq, &error));
            float[] logits = new float[Vocabulary];
            for (int position = 0; position < 20; position++)
                Assert.Equal(NativeStatus.Ok, Decode(context, [10 + position], [seq], [position], [1], logits, &error));
            Raw.ng_context_close(context);
            return logits;
        }
    }

    // ---- saved sequences

    [Fact]
    public void Saving_and_loading_refuse_null_damage_and_other_models()
    {
        NgError error = new();
        int seq = NewSequence(tokens: 10), loaded = 7;
        nuint needed = 0;
        Assert.Equal(NativeStatus.BufferTooSmall, Raw.ng_seq_save(_context, seq, null, 0, &needed, &error));
        Assert.Equal(NativeStatus.BufferTooSmall, Raw.ng_seq_save(_context, seq, null, nuint.MaxValue, &needed, &error));
        byte[] state = new byte[needed];
        fixed (byte* bytes = state)
        {
            Assert.Equal(NativeStatus.BufferTooSmall, Raw.ng_seq_save(_context, seq, bytes, needed - 1, &needed, &error));
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_seq_save(_context, seq, bytes, needed, null, &error));
            Assert.Equal(NativeStatus.Ok, Raw.ng_seq_save(_context, seq, bytes, needed, &needed, &error));
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_seq_load(_context, null, needed, &loaded, &error));
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_seq_load(_context, bytes, needed, null, &error));
            Assert.Equal(NativeStatus.InvalidState, Raw.ng_seq_load(_context, bytes, 0, &loaded, &error));
            foreach (nuint cut in new nuint[] { 1, 4, 16, 64, needed - 1 })
                Assert.Equal(NativeStatus.InvalidState, Raw.ng_seq_load(_context, bytes, cut, &loaded, &error));
        }
        byte[] longer = [.. state, 0];
        fixed (byte* bytes = longer)
            Assert.Equal(NativeStatus.InvalidState, Raw.ng_seq_load(_context, bytes, (nuint)longer.Length, &loaded, &error));
        for (int i = 0; i < state.Length; i += i < 200 ? 1 : 997)
        {
            byte[] damaged = [.. state];
            damaged[i] ^= 0x40;
            fixed (byte* bytes = damaged)
                Assert.Equal(NativeStatus.InvalidState, Raw.ng_seq_load(_context, bytes, needed, &loaded, &error));
        }

        nint model = 0, context = 0;
        Assert.Equal(NativeStatus.Ok, Raw.ng_model_open(Raw.Text(TestData.TinyModel("mistral")), null, 0, &model, &error)); // the same shapes
        Assert.Equal(NativeStatus.Ok, Raw.ng_context_create(model, null, &context, &error));
        fixed (byte* bytes = state)
            Assert.Equal(NativeStatus.InvalidState, Raw.ng_seq_load(context, bytes, needed, &loaded, &error));
        Raw.ng_context_close(context);
        NgContextOptions f32 = new() { KvType = 1 };
        Assert.Equal(NativeStatus.Ok, Raw.ng_context_create(_model, &f32, &context, &error));
        fixed (byte* bytes = state)
            Assert.Equal(NativeStatus.InvalidState, Raw.ng_seq_load(context, bytes, needed, &loaded, &error));
        Raw.ng_context_close(context);
        Raw.ng_model_close(model);
        Assert.Equal(1u, Stats().SequenceCount);

        fixed (byte* bytes = state)
            Assert.Equal(NativeStatus.Ok, Raw.ng_seq_load(_context, bytes, needed, &loaded, &error));
        Assert.Equal(10u, Length(loaded));
        float[] original = new float[Vocabulary], restored = new float[Vocabulary];
        Assert.Equal(NativeStatus.Ok, Decode(_context, [5], [seq], [10], [1], original, &error));
        Assert.Equal(NativeStatus.Ok, Decode(_context, [5], [loaded], [10], [1], restored, &error));
        Assert.Equal(original, restored);
    }

    // ---- helpers

    private static int[] Fill(int count, int value)
    {
        int[] values = new int[count];
        Array.Fill(values, value);
        return values;
    }

    private static NativeStatus Decode(nint context, int[] tokens, int[] seqs, int[] positions, byte[] outputs, float[] logits, NgError* error, nint task = 0)
    {
        fixed (int* t = tokens, s = seqs, p = positions)
        fixed (byte* o = outputs)
        fixed (float* l = logits)
        {
            NgBatch batch = new() { RowCount = (uint)tokens.Length, Tokens = t, Sequences = s, Positions = p, Outputs = o };
            return Raw.ng_context_decode(context, &batch, l, (nuint)logits.Length, task, error);
        }
    }

    private int NewSequence(int tokens = 0)
    {
        NgError error = new();
        int seq;
        Assert.Equal(NativeStatus.Ok, Raw.ng_seq_create(_context, &seq, &error));
        if (tokens > 0)
            Assert.Equal(NativeStatus.Ok, Decode(_context, Fill(tokens, 3), Fill(tokens, seq), [.. Enumerable.Range(0, tokens)], new byte[tokens], [], &error));
        return seq;
    }

    private uint Length(int seq)
    {
        uint length;
        Assert.Equal(NativeStatus.Ok, Raw.ng_seq_get_length(_context, seq, &length, null));
        return length;
    }

    private NgContextStats Stats()
    {
        NgContextStats stats = new();
        Assert.Equal(NativeStatus.Ok, Raw.ng_context_get_stats(_context, &stats, null));
        return stats;
    }
}
