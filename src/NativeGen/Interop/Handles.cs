// One SafeHandle per native type. Its reference count keeps a native object alive until the last call that uses it has returned.
using Microsoft.Win32.SafeHandles;

namespace NativeGen.Interop;

internal sealed class GgufHandle() : SafeHandleZeroOrMinusOneIsInvalid(ownsHandle: true)
{
    protected override bool ReleaseHandle()
    {
        NativeMethods.ng_gguf_close(handle);
        return true;
    }
}

internal sealed class ModelHandle() : SafeHandleZeroOrMinusOneIsInvalid(ownsHandle: true)
{
    protected override bool ReleaseHandle()
    {
        NativeMethods.ng_model_close(handle);
        return true;
    }
}

internal sealed class ContextHandle() : SafeHandleZeroOrMinusOneIsInvalid(ownsHandle: true)
{
    protected override bool ReleaseHandle()
    {
        NativeMethods.ng_context_close(handle);
        return true;
    }
}

internal sealed class TaskHandle() : SafeHandleZeroOrMinusOneIsInvalid(ownsHandle: true)
{
    protected override bool ReleaseHandle()
    {
        NativeMethods.ng_task_close(handle);
        return true;
    }
}
