// The imports of nativegen.h and nothing else, under their C names; see the header for the meaning of each. Structs are in
// NativeStructs.cs, the library itself is found by NativeLibraryLoader.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

[assembly: DisableRuntimeMarshalling]

namespace NativeGen.Interop;

internal static unsafe partial class NativeMethods
{
    internal const string Library = "nativegen";
    internal const uint AbiVersion = 1;

    static NativeMethods() => NativeLibraryLoader.Register();

    // ---- the library

    [LibraryImport(Library)]
    internal static partial nuint ng_build_info(byte* text, nuint cap);

    [LibraryImport(Library)]
    internal static partial NativeStatus ng_cpu_get_info(ref NgCpuInfo info, ref NgError error);

    [LibraryImport(Library)]
    internal static partial NativeStatus ng_bandwidth_measure(uint threads, ulong bytes, out double gbPerSecond, ref NgError error);

    // ---- progress and cancel

    [LibraryImport(Library)]
    internal static partial NativeStatus ng_task_create(out TaskHandle task, ref NgError error);

    [LibraryImport(Library)]
    internal static partial void ng_task_close(nint task);

    [LibraryImport(Library)]
    internal static partial void ng_task_cancel(TaskHandle task);

    [LibraryImport(Library)]
    internal static partial void ng_task_reset(TaskHandle task);

    [LibraryImport(Library)]
    [SuppressGCTransition]
    internal static partial float ng_task_progress(TaskHandle task);

    // ---- GGUF files

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial NativeStatus ng_gguf_open(string path, out GgufHandle gguf, ref NgError error);

    [LibraryImport(Library)]
    internal static partial void ng_gguf_close(nint gguf);

    [LibraryImport(Library)]
    internal static partial NativeStatus ng_gguf_get_info(GgufHandle gguf, ref NgGgufInfo info, ref NgError error);

    [LibraryImport(Library)]
    internal static partial NativeStatus ng_gguf_kv_info(GgufHandle gguf, ulong index, ref NgGgufKv info, byte* key, nuint cap, out nuint length, ref NgError error);

    [LibraryImport(Library)]
    internal static partial NativeStatus ng_gguf_kv_value(GgufHandle gguf, ulong index, void* buffer, nuint cap, ref NgError error);

    [LibraryImport(Library)]
    internal static partial NativeStatus ng_gguf_tensor_info(GgufHandle gguf, ulong index, ref NgGgufTensor info, byte* name, nuint cap, out nuint length, ref NgError error);

    [LibraryImport(Library)]
    internal static partial NativeStatus ng_type_get_info(uint type, ref NgTypeInfo info, ref NgError error);

    [LibraryImport(Library)]
    internal static partial NativeStatus ng_type_dequantize(uint type, void* blocks, nuint bytes, float* values, nuint n, ref NgError error);

    // ---- models

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial NativeStatus ng_model_open(string path, in NgModelOptions options, TaskHandle task, out ModelHandle model, ref NgError error);

    [LibraryImport(Library)]
    internal static partial void ng_model_close(nint model);

    [LibraryImport(Library)]
    internal static partial NativeStatus ng_model_get_info(ModelHandle model, ref NgModelInfo info, ref NgError error);

    [LibraryImport(Library)]
    internal static partial NativeStatus ng_model_get_gguf(ModelHandle model, out GgufHandle gguf, ref NgError error);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial NativeStatus ng_memory_get_estimate(string path, in NgModelOptions modelOptions, in NgContextOptions contextOptions,
        ref NgMemoryEstimate estimate, ref NgError error);

    // ---- contexts

    [LibraryImport(Library)]
    internal static partial NativeStatus ng_context_create(ModelHandle model, in NgContextOptions options, out ContextHandle context, ref NgError error);

    [LibraryImport(Library)]
    internal static partial void ng_context_close(nint context);

    [LibraryImport(Library)]
    internal static partial NativeStatus ng_context_get_stats(ContextHandle context, ref NgContextStats stats, ref NgError error);

    [LibraryImport(Library)]
    internal static partial NativeStatus ng_seq_create(ContextHandle context, out int seq, ref NgError error);

    [LibraryImport(Library)]
    internal static partial NativeStatus ng_seq_drop(ContextHandle context, int seq, ref NgError error);

    [LibraryImport(Library)]
    internal static partial NativeStatus ng_seq_fork(ContextHandle context, int source, uint keep, out int seq, ref NgError error);

    [LibraryImport(Library)]
    internal static partial NativeStatus ng_seq_cut(ContextHandle context, int seq, uint keep, ref NgError error);

    [LibraryImport(Library)]
    internal static partial NativeStatus ng_seq_get_length(ContextHandle context, int seq, out uint length, ref NgError error);

    [LibraryImport(Library)]
    internal static partial NativeStatus ng_seq_get_pages_needed(ContextHandle context, int seq, uint newTokens, out uint pages, ref NgError error);

    [LibraryImport(Library)]
    internal static partial NativeStatus ng_context_decode(ContextHandle context, in NgBatch batch, float* logits, nuint logitCount, TaskHandle task, ref NgError error);

    [LibraryImport(Library)]
    internal static partial NativeStatus ng_seq_save(ContextHandle context, int seq, void* buffer, nuint cap, out nuint needed, ref NgError error);

    [LibraryImport(Library)]
    internal static partial NativeStatus ng_seq_load(ContextHandle context, void* buffer, nuint bytes, out int seq, ref NgError error);
}
