// JSON schemas to grammars: what a request with tools pays before its first token.
using BenchmarkDotNet.Attributes;
using NativeGen.Constraints;
using NativeGen.Constraints.Schema;

namespace NativeGen.Benchmarks;

[MemoryDiagnoser]
public class SchemaBenchmarks
{
    private string _tools = "";

    /// <summary>Tools in the set.</summary>
    [Params(1, 10, 50)]
    public int Tools { get; set; }

    [GlobalSetup]
    public void Setup() => _tools = ToolSet(Tools);

    internal static string ToolSet(int tools) => "{\"oneOf\":[" + string.Join(',', Enumerable.Range(0, tools).Select(Tool)) + "]}";

    /// <summary>A call of one of the tools, each with its arguments.</summary>
    [Benchmark]
    public int Compile() => SchemaCompiler.Compile(_tools).Nodes.Length;

    /// <summary>A grammar's automaton and its first state.</summary>
    [Benchmark]
    public int CompileAndStart() => new Automaton(SchemaCompiler.Compile(_tools)).Start;

    private static string Tool(int i) =>
        $$$"""
        {"type":"object","properties":{"name":{"const":"tool_{{{i}}}"},"arguments":{"type":"object","properties":{
          "query":{"type":"string","minLength":1,"maxLength":200},"limit":{"type":"integer","minimum":1,"maximum":{{{100 + i}}}},
          "since":{"type":"string","format":"date-time"},"sort":{"enum":["asc","desc"]},"tags":{"type":"array","items":{"type":"string"},"maxItems":10},
          "price":{"type":"number","minimum":0},"id":{"type":"string","pattern":"^[A-Z]{2}-[0-9]{4,8}$"},"dry_run":{"type":["boolean","null"]}},
          "required":["query"],"additionalProperties":false}},"required":["name","arguments"],"additionalProperties":false}
        """;
}
