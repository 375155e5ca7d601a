// A beam search in the decode loop: each of the request's sequences is a slot for a beam's text. Beams are forks of copy-on-write pages, so a
// step of the search is one batch with a row per beam, and a beam that takes another one's place costs the copy of a page at most.
using NativeGen.Sampling;

namespace NativeGen.Scheduling;

/// <summary>
/// The search of one request. Rows may come in several steps where rows or pages are short: a beam whose row is there waits for its siblings and may
/// lose its pages meanwhile, since the search has what it needs of it.
/// </summary>
internal sealed class BeamRun : IBeamTexts
{
    private readonly LoopRequest _request;
    private readonly StepPlanner _planner;
    private readonly int _longest;
    private readonly BeamSearch _search;

    /// <param name="request">One with <see cref="LoopRequest.Beams"/>.</param>
    /// <param name="planner">The loop's.</param>
    /// <param name="vocabularySize">The model's.</param>
    public BeamRun(LoopRequest request, StepPlanner planner, int vocabularySize)
    {
        _request = request;
        _planner = planner;
        _longest = Math.Min(request.MaxNewTokens, planner.LongestSequence - request.Prompt.Length);
        _search = new BeamSearch(request.Beams!, request.Prompt.Length, _longest, request.EndTokens, vocabularySize);
    }

    /// <summary>Takes the logits that follow a beam's text, and when all are there chooses every beam's next token. True at the search's end.</summary>
    public bool Advance(LoopSequence sequence, ReadOnlySpan<float> logits, Candidates candidates)
    {
        sequence.Waits = true;
        if (_search.Feed(sequence.Index, logits))
        {
            _search.Advance(_request.Sampler, this, candidates);
        }

        return _search.Done;
    }

    /// <summary>Hands the sink what was found.</summary>
    public void Deliver()
    {
        var found = _search.Best();
        _request.Results = new LoopSequence[found.Length];
        for (var i = 0; i < found.Length; i++)
        {
            LoopSequence sequence = new(_request, i) { Finished = true, Score = found[i].Score, Logprobs = found[i].Logprobs.ToArray() };
            foreach (var token in found[i].Tokens)
            {
                sequence.Append(token);
            }

            _request.Results[i] = sequence;
        }

        for (var i = 0; i < found.Length; i++)
        {
            var reason = found[i].Reason;
            _request.Sink.Deliver(_request.Results[i], reason == FinishReason.Length && _longest < _request.MaxNewTokens ? FinishReason.ContextFull : reason);
        }
    }

    ReadOnlySpan<int> IBeamTexts.Tokens(int slot) => _request.Sequences[slot].Tokens;

    TokenConstraint? IBeamTexts.Constraint(int slot) => _request.Sequences[slot].Constraint;

    bool IBeamTexts.Ends(int slot, int token) => _request.Sink.Ends(_request.Sequences[slot], token);

    void IBeamTexts.Fork(int from, int to)
    {
        var (source, target) = (_request.Sequences[from], _request.Sequences[to]);
        target.CopyFrom(source);
        if (source.Native >= 0)
        {
            _planner.Fork(source, target, source.Computed);
        }
    }

    void IBeamTexts.Append(int slot, int token)
    {
        var sequence = _request.Sequences[slot];
        sequence.Append(token);
        sequence.Constraint?.Accept(token);
        sequence.Waits = false;
    }

    void IBeamTexts.Drop(int slot)
    {
        _planner.Release(_request.Sequences[slot]);
        _request.Sequences[slot].Waits = true;
    }
}
