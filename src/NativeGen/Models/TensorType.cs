// Reading blocks of a tensor type as floats: for tools and for the check against golden blocks.
using NativeGen.Interop;

namespace NativeGen.Models;

internal static unsafe class TensorType
{
    /// <summary>Values of whole blocks, bit-equal to ggml's.</summary>
    /// <param name="type">ggml's type number.</param>
    /// <param name="blocks">Exactly the bytes of <paramref name="values"/>' elements.</param>
    /// <param name="values">Receives them.</param>
    /// <exception cref="NativeGenException">UnsupportedArchitecture: this build does not read the type.</exception>
    public static void Dequantize(int type, ReadOnlySpan<byte> blocks, Span<float> values)
    {
        NgError error = new();
        fixed (byte* source = blocks)
        fixed (float* target = values)
            NativeMethods.ng_type_dequantize((uint)type, source, (nuint)blocks.Length, target, (nuint)values.Length, ref error).ThrowIfFailed(error);
    }
}
