// Opening models: what they say of themselves, progress, cancel, refusals, and the report of the machine they run on.
using System.Text.Json;
using NativeGen.Models;

namespace NativeGen.Tests.Models;

public sealed class ModelTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("nativegen-model-").FullName;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("llama", "llama"), InlineData("llama3", "llama"), InlineData("gpt2", "gpt2")]
    public void Info_is_what_the_description_says(string name, string architecture)
    {
        using JsonDocument description = JsonDocument.Parse(File.ReadAllBytes(Path.ChangeExtension(TestData.TinyModel(name), ".json")));
        JsonElement keys = description.RootElement.GetProperty("gguf_keys");
        int Key(string key) => keys.GetProperty($"{architecture}.{key}").GetInt32();
        using Model model = Model.Open(TestData.TinyModel(name), cancellationToken: Stop);
        ModelInfo info = model.Info;
        Assert.Equal(architecture, info.Architecture);
        Assert.Equal(320, info.VocabularySize);
        Assert.Equal(Key("context_length"), info.TrainedContextLength);
        Assert.Equal(Key("embedding_length"), info.EmbeddingLength);
        Assert.Equal(Key("block_count"), info.LayerCount);
        Assert.Equal(Key("attention.head_count"), info.HeadCount);
        Assert.Equal(new FileInfo(TestData.TinyModel(name)).Length, info.FileBytes);
        Assert.Equal(model.File.Tensors.Sum(t => t.ElementCount), info.ParameterCount);
        Assert.InRange(info.WeightBytes, 1, info.FileBytes);
        Assert.NotEmpty(info.Name);
        Assert.Equal(TestData.TinyModel(name), info.Path);
        Assert.Equal(CpuInfo.Read().InstructionSet, info.InstructionSet);
    }

    [Fact]
    public void The_hash_tells_models_apart_and_nothing_else()
    {
        string copy = Path.Combine(_folder, "copy.gguf");
        File.Copy(TestData.TinyModel("llama"), copy);
        using Model a = Model.Open(TestData.TinyModel("llama"), cancellationToken: Stop), b = Model.Open(copy, new ModelOptions { MemoryMap = false }, cancellationToken: Stop),
            c = Model.Open(TestData.TinyModel("mistral"), cancellationToken: Stop);
        Assert.Equal(a.Info.Hash, b.Info.Hash);
        Assert.NotEqual(a.Info.Hash, c.Info.Hash);
    }

    [Fact]
    public void Progress_rises_to_one_and_ends_with_the_call()
    {
        for (int i = 0; i < 20; i++)
        {
            Recorder progress = new();
            using Model model = Model.Open(TestData.StoryModel, progress: progress, cancellationToken: Stop);
            float[] values = progress.Values;
            Assert.Equal(1f, values[^1]);
            Assert.Equal(values.Order(), values);
            Assert.All(values, value => Assert.InRange(value, 0, 1));
            Thread.Sleep(1);
            Assert.Equal(values.Length, progress.Values.Length);
        }
    }

    [Fact]
    public void A_throwing_receiver_of_progress_ends_opening_with_its_exception()
    {
        for (int i = 0; i < 20; i++)
        {
            Recorder progress = new() { OnReport = static _ => throw new InvalidTimeZoneException() };
            Assert.Throws<InvalidTimeZoneException>(() => Model.Open(TestData.StoryModel, progress: progress, cancellationToken: Stop));
        }
    }

    [Fact]
    public void Opening_can_be_cancelled()
    {
        using CancellationTokenSource source = new();
        source.Cancel();
        Assert.Throws<OperationCanceledException>(() => Model.Open(TestData.StoryModel, cancellationToken: source.Token));
    }

    [Fact]
    public void Opening_a_larger_model_can_be_cancelled_on_the_way()
    {
        string path = TestData.Shared("models", "smollm2-135m-instruct.q4_1.gguf");
        int cancelled = 0;
        for (int attempt = 0; attempt < 20 && cancelled == 0; attempt++)
        {
            using CancellationTokenSource source = new();
            source.CancelAfter(TimeSpan.FromMilliseconds(20 + attempt * 10));
            try
            {
                Model.Open(path, cancellationToken: source.Token).Dispose();
            }
            catch (OperationCanceledException e)
            {
                Assert.Equal(source.Token, e.CancellationToken);
                cancelled++;
            }
        }
        Assert.Equal(1, cancelled);
    }

    [Fact]
    public void What_cannot_be_opened_says_why()
    {
        string text = Path.Combine(_folder, "text.gguf"), empty = Path.Combine(_folder, "empty.gguf"), cut = Path.Combine(_folder, "cut.gguf");
        File.WriteAllText(text, "no model, only text that is longer than a header of a model file");
        File.WriteAllBytes(empty, []);
        File.WriteAllBytes(cut, File.ReadAllBytes(TestData.TinyModel("llama"))[..300_000]);
        Assert.Equal(NativeGenErrorCode.InvalidModel, Refusal(text).Code);
        Assert.Equal(NativeGenErrorCode.InvalidModel, Refusal(empty).Code);
        Assert.Equal(NativeGenErrorCode.InvalidModel, Refusal(cut).Code);
        Assert.Equal(NativeGenErrorCode.ModelNotFound, Refusal(Path.Combine(_folder, "none.gguf")).Code);
        NativeGenErrorCode folder = Refusal(_folder).Code;
        Assert.True(folder is NativeGenErrorCode.ModelNotFound or NativeGenErrorCode.InvalidModel, folder.ToString());
        Assert.Throws<ArgumentException>(() => Model.Open("", cancellationToken: Stop));
        Assert.Throws<ArgumentException>(() => Model.Open("a\0b", cancellationToken: Stop));
        Assert.Throws<ArgumentOutOfRangeException>(() => Model.Open(TestData.StoryModel, new ModelOptions { Threads = -1 }, cancellationToken: Stop));
        Assert.ThrowsAny<ArgumentException>(() => Model.Open(TestData.StoryModel, new ModelOptions { Threads = 1_000_000 }, cancellationToken: Stop));
    }

    [Fact]
    public void An_architecture_that_is_not_there_is_named()
    {
        NativeGenException e = Refusal(TestData.Shared("fixtures", "arch", "rwkv7.gguf"));
        Assert.Equal(NativeGenErrorCode.UnsupportedArchitecture, e.Code);
        Assert.Contains("rwkv7", e.Message);
        Assert.DoesNotContain('\n', e.Message);
    }

    private static NativeGenException Refusal(string path)
    {
        NativeGenException e = Assert.Throws<NativeGenException>(() => Model.Open(path, cancellationToken: Stop));
        Assert.Equal(e.Code, Assert.Throws<NativeGenException>(() => Model.EstimateMemory(path)).Code);
        Assert.Contains(Path.GetFileName(path), e.Message);
        return e;
    }

    [Fact]
    public void The_tokenizer_is_the_opened_files_even_after_it_was_replaced()
    {
        string path = Path.Combine(_folder, "model.gguf"), next = Path.Combine(_folder, "next.gguf");
        File.Copy(TestData.TinyModel("llama"), path);
        File.Copy(TestData.TinyModel("gpt2"), next);
        using Model model = Model.Open(path, cancellationToken: Stop);
        File.Move(next, path, overwrite: true);
        using Model reference = Model.Open(TestData.TinyModel("llama"), cancellationToken: Stop);
        Assert.Equal(reference.Tokenizer.Encode("The lamp was lit."), model.Tokenizer.Encode("The lamp was lit."));
        Assert.Same(model.Tokenizer, model.Tokenizer);
    }

    [Fact]
    public void A_disposed_model_keeps_its_tokenizer_but_makes_none()
    {
        Model made = Model.Open(TestData.TinyModel("llama"), cancellationToken: Stop), unmade = Model.Open(TestData.TinyModel("llama"), cancellationToken: Stop);
        _ = made.Tokenizer;
        made.Dispose();
        unmade.Dispose();
        unmade.Dispose();
        Assert.NotEmpty(made.Tokenizer.Encode("lamp"));
        Assert.Throws<ObjectDisposedException>(() => unmade.Tokenizer);
        Assert.Equal("llama", unmade.Info.Architecture);
    }

    [Fact]
    public void The_device_report_fits_together()
    {
        DeviceReport report = DeviceReport.Create();
        Assert.Matches(@"^\d+\.\d+\.\d+ ", report.Build);
        Assert.True(report.LibraryPath is null || File.Exists(report.LibraryPath));
        CpuInfo cpu = report.Cpu;
        Assert.Contains(cpu.InstructionSet, cpu.AvailableInstructionSets);
        Assert.Contains("scalar", cpu.AvailableInstructionSets);
        Assert.InRange(cpu.LogicalProcessors, 1, Environment.ProcessorCount * 64);
        Assert.InRange(cpu.PhysicalCores, 1, cpu.LogicalProcessors);
        Assert.InRange(cpu.DefaultThreads, 1, cpu.LogicalProcessors);
        Assert.InRange(CpuInfo.MeasureBandwidth(1, 4 << 20), 0.01, 10_000);
        Assert.Throws<ArgumentOutOfRangeException>(() => CpuInfo.MeasureBandwidth(-1));
        Assert.Throws<ArgumentOutOfRangeException>(() => CpuInfo.MeasureBandwidth(0, -1));
        Assert.Equal(NativeGenErrorCode.OutOfMemory, Assert.Throws<NativeGenException>(() => CpuInfo.MeasureBandwidth(1, 1L << 50)).Code);
    }

    private sealed class Recorder : IProgress<float>
    {
        private readonly List<float> _values = [];

        public Action<float>? OnReport { get; init; }

        public float[] Values
        {
            get
            {
                lock (_values)
                    return [.. _values];
            }
        }

        public void Report(float value)
        {
            lock (_values)
                _values.Add(value);
            OnReport?.Invoke(value);
        }
    }
}
