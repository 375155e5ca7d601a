// A step of the loop: planned, computed in one batch, and its logits turned into tokens.
using NativeGen.Models;
using NativeGen.Sampling;

namespace NativeGen.Scheduling;

internal sealed partial class DecodeLoop
{
    /// <summary>Plans, runs and commits one step. False if there was nothing to compute.</summary>
    private bool Step()
    {
        _planner.Plan();
        if (_planner.Rows == 0)
        {
            return false;
        }

        Interlocked.MemoryBarrier();
        foreach (var sequence in _planner.Planned)
        {
            if (sequence.Request.CancelRequested)
            {
                _planner.Clear();
                return true;
            }
        }

        var outputs = _planner.Outputs * _context.VocabularySize;
        if (_logits.Length < outputs)
        {
            _logits = GC.AllocateUninitializedArray<float>(outputs);
        }

        var status = _context.Decode(_planner.RowTokens, _planner.RowSequences, _planner.RowPositions, _planner.RowOutputs, _logits.AsSpan(0, outputs));
        switch (status)
        {
            case DecodeStatus.Done:
                Steps++;
                _refused = 0;
                Commit();
                break;
            case DecodeStatus.NoRoom when _refused++ < _planner.Active.Count && _planner.Planned.Count > 1:
                _planner.Evict(_planner.Planned[^1]); // pages were counted, so only the engine knows why: try with fewer sequences
                break;
            case DecodeStatus.NoRoom:
                _refused = 0;
                throw new NativeGenException(NativeGenErrorCode.OutOfMemory, "The KV cache has no room for the next step.");
        }

        _planner.Clear();
        return true;
    }

    private void Commit()
    {
        foreach (var sequence in _planner.Planned)
        {
            sequence.Computed += sequence.Planned;
        }

        var output = 0;
        foreach (var sequence in _planner.Planned)
        {
            if (!sequence.HasOutput)
            {
                continue;
            }

            var logits = _logits.AsSpan(output++ * _context.VocabularySize, _context.VocabularySize);
            try
            {
                if (!sequence.Finished) // its request may have failed a moment ago
                {
                    Advance(sequence, logits);
                }
            }
            catch (Exception error)
            {
                Fail(sequence.Request, error);
            }
        }
    }

    /// <summary>Appends a token to a sequence; at the prompt's end, the first one to each sequence of the request. Beams get theirs together.</summary>
    private void Advance(LoopSequence sequence, ReadOnlySpan<float> logits)
    {
        var request = sequence.Request;
        if (request.FirstTokenAt == 0)
        {
            request.FirstTokenAt = _time.GetTimestamp();
        }

        if (request.Beams is not null)
        {
            request.Search ??= new BeamRun(request, _planner, _context.VocabularySize);
            if (request.Search.Advance(sequence, logits, _candidates))
            {
                request.Search.Deliver();
                Complete(request);
            }

            return;
        }

        if (sequence.Generated > 0)
        {
            Choose(sequence, logits);
        }
        else
        {
            foreach (var sibling in request.Sequences)
            {
                Choose(sibling, logits);
                if (!sibling.Finished && sibling != sequence)
                {
                    _planner.Fork(sequence, sibling);
                }
            }
        }

        var left = 0;
        foreach (var sibling in request.Sequences)
        {
            if (!sibling.Finished)
            {
                left++;
            }
            else
            {
                _planner.Remove(sibling);
            }
        }

        if (left == 0)
        {
            Complete(request);
        }
    }

    private void Complete(LoopRequest request)
    {
        request.EndedAt = _time.GetTimestamp();
        End(request);
        request.Sink.Complete(request);
    }

    private void Choose(LoopSequence sequence, ReadOnlySpan<float> logits)
    {
        var request = sequence.Request;
        SamplingContext context = new(sequence.Tokens, sequence.PromptLength, request.Seed, sequence.Index, sequence.Length) { State = sequence.SamplerState };
        var constraint = sequence.Constraint;
        var token = request.Sampler.Sample(logits, constraint, context, _candidates, out var state);
        var left = Left(sequence) - 1;
        if (constraint?.Accept(token, left) == false)
        {
            // With it the text could not be completed in what is left: chosen again, among what completes it.
            token = request.Sampler.Sample(logits, constraint, context, _candidates, out state);
            constraint.Accept(token, left);
        }

        sequence.SamplerState = state;
        if (!Append(sequence, token, logits) || constraint is null)
        {
            return;
        }

        // What must come now needs no step of its own: the next one computes it all together.
        Span<int> forced = stackalloc int[TokenConstraint.MostForced];
        var count = constraint.Forced(forced, left);
        for (var i = 0; i < count && Append(sequence, forced[i], []); i++)
        {
        }

        if (!sequence.Finished && constraint.IsOver)
        {
            Finish(sequence, FinishReason.Stop);
        }
    }

    /// <summary>One more token. False if it was the last one.</summary>
    private bool Append(LoopSequence sequence, int token, ReadOnlySpan<float> logits)
    {
        var request = sequence.Request;
        sequence.Append(token);
        var ended = request.Sink.Accept(sequence, logits, _candidates);
        FinishReason? reason =
            (uint)token < (uint)request.EndTokens.Length && request.EndTokens.Span[token] ? FinishReason.Stop
            : ended is not null ? ended
            : Left(sequence) == 0 ? Limit(sequence)
            : null;
        if (reason is { } why)
        {
            Finish(sequence, why);
        }

        return reason is null;
    }

    /// <summary>How many tokens the sequence may still get.</summary>
    private int Left(LoopSequence sequence) => Math.Min(sequence.Request.MaxNewTokens - sequence.Generated, LongestSequence - sequence.Length);

    /// <summary>What <see cref="Left"/> comes from.</summary>
    private FinishReason Limit(LoopSequence sequence) =>
        sequence.Request.MaxNewTokens - sequence.Generated <= LongestSequence - sequence.Length ? FinishReason.Length : FinishReason.ContextFull;

    private void Finish(LoopSequence sequence, FinishReason reason)
    {
        sequence.Finished = true;
        if (reason == FinishReason.Stop && sequence.Constraint?.IsCurtailed == true)
        {
            reason = Limit(sequence);
        }

        sequence.Request.Sink.Finish(sequence, reason);
    }
}
