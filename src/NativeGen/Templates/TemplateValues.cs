// JSON as a template's values.
using System.Globalization;
using System.Numerics;
using System.Text.Json;

namespace NativeGen.Templates;

internal static class TemplateValues
{
    /// <summary>Objects keep the order of their members; whole numbers of any size are exact.</summary>
    /// <param name="json">The value.</param>
    /// <param name="content">Whether its strings came from message content.</param>
    internal static object? Of(JsonElement json, bool content = false)
    {
        switch (json.ValueKind)
        {
            case JsonValueKind.Object:
                JinjaDict dict = new();
                foreach (JsonProperty member in json.EnumerateObject())
                    dict[content ? JinjaString.Content(member.Name) : new JinjaString(member.Name)] = Of(member.Value, content);
                return dict;
            case JsonValueKind.Array:
                return json.EnumerateArray().Select(item => Of(item, content)).ToList();
            case JsonValueKind.String:
                return content ? JinjaString.Content(json.GetString()!) : new JinjaString(json.GetString()!);
            case JsonValueKind.Number:
                string text = json.GetRawText();
                return text.AsSpan().IndexOfAny('.', 'e', 'E') >= 0 ? double.Parse(text, CultureInfo.InvariantCulture) : Python.Int(BigInteger.Parse(text, CultureInfo.InvariantCulture));
            case JsonValueKind.True or JsonValueKind.False:
                return json.ValueKind == JsonValueKind.True;
            default:
                return null;
        }
    }
}
