// Beam search, diverse beam search and beam sampling over rows of logits, whoever computes them. Rows in, then for every beam which text it
// goes on with; finished texts are kept here.
namespace NativeGen.Sampling;

/// <summary>
/// The search of one request, as transformers' <c>generate()</c> does it: scores are sums of log-probabilities as the sampler's steps leave them.
/// Groups search one after the other at each step, each told what the ones before it have chosen. A pure function of settings and logits.
/// Not thread safe; allocates nothing per step, but where texts outgrow their buffers.
/// </summary>
internal sealed class BeamSearch
{
    private readonly BeamSettings _settings;
    private readonly ReadOnlyMemory<bool> _endTokens;
    private readonly BeamGroup[] _groups;
    private readonly int _promptLength;
    private readonly int _longest;
    private readonly int _vocabularySize;
    private readonly float[] _rows;       // [slot, vocabulary]: the model's log-probabilities
    private readonly bool[] _fed;         // slots whose row is there
    private readonly float[][] _logprobs; // by slot, of its generated tokens
    private readonly int[] _chosen;       // by the groups that have chosen in this step
    private readonly bool[] _ended;       // by offer
    private readonly bool[] _kept;        // by rank: the beam goes on in its slot
    private readonly int[] _slots;
    private int _length;                  // generated tokens of the live beams
    private int _chosenCount;

    /// <param name="settings">What is asked for.</param>
    /// <param name="promptLength">Tokens of the prompt.</param>
    /// <param name="longest">The most tokens to generate; texts that get there are finished.</param>
    /// <param name="endTokens">By token id: true ends a text.</param>
    /// <param name="vocabularySize">Entries of a row.</param>
    public BeamSearch(BeamSettings settings, int promptLength, int longest, ReadOnlyMemory<bool> endTokens, int vocabularySize)
    {
        _settings = settings;
        _promptLength = promptLength;
        _longest = longest;
        _endTokens = endTokens;
        _vocabularySize = vocabularySize;
        var size = settings.GroupSize;
        var offers = Math.Max(2, 1 + endTokens.Span.Count(true)) * size;
        _groups = [.. Enumerable.Range(0, settings.Groups).Select(group => new BeamGroup(settings, group * size, offers))];
        _rows = GC.AllocateUninitializedArray<float>(settings.Beams * vocabularySize);
        _fed = new bool[settings.Beams];
        _logprobs = [.. Enumerable.Range(0, settings.Beams).Select(_ => new float[Math.Min(longest, 256)])];
        _chosen = new int[settings.Beams];
        _ended = new bool[offers];
        _kept = new bool[size];
        _slots = new int[size];
    }

    /// <summary>No text is followed any more.</summary>
    public bool Done { get; private set; }

    /// <summary>Whether a slot has a text whose row the next step needs. At first slot 0 stands for all.</summary>
    public bool Needs(int slot)
    {
        if (_length == 0)
        {
            return slot == 0 && !_fed[0];
        }

        var group = _groups[slot / _settings.GroupSize];
        return !group.Done && !_fed[slot] && group.Slots.AsSpan(0, group.Live).Contains(slot);
    }

    /// <summary>Takes the logits that follow a slot's text. True when no other row is missing: time to <see cref="Advance"/>.</summary>
    public bool Feed(int slot, ReadOnlySpan<float> logits)
    {
        var normalizer = (float)Sampler.LogNormalizer(logits);
        VectorMath.Subtract(logits, normalizer, _rows.AsSpan(slot * _vocabularySize, _vocabularySize));
        _fed[slot] = true;
        for (var other = 0; other < _fed.Length; other++)
        {
            if (Needs(other))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>One step: every beam goes on with a token, some in the place of others; texts that end are put aside.</summary>
    /// <exception cref="NativeGenException">As a sampler's chain; also if no text can go on and none is finished.</exception>
    public void Advance(Sampler sampler, IBeamTexts texts, Candidates candidates)
    {
        for (var group = 1; group < _groups.Length && _length == 0; group++)
        {
            texts.Fork(0, group * _settings.GroupSize);
        }

        _chosenCount = 0;
        Done = true;
        foreach (var group in _groups)
        {
            if (!group.Done)
            {
                Expand(group, sampler, texts, candidates);
                Follow(group, FinishSome(group, texts), texts);
                group.Settle(_length + 1, _longest);
                Done &= group.Done;
            }

            if (group.Done)
            {
                DropAll(group, texts);
            }
        }

        _length++;
        _fed.AsSpan().Clear();
        if (Done && Array.TrueForAll(_groups, static group => group.FinishedCount == 0))
        {
            throw new NativeGenException(NativeGenErrorCode.InvalidRequest,
                "Every token is ruled out by the request's options for every beam: no text can go on, and none is finished.");
        }
    }

    /// <summary>The best finished texts of all groups, best first, as many as were asked for; fewer where fewer were found.</summary>
    public Hypothesis[] Best()
    {
        List<Hypothesis> all = [];
        foreach (var group in _groups)
        {
            all.AddRange(group.Finished);
        }

        return [.. all.OrderByDescending(hypothesis => hypothesis.Score).Take(_settings.Returned)]; // a stable sort
    }

    /// <summary>What the model says after a slot's text. All begin with the one prompt.</summary>
    private ReadOnlySpan<float> Row(int slot) => _rows.AsSpan(_length == 0 ? 0 : slot * _vocabularySize, _vocabularySize);

    /// <summary>What each beam could go on with.</summary>
    private void Expand(BeamGroup group, Sampler sampler, IBeamTexts texts, Candidates candidates)
    {
        group.Clear();
        for (var rank = 0; rank < group.Live; rank++)
        {
            var slot = group.Slots[rank];
            var tokens = texts.Tokens(slot);
            var constraint = texts.Constraint(slot);
            if (constraint is { IsOver: true })
            {
                group.Finish(group.Scores[rank], _length, FinishReason.Stop, tokens[_promptLength..], _logprobs[slot].AsSpan(0, _length));
                continue;
            }

            if (constraint is not null && constraint.Allowed().IndexOfAnyExcept(0ul) < 0)
            {
                continue; // a dead end for this text, not for the others
            }

            SamplingContext context = new(tokens, _promptLength, _settings.Seed, slot, tokens.Length) { GroupTokens = _chosen.AsSpan(0, _chosenCount) };
            sampler.Process(Row(slot), constraint, context, candidates);
            group.Offer(rank, candidates, tokens.Length);
        }
    }

    /// <summary>Puts aside the texts that end with this step, if they are among the best so many as there are beams. Returns who goes on.</summary>
    private ReadOnlySpan<Continuation> FinishSome(BeamGroup group, IBeamTexts texts)
    {
        for (var i = 0; i < group.OfferCount; i++)
        {
            var offer = group.Offers[i];
            var slot = group.Slots[offer.Parent];
            FinishReason? reason = (uint)offer.Token < (uint)_endTokens.Length && _endTokens.Span[offer.Token] ? FinishReason.Stop
                : texts.Ends(slot, offer.Token) ? FinishReason.StopSequence
                : _length + 1 >= _longest ? FinishReason.Length : null;
            _ended[i] = reason is not null;
            if (reason is { } why && i < _settings.GroupSize)
            {
                group.Finish(offer.Score, _length + 1, why, texts.Tokens(slot)[_promptLength..], _logprobs[slot].AsSpan(0, _length))
                    ?.Add(offer.Token, Row(slot)[offer.Token]);
            }
        }

        return group.Next(_ended);
    }

    /// <summary>Beams get their new texts: a parent's first child goes on in its place, others in the places of those without children.</summary>
    private void Follow(BeamGroup group, ReadOnlySpan<Continuation> next, IBeamTexts texts)
    {
        var size = _settings.GroupSize;
        _kept.AsSpan().Clear();
        for (var i = 0; i < next.Length; i++)
        {
            var parent = next[i].Parent;
            _slots[i] = _kept[parent] ? -1 : group.Slots[parent];
            _kept[parent] = true;
        }

        for (var rank = 0; rank < size; rank++)
        {
            if (!_kept[rank] && rank < group.Live)
            {
                texts.Drop(group.Slots[rank]);
            }
        }

        var free = 0;
        for (var i = 0; i < next.Length; i++)
        {
            if (_slots[i] >= 0)
            {
                continue;
            }

            while (_kept[free])
            {
                free++;
            }

            _kept[free] = true;
            _slots[i] = group.Slots[free];
            var source = group.Slots[next[i].Parent];
            texts.Fork(source, _slots[i]);
            Room(_slots[i]);
            _logprobs[source].AsSpan(0, _length).CopyTo(_logprobs[_slots[i]]);
        }

        for (var i = 0; i < next.Length; i++)
        {
            texts.Append(_slots[i], next[i].Token);
            Room(_slots[i])[_length] = Row(group.Slots[next[i].Parent])[next[i].Token];
            group.Scores[i] = next[i].Score;
            _chosen[_chosenCount++] = next[i].Token;
        }

        // What is left over are the idle slots.
        var idle = next.Length;
        for (var rank = 0; rank < size; rank++)
        {
            if (!_kept[rank])
            {
                _slots[idle++] = group.Slots[rank];
            }
        }

        _slots.CopyTo(group.Slots, 0);
        group.Live = next.Length;
    }
    private static void DropAll(BeamGroup group, IBeamTexts texts)
    {
        for (; group.Live > 0; group.Live--)
        {
            texts.Drop(group.Slots[group.Live - 1]);
        }
    }

    /// <summary>A slot's log-probabilities, with room for one more.</summary>
    private float[] Room(int slot)
    {
        if (_logprobs[slot].Length <= _length)
        {
            Array.Resize(ref _logprobs[slot], 2 * Math.Max(_length, 1));
        }

        return _logprobs[slot];
    }
}
