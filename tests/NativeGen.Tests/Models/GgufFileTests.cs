// GGUF metadata through the boundary: the same values that the fixtures' descriptions state, and typed refusals for everything else.
using System.Text;
using System.Text.Json;
using NativeGen.Models;

namespace NativeGen.Tests.Models;

public sealed class GgufFileTests
{
    public static TheoryData<string> TinyModels => ["llama", "llama3", "mistral", "gpt2"];

    [Theory, MemberData(nameof(TinyModels))]
    public void Values_are_those_of_the_description(string name) => CompareWithDescription(TestData.TinyModel(name));

    [Fact]
    public void Values_of_every_shared_model_are_those_of_its_description()
    {
        string folder = TestData.Shared("fixtures", "arch");
        string[] models = Directory.GetFiles(folder, "*.gguf");
        Assert.NotEmpty(models);
        Assert.All(models, CompareWithDescription);
    }

    private static void CompareWithDescription(string path)
    {
        using JsonDocument description = JsonDocument.Parse(File.ReadAllBytes(Path.ChangeExtension(path, ".json")));
        JsonElement root = description.RootElement;
        using GgufFile file = GgufFile.Open(path);
        Assert.Equal(root.GetProperty("arch").GetString(), file.GetString("general.architecture"));
        Assert.Equal(root.GetProperty("n_tensors").GetInt32(), file.Tensors.Length);
        Assert.Equal(new FileInfo(path).Length, file.FileBytes);
        Assert.Equal(root.GetProperty("tokenizer").GetProperty("n_vocab").GetInt32(), file.GetStrings("tokenizer.ggml.tokens")!.Length);
        int compared = 0;
        foreach (JsonProperty expected in root.GetProperty("gguf_keys").EnumerateObject())
        {
            AssertEqual(expected.Name, expected.Value, file);
            compared++;
        }
        Assert.True(compared > 0);
    }

    private static void AssertEqual(string key, JsonElement expected, GgufFile file)
    {
        switch (expected.ValueKind)
        {
            case JsonValueKind.Number:
                Assert.True(expected.GetDouble() == file.GetNumber<double>(key), $"{key}: {expected} is {file.GetValue(key)}");
                break;
            case JsonValueKind.String:
                Assert.Equal(expected.GetString(), file.GetString(key));
                break;
            case JsonValueKind.True or JsonValueKind.False:
                Assert.Equal(expected.GetBoolean(), file.GetBoolean(key));
                break;
            case JsonValueKind.Array when expected.EnumerateArray().All(e => e.ValueKind == JsonValueKind.Number):
                Assert.Equal(expected.EnumerateArray().Select(e => e.GetDouble()), file.GetNumbers<double>(key));
                break;
            case JsonValueKind.Array when expected.EnumerateArray().All(e => e.ValueKind == JsonValueKind.String):
                Assert.Equal(expected.EnumerateArray().Select(e => e.GetString()), file.GetStrings(key));
                break;
            case JsonValueKind.Array:
                Assert.Equal(expected.EnumerateArray().Select(e => e.GetBoolean()), file.GetBooleans(key));
                break;
            default:
                Assert.Fail($"{key}: {expected.ValueKind}");
                break;
        }
    }

    [Fact]
    public void Metadata_comes_in_file_order_and_by_key()
    {
        using GgufFile file = GgufFile.Open(TestData.TinyModel("llama"));
        Assert.Equal(3, file.Version);
        Assert.Equal(1, file.FileCount);
        Assert.Equal(32, file.Alignment);
        Assert.True(file.Contains("general.architecture"));
        Assert.False(file.Contains("no.such.key"));
        Assert.True(file.TryGetEntry("tokenizer.ggml.tokens", out GgufEntry? tokens));
        Assert.Equal((GgufType.Array, GgufType.String, 320L), (tokens.Type, tokens.ItemType, tokens.Count));
        Assert.Equal("array of string [320]", tokens.ToString());
        Assert.Equal(file.Metadata.Length, file.Metadata.Select(e => e.Key).Distinct().Count());
        Assert.All(file.Metadata, entry => Assert.NotNull(file.GetValue(entry.Key)));
    }

    [Fact]
    public void A_missing_key_is_null()
    {
        using GgufFile file = GgufFile.Open(TestData.TinyModel("llama"));
        Assert.Null(file.GetString("x"));
        Assert.Null(file.GetStringBytes("x"));
        Assert.Null(file.GetBoolean("x"));
        Assert.Null(file.GetNumber<int>("x"));
        Assert.Null(file.GetNumbers<int>("x"));
        Assert.Null(file.GetStrings("x"));
        Assert.Null(file.GetStringsBytes("x"));
        Assert.Null(file.GetBooleans("x"));
        Assert.Null(file.GetValue("x"));
    }

    [Fact]
    public void Another_type_than_asked_for_is_an_invalid_model_that_names_the_key()
    {
        using GgufFile file = GgufFile.Open(TestData.TinyModel("llama"));
        Action[] wrong =
        [
            () => file.GetString("llama.block_count"),
            () => file.GetBoolean("general.architecture"),
            () => file.GetNumber<int>("general.architecture"),
            () => file.GetNumber<int>("tokenizer.ggml.scores"),
            () => file.GetNumbers<int>("llama.block_count"),
            () => file.GetNumbers<float>("tokenizer.ggml.tokens"),
            () => file.GetStrings("tokenizer.ggml.scores"),
            () => file.GetBooleans("tokenizer.ggml.scores"),
            () => file.GetNumber<byte>("llama.rope.freq_base"), // 10000 is beyond a byte
        ];
        foreach (Action read in wrong)
        {
            NativeGenException e = Assert.Throws<NativeGenException>(read);
            Assert.Equal(NativeGenErrorCode.InvalidModel, e.Code);
            Assert.Contains(file.Path, e.Message);
        }
    }

    [Fact]
    public void Numbers_convert_between_stored_and_wanted_types()
    {
        using GgufFile file = GgufFile.Open(TestData.TinyModel("llama"));
        Assert.Equal(64, file.GetNumber<int>("llama.embedding_length"));
        Assert.Equal(64L, file.GetNumber<long>("llama.embedding_length"));
        Assert.Equal(64f, file.GetNumber<float>("llama.embedding_length"));
        Assert.Equal(10000, file.GetNumber<int>("llama.rope.freq_base"));
        float[] scores = file.GetNumbers<float>("tokenizer.ggml.scores")!;
        Assert.Equal(320, scores.Length);
        Assert.Equal(scores.Select(s => (double)s), file.GetNumbers<double>("tokenizer.ggml.scores"));
        Assert.Equal(file.GetNumbers<int>("tokenizer.ggml.token_type")!, (int[])file.GetValue("tokenizer.ggml.token_type")!);
    }

    [Fact]
    public void Strings_and_their_bytes_are_the_same()
    {
        using GgufFile file = GgufFile.Open(TestData.TinyModel("llama"));
        string[] texts = file.GetStrings("tokenizer.ggml.tokens")!;
        Assert.Equal(["<unk>", "<s>", "</s>"], texts[..3]);
        Assert.Equal(texts, file.GetStringsBytes("tokenizer.ggml.tokens")!.Select(Encoding.UTF8.GetString));
        Assert.Equal("llama"u8.ToArray(), file.GetStringBytes("general.architecture"));
    }

    [Fact]
    public void Tensors_tell_type_shape_and_place()
    {
        using GgufFile file = GgufFile.Open(TestData.TinyModel("llama"));
        GgufTensor embedding = Assert.Single(file.Tensors, t => t.Name == "token_embd.weight");
        Assert.Equal([64L, 320L], embedding.Shape.AsEnumerable());
        Assert.Equal(("F32", 0, true), (embedding.TypeName, embedding.Type, embedding.IsSupported));
        Assert.Equal(64L * 320, embedding.ElementCount);
        Assert.Equal(64L * 320 * sizeof(float), embedding.Bytes);
        Assert.All(file.Tensors, t => Assert.InRange(t.Offset + t.Bytes, 1, file.FileBytes));
    }

    [Fact]
    public void An_unknown_architecture_can_be_inspected()
    {
        using GgufFile file = GgufFile.Open(TestData.Shared("fixtures", "arch", "rwkv7.gguf"));
        Assert.Equal("rwkv7", file.GetString("general.architecture"));
        Assert.NotEmpty(file.Tensors);
    }

    [Fact]
    public void What_is_no_model_is_refused_with_its_kind()
    {
        string folder = Directory.CreateTempSubdirectory("nativegen-gguf-").FullName;
        try
        {
            string empty = Path.Combine(folder, "empty.gguf"), text = Path.Combine(folder, "text.gguf"), cut = Path.Combine(folder, "cut.gguf");
            File.WriteAllBytes(empty, []);
            File.WriteAllText(text, "This is not a model, however long it may be.");
            File.WriteAllBytes(cut, File.ReadAllBytes(TestData.TinyModel("llama"))[..5000]);
            foreach (string path in new[] { empty, text, cut })
            {
                NativeGenException e = Assert.Throws<NativeGenException>(() => GgufFile.Open(path));
                Assert.Equal(NativeGenErrorCode.InvalidModel, e.Code);
                Assert.Contains(path, e.Message);
            }
            Assert.Equal(NativeGenErrorCode.ModelNotFound, Assert.Throws<NativeGenException>(() => GgufFile.Open(Path.Combine(folder, "missing.gguf"))).Code);
            Assert.Throws<NativeGenException>(() => GgufFile.Open(folder));
            Assert.Throws<ArgumentException>(() => GgufFile.Open(""));
            Assert.Throws<ArgumentException>(() => GgufFile.Open(text + "\0.gguf"));
            Assert.Throws<ArgumentNullException>(() => GgufFile.Open(null!));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void A_path_may_have_any_letters()
    {
        string folder = Directory.CreateTempSubdirectory("nativegen-ü日本😀-").FullName;
        try
        {
            string path = Path.Combine(folder, "modèle с пробелом.gguf");
            File.Copy(TestData.TinyModel("gpt2"), path);
            using GgufFile file = GgufFile.Open(path);
            Assert.Equal("gpt2", file.GetString("general.architecture"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void A_disposed_file_says_so_and_what_was_read_stays()
    {
        GgufFile file = GgufFile.Open(TestData.TinyModel("llama"));
        GgufTensor first = file.Tensors[0];
        file.Dispose();
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => file.GetString("general.architecture"));
        Assert.Throws<ObjectDisposedException>(() => file.GetStrings("tokenizer.ggml.tokens"));
        Assert.Equal(first, file.Tensors[0]);
        Assert.NotEmpty(file.Metadata);
        GgufFile unread = GgufFile.Open(TestData.TinyModel("llama"));
        unread.Dispose();
        Assert.Throws<ObjectDisposedException>(() => unread.Tensors);
    }
}
