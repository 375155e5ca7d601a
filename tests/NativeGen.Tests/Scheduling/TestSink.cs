// Takes a request's tokens in tests of the loop, which have no text.
using NativeGen.Sampling;
using NativeGen.Scheduling;

namespace NativeGen.Tests.Scheduling;

internal sealed class TestSink : TokenSink
{
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private static int _ended;
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _taken;

    public LoopRequest Request { get; set; } = null!;

    public int Room { get => Volatile.Read(ref field); set => Volatile.Write(ref field, value); } = int.MaxValue;

    public Action<LoopSequence>? OnToken { get; init; }

    public Task Done => _done.Task.WaitAsync(Patience);

    public int EndOrder { get; private set; }

    public Dictionary<int, FinishReason> Reasons { get; } = [];

    public int[] Tokens(int sequence) => Request.Results[sequence].Tokens[Request.Prompt.Length..].ToArray();

    public override bool HasRoom => _taken < Room;

    public override FinishReason? Accept(LoopSequence sequence, ReadOnlySpan<float> logits, Candidates chosenFrom)
    {
        _taken++;
        OnToken?.Invoke(sequence);
        return null;
    }

    public override void Finish(LoopSequence sequence, FinishReason reason) => Reasons.Add(sequence.Index, reason);

    public Func<LoopSequence, int, bool>? OnEnds { get; init; }

    public override bool Ends(LoopSequence sequence, int token) => OnEnds?.Invoke(sequence, token) == true;

    public override void Deliver(LoopSequence sequence, FinishReason reason) => Reasons.Add(sequence.Index, reason);

    public override void Complete(LoopRequest request)
    {
        EndOrder = Interlocked.Increment(ref _ended);
        _done.SetResult();
    }

    public override void Fail(Exception error) => _done.TrySetException(error);
}
