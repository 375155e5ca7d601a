// What a constrained token costs: its mask the first time and again, with the schema of a set of ten tools over a real vocabulary.
using BenchmarkDotNet.Attributes;
using NativeGen.Constraints;
using NativeGen.Constraints.Schema;
using NativeGen.Tokenization;

namespace NativeGen.Benchmarks;

[MemoryDiagnoser]
public class MaskBenchmarks
{
    private const string Call = """{"name":"tool_7","arguments":{"query":"flights to Lisbon","limit":5,"since":"2026-01-31T10:00:00Z","sort":"asc","tags":["cheap","direct"]}}""";

    private Tokenizer _tokenizer = null!;
    private Grammar _grammar = null!;
    private GrammarConstraint _known = null!;
    private int[] _tokens = [];

    [GlobalSetup]
    public void Setup()
    {
        _tokenizer = Tokenizer.Create(Texts.Vocabulary("llama-bpe"));
        _grammar = SchemaCompiler.Compile(SchemaBenchmarks.ToolSet(10));
        _tokens = _tokenizer.Encode(Call, addSpecial: false);
        _known = new(_grammar, _tokenizer);
        Walk((GrammarConstraint)_known.Fork());
    }

    /// <summary>A whole call, a mask for each token, from a grammar that nobody has used.</summary>
    [Benchmark]
    public ulong FirstCall() => Walk(new(_grammar, _tokenizer));

    /// <summary>The same call again.</summary>
    [Benchmark]
    public ulong KnownCall() => Walk((GrammarConstraint)_known.Fork());

    private ulong Walk(GrammarConstraint constraint)
    {
        ulong sum = 0;
        foreach (int token in _tokens)
        {
            ulong word = constraint.Allowed()[token >> 6];
            if ((word >> token & 1) == 0)
                throw new InvalidOperationException($"Token {token} is not allowed.");
            sum += word;
            constraint.Accept(token);
        }

        return sum;
    }
}
