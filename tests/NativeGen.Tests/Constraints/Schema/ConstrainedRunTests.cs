// The embedded model under schemas, at a temperature where it would write anything: what comes is JSON of the schema, by another's validator.
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.AI;
using NativeGen.Testing;
using NJsonSchema;
using NJsonSchema.Validation;

namespace NativeGen.Tests.Constraints.Schema;

[Collection("parity")] // one at a time: each uses all cores
public sealed partial class ConstrainedRunTests
{
    private const int Answers = 50, MostTokens = 120;

    /// <summary>The sample of tests/schema-run that CI runs.</summary>
    [Fact]
    public async Task FiftyAnswersAreValid()
    {
        int seed = Environment.TickCount & int.MaxValue;
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        (string Name, string Schema)[] schemas = [.. Schemas.Golden("schema_real.json").Where(golden => !golden.Schema.Contains("prefixItems", StringComparison.Ordinal))];
        await using TextGenerator generator = TextGenerator.Open(TestData.StoryModel, new() { MaxConcurrentRequests = 1, Context = new() { ContextLength = 256 } });
        int cut = 0, whole = 0;
        List<string> wrong = [];
        for (int i = 0; i < Answers; i++)
        {
            (string name, string schema) = schemas[(seed + i) % schemas.Length];
            using JsonDocument document = JsonDocument.Parse(schema);
            GenerationResult result = await generator.GenerateAsync("Once upon a time", new()
            {
                MaxNewTokens = MostTokens, Temperature = 1.5f, TopK = 0, TopP = 1, MinP = 0, Seed = seed + i, ResponseFormat = ChatResponseFormat.ForJsonSchema(document.RootElement.Clone()),
            }, TestContext.Current.CancellationToken);
            if (result.FinishReason == FinishReason.Length)
            {
                cut++;
                continue;
            }

            whole++;
            if (await SchemaWalkTests.Validator(schema) is not { } validator)
                continue;
            ICollection<ValidationError> errors = Validate(validator, result.Text);
            if (errors.Count > 0)
                wrong.Add($"{name}: {result.Text}: {string.Join("; ", errors.Select(error => $"{error.Kind} at {error.Path}"))}");
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{whole} whole answers, {cut} cut at {MostTokens} tokens");
        Assert.True(wrong.Count == 0, $"seed {seed}: {string.Join('\n', wrong)}");
        Assert.True(whole >= Answers / 5, $"seed {seed}: {whole} whole answers");
    }

    [Fact]
    public async Task AnObjectComesBack()
    {
        await using TextGenerator generator = TextGenerator.Open(TestData.StoryModel, new() { MaxConcurrentRequests = 1, Context = new() { ContextLength = 256 } });
        for (int seed = 0; seed < 5; seed++)
        {
            Measure measure = await generator.GenerateAsync("There was a", AnimalTypes.Default.Measure, new() { MaxNewTokens = 120, Temperature = 1.2f, Seed = seed }, TestContext.Current.CancellationToken);
            Assert.True(Enum.IsDefined(measure.Kind));
        }
    }

    [Fact]
    public async Task ACutAnswerIsAnErrorOfItsOwn()
    {
        await using TextGenerator generator = TextGenerator.Open(TestData.StoryModel, new() { MaxConcurrentRequests = 1, Context = new() { ContextLength = 256 } });
        NativeGenException cut = await Assert.ThrowsAsync<NativeGenException>(() => generator.GenerateAsync("There was a", AnimalTypes.Default.Animal, new() { MaxNewTokens = 3 }));
        Assert.Equal(NativeGenErrorCode.InvalidOutput, cut.Code);
        Assert.Contains("MaxNewTokens", cut.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ASchemaThatCannotBeEnforcedIsNamed()
    {
        await using TextGenerator generator = TextGenerator.Open(TestData.StoryModel, new() { MaxConcurrentRequests = 1, Context = new() { ContextLength = 256 } });
        using JsonDocument schema = JsonDocument.Parse("""{"type":"object","properties":{"a":{"minLenght":2}}}""");
        ArgumentException refused = await Assert.ThrowsAsync<ArgumentException>(() => generator.GenerateAsync("a", new() { ResponseFormat = ChatResponseFormat.ForJsonSchema(schema.RootElement.Clone()) }));
        Assert.Equal(nameof(GenerationOptions.ResponseFormat), refused.ParamName);
        Assert.Contains("/properties/a/minLenght", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task TheScriptedGeneratorGivesObjectsToo()
    {
        ScriptedTextGenerator scripted = new();
        scripted.Enqueue("""{"Name":"Rex","Legs":4,"Kind":1,"Colours":["a","b"],"Parent":null,"Born":null}""", """{"Name":""");
        Animal animal = await scripted.GenerateAsync("a dog", AnimalTypes.Default.Animal);
        Assert.Equal(("Rex", (byte)4, Kind.Wild), (animal.Name, animal.Legs, animal.Kind));
        JsonElement schema = Assert.IsType<ChatResponseFormatJson>(scripted.Requests[0].Options!.ResponseFormat).Schema!.Value;
        Assert.Equal(6, schema.GetProperty("required").GetArrayLength());
        await Assert.ThrowsAsync<NativeGenException>(() => scripted.GenerateAsync("a dog", AnimalTypes.Default.Animal));
        await Assert.ThrowsAsync<ArgumentException>(() => scripted.GenerateAsync("a dog", AnimalTypes.Default.Animal, new() { ResponseFormat = ChatResponseFormat.Json }));
    }

    [Theory]
    [InlineData("""{"Name":"x","Legs":4,"Kind":0,"Colours":["a","b"],"Parent":null,"Born":"2024-02-29T00:00:00Z"}""", true)]
    [InlineData("""{"Name":"x","Legs":4,"Kind":0,"Colours":["a","b"],"Parent":{"Name":"y","Legs":0,"Kind":1,"Colours":["a","b"],"Parent":null,"Born":null},"Born":null}""", true)]
    [InlineData("""{"Name":"x","Legs":256,"Kind":0,"Colours":["a","b"],"Parent":null,"Born":null}""", false)]
    [InlineData("""{"Name":"x","Legs":4,"Kind":2,"Colours":["a","b"],"Parent":null,"Born":null}""", false)]
    [InlineData("""{"Name":"x","Legs":4,"Kind":0,"Colours":["a","b"],"Parent":null}""", false)]
    [InlineData("""{"Name":null,"Legs":4,"Kind":0,"Colours":["a","b"],"Parent":null,"Born":null}""", false)]
    [InlineData("""{"Name":"x","Legs":4,"Kind":0,"Colours":["a","b"],"Parent":null,"Born":"2024-02-30T00:00:00Z"}""", false)]
    public void TheSchemaOfATypeIsAsStrictAsTheType(string text, bool right) =>
        Assert.Equal(right, Schemas.Accepts(StructuredSchema.Of(AnimalTypes.Default.Animal).GetRawText(), text));

    private static ICollection<ValidationError> Validate(JsonSchema validator, string text)
    {
        try
        {
            return validator.Validate(text);
        }
        catch (Exception e) when (e is InvalidCastException or OverflowException)
        {
            return []; // a number of more digits than the validator's decimal holds
        }
    }

    internal enum Kind
    {
        Tame,
        Wild,
    }

    internal sealed record Animal(string Name, byte Legs, Kind Kind, string[] Colours, Animal? Parent, DateTimeOffset? Born);

    internal sealed record Measure(byte Legs, Kind Kind, bool Wild, int? Age, DateOnly Born);

    [JsonSerializable(typeof(Animal))]
    [JsonSerializable(typeof(Measure))]
    internal sealed partial class AnimalTypes : JsonSerializerContext;
}
