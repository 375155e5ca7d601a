// The model under test with one context: runs token sequences and hands out rows of logits.
using NativeGen.Models;

namespace NativeGen.Cli.Verify;

/// <param name="logits">[vocabulary], valid during the call</param>
internal delegate void RowReader(int position, ReadOnlySpan<float> logits);

internal sealed class Subject : IDisposable
{
    // Logits held at once: 128 rows of a vocabulary of 128k are 64 MiB. The bits do not depend on how a sequence is cut.
    public const int MaxChunk = 128;

    private readonly CancellationToken _cancel;
    private readonly bool _ownsModel;
    private float[] _logits = [];

    /// <summary>Opens a model for this one subject.</summary>
    public Subject(string path, VerifyOptions options, ContextOptions context)
        : this(Model.Open(path, new ModelOptions { ExactActivations = options.Exact, Threads = options.Threads }, null, options.Cancel), options, context, ownsModel: true)
    {
    }

    /// <summary>A context of a model that others use, too.</summary>
    public Subject(Model model, VerifyOptions options, ContextOptions context)
        : this(model, options, context, ownsModel: false)
    {
    }

    private Subject(Model model, VerifyOptions options, ContextOptions context, bool ownsModel)
    {
        (Model, _ownsModel, _cancel) = (model, ownsModel, options.Cancel);
        try
        {
            Context = new InferenceContext(model, context.Threads == 0 ? context with { Threads = options.Threads } : context);
        }
        catch
        {
            if (ownsModel)
                model.Dispose();
            throw;
        }
    }

    public Model Model { get; }
    public InferenceContext Context { get; }
    public int Vocabulary => Context.VocabularySize;

    /// <summary>Appends tokens to a sequence, <paramref name="chunk"/> rows a step, and reads the logits of the positions from <paramref name="readFrom"/> on.</summary>
    public void Extend(int sequence, ReadOnlySpan<int> tokens, int readFrom, RowReader read, int chunk = MaxChunk)
    {
        var start = Context.SequenceLength(sequence);
        for (var done = 0; done < tokens.Length; done += chunk)
        {
            var rows = Math.Min(chunk, tokens.Length - done);
            var first = start + done;
            Step(tokens.Slice(done, rows), Filled(rows, _ => sequence), Filled(rows, i => first + i), Filled(rows, i => (byte)(first + i >= readFrom ? 1 : 0)), read);
        }
    }

    /// <summary>One step over rows of any sequences; reads the rows that were wanted, in batch order.</summary>
    public void Step(ReadOnlySpan<int> tokens, ReadOnlySpan<int> sequences, ReadOnlySpan<int> positions, ReadOnlySpan<byte> outputs, RowReader read)
    {
        var wanted = outputs.Count((byte)1);
        if (_logits.Length < wanted * Vocabulary)
            _logits = new float[wanted * Vocabulary];
        if (!Context.Decode(tokens, sequences, positions, outputs, _logits.AsSpan(0, wanted * Vocabulary), _cancel))
            throw new InvalidOperationException("the KV cache made for this case is too small");
        for (int row = 0, at = 0; row < outputs.Length; row++)
        {
            if (outputs[row] == 1)
                read(positions[row], _logits.AsSpan(at++ * Vocabulary, Vocabulary));
        }
    }

    /// <summary>Runs a sequence from an empty cache and drops it again.</summary>
    public void Run(ReadOnlySpan<int> tokens, int readFrom, RowReader read, int chunk = MaxChunk)
    {
        var sequence = Context.CreateSequence();
        Extend(sequence, tokens, readFrom, read, chunk);
        Context.DropSequence(sequence);
    }

    /// <summary>All rows of logits of a sequence, [tokens, vocabulary].</summary>
    public float[] Logits(ReadOnlySpan<int> tokens, int chunk = MaxChunk)
    {
        var all = new float[tokens.Length * Vocabulary];
        Run(tokens, 0, (position, logits) => logits.CopyTo(all.AsSpan(position * Vocabulary)), chunk);
        return all;
    }

    /// <summary>The <paramref name="count"/> best tokens one after the other, whatever ends a text. <paramref name="seen"/> gets (step, logits).</summary>
    public int[] Greedy(ReadOnlySpan<int> prompt, int count, RowReader? seen = null)
    {
        var sequence = Context.CreateSequence();
        var generated = new int[count];
        var last = prompt.Length - 1;
        Extend(sequence, prompt, prompt.Length - 1, Choose);
        for (var i = 1; i < count; i++)
            Extend(sequence, generated.AsSpan(i - 1, 1), 0, Choose);
        Context.DropSequence(sequence);
        return generated;

        void Choose(int position, ReadOnlySpan<float> logits)
        {
            var step = position - last;
            generated[step] = Statistics.Best(logits);
            seen?.Invoke(step, logits);
        }
    }

    public void Dispose()
    {
        Context.Dispose();
        if (_ownsModel)
            Model.Dispose();
    }

    private static T[] Filled<T>(int count, Func<int, T> value)
    {
        var array = new T[count];
        for (var i = 0; i < count; i++)
            array[i] = value(i);
        return array;
    }
}
