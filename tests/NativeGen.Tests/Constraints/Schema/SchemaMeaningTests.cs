// What single keywords let through, and what they keep out: cases beyond the goldens.
using NativeGen.Cli.Verify;

namespace NativeGen.Tests.Constraints.Schema;

public sealed class SchemaMeaningTests
{
    [Theory]
    // Numbers: bounds, sign, fractions, multiples.
    [InlineData("""{"type":"integer","minimum":-12,"exclusiveMaximum":100}""", "-12 -1 0 7 99", "-13 100 -0 007 1.5 1e1")]
    [InlineData("""{"type":"number","minimum":0.25,"maximum":1.5}""", "0.25 0.5 1 1.5 1.25", "0.2 0.249 1.51 2 -1 1.50")]
    [InlineData("""{"type":"number","exclusiveMinimum":-0.5,"exclusiveMaximum":0}""", "-0.4 -0.49 -0.1", "-0.5 0 -1 0.1 -0")]
    [InlineData("""{"type":"number","minimum":1e3}""", "1000 1000.5 99999", "999 999.99 0")]
    [InlineData("""{"type":"number","multipleOf":0.25}""", "0 0.25 -0.5 1.75 3", "0.1 0.125 1.3")]
    [InlineData("""{"type":"integer","multipleOf":7,"minimum":10}""", "14 21 700", "7 10 15 0")]
    [InlineData("""{"type":"integer","minimum":0,"exclusiveMinimum":true}""", "1 2", "0 -1")] // draft 04
    [InlineData("""{"const":1.50e1}""", "15", "15.0 150 1.5e1")]
    // Strings.
    [InlineData("""{"type":"string","minLength":2,"maxLength":3}""", "\"ab\" \"\\n\\\"\" \"日本語\" \"\\u0001x\"", "\"a\" \"abcd\" \"\\u0041b\" ab")]
    [InlineData("""{"type":["string","null"],"enum":["a",null,3]}""", "\"a\" null", "3 \"b\"")]
    [InlineData("""{"type":"string","nullable":true}""", "\"\" null", "1")]
    [InlineData("""{"type":"string","format":"iri"}""", "\"http://ƒøø.ßår/?∂éœ=πîx#πîüx\" \"urn:a\"", "\"a\" \"http://a\\u0001b\" \"//a\"")]
    [InlineData("""{"type":"string","format":"uri-reference"}""", "\"\" \"#f\" \"a/b\" \"//h/p?q\" \"mailto:a@b\"", "\"a\\\\b\" \"%4\" \"[\"")]
    [InlineData("""{"type":"string","format":"email"}""", "\"a.b@c.org\"", "\"a..b@c.org\" \"a@c\" \"@c.org\"")]
    // Arrays.
    [InlineData("""{"type":"array","items":{"enum":[1,2,3]},"uniqueItems":true}""", "[] [1] [2,1] [3,1,2]", "[1,1] [1,2,1] [1,2,3,1]")]
    [InlineData("""{"type":"array","items":{"enum":[1,2]},"contains":{"const":2},"maxContains":1}""", "[2] [1,2] [2,1,1]", "[] [1] [2,2]")]
    [InlineData("""{"type":"array","items":{"type":"integer"},"contains":{"const":7},"minContains":2,"maxItems":3}""", "[7,7] [7,1,7]", "[7] [7,1] [7,7,7,7]")]
    [InlineData("""{"type":"array","prefixItems":[{"const":1},{"const":2}],"items":false,"minItems":1}""", "[1] [1,2]", "[] [2] [1,2,3]")]
    // Objects: any subset of the optional members, in order.
    [InlineData("""{"type":"object","properties":{"a":{"const":1},"b":{"const":2},"c":{"const":3}},"required":["b"],"additionalProperties":false}""",
        "{\"b\":2} {\"a\":1,\"b\":2} {\"b\":2,\"c\":3} {\"a\":1,\"b\":2,\"c\":3}", "{} {\"a\":1} {\"b\":2,\"a\":1} {\"a\":1,\"c\":3} {,\"b\":2} {\"b\":2,}")]
    [InlineData("""{"type":"object","properties":{"a":{"const":1},"b":{"const":2},"c":{"const":3}},"minProperties":2,"additionalProperties":false}""",
        "{\"a\":1,\"b\":2} {\"a\":1,\"c\":3} {\"b\":2,\"c\":3} {\"a\":1,\"b\":2,\"c\":3}", "{} {\"a\":1} {\"c\":3}")]
    [InlineData("""{"type":"object","properties":{"a":{"const":1}},"additionalProperties":{"type":"integer"},"maxProperties":2}""",
        "{} {\"a\":1} {\"x\":5,\"y\":6} {\"a\":1,\"x\":5}", "{\"x\":\"\"} {\"a\":1,\"x\":5,\"y\":6} {\"a\":2}")]
    [InlineData("""{"type":"object","propertyNames":{"enum":["a","b"]},"additionalProperties":{"type":"null"}}""", "{} {\"b\":null} {\"b\":null,\"a\":null}", "{\"c\":null} {\"a\":1}")]
    [InlineData("""{"type":"object","dependentRequired":{"a":["b"]},"additionalProperties":{"const":1}}""", "{} {\"b\":1} {\"a\":1,\"b\":1} {\"b\":1,\"a\":1} {\"x\":1}", "{\"a\":1} {\"a\":1,\"x\":1}")]
    // Combinations.
    [InlineData("""{"oneOf":[{"type":"integer","minimum":0},{"type":"integer","maximum":5}]}""", "-1 6 100", "0 3 5")]
    [InlineData("""{"type":"integer","not":{"minimum":3,"maximum":5}}""", "2 6 -9", "3 4 5")]
    [InlineData("""{"anyOf":[{"type":"string","maxLength":1},{"type":"integer","maximum":0}]}""", "\"\" \"x\" 0 -5", "\"xy\" 1")]
    [InlineData("""{"type":"object","properties":{"k":{"enum":["a","b"]}},"required":["k"],"if":{"properties":{"k":{"const":"a"}}},"then":{"properties":{"v":{"type":"integer"}},"required":["v"]},"else":{"properties":{"v":{"type":"null"}}},"additionalProperties":{"type":["integer","null"]}}""",
        "{\"k\":\"a\",\"v\":1} {\"k\":\"b\",\"v\":null} {\"k\":\"b\"}", "{\"k\":\"a\"} {\"k\":\"a\",\"v\":null} {\"k\":\"b\",\"v\":2} {}")]
    [InlineData("""{"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"a":{"minimum":3}},"additionalProperties":false}]}""", "{\"a\":3} {\"a\":12}", "{\"a\":2} {} {\"a\":3,\"b\":1}")]
    [InlineData("""{"type":"object","allOf":[{"properties":{"a":{"const":1}}},{"properties":{"b":{"const":2}}}],"unevaluatedProperties":false}""", "{} {\"a\":1} {\"a\":1,\"b\":2}", "{\"c\":1} {\"b\":1}")]
    [InlineData("""{"oneOf":[{"properties":{"n":{"const":1}},"additionalProperties":false},{"properties":{"n":{"type":"integer"},"m":{"const":2}},"additionalProperties":false}],"type":"object"}""",
        "{\"n\":2} {\"m\":2} {\"n\":1,\"m\":2}", "{} {\"n\":1}")]
    // References.
    [InlineData("""{"$defs":{"t":{"type":"object","properties":{"l":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/t"}]}},"required":["l"],"additionalProperties":false}},"$ref":"#/$defs/t"}""",
        "{\"l\":null} {\"l\":{\"l\":{\"l\":null}}}", "{} {\"l\":{}} null")]
    [InlineData("""{"$defs":{"n":{"$anchor":"here","const":4}},"$ref":"#here"}""", "4", "5")]
    public void Keywords(string schema, string right, string wrong)
    {
        var automaton = Schemas.Automaton(schema);
        foreach (string text in right.Split(' '))
            Assert.True(SchemaSuite.Accepts(automaton, text), $"refuses {text}");
        foreach (string text in wrong.Split(' '))
            Assert.False(SchemaSuite.Accepts(automaton, text), $"accepts {text}");
    }

    [Theory]
    [InlineData("""{"type":"object","properties":{"a":{"minLenght":2}}}""", "/properties/a/minLenght", "minLength")]
    [InlineData("""{"properties":{"a":{"items":{"type":"strng"}}}}""", "/properties/a/items/type", "strng")]
    [InlineData("""{"anyOf":[{"type":"string"},{"pattern":5}]}""", "/anyOf/1/pattern", "a text")]
    [InlineData("""{"type":"string","pattern":"(?<=a)b"}""", "/pattern", "")]
    [InlineData("""{"type":"array","uniqueItems":true}""", "/uniqueItems", "remember")]
    [InlineData("""{"$defs":{"a/b":{"$ref":"#/$defs/c"}},"$ref":"#/$defs/a~1b"}""", "/$defs/a~1b/$ref", "nowhere")]
    [InlineData("""{"type":"object","minProperties":3}""", "", "minProperties")]
    [InlineData("""{"not":{"format":"date"}}""", "/not", "format")]
    [InlineData("""{"$dynamicRef":"#x"}""", "/$dynamicRef", "$ref")]
    [InlineData("""{"type":"number","multipleOf":0.123456789}""", "/multipleOf", "states")]
    [InlineData("""{"enum":["\ud800"]}""", "/enum/0", "surrogate")]
    [InlineData("""{"type":"object","properties":{"a":1}}""", "/properties/a", "a schema is")]
    public void RefusalsNameTheirPlace(string schema, string pointer, string says)
    {
        var refusal = Schemas.Refusal(schema);
        Assert.Equal(pointer, refusal.Pointer);
        Assert.Contains(says, refusal.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("date-time", "2024-02-29T23:59:59.5+01:00", "2023-02-29T00:00:00Z")]
    [InlineData("date", "2000-02-29", "1900-02-29")]
    [InlineData("time", "10:00:00Z", "10:00:00")]
    [InlineData("duration", "P1DT2H", "P1H")]
    [InlineData("uuid", "2eb8aa08-aa98-11ea-b4aa-73b441d16380", "2eb8aa08")]
    [InlineData("email", "a@b.c", "a@b")]
    [InlineData("idn-email", "é@é.é", "é")]
    [InlineData("hostname", "a-b.c", "a-.c")]
    [InlineData("idn-hostname", "é.c", "a b")]
    [InlineData("ipv4", "1.2.3.4", "1.2.3.256")]
    [InlineData("ipv6", "1::2", "1::2::3")]
    [InlineData("uri", "http://[::1]:8/a?b#c", "//a")]
    [InlineData("uri-reference", "../a-b", "a b")]
    [InlineData("iri", "http://é/é-é", "é")]
    [InlineData("iri-reference", "é", "é é")]
    [InlineData("json-pointer", "/a~0/1", "a")]
    [InlineData("relative-json-pointer", "1/a", "/a")]
    public void Formats(string format, string right, string wrong)
    {
        var automaton = Schemas.Automaton($$"""{"format":"{{format}}"}""");
        Assert.True(SchemaSuite.Accepts(automaton, $"\"{right}\""));
        Assert.False(SchemaSuite.Accepts(automaton, $"\"{wrong}\""));
    }

    [Fact]
    public void RemarksAreKnown() => Assert.True(Schemas.Accepts(
        """{"$schema":"https://json-schema.org/draft/2020-12/schema","title":"t","description":"d","default":1,"examples":[2],"deprecated":true,"readOnly":true,"$comment":"c","x-own":{},"type":"integer","format":"int32"}""", "3"));
}
