// Why a JSON schema cannot be taken: where in it, and what to do.
namespace NativeGen.Constraints.Schema;

/// <summary>A schema that says something wrong, or something this build cannot enforce exactly.</summary>
internal sealed class SchemaException : Exception
{
    /// <param name="pointer">The place in the schema, a JSON pointer; "" is the whole.</param>
    internal SchemaException(string pointer, string what, Exception? inner = null)
        : base($"The JSON schema at '#{pointer}': {what}", inner) => Pointer = pointer;

    /// <summary>The place in the schema, a JSON pointer; "" is the whole.</summary>
    internal string Pointer { get; }
}
