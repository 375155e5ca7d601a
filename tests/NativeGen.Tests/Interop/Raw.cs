// The C ABI with bare pointers, as a careless C caller would use it: no handles, no checks, everything may be NULL.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using NativeGen.Interop;

namespace NativeGen.Tests.Interop;

internal static unsafe partial class Raw
{
    private const string Library = "nativegen";

    static Raw() => NativeLibrary.SetDllImportResolver(typeof(Raw).Assembly, static (name, _, _) => name == Library ? NativeLibraryLoader.Load() : 0);

    [LibraryImport(Library)] internal static partial uint ng_abi_version();
    [LibraryImport(Library)] internal static partial nuint ng_struct_size(byte* name);
    [LibraryImport(Library)] internal static partial nuint ng_build_info(byte* text, nuint cap);
    [LibraryImport(Library)] internal static partial NativeStatus ng_cpu_get_info(NgCpuInfo* info, NgError* error);
    [LibraryImport(Library)] internal static partial NativeStatus ng_bandwidth_measure(uint threads, ulong bytes, double* result, NgError* error);

    [LibraryImport(Library)] internal static partial NativeStatus ng_task_create(nint* task, NgError* error);
    [LibraryImport(Library)] internal static partial void ng_task_close(nint task);
    [LibraryImport(Library)] internal static partial void ng_task_cancel(nint task);
    [LibraryImport(Library)] internal static partial void ng_task_reset(nint task);
    [LibraryImport(Library)] internal static partial float ng_task_progress(nint task);

    [LibraryImport(Library)] internal static partial NativeStatus ng_gguf_open(byte* path, nint* gguf, NgError* error);
    [LibraryImport(Library)] internal static partial void ng_gguf_close(nint gguf);
    [LibraryImport(Library)] internal static partial NativeStatus ng_gguf_get_info(nint gguf, NgGgufInfo* info, NgError* error);
    [LibraryImport(Library)] internal static partial long ng_gguf_find(nint gguf, byte* key);
    [LibraryImport(Library)] internal static partial NativeStatus ng_gguf_kv_info(nint gguf, ulong index, NgGgufKv* info, byte* key, nuint cap, nuint* length, NgError* error);
    [LibraryImport(Library)] internal static partial NativeStatus ng_gguf_kv_value(nint gguf, ulong index, void* buffer, nuint cap, NgError* error);
    [LibraryImport(Library)] internal static partial NativeStatus ng_gguf_tensor_info(nint gguf, ulong index, NgGgufTensor* info, byte* name, nuint cap, nuint* length, NgError* error);
    [LibraryImport(Library)] internal static partial NativeStatus ng_type_get_info(uint type, NgTypeInfo* info, NgError* error);
    [LibraryImport(Library)] internal static partial NativeStatus ng_type_dequantize(uint type, void* blocks, nuint bytes, float* values, nuint n, NgError* error);

    [LibraryImport(Library)] internal static partial NativeStatus ng_model_open(byte* path, NgModelOptions* options, nint task, nint* model, NgError* error);
    [LibraryImport(Library)] internal static partial void ng_model_close(nint model);
    [LibraryImport(Library)] internal static partial NativeStatus ng_model_get_info(nint model, NgModelInfo* info, NgError* error);
    [LibraryImport(Library)] internal static partial NativeStatus ng_model_get_gguf(nint model, nint* gguf, NgError* error);
    [LibraryImport(Library)] internal static partial NativeStatus ng_memory_get_estimate(byte* path, NgModelOptions* model, NgContextOptions* context, NgMemoryEstimate* estimate, NgError* error);

    [LibraryImport(Library)] internal static partial NativeStatus ng_context_create(nint model, NgContextOptions* options, nint* context, NgError* error);
    [LibraryImport(Library)] internal static partial void ng_context_close(nint context);
    [LibraryImport(Library)] internal static partial NativeStatus ng_context_get_stats(nint context, NgContextStats* stats, NgError* error);
    [LibraryImport(Library)] internal static partial NativeStatus ng_seq_create(nint context, int* seq, NgError* error);
    [LibraryImport(Library)] internal static partial NativeStatus ng_seq_drop(nint context, int seq, NgError* error);
    [LibraryImport(Library)] internal static partial NativeStatus ng_seq_fork(nint context, int source, uint keep, int* seq, NgError* error);
    [LibraryImport(Library)] internal static partial NativeStatus ng_seq_cut(nint context, int seq, uint keep, NgError* error);
    [LibraryImport(Library)] internal static partial NativeStatus ng_seq_get_length(nint context, int seq, uint* length, NgError* error);
    [LibraryImport(Library)] internal static partial NativeStatus ng_seq_get_pages_needed(nint context, int seq, uint added, uint* pages, NgError* error);
    [LibraryImport(Library)] internal static partial NativeStatus ng_context_decode(nint context, NgBatch* batch, float* logits, nuint count, nint task, NgError* error);
    [LibraryImport(Library)] internal static partial NativeStatus ng_seq_save(nint context, int seq, void* buffer, nuint cap, nuint* needed, NgError* error);
    [LibraryImport(Library)] internal static partial NativeStatus ng_seq_load(nint context, void* buffer, nuint bytes, int* seq, NgError* error);

    /// <summary>The first field of every option and info struct.</summary>
    internal static void SetStructSize<T>(ref T value, uint size) where T : unmanaged => Unsafe.As<T, uint>(ref value) = size;

    /// <summary>Sizes that are not the struct's own: none, one less, one more, the error's, all bits.</summary>
    internal static IEnumerable<uint> WrongSizes<T>() where T : unmanaged =>
        new uint[] { 0, 1, (uint)sizeof(T) - 1, (uint)sizeof(T) + 1, 4096, uint.MaxValue };

    /// <summary>A C string that lives for the rest of the process.</summary>
    internal static byte* Text(string text)
    {
        byte[] bytes = GC.AllocateArray<byte>(Encoding.UTF8.GetByteCount(text) + 1, pinned: true);
        Encoding.UTF8.GetBytes(text, bytes);
        lock (Texts)
            Texts.Add(bytes);
        return (byte*)Unsafe.AsPointer(ref bytes[0]);
    }

    private static readonly List<byte[]> Texts = [];
}
