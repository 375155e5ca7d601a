// Why a template cannot be parsed or rendered, and where.
namespace NativeGen.Templates;

/// <summary>What kind of error a template has.</summary>
internal enum JinjaError
{
    /// <summary>The text is no template: a wrong tag, an unknown filter.</summary>
    Syntax,

    /// <summary>Something was used that is not defined.</summary>
    Undefined,

    /// <summary>A value cannot do what is asked of it.</summary>
    Type,

    /// <summary>The sandbox forbids it.</summary>
    Security,

    /// <summary>The template's own complaint (<c>raise_exception</c>).</summary>
    Raised,

    /// <summary>More steps, output, nesting or time than a template may take.</summary>
    Limit,
}

/// <summary>A template that cannot be parsed or rendered.</summary>
internal sealed class JinjaException(JinjaError kind, string message, int line = 0, int column = 0) : Exception(line > 0 ? $"Line {line}, column {column}: {message}" : message)
{
    internal JinjaError Kind => kind;

    /// <summary>The message without the place.</summary>
    internal string Plain => message;

    internal int Line => line;

    internal JinjaException At(int atLine, int atColumn) => line > 0 ? this : new(kind, message, atLine, atColumn);

    internal static JinjaException Type(string message) => new(JinjaError.Type, message);
}
