// JSON as tool calls' arguments are written with it.
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace NativeGen.Chat;

internal static class JsonOut
{
    /// <summary>The text between a JSON string's quotes. Chunks of a text may be escaped one by one.</summary>
    internal static void AppendEscaped(StringBuilder json, ReadOnlySpan<char> text)
    {
        foreach (char c in text)
        {
            if (c is '"' or '\\')
                json.Append('\\').Append(c);
            else if (c < ' ')
                json.Append(Escape(c));
            else
                json.Append(c);
        }
    }

    internal static void AppendString(StringBuilder json, ReadOnlySpan<char> text)
    {
        json.Append('"');
        AppendEscaped(json, text);
        json.Append('"');
    }

    /// <summary>A control character's escape.</summary>
    internal static string Escape(char c) => c switch
    {
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\b' => "\\b",
        '\f' => "\\f",
        _ => "\\u" + ((int)c).ToString("x4", CultureInfo.InvariantCulture),
    };

    /// <summary>What a JSON string says; null if the text is no string.</summary>
    internal static string? ReadString(ReadOnlySpan<char> json)
    {
        if (json.Length < 2 || json[0] != '"')
            return null;
        ReadOnlySpan<char> inner = json[1..^1];
        if (!inner.Contains('\\'))
            return inner.ToString();
        using JsonDocument document = JsonDocument.Parse(json.ToString());
        return document.RootElement.GetString();
    }
}
