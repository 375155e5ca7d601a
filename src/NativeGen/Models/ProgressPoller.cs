namespace NativeGen.Models;

/// <summary>Reports a task's progress from a timer while another thread is in the native call: native code calls nobody back.</summary>
internal sealed class ProgressPoller : IDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(50);

    private readonly NativeTask _task;
    private readonly IProgress<float> _progress;
    private readonly Lock _gate = new(); // one report at a time, none after Finish
    private readonly Timer _timer;
    private float _last = -1;
    private bool _finished;
    private Exception? _failure;

    public ProgressPoller(NativeTask task, IProgress<float> progress)
    {
        _task = task;
        _progress = progress;
        _timer = new Timer(static state => ((ProgressPoller)state!).Tick(), this, TimeSpan.Zero, Period);
    }

    private void Tick()
    {
        lock (_gate)
        {
            if (_finished)
                return;
            try
            {
                Report(_task.Progress);
            }
            catch (Exception e)
            {
                // Thrown to the opener by Finish; on this thread it would end the process.
                _failure = e;
                _finished = true;
                _task.Cancel();
            }
        }
    }

    private void Report(float value)
    {
        if (value <= _last)
            return;
        _last = value;
        _progress.Report(value);
    }

    /// <summary>No report comes after this one. Throws what the receiver threw.</summary>
    public void Finish(bool completed)
    {
        lock (_gate)
        {
            if (_failure is not null)
                System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(_failure);
            _finished = true;
            if (completed)
                Report(1);
        }
    }

    public void Dispose()
    {
        lock (_gate)
            _finished = true;
        _timer.Dispose();
    }
}
