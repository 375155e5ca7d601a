// Progress and cancel of a native call, from any thread while another is in the call.
using NativeGen.Interop;

namespace NativeGen.Models;

/// <summary>Reusable: one per context or loading model. Nothing here allocates after the first call.</summary>
internal sealed class NativeTask : IDisposable
{
    private static readonly Action<object?> CancelCallback = static state => ((NativeTask)state!).Cancel();

    public NativeTask()
    {
        NgError error = new();
        NativeMethods.ng_task_create(out TaskHandle handle, ref error).ThrowIfFailed(error);
        Handle = handle;
    }

    internal TaskHandle Handle { get; }

    /// <summary>0 to 1 of the running or last call.</summary>
    public float Progress => NativeMethods.ng_task_progress(Handle);

    /// <summary>Makes the running call, and every later one until <see cref="Reset"/>, answer Cancelled. Does nothing once disposed.</summary>
    public void Cancel() => UnlessDisposed(static handle => NativeMethods.ng_task_cancel(handle));

    /// <summary>Ready for the next call. Does nothing once disposed.</summary>
    public void Reset() => UnlessDisposed(static handle => NativeMethods.ng_task_reset(handle));

    // Whoever cancels races with whoever closes; both want the same.
    private void UnlessDisposed(Action<TaskHandle> action)
    {
        try
        {
            action(Handle);
        }
        catch (ObjectDisposedException)
        {
        }
    }

    /// <summary>Cancels this when <paramref name="token"/> is, until the registration is disposed, which waits for a callback that runs.</summary>
    public CancellationTokenRegistration CancelWith(CancellationToken token) => token.UnsafeRegister(CancelCallback, this);

    public void Dispose() => Handle.Dispose();
}
