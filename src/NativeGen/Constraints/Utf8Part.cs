// UTF-8 byte by byte: where in a scalar a text stands that ends inside one.
namespace NativeGen.Constraints;

/// <summary>The bytes of a scalar that has begun: the scalars that they may become, and how many bytes are missing. Nothing begun by default.</summary>
internal readonly struct Utf8Part
{
    private readonly int _bits, _missing, _length;

    private Utf8Part(int bits, int missing, int length) => (_bits, _missing, _length) = (bits, missing, length);

    internal bool IsBegun => _missing > 0;

    /// <summary>Bytes that are still to come.</summary>
    internal int Missing => _missing;

    /// <summary>Names the part; 0 for none.</summary>
    internal int Packed => (_bits << 4) | (_length << 2) | _missing;

    /// <summary>The least scalar that begins like this.</summary>
    internal int First => Math.Max(_bits << (6 * _missing), _length switch { 2 => 0x80, 3 => 0x800, 4 => 0x10000, _ => 0 });

    /// <summary>The greatest.</summary>
    internal int Last => Math.Min(((_bits + 1) << (6 * _missing)) - 1, CodePointSet.Most);

    /// <summary>Bytes of a scalar in UTF-8.</summary>
    internal static int LengthOf(int scalar) => scalar switch { < 0x80 => 1, < 0x800 => 2, < 0x10000 => 3, _ => 4 };

    /// <summary>The greatest scalar of so many bytes.</summary>
    internal static int LastOf(int bytes) => bytes switch { 1 => 0x7F, 2 => 0x7FF, 3 => 0xFFFF, _ => CodePointSet.Most };

    /// <summary>One byte more; false if no scalar has these bytes (too long a form, beyond U+10FFFF, or no UTF-8 at all).</summary>
    internal bool TryAdd(byte value, out Utf8Part next)
    {
        if (_missing > 0)
        {
            next = new((_bits << 6) | (value & 0x3F), _missing - 1, _length);
            return (value & 0xC0) == 0x80 && next.First <= next.Last;
        }

        next = value switch
        {
            < 0x80 => new(value, 0, 1),
            < 0xC0 => default,
            < 0xE0 => new(value & 0x1F, 1, 2),
            < 0xF0 => new(value & 0x0F, 2, 3),
            < 0xF8 => new(value & 0x07, 3, 4),
            _ => default,
        };
        return next._length > 0 && next.First <= next.Last;
    }
}
