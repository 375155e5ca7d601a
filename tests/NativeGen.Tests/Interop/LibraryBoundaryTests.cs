// The boundary of library, tasks, GGUF files and tensor types: whatever a caller passes, a status comes back and the process lives.
using System.Text;
using NativeGen.Interop;

namespace NativeGen.Tests.Interop;

public sealed unsafe class LibraryBoundaryTests
{
    [Fact]
    public void The_library_has_the_abi_version_of_the_imports() => Assert.Equal(NativeMethods.AbiVersion, Raw.ng_abi_version());

    [Fact]
    public void Struct_sizes_agree_on_both_sides()
    {
        (string Name, int Size)[] structs =
        [
            ("ng_error", sizeof(NgError)), ("ng_cpu_info", sizeof(NgCpuInfo)), ("ng_gguf_info", sizeof(NgGgufInfo)), ("ng_gguf_kv", sizeof(NgGgufKv)),
            ("ng_gguf_tensor", sizeof(NgGgufTensor)), ("ng_type_info", sizeof(NgTypeInfo)), ("ng_model_options", sizeof(NgModelOptions)),
            ("ng_model_info", sizeof(NgModelInfo)), ("ng_context_options", sizeof(NgContextOptions)), ("ng_memory_estimate", sizeof(NgMemoryEstimate)),
            ("ng_context_stats", sizeof(NgContextStats)), ("ng_batch", sizeof(NgBatch)),
        ];
        foreach ((string name, int size) in structs)
            Assert.True((nuint)size == Raw.ng_struct_size(Raw.Text(name)), $"{name}: {size} here, {Raw.ng_struct_size(Raw.Text(name))} in the library");
    }

    [Fact]
    public void Every_struct_of_the_header_is_compared()
    {
        string header = File.ReadAllText(Path.Combine(TestData.Root, "native", "include", "nativegen.h"));
        var names = System.Text.RegularExpressions.Regex.Matches(header, @"typedef struct (ng_\w+) \{").Select(m => m.Groups[1].Value).ToList();
        Assert.Equal(12, names.Count);
        Assert.All(names, name => Assert.NotEqual((nuint)0, Raw.ng_struct_size(Raw.Text(name))));
    }

    [Fact]
    public void Unknown_struct_names_have_no_size()
    {
        Assert.Equal((nuint)0, Raw.ng_struct_size(null));
        Assert.Equal((nuint)0, Raw.ng_struct_size(Raw.Text("")));
        Assert.Equal((nuint)0, Raw.ng_struct_size(Raw.Text("ng_no_such")));
    }

    [Fact]
    public void Build_info_is_cut_to_the_buffer_and_tells_its_full_length()
    {
        nuint length = Raw.ng_build_info(null, 0);
        Assert.InRange(length, (nuint)10, (nuint)200);
        byte* text = stackalloc byte[256];
        Assert.Equal(length, Raw.ng_build_info(text, 256));
        string whole = Utf8.Read(text, 256);
        Assert.Equal((int)length, whole.Length);
        new Span<byte>(text, 256).Fill(0xAA);
        Assert.Equal(length, Raw.ng_build_info(text, 6));
        Assert.Equal(whole[..5], Utf8.Read(text, 6));
        Assert.Equal(0xAA, text[6]);
        Assert.Equal(length, Raw.ng_build_info(null, 100));
    }

    [Fact]
    public void An_error_of_unknown_size_is_refused_and_not_written()
    {
        foreach (uint size in Raw.WrongSizes<NgError>())
        {
            NgError error = new() { StructSize = size, Code = (NativeStatus)77 };
            nint task = 0;
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_task_create(&task, &error));
            Assert.Equal((NativeStatus)77, error.Code);
            Assert.Equal(0, task);
        }
    }

    [Fact]
    public void Tasks_may_be_null_and_may_be_used_from_many_threads()
    {
        NgError error = new();
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_task_create(null, &error));
        Assert.NotEmpty(error.Message);
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_task_create(null, null));
        Raw.ng_task_close(0);
        Raw.ng_task_cancel(0);
        Raw.ng_task_reset(0);
        Assert.Equal(0f, Raw.ng_task_progress(0));

        nint created = 0;
        Assert.Equal(NativeStatus.Ok, Raw.ng_task_create(&created, null));
        nint task = created;
        Parallel.For(0, 1000, i =>
        {
            if (i % 2 == 0)
                Raw.ng_task_cancel(task);
            else
                Raw.ng_task_reset(task);
            Assert.Equal(0f, Raw.ng_task_progress(task));
        });
        Raw.ng_task_close(task);
    }

    [Fact]
    public void Cpu_info_refuses_null_and_unknown_sizes()
    {
        NgError error = new();
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_cpu_get_info(null, &error));
        foreach (uint size in Raw.WrongSizes<NgCpuInfo>())
        {
            NgCpuInfo info = new() { StructSize = size };
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_cpu_get_info(&info, &error));
        }
    }

    [Fact]
    public void Bandwidth_refuses_null_and_what_no_machine_has()
    {
        NgError error = new();
        double result = -1;
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_bandwidth_measure(0, 0, null, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_bandwidth_measure(uint.MaxValue, 1 << 20, &result, &error));
        Assert.Equal(NativeStatus.OutOfMemory, Raw.ng_bandwidth_measure(1, ulong.MaxValue, &result, &error));
        Assert.Equal(NativeStatus.OutOfMemory, Raw.ng_bandwidth_measure(1, 1UL << 50, &result, &error));
        Assert.Equal(NativeStatus.Ok, Raw.ng_bandwidth_measure(1, 1, &result, &error));
        Assert.Equal(NativeStatus.Ok, Raw.ng_bandwidth_measure(1, 4 << 20, &result, &error));
        Assert.InRange(result, 0.01, 10_000);
    }

    [Fact]
    public void Opening_a_gguf_refuses_null()
    {
        NgError error = new();
        nint gguf = 7;
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_gguf_open(null, &gguf, &error));
        Assert.Equal(0, gguf);
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_gguf_open(Raw.Text(TestData.TinyModel("llama")), null, &error));
        Assert.Equal(NativeStatus.NotFound, Raw.ng_gguf_open(Raw.Text(""), &gguf, null));
        Assert.Equal(NativeStatus.NotFound, Raw.ng_gguf_open(Raw.Text("/no/such/file.gguf"), &gguf, &error));
        Assert.Contains("/no/such/file.gguf", error.Message);
        Assert.Equal(0, gguf);
        Raw.ng_gguf_close(0);
    }

    [Fact]
    public void Gguf_calls_refuse_null_wrong_sizes_and_indices_out_of_range()
    {
        NgError error = new();
        nint gguf = 0;
        Assert.Equal(NativeStatus.Ok, Raw.ng_gguf_open(Raw.Text(TestData.TinyModel("llama")), &gguf, &error));
        NgGgufInfo info = new();
        NgGgufKv kv = new();
        NgGgufTensor tensor = new();
        byte* text = stackalloc byte[64];
        nuint length = 0;

        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_gguf_get_info(0, &info, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_gguf_get_info(gguf, null, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_gguf_kv_info(0, 0, &kv, text, 64, &length, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_gguf_kv_info(gguf, 0, null, text, 64, &length, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_gguf_kv_info(gguf, 0, &kv, null, 64, &length, &error));
        Assert.Equal(NativeStatus.Ok, Raw.ng_gguf_kv_info(gguf, 0, &kv, null, 0, null, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_gguf_kv_value(0, 0, text, 64, &error));
        Assert.Equal(NativeStatus.BufferTooSmall, Raw.ng_gguf_kv_value(gguf, 0, null, 0, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_gguf_kv_value(gguf, 0, null, nuint.MaxValue, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_gguf_tensor_info(0, 0, &tensor, text, 64, &length, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_gguf_tensor_info(gguf, 0, null, text, 64, &length, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_gguf_tensor_info(gguf, 0, &tensor, null, 64, &length, &error));
        Assert.Equal(-1, Raw.ng_gguf_find(0, text));
        Assert.Equal(-1, Raw.ng_gguf_find(gguf, null));
        Assert.Equal(-1, Raw.ng_gguf_find(gguf, Raw.Text("no.such.key")));
        Assert.InRange(Raw.ng_gguf_find(gguf, Raw.Text("general.architecture")), 0, 1000);

        Assert.Equal(NativeStatus.Ok, Raw.ng_gguf_get_info(gguf, &info, &error));
        foreach (ulong index in new[] { info.KvCount, info.KvCount + 1, 1UL << 32, 1UL << 63, ulong.MaxValue })
        {
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_gguf_kv_info(gguf, index, &kv, text, 64, &length, &error));
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_gguf_kv_value(gguf, index, text, 64, &error));
        }
        foreach (ulong index in new[] { info.TensorCount, info.TensorCount + 1, 1UL << 32, 1UL << 63, ulong.MaxValue })
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_gguf_tensor_info(gguf, index, &tensor, text, 64, &length, &error));

        foreach (uint size in Raw.WrongSizes<NgGgufInfo>())
        {
            Raw.SetStructSize(ref info, size);
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_gguf_get_info(gguf, &info, &error));
        }
        foreach (uint size in Raw.WrongSizes<NgGgufKv>())
        {
            Raw.SetStructSize(ref kv, size);
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_gguf_kv_info(gguf, 0, &kv, text, 64, &length, &error));
        }
        foreach (uint size in Raw.WrongSizes<NgGgufTensor>())
        {
            Raw.SetStructSize(ref tensor, size);
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_gguf_tensor_info(gguf, 0, &tensor, text, 64, &length, &error));
        }
        Raw.ng_gguf_close(gguf);
    }

    [Fact]
    public void Names_are_cut_to_the_buffer_and_terminated()
    {
        nint gguf = 0;
        Assert.Equal(NativeStatus.Ok, Raw.ng_gguf_open(Raw.Text(TestData.TinyModel("llama")), &gguf, null));
        NgGgufTensor tensor = new();
        byte* text = stackalloc byte[16];
        new Span<byte>(text, 16).Fill(0xAA);
        nuint length = 0;
        Assert.Equal(NativeStatus.Ok, Raw.ng_gguf_tensor_info(gguf, 0, &tensor, text, 4, &length, null));
        Assert.True(length > 4);
        Assert.Equal(0, text[3]);
        Assert.Equal(0xAA, text[4]);
        Assert.Equal(3, Encoding.UTF8.GetByteCount(Utf8.Read(text, 4)));
        Raw.ng_gguf_close(gguf);
    }

    [Fact]
    public void A_gguf_may_be_read_from_many_threads()
    {
        nint opened = 0;
        Assert.Equal(NativeStatus.Ok, Raw.ng_gguf_open(Raw.Text(TestData.TinyModel("llama")), &opened, null));
        nint gguf = opened;
        long index = Raw.ng_gguf_find(gguf, Raw.Text("tokenizer.ggml.tokens"));
        Parallel.For(0, 64, _ =>
        {
            NgGgufKv kv = new();
            Assert.Equal(NativeStatus.Ok, Raw.ng_gguf_kv_info(gguf, (ulong)index, &kv, null, 0, null, null));
            byte[] value = new byte[kv.Bytes];
            fixed (byte* pointer = value)
                Assert.Equal(NativeStatus.Ok, Raw.ng_gguf_kv_value(gguf, (ulong)index, pointer, (nuint)value.Length, null));
        });
        Raw.ng_gguf_close(gguf);
    }

    [Fact]
    public void Every_type_number_has_an_answer()
    {
        NgError error = new();
        NgTypeInfo info = new();
        int known = 0;
        for (uint type = 0; type < 300; type++)
        {
            NativeStatus status = Raw.ng_type_get_info(type, &info, &error);
            Assert.True(status is NativeStatus.Ok or NativeStatus.UnsupportedArchitecture, $"type {type}: {status}");
            known += status == NativeStatus.Ok ? 1 : 0;
        }
        Assert.InRange(known, 16, 60);
        Assert.Equal(NativeStatus.UnsupportedArchitecture, Raw.ng_type_get_info(uint.MaxValue, &info, &error));
        Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_type_get_info(0, null, &error));
        foreach (uint size in Raw.WrongSizes<NgTypeInfo>())
        {
            Raw.SetStructSize(ref info, size);
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_type_get_info(0, &info, &error));
        }
    }

    [Fact]
    public void Dequantizing_checks_pointers_and_sizes()
    {
        NgError error = new();
        byte[] bytes = new byte[4096];
        float[] values = new float[1024];
        fixed (byte* blocks = bytes)
        fixed (float* output = values)
        {
            const uint F32 = 0, Q4K = 12;
            Assert.Equal(NativeStatus.Ok, Raw.ng_type_dequantize(F32, blocks, 4096, output, 1024, &error));
            Assert.Equal(NativeStatus.Ok, Raw.ng_type_dequantize(Q4K, blocks, 144, output, 256, &error));
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_type_dequantize(F32, null, 4096, output, 1024, &error));
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_type_dequantize(F32, blocks, 4096, null, 1024, &error));
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_type_dequantize(F32, blocks, 4095, output, 1024, &error));
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_type_dequantize(F32, blocks, 0, output, 1024, &error));
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_type_dequantize(Q4K, blocks, 144, output, 255, &error));
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_type_dequantize(Q4K, blocks, 143, output, 256, &error));
            // n * bytes that wraps around to something small
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_type_dequantize(F32, blocks, 0, output, nuint.MaxValue / 4 + 1, &error));
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_type_dequantize(F32, blocks, 4, output, nuint.MaxValue / 4 + 2, &error));
            Assert.Equal(NativeStatus.InvalidArgument, Raw.ng_type_dequantize(Q4K, blocks, nuint.MaxValue, output, nuint.MaxValue, &error));
            Assert.Equal(NativeStatus.UnsupportedArchitecture, Raw.ng_type_dequantize(9999, blocks, 144, output, 256, &error));
            Assert.Equal(NativeStatus.UnsupportedArchitecture, Raw.ng_type_dequantize(uint.MaxValue, null, 0, null, 0, null));
        }
    }
}
