// ng_status and the one place where it becomes an exception: every import that can fail ends in ThrowIfFailed.

namespace NativeGen.Interop;

internal enum NativeStatus
{
    Ok = 0,
    InvalidArgument = 1,
    NotFound = 2,
    InvalidModel = 3,
    UnsupportedArchitecture = 4,
    OutOfMemory = 5,
    DeviceUnavailable = 6,
    ContextOverflow = 7,
    Busy = 8,
    Internal = 9,
    InvalidState = 10,

    // Expected outcomes: nothing has changed, the caller decides.
    NoRoom = 100,
    Cancelled = 101,
    BufferTooSmall = 102,
}

internal static unsafe class NativeStatusExtensions
{
    /// <summary>Returns <see cref="NativeStatus.Ok"/> and the expected outcomes, throws for everything else.</summary>
    public static NativeStatus ThrowIfFailed(this NativeStatus status, in NgError error)
    {
        if (status is NativeStatus.Ok or NativeStatus.NoRoom or NativeStatus.Cancelled or NativeStatus.BufferTooSmall)
            return status;
        throw ToException(status, error.Message);
    }

    private static Exception ToException(NativeStatus status, string message) => status switch
    {
        NativeStatus.InvalidArgument => new ArgumentException(message),
        NativeStatus.NotFound => new NativeGenException(NativeGenErrorCode.ModelNotFound, message),
        NativeStatus.InvalidModel => new NativeGenException(NativeGenErrorCode.InvalidModel, message),
        NativeStatus.UnsupportedArchitecture => new NativeGenException(NativeGenErrorCode.UnsupportedArchitecture, message),
        NativeStatus.OutOfMemory => new NativeGenException(NativeGenErrorCode.OutOfMemory, message),
        NativeStatus.DeviceUnavailable => new NativeGenException(NativeGenErrorCode.DeviceUnavailable, message),
        NativeStatus.ContextOverflow => new NativeGenException(NativeGenErrorCode.ContextOverflow, message),
        NativeStatus.Busy => new NativeGenException(NativeGenErrorCode.Busy, message),
        NativeStatus.InvalidState => new NativeGenException(NativeGenErrorCode.InvalidModel, message),
        NativeStatus.Internal => new NativeGenException(NativeGenErrorCode.Internal, message),
        _ => new NativeGenException(NativeGenErrorCode.Internal, $"unknown native status {(int)status}: {message}"),
    };
}

/// <summary>The caller-owned error of every fallible call: filled only when the status says so.</summary>
internal unsafe struct NgError
{
    private const int TextBytes = 1016;

    public uint StructSize;
    public NativeStatus Code;
    public fixed byte Text[TextBytes];

    public NgError() => StructSize = (uint)sizeof(NgError);

    public readonly string Message
    {
        get
        {
            fixed (byte* text = Text)
                return Utf8.Read(text, TextBytes);
        }
    }
}

internal static unsafe class Utf8
{
    /// <summary>A NUL-terminated text in a buffer of <paramref name="capacity"/> bytes; a missing NUL ends at the buffer.</summary>
    public static string Read(byte* text, int capacity)
    {
        ReadOnlySpan<byte> bytes = new(text, capacity);
        int length = bytes.IndexOf((byte)0);
        return System.Text.Encoding.UTF8.GetString(length < 0 ? bytes : bytes[..length]);
    }
}
