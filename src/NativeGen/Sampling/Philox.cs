// The sampler's random numbers: Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011).
// A pure function of key and counter: no state to keep, save, restore or share.
using System.Runtime.CompilerServices;

namespace NativeGen.Sampling;

internal static class Philox
{
    /// <summary>A number in [0, 1) with 53 bits, for one draw of one sequence.</summary>
    /// <param name="stream">Tells apart several draws at one position; the choice of the token is 0.</param>
    public static double Uniform(long seed, int sequence, int position, uint stream = 0)
    {
        var (a, b, _, _) = Block((uint)position, (uint)sequence, stream, 0, (uint)seed, (uint)((ulong)seed >> 32));
        return ((((ulong)a << 32) | b) >> 11) * (1.0 / (1UL << 53));
    }

    public static (uint A, uint B, uint C, uint D) Block(uint c0, uint c1, uint c2, uint c3, uint k0, uint k1)
    {
        for (var round = 0; round < 10; round++)
        {
            var x = (ulong)c0 * 0xD2511F53;
            var y = (ulong)c2 * 0xCD9E8D57;
            (c0, c1, c2, c3) = ((uint)(y >> 32) ^ c1 ^ k0, (uint)y, (uint)(x >> 32) ^ c3 ^ k1, (uint)x);
            k0 += 0x9E3779B9;
            k1 += 0xBB67AE85;
        }

        return (c0, c1, c2, c3);
    }
}
