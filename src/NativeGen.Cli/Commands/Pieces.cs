// The bytes of one token, which may be a part of a character.
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using NativeGen.Cli.Shell;

namespace NativeGen.Cli.Commands;

internal static class Pieces
{
    /// <summary>As text, control characters and bytes that are no UTF-8 escaped.</summary>
    public static string Show(ReadOnlySpan<byte> piece)
    {
        if (Utf8.IsValid(piece))
            return Terminal.Escape(Encoding.UTF8.GetString(piece));
        var shown = new StringBuilder();
        foreach (var b in piece)
            shown.Append(b is >= 0x20 and < 0x7f ? ((char)b).ToString() : $"\\x{b:x2}");
        return shown.ToString();
    }

    /// <summary>A JSON string, or {"hex": "..."} for bytes that are no text by themselves.</summary>
    public static void Write(Utf8JsonWriter json, ReadOnlySpan<byte> piece)
    {
        if (Utf8.IsValid(piece))
        {
            json.WriteStringValue(piece);
            return;
        }
        json.WriteStartObject();
        json.WriteString("hex", Convert.ToHexStringLower(piece));
        json.WriteEndObject();
    }
}
