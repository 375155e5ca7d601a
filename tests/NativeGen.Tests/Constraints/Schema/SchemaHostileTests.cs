// Schemas made to break the compiler: an error with a place, or a grammar, in bounded time and memory.
using System.Text.Json.Nodes;
using NativeGen.Constraints.Schema;

namespace NativeGen.Tests.Constraints.Schema;

public sealed class SchemaHostileTests
{
    // Far above what the slowest machine of ours takes; a hang is found, a slow machine is not.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public static TheoryData<string> Kinds { get; } =
    [
        "deep items", "deep allOf", "long $ref chain", "ref cycle", "exponential allOf", "exponential anyOf", "anyOf in allOf", "huge enum", "huge object enum", "many optional",
        "many required", "many branches", "long texts", "oneOf of overlapping", "many patterns", "nested counts", "dependencies", "big contains", "quadratic names", "bomb of lengths",
    ];

    [Theory, MemberData(nameof(Kinds))]
    public async Task AnErrorOrAGrammar(string kind)
    {
        string schema = Make(kind);
        long before = GC.GetTotalAllocatedBytes();
        Task<string> compiled = Task.Run(() => Result(schema), TestContext.Current.CancellationToken);
        string result = await compiled.WaitAsync(Patience, TestContext.Current.CancellationToken);
        TestContext.Current.TestOutputHelper?.WriteLine($"{kind} ({schema.Length} characters): {result}, {(GC.GetTotalAllocatedBytes() - before) >> 20} MiB allocated");
    }

    [Theory]
    [InlineData("many optional")]
    [InlineData("many required")]
    [InlineData("huge enum")]
    [InlineData("many branches")]
    public void LargeButHonestSchemasAreTaken(string kind) => Assert.Equal("a grammar", Result(Make(kind)));

    [Theory]
    [InlineData("deep items")]
    [InlineData("ref cycle")]
    [InlineData("bomb of lengths")]
    public void WhatCannotBeIsRefused(string kind) => Assert.NotEqual("a grammar", Result(Make(kind)));

    /// <summary>Goldens with parts swapped, cut, doubled: never anything but a grammar or a <see cref="SchemaException"/>.</summary>
    [Fact]
    public void MutatedSchemas()
    {
        int seed = Environment.TickCount;
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        Random random = new(seed);
        string[] sources = [.. Schemas.Golden("schema_suite.json", "schema_real.json").Select(golden => golden.Schema)];
        JsonNode?[] parts = [.. sources.SelectMany(source => Parts(JsonNode.Parse(source)))];
        int grammars = 0, errors = 0;
        for (int i = 0; i < 400; i++)
        {
            JsonNode? schema = JsonNode.Parse(sources[random.Next(sources.Length)]);
            for (int n = random.Next(1, 4); n > 0; n--)
                Mutate(schema, parts, random);
            string text = schema?.ToJsonString() ?? "null";
            try
            {
                if (Result(text) == "a grammar")
                    grammars++;
                else
                    errors++;
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"seed {seed}, schema {i}: {text}", e);
            }
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{grammars} grammars, {errors} errors");
        Assert.True(grammars > 20 && errors > 20);
    }

    private static string Result(string schema)
    {
        try
        {
            SchemaCompiler.Compile(schema);
            return "a grammar";
        }
        catch (SchemaException e)
        {
            return e.Message.Length > 200 ? e.Message[..200] : e.Message;
        }
    }

    // '#' in a part is its number, '+' the next one.
    private static string Make(string kind) => kind switch
    {
        "deep items" => Nested("{\"items\":", "{}", "}", 10_000),
        "deep allOf" => Nested("{\"allOf\":[", "{}", "]}", 10_000),
        "long $ref chain" => "{\"$defs\":{" + Parts(10_000, """ "d#":{"$ref":"!/$defs/d+"} """) + ""","d10000":{"type":"null"}},"$ref":"#/$defs/d0"}""",
        "ref cycle" => """{"$defs":{"a":{"allOf":[{"$ref":"#/$defs/b"}]},"b":{"anyOf":[{"$ref":"#/$defs/a"},{"type":"null"}]}},"$ref":"#/$defs/a"}""",
        "exponential allOf" or "exponential anyOf" => "{\"$defs\":{" + Parts(60, """ "d#":{"KEYWORD":[{"$ref":"!/$defs/d+"},{"$ref":"!/$defs/d+"}]} """.Replace("KEYWORD", kind[12..], StringComparison.Ordinal))
            + ""","d60":{"type":"object","properties":{"a":{}}}},"$ref":"#/$defs/d0"}""",
        "anyOf in allOf" => "{\"allOf\":[" + Parts(30, """{"anyOf":[{"required":["a#"]},{"required":["b#"]}]}""") + "]}",
        "huge enum" => "{\"enum\":[" + Parts(20_000, "\"value number #\"") + "]}",
        "huge object enum" => "{\"enum\":[" + Parts(5_000, """{"n":#}""") + "]}",
        "many optional" => """{"type":"object","properties":{""" + Parts(1_000, """ "p#":{"type":"integer"} """) + "}}",
        "many required" => """{"type":"object","properties":{""" + Parts(1_000, """ "p#":{"type":"integer"} """) + "},\"required\":[" + Parts(1_000, "\"p#\"") + "]}",
        "many branches" => "{\"oneOf\":[" + Parts(60, """{"type":"object","properties":{"kind":{"const":"k#"},"v#":{"type":"string"}},"required":["kind"],"additionalProperties":false}""") + "]}",
        "long texts" => """{"type":"string","pattern":"^(a{1,2000}b{1,2000}){1,2000}$"}""",
        "oneOf of overlapping" => "{\"oneOf\":[" + Parts(12, """{"properties":{"a#":{"type":"integer"},"b#":{"type":"string"}}}""") + "]}",
        "many patterns" => "{\"patternProperties\":{" + Parts(30, """ "x.*#y":{"minimum":#} """) + "}}",
        "nested counts" => Nested("""{"type":"array","minItems":900,"maxItems":1000,"items":""", """{"type":"null"}""", "}", 20),
        "dependencies" => "{\"dependentRequired\":{" + Parts(40, """ "a#":["b#"] """) + "}}",
        "big contains" => """{"contains":{"type":"integer"},"minContains":30000,"maxContains":40000,"maxItems":50000}""",
        "quadratic names" => """{"additionalProperties":{"type":"null"},"properties":{""" + Parts(2_000, $" \"{new string('x', 50)}#\":false ") + "}}",
        _ => """{"type":"string","pattern":"a.{5000}b","minLength":100000,"maxLength":1000000}""",
    };

    private static string Nested(string open, string inner, string close, int depth) =>
        string.Concat(Enumerable.Repeat(open, depth)) + inner + string.Concat(Enumerable.Repeat(close, depth));

    private static string Parts(int n, string part) => string.Join(',', Enumerable.Range(0, n).Select(i => part.Replace("#", $"{i}", StringComparison.Ordinal)
        .Replace("+", $"{i + 1}", StringComparison.Ordinal).Replace('!', '#')));

    private static IEnumerable<JsonNode?> Parts(JsonNode? node)
    {
        yield return node?.DeepClone();
        IEnumerable<JsonNode?> children = node switch { JsonObject o => o.Select(member => member.Value), JsonArray a => a, _ => [] };
        foreach (JsonNode? part in children.SelectMany(Parts))
            yield return part;
    }

    private static void Mutate(JsonNode? schema, JsonNode?[] parts, Random random)
    {
        JsonNode?[] places = [.. Places(schema)];
        if (places.Length == 0)
            return;
        JsonNode? part = parts[random.Next(parts.Length)]?.DeepClone();
        switch (places[random.Next(places.Length)])
        {
            case JsonObject { Count: > 0 } place:
                string name = place.ElementAt(random.Next(place.Count)).Key;
                if (random.Next(3) == 0)
                    place.Remove(name);
                else
                    place[name] = part;
                if (random.Next(3) == 0)
                    place[new[] { "not", "if", "anyOf", "oneOf", "items", "contains", "$ref", "minimum", "required" }[random.Next(9)]] = parts[random.Next(parts.Length)]?.DeepClone();
                break;
            case JsonArray place:
                place.Insert(random.Next(place.Count + 1), part);
                break;
        }
    }

    private static IEnumerable<JsonNode?> Places(JsonNode? node) => node switch
    {
        JsonObject o => [node, .. o.SelectMany(member => Places(member.Value))],
        JsonArray a => [node, .. a.SelectMany(Places)],
        _ => [],
    };
}
