// The one exception of the library, besides .NET's own for wrong arguments, cancelled tokens and disposed objects.
namespace NativeGen;

/// <summary>What kind of failure a <see cref="NativeGenException"/> reports.</summary>
public enum NativeGenErrorCode
{
    /// <summary>A defect of this library.</summary>
    Internal,

    /// <summary>No such model name or file.</summary>
    ModelNotFound,

    /// <summary>The file is not a GGUF model, is damaged, or contradicts itself; or a saved state does not belong to the model.</summary>
    InvalidModel,

    /// <summary>A sound file of an architecture or tensor type that this build does not run.</summary>
    UnsupportedArchitecture,

    /// <summary>The model or its KV cache does not fit into the memory that is available.</summary>
    OutOfMemory,

    /// <summary>A device or instruction set that was asked for is not there.</summary>
    DeviceUnavailable,

    /// <summary>The prompt does not fit into the model's context.</summary>
    ContextOverflow,

    /// <summary>The request cannot be carried out as it stands.</summary>
    InvalidRequest,

    /// <summary>Too many requests are waiting, or an object is in use by another caller. Trying again later may work.</summary>
    Busy,

    /// <summary>The answer is not the object that was asked for: it was cut before it was whole, or a converter of the type refuses it.</summary>
    InvalidOutput,
}

/// <summary>A failure with a <see cref="Code"/> to act on and a message that says what to do.</summary>
public sealed class NativeGenException : Exception
{
    /// <summary>Creates the exception.</summary>
    public NativeGenException(NativeGenErrorCode code, string message, Exception? innerException = null)
        : base(message, innerException) => Code = code;

    /// <summary>The kind of failure.</summary>
    public NativeGenErrorCode Code { get; }
}
