// Ctrl-C and SIGTERM: the first one cancels the verb's token and starts a short grace period, after which the process leaves regardless of what
// the verb is waiting for (a read from stdin knows no cancellation). A second one leaves at once.
using System.Runtime.InteropServices;

namespace NativeGen.Cli.Shell;

internal sealed class Interrupt : IDisposable
{
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(100);

    private readonly CancellationTokenSource _cancel = new();
    private readonly TaskCompletionSource<int> _left = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly PosixSignalRegistration _interrupt, _terminate;
    private int _code;

    public Interrupt()
    {
        _interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, c => OnSignal(c, ExitCode.Interrupted));
        _terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, c => OnSignal(c, ExitCode.Terminated));
    }

    public CancellationToken Token => _cancel.Token;

    /// <summary>0 until a signal came, then the code to leave with.</summary>
    public int Code => Volatile.Read(ref _code);

    /// <summary>The verb's own result, or the signal's code when the verb has not answered within the grace period.</summary>
    public async Task<int> RunAsync(Func<CancellationToken, Task<int>> verb)
    {
        var work = Task.Run(() => verb(Token));
        return await (await Task.WhenAny(work, _left.Task).ConfigureAwait(false)).ConfigureAwait(false);
    }

    public void Dispose()
    {
        _interrupt.Dispose();
        _terminate.Dispose();
    }

    private void OnSignal(PosixSignalContext context, int code)
    {
        context.Cancel = true; // not the default action: we leave ourselves, with our code
        if (Interlocked.CompareExchange(ref _code, code, 0) != 0)
        {
            Environment.Exit(code);
        }
        _ = Task.Delay(Grace).ContinueWith(_ => _left.TrySetResult(code), TaskScheduler.Default);
        _ = _cancel.CancelAsync();
    }
}
