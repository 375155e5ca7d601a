// arch/quant/blocks: raw blocks of every tensor type and their values, which must come out with the same bits.
using System.Runtime.InteropServices;
using System.Text.Json;
using NativeGen.Models;

namespace NativeGen.Cli.Verify;

internal static class BlocksSuite
{
    public static bool Reads(JsonElement root) =>
        root.ValueKind == JsonValueKind.Object && root.TryGetProperty("types", out var types) && types.ValueKind == JsonValueKind.Array && root.TryGetProperty("source", out _);

    public static void Run(FileReport report, JsonElement golden)
    {
        foreach (var type in golden.GetProperty("types").EnumerateArray())
        {
            report.Case(type.GetProperty("type").GetString()!, c =>
            {
                var count = type.GetProperty("n_values").GetInt32();
                var expected = Golden.F32(report.Path, type.GetProperty("values").GetString()!, count);
                var blocks = File.ReadAllBytes(Golden.Beside(report.Path, type.GetProperty("file").GetString()!));
                var actual = new float[count];
                TensorType.Dequantize(type.GetProperty("ggml_type").GetInt32(), blocks, actual);
                var at = MemoryMarshal.Cast<float, int>(expected).CommonPrefixLength(MemoryMarshal.Cast<float, int>(actual));
                c.That(at == count, () => $"value {at}: expected {expected[at]:r}, got {actual[at]:r}");
            });
        }
    }
}
