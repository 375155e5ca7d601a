// Texts drawn at random from the grammars themselves, read by another's validator (NJsonSchema): whatever a grammar can write is right.
using NativeGen.Constraints;
using NativeGen.Constraints.Schema;
using NJsonSchema;
using NJsonSchema.Validation;

namespace NativeGen.Tests.Constraints.Schema;

public sealed class SchemaWalkTests
{
    private const int TextsEach = 12;

    // What NJsonSchema does not read, or reads as an older draft does: its verdict would say nothing.
    private static readonly string[] NotItsOwn =
    [
        "prefixItems", "contains", "if", "then", "else", "dependentRequired", "dependentSchemas", "dependencies", "unevaluatedItems", "unevaluatedProperties", "$id", "$anchor", "additionalItems", "const",
        "minContains", "propertyNames", "$comment",
    ];

    [Fact]
    public async Task WhateverAGrammarWritesIsValid()
    {
        int seed = Environment.TickCount;
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        Random random = new(seed);
        int schemas = 0, texts = 0, open = 0, beyond = 0;
        List<string> wrong = [];
        foreach ((string name, string schema) in Own().Concat(Schemas.Golden("schema_real.json", "schema_suite.json", "schema_llamacpp.json")))
        {
            // It would find a reference in the value of an enum, and its times are .NET's: no offset beyond 14 hours.
            if (schema.Contains("\"time\"", StringComparison.Ordinal) || name.Contains("naive replacement", StringComparison.Ordinal) || Array.Exists(NotItsOwn, keyword => schema.Contains($"\"{keyword}\":", StringComparison.Ordinal)))
                continue;
            Automaton automaton;
            try
            {
                automaton = new(SchemaCompiler.Compile(schema));
            }
            catch (SchemaException)
            {
                continue;
            }

            JsonSchema? validator = await Validator(schema);
            if (validator is null)
                continue;
            schemas++;
            for (int i = 0; i < TextsEach; i++)
            {
                if (Schemas.Walk(automaton, random) is not { } text)
                {
                    open++;
                    continue;
                }

                if (text.Length > 2 && text[2] == ':' && schema.Contains("\"uri", StringComparison.Ordinal))
                    continue; // a scheme of one letter is a drive to .NET

                try
                {
                    if (validator.Validate(text) is { Count: > 0 } errors)
                        wrong.Add($"{name}: {text} is not valid for {schema}: {string.Join("; ", errors.Select(error => $"{error.Kind} at {error.Path}"))}");
                    texts++;
                }
                catch (Exception e) when (e is InvalidCastException or OverflowException)
                {
                    beyond++; // a number of more digits than its decimal holds
                }
            }
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{texts} texts of {schemas} schemas, {open} without an end, {beyond} with numbers beyond the validator");
        Assert.True(wrong.Count == 0, $"seed {seed}: {wrong.Count} wrong\n{string.Join('\n', wrong.Take(10))}");
        Assert.True(texts > 500, $"{texts} texts");
    }

    /// <summary>Null: NJsonSchema does not read the schema at all.</summary>
    internal static async Task<JsonSchema?> Validator(string schema)
    {
        try
        {
            return await JsonSchema.FromJsonAsync(schema.Replace("$defs", "definitions", StringComparison.Ordinal)); // as it knows them
        }
        catch (Exception e) when (e is InvalidOperationException or NotSupportedException or Newtonsoft.Json.JsonException or ArgumentException)
        {
            return null;
        }
    }

    private static IEnumerable<(string Name, string Schema)> Own()
    {
        string[] own =
        [
            """{"type":"integer","minimum":-17,"maximum":230}""",
            """{"type":"number","minimum":-1.25,"exclusiveMaximum":3.5}""",
            """{"type":"integer","multipleOf":6,"minimum":-50}""",
            """{"type":"string","minLength":3,"maxLength":7}""",
            """{"type":"string","pattern":"^[a-f]{2,4}(-[0-9]+)?$","maxLength":6}""",
            """{"type":"array","items":{"enum":["a","b","c"]},"uniqueItems":true,"minItems":1}""",
            """{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"},"c":{"type":"boolean"},"d":{"type":"null"}},"minProperties":2,"additionalProperties":false}""",
            """{"type":"object","patternProperties":{"^i_":{"type":"integer"},"_s$":{"type":"string"}},"additionalProperties":{"type":"boolean"}}""",
            """{"type":"object","properties":{"x":{"type":"integer"}},"additionalProperties":{"type":"array","items":{"type":"number"}},"maxProperties":3}""",
            """{"oneOf":[{"type":"integer","minimum":3},{"type":"integer","maximum":5},{"type":"string"}]}""",
            """{"type":"object","oneOf":[{"properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"b":{"type":"integer"}},"required":["b"]}]}""",
            """{"type":"string","not":{"enum":["a","b",""]},"maxLength":2}""",
            """{"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"a":{"minimum":5},"b":{"type":"string","format":"date-time"}},"required":["b"]}]}""",
            """{"definitions":{"tree":{"type":"object","properties":{"value":{"type":"integer"},"children":{"type":"array","items":{"$ref":"#/definitions/tree"},"maxItems":2}},"required":["value"],"additionalProperties":false}},"$ref":"#/definitions/tree"}""",
        ];
        return own.Select((schema, i) => ($"own {i}", schema));
    }
}
