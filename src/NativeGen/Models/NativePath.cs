namespace NativeGen.Models;

internal static class NativePath
{
    /// <summary>A path the native side sees whole: C strings end at a NUL.</summary>
    public static void Check(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (path.Contains('\0'))
            throw new ArgumentException("A path cannot contain a NUL character.", nameof(path));
    }
}
