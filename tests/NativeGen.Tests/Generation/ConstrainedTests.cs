// Answers bound to a form, from the story model: whatever it draws, the text is what was asked for, as others judge it.
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using Microsoft.Extensions.AI;
using NJsonSchema;

namespace NativeGen.Tests.Generation;

public sealed partial class ConstrainedTests : IAsyncDisposable
{
    private readonly TextGenerator _generator = TextGenerator.Open(TestData.StoryModel, new TextGeneratorOptions { Context = new() { ContextLength = 512, KvCacheTokens = 2048 } });

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync() => _generator.DisposeAsync();

    [Fact]
    public async Task JsonOfASchemaIsValidAndWhatWasCutSaysSo()
    {
        int seed = Environment.TickCount & 0xFFFF, whole = 0, cut = 0;
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        List<(string Text, JsonSchema Validator)> schemas = [];
        foreach (JsonElement item in SchemaGoldens())
        {
            string text = item.GetProperty("schema").GetRawText();
            if (!text.Contains("prefixItems", StringComparison.Ordinal) && !text.Contains("\"const\"", StringComparison.Ordinal)) // newer than the validator
                schemas.Add((text, await JsonSchema.FromJsonAsync(text, Stop)));
        }

        foreach (int i in Enumerable.Range(0, 50))
        {
            (string schema, JsonSchema validator) = schemas[i % schemas.Count];
            using JsonDocument parsed = JsonDocument.Parse(schema);
            GenerationResult result = await _generator.GenerateAsync(new GenerationRequest("Once upon a time ", new()
            {
                ResponseFormat = ChatResponseFormat.ForJsonSchema(parsed.RootElement), Temperature = 1.5f, TopK = 0, TopP = 1, MinP = 0, MaxNewTokens = 300, Seed = seed + i,
            }), Stop);
            if (result.FinishReason != FinishReason.Stop)
            {
                Assert.True(result.FinishReason is FinishReason.Length or FinishReason.ContextFull, $"{result.FinishReason}");
                cut++;
                continue;
            }

            using JsonDocument json = JsonDocument.Parse(result.Text);
            try
            {
                var errors = validator.Validate(result.Text);
                Assert.True(errors.Count == 0, $"seed {seed + i}: {result.Text} is not valid for {schema}: {string.Join("; ", errors)}");
                whole++;
            }
            catch (Exception e) when (e is InvalidCastException or InvalidOperationException)
            {
                // The validator fails at integers beyond 64 bits and does not resolve $defs.
            }
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{whole} whole, {cut} cut");
        Assert.True(whole >= 15, $"{whole} whole, {cut} cut");
    }

    [Theory]
    [InlineData("[A-Z][a-z]{2,8} and [A-Z][a-z]{2,8}\\.")]
    [InlineData("(0|[1-9][0-9]{0,3})(\\.[0-9]{1,2})?")]
    [InlineData("(héllo|😀){2}")]
    public async Task AnswersMatchTheirPattern(string pattern)
    {
        for (int seed = 0; seed < 5; seed++)
        {
            GenerationResult result = await _generator.GenerateAsync("They were called ", new() { Regex = pattern, Temperature = 1.5f, MaxNewTokens = 60, Seed = seed }, Stop);
            Assert.Equal(FinishReason.Stop, result.FinishReason);
            Assert.Matches(new Regex($"^(?:{pattern})$", RegexOptions.CultureInvariant), result.Text);
        }
    }

    [Fact]
    public async Task TheLimitClosesWhatItWouldCutAndSaysSo()
    {
        GenerationOptions options = new() { Grammar = "root ::= \"[\" [0-9]+ (\",\" [0-9]+)* \"]\"", Temperature = 1.5f, TopK = 0, TopP = 1, MinP = 0, MaxNewTokens = 12 };
        int closed = 0;
        for (int seed = 0; seed < 10; seed++)
        {
            GenerationResult result = await _generator.GenerateAsync("Numbers: ", options with { Seed = seed }, Stop);
            Assert.Matches(@"^\[[0-9]+(,[0-9]+)*\]$", result.Text);
            Assert.InRange(result.Usage.GeneratedTokens, 1, 12);
            closed += result.FinishReason == FinishReason.Length ? 1 : 0;
        }

        Assert.True(closed > 0);
    }

    [Fact]
    public async Task AnAnswerIsOneOfTheChoices()
    {
        string[] choices = ["yes", "no", "not now", "no, never", "✓"];
        HashSet<string> seen = [];
        for (int seed = 0; seed < 40; seed++)
        {
            GenerationResult result = await _generator.GenerateAsync("Will she come? ", new() { Choices = choices, Temperature = 5, TopK = 0, TopP = 1, MinP = 0, Seed = seed }, Stop);
            Assert.Contains(result.Text, choices);
            Assert.Equal(FinishReason.Stop, result.FinishReason);
            seen.Add(result.Text);
        }

        Assert.True(seen.Count >= 3, string.Join(", ", seen));
    }

    [Fact]
    public async Task SeveralAnswersGoTheirOwnWaysInOneForm()
    {
        GenerationResult result = await _generator.GenerateAsync("Numbers: ", new() { Grammar = "root ::= [0-9]{3} \"-\" [a-c]+ \"!\"", NumReturnSequences = 4, Temperature = 2, TopK = 0, TopP = 1, MinP = 0, MaxNewTokens = 50, Seed = 3 }, Stop);
        Assert.All(result.Sequences, sequence => Assert.Matches("^[0-9]{3}-[a-c]+!?$", sequence.Text));
        Assert.True(result.Sequences.Select(sequence => sequence.Text).Distinct().Count() > 1);
    }

    [Fact]
    public async Task WhatIsForcedIsTheSameStreamedAndWithLogprobs()
    {
        const string Grammar = "root ::= \"The answer to every question that was ever asked is \" (\"yes\" | \"no\") \", and that is all there is to say about it.\"";
        GenerationOptions options = new() { Grammar = Grammar, Seed = 1 };
        GenerationResult result = await _generator.GenerateAsync("Well. ", options, Stop);
        Assert.Matches("^The answer to every question that was ever asked is (yes|no), and that is all there is to say about it\\.$", result.Text);
        string streamed = "";
        await foreach (GenerationUpdate update in _generator.StreamAsync("Well. ", options, Stop))
            streamed += update.Text;
        Assert.Equal(result.Text, streamed);
        GenerationResult explained = await _generator.GenerateAsync("Well. ", options with { Logprobs = true }, Stop); // the model is asked for every token
        Assert.Equal(explained.Sequences[0].Tokens.Count, explained.Sequences[0].Logprobs!.Count);
        Assert.EndsWith("and that is all there is to say about it.", explained.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ARecordComesBackAsAnObject()
    {
        Pet pet = await _generator.GenerateAsync("The pet: ", Types.Default.Pet, new() { MaxNewTokens = 300, Seed = 5, Temperature = 0.5f }, Stop);
        Assert.NotNull(pet.Name);
        Assert.InRange((int)pet.Kind, 0, 2);
        NativeGenException cut = await Assert.ThrowsAsync<NativeGenException>(() => _generator.GenerateAsync("The pet: ", Types.Default.Pet, new() { MaxNewTokens = 2 }, Stop));
        Assert.Contains("MaxNewTokens", cut.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Grammar", "root ::= x")]
    [InlineData("Regex", "(?=a)b")]
    public async Task AFormThatCannotBeKeptIsAnArgumentThatIsNamed(string option, string text)
    {
        var error = await Assert.ThrowsAsync<ArgumentException>(() => _generator.GenerateAsync("x", option == "Regex" ? new() { Regex = text } : new() { Grammar = text }, Stop));
        Assert.Equal(option, error.ParamName);
        Assert.Contains("column", error.Message, StringComparison.Ordinal);
    }

    private static IEnumerable<JsonElement> SchemaGoldens() =>
        JsonDocument.Parse(File.ReadAllBytes(TestData.Shared("fixtures", "grammar", "schema_real.json"))).RootElement.GetProperty("cases").EnumerateArray();

    internal enum PetKind { Cat, Dog, Bird }

    internal sealed record Pet(string Name, PetKind Kind, bool Old);

    [JsonSourceGenerationOptions(UseStringEnumConverter = true)]
    [JsonSerializable(typeof(Pet))]
    internal sealed partial class Types : JsonSerializerContext;
}
