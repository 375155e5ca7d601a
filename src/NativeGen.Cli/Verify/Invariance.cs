// The promise "same answer in any company": a model's logits, bit for bit, however the work is cut, mixed, paged and spread over threads.
// Each case runs some sequences in its own way and compares every watched row with the row of that sequence alone, in one thread.
using NativeGen.Models;

namespace NativeGen.Cli.Verify;

internal sealed class Invariance
{
    private const int LongText = 540, Streams = 33, Steps = 6;
    private static readonly int[] ThreadCounts = [1, 2, 4], Chunks = [1, 7, 64, 512], BatchRows = [1, 2, 3, 4, 5, 6, 7, 8, 17, 33];

    private readonly Model _model;
    private readonly VerifyOptions _options;
    private readonly int _length;
    private readonly int _page;
    private readonly Dictionary<(KvCacheType, int Stream), Dictionary<int, ulong>> _alone = [];

    private Invariance(Model model, VerifyOptions options)
    {
        (_model, _options) = (model, options);
        _length = Math.Min(LongText, model.Info.TrainedContextLength);
        using var context = new InferenceContext(model, Options(1));
        _page = context.PageTokens;
    }

    private sealed record Grid(string Kind, string Name, Action<CaseBuilder> Check);

    /// <summary>Runs the whole grid, or one case of each kind and some more, chosen by the seed.</summary>
    public static void Run(FileReport report, VerifyOptions options, bool full, int seed, Action<string> status)
    {
        using var model = Model.Open(report.Path, new ModelOptions { ExactActivations = options.Exact, Threads = options.Threads }, null, options.Cancel);
        var all = new Invariance(model, options).Cases(report.Path).ToArray();
        var chosen = full ? all : Sample(all, new Random(seed));
        report.Note = full ? $"all {all.Length} cases" : $"seed {seed}: {chosen.Count} of {all.Length} cases";
        foreach (var (c, i) in chosen.Select((c, i) => (c, i)))
        {
            status($"invariance {i + 1}/{chosen.Count}: {c.Name}");
            report.Case(c.Name, c.Check);
        }
    }

    /// <summary>A hash of the logits' bits of a fixed run: 64 tokens at once, then 24 one by one.</summary>
    public static string Fingerprint(string path, VerifyOptions options)
    {
        using var model = Model.Open(path, new ModelOptions { ExactActivations = options.Exact, Threads = options.Threads }, null, options.Cancel);
        using var subject = new Subject(model, options, new ContextOptions());
        var tokens = Stream(model, 0, Math.Min(88, model.Info.TrainedContextLength));
        var sequence = subject.Context.CreateSequence();
        ulong hash = 0;
        subject.Extend(sequence, tokens.AsSpan(0, Math.Min(64, tokens.Length)), 0, (_, logits) => hash = Bits.Hash(hash, logits));
        subject.Extend(sequence, tokens.AsSpan(Math.Min(64, tokens.Length)), 0, (_, logits) => hash = Bits.Hash(hash, logits), chunk: 1);
        return hash.ToString("x16");
    }

    private static IReadOnlyCollection<Grid> Sample(Grid[] all, Random random)
    {
        var shuffled = all.ToArray();
        random.Shuffle(shuffled);
        HashSet<Grid> chosen = [.. shuffled.DistinctBy(c => c.Kind)];
        // The two ends of the chunk sizes take different paths through the kernels: always both.
        chosen.UnionWith(shuffled.Where(c => c.Kind == "chunks" && c.Name.Contains("chunks of 512")).Take(1));
        chosen.UnionWith(shuffled.Where(c => c.Kind == "chunks" && c.Name.Contains("chunks of 1,")).Take(1));
        chosen.UnionWith(shuffled.Take(6));
        return chosen;
    }

    private IEnumerable<Grid> Cases(string path)
    {
        foreach (var threads in ThreadCounts)
        {
            var suffix = $"{threads} thread{(threads == 1 ? "" : "s")}";
            foreach (var chunk in Chunks)
                yield return new("chunks", $"chunks of {chunk}, {suffix}", c => InChunks(c, threads, chunk, KvCacheType.F16));
            foreach (var rows in BatchRows)
                yield return new("company", $"{rows} sequences a step, {suffix}", c => InCompany(c, threads, rows));
            yield return new("mixed", $"a prompt among {Streams} others, {suffix}", c => Mixed(c, threads));
            yield return new("scattered", $"scattered pages, {suffix}", c => Scattered(c, threads));
            yield return new("fork", $"fork in mid-page, {suffix}", c => Fork(c, threads));
            yield return new("cut", $"cut in mid-page, {suffix}", c => Cut(c, threads));
        }
        yield return new("kv", "F32 keys and values, chunks of 1", c => InChunks(c, 2, 1, KvCacheType.F32));
        yield return new("kv", "F32 keys and values, chunks of 64", c => InChunks(c, 2, 64, KvCacheType.F32));
        yield return new("kv", "Q8_0 keys and values, chunks of 1", c => InChunks(c, 2, 1, KvCacheType.Q8_0));
        yield return new("kv", "Q8_0 keys and values, chunks of 64", c => InChunks(c, 2, 64, KvCacheType.Q8_0));
        yield return new("state", "saved and loaded", SavedAndLoaded);
        yield return new("repack", "weights as they are in the file", NotRepacked);
        var own = _model.Info.InstructionSet;
        foreach (var isa in CpuInfo.Read().AvailableInstructionSets.Where(isa => isa != own))
            yield return new("isa", $"{isa} as {own}", c => OtherIsa(c, path, isa));
    }

    // ---- ways to run

    private void InChunks(CaseBuilder c, int threads, int chunk, KvCacheType kv)
    {
        using var subject = Open(threads, kv: kv);
        subject.Run(Stream(0), 0, Compare(c, 0, kv), chunk);
        if (_options.Exact)
            return;
        // Running the vector path over a whole prompt would prove nothing about the matrix path.
        var stats = subject.Context.GetStatistics();
        c.That(chunk > 1 || stats.MatmulMatrixRuns == 0, () => $"{stats.MatmulMatrixRuns} products of a one-row step took the many-rows path");
        c.That(chunk > 1 || stats.MatmulVectorRuns > 0, () => "no product took the few-rows path");
        c.That(chunk < 512 || stats.MatmulMatrixRuns > 0, () => "no product took the many-rows path");
    }

    // Sequences of different lengths: prompts mixed in shuffled steps, then one row of each a step, in shuffled order.
    private void InCompany(CaseBuilder c, int threads, int count)
    {
        var random = new Random(count);
        using var subject = Open(threads);
        var sequences = Enumerable.Range(0, count).Select(_ => subject.Context.CreateSequence()).ToArray();
        var waiting = Enumerable.Range(0, count).ToDictionary(s => s, s => StreamLength(s) - Steps);
        var at = new int[count];
        while (waiting.Count > 0)
        {
            List<int> rows = []; // the stream of each
            while (rows.Count < 48 && waiting.Count > 0)
            {
                var stream = waiting.Keys.ElementAt(random.Next(waiting.Count));
                rows.Add(stream);
                if (--waiting[stream] == 0)
                    waiting.Remove(stream);
            }
            StepOf(c, subject, rows, sequences, at);
        }
        for (var step = 0; step < Steps; step++)
        {
            var rows = Enumerable.Range(0, count).ToArray();
            random.Shuffle(rows);
            StepOf(c, subject, rows, sequences, at);
        }
    }

    // Rows of a long prompt between single rows of others: one step through the many-rows path whose rows are each other's company.
    private void Mixed(CaseBuilder c, int threads)
    {
        using var subject = Open(threads);
        var random = new Random(1);
        var sequences = Enumerable.Range(0, Streams).Select(_ => subject.Context.CreateSequence()).ToArray();
        var at = new int[Streams];
        for (var step = 0; step < Steps; step++)
        {
            var rows = Enumerable.Range(0, Streams).Concat(Enumerable.Repeat(0, 60)).ToArray();
            random.Shuffle(rows);
            StepOf(c, subject, rows, sequences, at);
        }
    }

    // The cache is filled by two sequences in turn, one is dropped: what comes next lies on every other page.
    private void Scattered(CaseBuilder c, int threads)
    {
        using var subject = Open(threads, tokens: 3 * _length);
        var (kept, dropped) = (subject.Context.CreateSequence(), subject.Context.CreateSequence());
        for (var start = 0; start < _length; start += _page)
        {
            var piece = Stream(0).AsSpan(start, Math.Min(_page, _length - start));
            subject.Extend(kept, piece, 0, Compare(c, 0));
            subject.Extend(dropped, piece, int.MaxValue, Ignore);
        }
        subject.Context.DropSequence(dropped);
        subject.Run(Stream(0), 0, Compare(c, 0), 64);
    }

    private void Fork(CaseBuilder c, int threads)
    {
        using var subject = Open(threads, tokens: 3 * _length);
        var middle = Math.Min(_page + _page / 2 + 1, _length / 2);
        var text = Stream(0);
        var parent = subject.Context.CreateSequence();
        subject.Extend(parent, text.AsSpan(0, middle + 3), 0, Compare(c, 0));
        var child = subject.Context.ForkSequence(parent, middle);
        var prefix = subject.Context.ForkSequence(parent, middle); // nobody extends it: it only keeps the pages
        // The child writes other tokens first: the parent must not see them.
        var other = subject.Context.ForkSequence(child, middle);
        subject.Extend(other, Stream(1).AsSpan(0, 5), int.MaxValue, Ignore);
        subject.Extend(parent, text.AsSpan(middle + 3), 0, Compare(c, 0), 64);
        subject.Extend(child, text.AsSpan(middle), 0, Compare(c, 0), 7);
        foreach (var sequence in new[] { parent, child, other })
            subject.Context.DropSequence(sequence);
        var late = subject.Context.ForkSequence(prefix, middle);
        subject.Context.DropSequence(prefix);
        subject.Extend(late, text.AsSpan(middle), 0, Compare(c, 0));
        c.That(subject.Context.SequenceLength(late) == _length, () => "the late fork has lost tokens");
    }

    private void Cut(CaseBuilder c, int threads)
    {
        using var subject = Open(threads);
        var middle = Math.Min(_page + _page / 2 + 1, _length / 2);
        var sequence = subject.Context.CreateSequence();
        subject.Extend(sequence, Stream(0).AsSpan(0, middle), 0, Compare(c, 0));
        subject.Extend(sequence, Stream(1).AsSpan(0, Math.Min(Stream(1).Length, _length - middle)), int.MaxValue, Ignore);
        subject.Context.CutSequence(sequence, middle);
        subject.Extend(sequence, Stream(0).AsSpan(middle), 0, Compare(c, 0), 64);
    }

    private void SavedAndLoaded(CaseBuilder c)
    {
        using var first = Open(2);
        var middle = _length / 2;
        var sequence = first.Context.CreateSequence();
        first.Extend(sequence, Stream(0).AsSpan(0, middle), int.MaxValue, Ignore);
        var state = first.Context.SaveSequence(sequence);
        using var second = Open(1);
        second.Extend(second.Context.LoadSequence(state), Stream(0).AsSpan(middle), 0, Compare(c, 0));
    }

    private void NotRepacked(CaseBuilder c)
    {
        using var model = Model.Open(_model.Info.Path, new ModelOptions { ExactActivations = _options.Exact, Repack = false }, null, _options.Cancel);
        using var subject = new Subject(model, _options, Options(2));
        subject.Run(Stream(0).AsSpan(0, Math.Min(64, _length)), 0, Compare(c, 0));
    }

    private void OtherIsa(CaseBuilder c, string path, string isa)
    {
        var here = Fingerprint(path, _options);
        var there = Self.Run(["verify", "--fingerprint", path, .. _options.Exact ? ["--exact"] : Array.Empty<string>()], ("NATIVEGEN_ISA", isa), _options.Cancel);
        c.That(here == there, () => $"fingerprint here {here}, with {isa} {there}");
    }

    // ---- what they share

    /// <summary>One step: the next token of each named stream, in the given order.</summary>
    private void StepOf(CaseBuilder c, Subject subject, IReadOnlyList<int> streams, int[] sequences, int[] at)
    {
        var positions = streams.Select(s => at[s]++).ToArray();
        var row = 0;
        subject.Step(streams.Select((s, i) => Stream(s)[positions[i]]).ToArray(), streams.Select(s => sequences[s]).ToArray(), positions, streams.Select((s, i) => (byte)(Watched(s, positions[i]) ? 1 : 0)).ToArray(),
            (position, logits) =>
            {
                while (!Watched(streams[row], positions[row]))
                    row++;
                Compare(c, streams[row++])(position, logits);
            });
    }

    private RowReader Compare(CaseBuilder c, int stream, KvCacheType kv = KvCacheType.F16)
    {
        var alone = Alone(stream, kv);
        return (position, logits) =>
        {
            if (!alone.TryGetValue(position, out var expected))
                return;
            var actual = Bits.Hash(0, logits);
            c.That(actual == expected, () => $"sequence {stream}, position {position}: other bits than alone");
        };
    }

    private Dictionary<int, ulong> Alone(int stream, KvCacheType kv)
    {
        if (_alone.TryGetValue((kv, stream), out var rows))
            return rows;
        rows = [];
        using var subject = Open(1, kv: kv);
        subject.Run(Stream(stream), 0, (position, logits) =>
        {
            if (Watched(stream, position))
                rows[position] = Bits.Hash(0, logits);
        });
        return _alone[(kv, stream)] = rows;
    }

    // Page borders, the ends, and some between.
    private bool Watched(int stream, int position) =>
        position % _page is 0 or 1 || position % _page == _page - 1 || position % 13 == 5 || position >= StreamLength(stream) - Steps;

    private int StreamLength(int stream) => stream == 0 ? _length : Math.Min(_length, Steps + 3 + stream * 11 % 41);

    private int[] Stream(int stream) => Stream(_model, stream, StreamLength(stream));

    private static int[] Stream(Model model, int stream, int length)
    {
        var random = new Random(1000 + stream);
        var tokens = new int[length];
        for (var i = 0; i < length; i++)
            tokens[i] = random.Next(model.Info.VocabularySize);
        return tokens;
    }

    private Subject Open(int threads, int tokens = 0, KvCacheType kv = KvCacheType.F16) => new(_model, _options, Options(threads, tokens, kv));

    private ContextOptions Options(int threads, int tokens = 0, KvCacheType kv = KvCacheType.F16) =>
        new() { ContextLength = _length, KvCacheTokens = tokens == 0 ? _length + Streams * 64 : tokens, KvCacheType = kv, Threads = threads };

    private static void Ignore(int position, ReadOnlySpan<float> logits)
    {
    }
}
