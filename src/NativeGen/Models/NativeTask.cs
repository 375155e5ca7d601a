// Progress and cancel of one running native call, bound to a CancellationToken. Tasks are pooled: renting one per step allocates nothing.
using System.Collections.Concurrent;
using NativeGen.Interop;

namespace NativeGen.Models;

/// <summary>Rent one, pass it to a native call, dispose it after the call: it then goes back to the pool.</summary>
internal sealed class NativeTask : IDisposable
{
    private const int PoolLimit = 64;
    private static readonly ConcurrentQueue<NativeTask> Pool = new();
    private static readonly Action<object?> CancelCallback = static state => ((NativeTask)state!).Cancel();

    private CancellationTokenRegistration _registration;
    private int _rented;

    private NativeTask()
    {
        NgError error = new();
        NativeMethods.ng_task_create(out TaskHandle handle, ref error).ThrowIfFailed(error);
        Handle = handle;
    }

    /// <summary>What a call without a task passes: the native NULL.</summary>
    internal static TaskHandle None { get; } = new();

    internal TaskHandle Handle { get; }

    /// <summary>0 to 1 of the running or last call.</summary>
    public float Progress => NativeMethods.ng_task_progress(Handle);

    /// <summary>A task that is cancelled when <paramref name="token"/> is, until it is disposed.</summary>
    public static NativeTask Rent(CancellationToken token = default)
    {
        if (!Pool.TryDequeue(out NativeTask? task))
            task = new NativeTask();
        task._rented = 1;
        task._registration = token.UnsafeRegister(CancelCallback, task);
        return task;
    }

    /// <summary>Makes the running call, and every later one until <see cref="Reset"/>, answer Cancelled. Any thread.</summary>
    public void Cancel() => NativeMethods.ng_task_cancel(Handle);

    /// <summary>Forgets a cancellation, for a caller that keeps its task over many steps.</summary>
    public void Reset() => NativeMethods.ng_task_reset(Handle);

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _rented, 0) == 0)
            return;
        _registration.Dispose(); // waits for a callback that is running, so no late cancel reaches the next renter
        _registration = default;
        NativeMethods.ng_task_reset(Handle);
        if (Pool.Count < PoolLimit)
            Pool.Enqueue(this);
        else
            Handle.Dispose();
    }
}
