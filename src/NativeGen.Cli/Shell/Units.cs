// Numbers for people. JSON always has the plain ones.
using System.Globalization;

namespace NativeGen.Cli.Shell;

internal static class Units
{
    public static string Bytes(long bytes) => bytes switch
    {
        < 1L << 10 => $"{bytes} B",
        < 1L << 20 => Number(bytes, 1L << 10, "KiB"),
        < 1L << 30 => Number(bytes, 1L << 20, "MiB"),
        _ => Number(bytes, 1L << 30, "GiB"),
    };

    public static string Count(long count) => count switch
    {
        < 1_000 => count.ToString(CultureInfo.InvariantCulture),
        < 1_000_000 => Number(count, 1_000, "K"),
        < 1_000_000_000 => Number(count, 1_000_000, "M"),
        _ => Number(count, 1_000_000_000, "B"),
    };

    private static string Number(long value, long unit, string name) =>
        string.Create(CultureInfo.InvariantCulture, $"{(double)value / unit:0.##} {name}");
}
