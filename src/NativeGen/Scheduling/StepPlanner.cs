// Decides what the next step computes: one row for every sequence that only lacks its newest token, then prompts in chunks in the rows that
// are left. Pages are counted before a row is planned, so that a step never dies half way; who is out of pages waits, or gives way.
using NativeGen.Models;

namespace NativeGen.Scheduling;

internal sealed class StepPlanner
{
    private readonly IInferenceContext _context;
    private readonly List<LoopSequence> _active = []; // by rank, first the one that goes first
    private readonly List<LoopSequence> _planned = []; // in batch order
    private readonly int[] _tokens;
    private readonly int[] _sequences;
    private readonly int[] _positions;
    private readonly byte[] _outputs;
    private int _reserved; // pages the planned rows will take
    private int _turn;     // where decode rows begin when not all fit into a step

    public StepPlanner(IInferenceContext context)
    {
        _context = context;
        _tokens = new int[context.MaxBatchRows];
        _sequences = new int[context.MaxBatchRows];
        _positions = new int[context.MaxBatchRows];
        _outputs = new byte[context.MaxBatchRows];
        LongestSequence = (int)Math.Min(context.ContextLength, (long)context.PagesTotal * context.PageTokens);
    }

    /// <summary>The most tokens one sequence may have: the context's length, or the whole cache where that is smaller.</summary>
    public int LongestSequence { get; }

    public List<LoopSequence> Active => _active;

    /// <summary>The step's sequences in batch order, each with its <see cref="LoopSequence.Planned"/> rows.</summary>
    public List<LoopSequence> Planned => _planned;

    public int Rows { get; private set; }

    /// <summary>Rows whose logits are wanted.</summary>
    public int Outputs { get; private set; }

    public ReadOnlySpan<int> RowTokens => _tokens.AsSpan(0, Rows);

    public ReadOnlySpan<int> RowSequences => _sequences.AsSpan(0, Rows);

    public ReadOnlySpan<int> RowPositions => _positions.AsSpan(0, Rows);

    public ReadOnlySpan<byte> RowOutputs => _outputs.AsSpan(0, Rows);

    /// <summary>How often a sequence had to give up pages it will compute again.</summary>
    public int Evictions { get; private set; }

    public void Add(LoopSequence sequence)
    {
        var at = _active.Count;
        while (at > 0 && sequence.CompareRank(_active[at - 1]) < 0)
        {
            at--;
        }

        _active.Insert(at, sequence);
    }

    /// <summary>Takes a sequence out and frees its pages.</summary>
    public void Remove(LoopSequence sequence)
    {
        Release(sequence);
        _active.Remove(sequence);
    }

    /// <summary>Plans the next step; without rows there is nothing to compute until something changes.</summary>
    public void Plan()
    {
        // Where nobody can move and one waits for pages, the last in rank gives way until that one fits: alone everyone does.
        while (TryPlan() is { } blocked && Rows == 0 && LastHolder(blocked) is { } holder)
        {
            Evict(holder);
        }
    }

    /// <summary>Plans with the pages that rank allows to take. Returns the first sequence that has to wait for some.</summary>
    private LoopSequence? TryPlan()
    {
        Clear();
        for (var i = 0; i < _active.Count && Rows < _tokens.Length; i++)
        {
            var sequence = _active[(_turn + i) % _active.Count];
            if (sequence is { Pending: 1, Native: >= 0, Waits: false } && IsReady(sequence) && !TryAdd(sequence, 1, lastResort: false))
            {
                continue; // out of pages: it waits for others to end
            }
        }

        _turn = Rows == _tokens.Length ? (_turn + Rows) % _active.Count : 0;
        LoopSequence? blocked = null;
        foreach (var sequence in _active)
        {
            if (Rows == _tokens.Length)
            {
                break;
            }

            if (sequence.Planned > 0 || sequence.Waits || sequence is { Pending: 1, Native: >= 0 } || !IsReady(sequence) || AwaitsPrompt(sequence))
            {
                continue;
            }

            // By rank: while one waits for pages, nobody behind it may enter. Who is in goes on, or would hold its pages for ever.
            if ((sequence.Native < 0 && (blocked is not null || !TryPlace(sequence))) || !TryAdd(sequence, sequence.Pending, lastResort: true))
            {
                blocked ??= sequence;
            }
        }

        return blocked;
    }

    private LoopSequence? LastHolder(LoopSequence blocked)
    {
        for (var i = _active.Count - 1; i >= 0; i--)
        {
            if (_active[i].Native >= 0 && _active[i] != blocked)
            {
                return _active[i];
            }
        }

        return null;
    }

    /// <summary>Forgets the plan, after its step or instead of it.</summary>
    public void Clear()
    {
        foreach (var sequence in _planned)
        {
            sequence.Planned = 0;
            sequence.Request.InStep = false;
        }

        _planned.Clear();
        Rows = Outputs = _reserved = 0;
    }

    /// <summary>Takes the pages of a sequence; it will be computed again from the start, or from a sibling's prompt.</summary>
    public void Evict(LoopSequence sequence)
    {
        if (sequence.Native >= 0)
        {
            Release(sequence);
            Evictions++;
        }
    }

    private static bool IsReady(LoopSequence sequence) => sequence.Request.Sink.HasRoom;

    /// <summary>Whether a sibling ahead of it still computes the prompt that both share.</summary>
    private static bool AwaitsPrompt(LoopSequence sequence)
    {
        for (var i = 0; i < sequence.Index && sequence.Native < 0; i++)
        {
            var sibling = sequence.Request.Sequences[i];
            if (sibling is { Finished: false, Waits: false } && sibling.Computed < sibling.PromptLength)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Gives a sequence its number in the context, if there are pages for all it has to compute.</summary>
    private bool TryPlace(LoopSequence sequence)
    {
        var source = PromptHolder(sequence.Request);
        var shared = source is null ? 0 : sequence.PromptLength / _context.PageTokens;
        var needed = Pages(sequence.Length) - shared;
        while (true)
        {
            // One page more, so that it is not the next one to be evicted; alone it needs none.
            var spare = _context.PagesFree < _context.PagesTotal ? 1 : 0;
            if (_context.PagesFree - _reserved >= needed + spare)
            {
                break;
            }

            if (Victim(sequence, lowerPriorityOnly: !HoldsUpSiblings(sequence)) is not { } victim)
            {
                return false;
            }

            Evict(victim);
            source = PromptHolder(sequence.Request);
            needed = Pages(sequence.Length) - (source is null ? 0 : shared);
        }

        if (source is null)
        {
            sequence.Native = _context.CreateSequence();
        }
        else
        {
            Fork(source, sequence);
        }

        return true;
    }

    /// <summary>A sequence whose first tokens are those of another's prompt, sharing its pages.</summary>
    public void Fork(LoopSequence source, LoopSequence sequence) => Fork(source, sequence, source.PromptLength);

    /// <summary>The same for as much as both have in common.</summary>
    public void Fork(LoopSequence source, LoopSequence sequence, int common)
    {
        sequence.Native = _context.ForkSequence(source.Native, common);
        sequence.Computed = common;
    }

    /// <summary>Whether beams that hold pages wait for this one: then its request is under way, and all of it has to come to its end.</summary>
    private static bool HoldsUpSiblings(LoopSequence sequence)
    {
        foreach (var sibling in sequence.Request.Sequences)
        {
            if (sibling is { Waits: true, Native: >= 0 })
            {
                return true;
            }
        }

        return false;
    }

    private static LoopSequence? PromptHolder(LoopRequest request)
    {
        foreach (var sequence in request.Sequences)
        {
            if (sequence.Native >= 0 && sequence.Computed >= sequence.PromptLength)
            {
                return sequence;
            }
        }

        return null;
    }

    /// <summary>Plans up to <paramref name="count"/> rows of a sequence, as many as rows and pages allow.</summary>
    /// <param name="lastResort">Whether fewer rows are better than none.</param>
    private bool TryAdd(LoopSequence sequence, int count, bool lastResort)
    {
        count = Math.Min(count, _tokens.Length - Rows);
        int needed;
        while ((needed = _context.PagesNeeded(sequence.Native, count)) > _context.PagesFree - _reserved)
        {
            if (Victim(sequence, lowerPriorityOnly: false) is { } victim)
            {
                Evict(victim);
            }
            else if (lastResort && count > 1)
            {
                count /= 2;
            }
            else
            {
                return false;
            }
        }

        _reserved += needed;
        for (var i = 0; i < count; i++)
        {
            _tokens[Rows] = sequence.Tokens[sequence.Computed + i];
            _sequences[Rows] = sequence.Native;
            _positions[Rows] = sequence.Computed + i;
            _outputs[Rows++] = 0;
        }

        sequence.Planned = count;
        sequence.HasOutput = count == sequence.Pending;
        if (sequence.HasOutput)
        {
            _outputs[Rows - 1] = 1;
            Outputs++;
        }

        sequence.Request.InStep = true;
        _planned.Add(sequence);
        return true;
    }

    /// <summary>
    /// Who gives way to a sequence: one whose reader is behind, else the last in rank behind it; never one that is part of the step. To
    /// enter at all, a sequence pushes out lower priorities only, else two of the same kind would push out each other in turn. If there is
    /// nobody else, a beam that waits for this one gives way.
    /// </summary>
    private LoopSequence? Victim(LoopSequence sequence, bool lowerPriorityOnly)
    {
        LoopSequence? last = null, waiting = null;
        foreach (var other in _active)
        {
            if (other.Native < 0 || other.Planned > 0 || other == sequence)
            {
                continue;
            }

            if (!IsReady(other))
            {
                return other;
            }

            waiting = other.Waits && other.Request == sequence.Request ? other : waiting;
            if (lowerPriorityOnly ? other.Request.Priority < sequence.Request.Priority : sequence.CompareRank(other) < 0)
            {
                last = other;
            }
        }

        return last ?? waiting;
    }

    /// <summary>Frees a sequence's pages.</summary>
    public void Release(LoopSequence sequence)
    {
        if (sequence.Native >= 0)
        {
            _context.DropSequence(sequence.Native);
            sequence.Native = -1;
            sequence.Computed = 0;
        }
    }

    private int Pages(int tokens) => (tokens + _context.PageTokens - 1) / _context.PageTokens;
}
