// Reading golden files: JSON with the names of raw arrays beside it (.f32, .i32: little-endian, no header, row-major).
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace NativeGen.Cli.Verify;

internal static class Golden
{
    private static readonly Dictionary<string, string> Hashes = [];

    public static JsonDocument Json(string path)
    {
        try
        {
            return JsonDocument.Parse(File.ReadAllBytes(path));
        }
        catch (JsonException e)
        {
            throw new GoldenDataException($"{path}: not JSON: {e.Message}");
        }
    }

    /// <summary>The path of a file that <paramref name="beside"/> names.</summary>
    public static string Beside(string beside, string name)
    {
        var path = Path.GetFullPath(name, Path.GetDirectoryName(Path.GetFullPath(beside))!);
        return File.Exists(path) ? path : throw new GoldenDataException($"'{name}', named by {Path.GetFileName(beside)}, is not there");
    }

    public static float[] F32(string beside, string name, int count) => Array<float>(beside, name, count);

    public static int[] I32(string beside, string name, int count) => Array<int>(beside, name, count);

    /// <summary>The array a member {file, dtype, shape} describes, with its shape.</summary>
    public static (float[] Values, int[] Shape) Tensor(string beside, JsonElement described)
    {
        var shape = Ints(described.GetProperty("shape"));
        return (F32(beside, described.GetProperty("file").GetString()!, shape.Aggregate(1, (a, b) => checked(a * b))), shape);
    }

    public static int[] Ints(JsonElement array)
    {
        var values = new int[array.GetArrayLength()];
        for (var i = 0; i < values.Length; i++)
            values[i] = array[i].GetInt32();
        return values;
    }

    public static double[] Doubles(JsonElement array) => [.. array.EnumerateArray().Select(v => v.GetDouble())];

    public static int[]? IntsOrNull(JsonElement parent, string name) => parent.TryGetProperty(name, out var v) ? Ints(v) : null;

    /// <summary>Text, or <c>{"hex": ...}</c> where it is not UTF-8.</summary>
    public static byte[] Text(JsonElement text) => text.ValueKind == JsonValueKind.Object
        ? Convert.FromHexString(text.GetProperty("hex").GetString()!)
        : Encoding.UTF8.GetBytes(text.GetString()!);

    /// <summary>The model a golden file was made with; anything else would be compared in vain.</summary>
    public static string Model(string beside, string name, string sha256)
    {
        var path = Beside(beside, name);
        lock (Hashes)
        {
            if (!Hashes.TryGetValue(path, out var actual))
            {
                using var stream = File.OpenRead(path);
                Hashes[path] = actual = Convert.ToHexStringLower(SHA256.HashData(stream));
            }
            return actual == sha256 ? path : throw new GoldenDataException($"{path} has SHA-256 {actual}, the golden data was made with {sha256}");
        }
    }

    private static T[] Array<T>(string beside, string name, int count) where T : unmanaged
    {
        var bytes = File.ReadAllBytes(Beside(beside, name));
        if (bytes.Length != count * (long)Marshal.SizeOf<T>())
            throw new GoldenDataException($"{name} has {bytes.Length} bytes, expected {count} values of {Marshal.SizeOf<T>()} bytes");
        return MemoryMarshal.Cast<byte, T>(bytes).ToArray();
    }
}
