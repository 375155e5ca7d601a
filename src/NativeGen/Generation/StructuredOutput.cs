// An answer as an object: its type's JSON schema constrains the text, System.Text.Json reads it.
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Extensions.AI;

namespace NativeGen;

/// <summary>Generates objects instead of texts.</summary>
public static class StructuredGenerationExtensions
{
    /// <summary>Continues a text with JSON of a type's schema and returns it as an object.</summary>
    /// <param name="prompt">What to answer. The schema itself is not added to it: say in words what the members mean.</param>
    /// <param name="type">The type, from a source-generated <c>JsonSerializerContext</c>: no reflection, so it works ahead of time compiled.</param>
    /// <param name="options">As for text; <see cref="GenerationOptions.ResponseFormat"/> and the other constraints must not be set.</param>
    /// <remarks>
    /// Every property is written, in the order of the type; one that may be null may be null. Numbers stay in the range of their type, enums are
    /// among their values. Thread safe.
    /// </remarks>
    /// <exception cref="ArgumentException">The options set a constraint of their own, or the type has a schema that cannot be enforced.</exception>
    /// <exception cref="NativeGenException">
    /// InvalidOutput: the text was cut, by <see cref="GenerationOptions.MaxNewTokens"/> or the context, before the object was whole, or a converter
    /// of the type refuses it; else as <see cref="ITextGenerator.GenerateAsync"/>.
    /// </exception>
    /// <example>
    /// <code>
    /// internal sealed record City(string Name, string Country, int Inhabitants);
    ///
    /// [JsonSerializable(typeof(City))]
    /// internal sealed partial class Types : JsonSerializerContext;
    ///
    /// City city = await generator.GenerateAsync("A large city in Asia, as JSON:\n", Types.Default.City, new() { MaxNewTokens = 100 });
    /// </code>
    /// </example>
    public static Task<T> GenerateAsync<T>(this ITextGenerator generator, string prompt, JsonTypeInfo<T> type, GenerationOptions? options = null,
        CancellationToken cancellationToken = default) => RunAsync(generator, GenerationPrompt.FromText(prompt), type, options, cancellationToken);

    /// <summary>Answers a chat with JSON of a type's schema and returns it as an object. See the other form for the details.</summary>
    /// <exception cref="ArgumentException">The options set a constraint of their own, or the type has a schema that cannot be enforced.</exception>
    /// <exception cref="NativeGenException">InvalidOutput: the text was cut before the object was whole; else as <see cref="ITextGenerator.GenerateAsync"/>.</exception>
    public static Task<T> GenerateAsync<T>(this ITextGenerator generator, IEnumerable<ChatMessage> messages, JsonTypeInfo<T> type, GenerationOptions? options = null,
        CancellationToken cancellationToken = default) => RunAsync(generator, GenerationPrompt.FromMessages(messages), type, options, cancellationToken);

    private static async Task<T> RunAsync<T>(ITextGenerator generator, GenerationPrompt prompt, JsonTypeInfo<T> type, GenerationOptions? options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(generator);
        ArgumentNullException.ThrowIfNull(type);
        options ??= new();
        if (options is not { ResponseFormat: null, Choices: null, Regex: null, Grammar: null })
            throw new ArgumentException("ResponseFormat, Choices, Regex and Grammar must not be set: the form of the answer follows from the type.", nameof(options));
        if (options.NumReturnSequences > 1)
            throw new ArgumentException("NumReturnSequences must be 1: one object is returned.", nameof(options));
        ChatResponseFormat format = ChatResponseFormat.ForJsonSchema(StructuredSchema.Of(type), type.Type.Name);
        GenerationResult result = await generator.GenerateAsync(new GenerationRequest(prompt, options with { ResponseFormat = format }), cancellationToken).ConfigureAwait(false);
        try
        {
            return JsonSerializer.Deserialize(result.Text, type)!;
        }
        catch (JsonException e)
        {
            throw new NativeGenException(NativeGenErrorCode.InvalidOutput, result.FinishReason switch
            {
                FinishReason.Length => $"The answer was cut after {result.Usage.GeneratedTokens} tokens, before its {type.Type.Name} was whole. Raise MaxNewTokens.",
                FinishReason.ContextFull => $"The context is full, and the {type.Type.Name} is not whole. Shorten the prompt, or open the model with a larger context.",
                FinishReason.StopSequence => $"A stop sequence ended the answer before its {type.Type.Name} was whole. Leave StopSequences out.",
                _ => $"The answer cannot be read as {type.Type.Name}: {e.Message}",
            }, e);
        }
    }
}

/// <summary>The schema of a type as strict as what its converters read.</summary>
internal static class StructuredSchema
{
    private static readonly JsonSchemaExporterOptions Options = new() { TreatNullObliviousAsNonNullable = true, TransformSchemaNode = Sharpen };

    /// <exception cref="ArgumentException">The type has no schema.</exception>
    internal static JsonElement Of(JsonTypeInfo type)
    {
        try
        {
            using JsonDocument schema = JsonDocument.Parse(type.GetJsonSchemaAsNode(Options).ToJsonString());
            return schema.RootElement.Clone();
        }
        catch (NotSupportedException e)
        {
            throw new ArgumentException($"{type.Type.Name} has no JSON schema: {e.Message}", nameof(type), e);
        }
    }

    private static JsonNode Sharpen(JsonSchemaExporterContext context, JsonNode node)
    {
        if (node is not JsonObject schema)
            return node;
        bool nullable = Nullable.GetUnderlyingType(context.TypeInfo.Type) is not null || context.PropertyInfo is { IsGetNullable: true };
        if (schema.ContainsKey("$ref")) // a type inside itself: without null it would never end
            return nullable ? new JsonObject { ["anyOf"] = new JsonArray(schema, new JsonObject { ["type"] = "null" }) } : schema;

        Type type = Nullable.GetUnderlyingType(context.TypeInfo.Type) ?? context.TypeInfo.Type;
        if (type.IsEnum && !schema.ContainsKey("enum") && !type.IsDefined(typeof(FlagsAttribute), inherit: false))
            Among(schema, Enum.GetValuesAsUnderlyingType(type), nullable);
        else if (Range(type) is var (name, least, most))
        {
            schema.Remove("pattern"); // numbers as strings, which some settings read
            schema.Remove("anyOf");
            schema["type"] = Typed(name, nullable);
            if (least is not null)
                (schema["minimum"], schema["maximum"]) = (JsonNode.Parse(least), JsonNode.Parse(most!));
        }
        else if (Pattern(type) is { } pattern)
        {
            if (type == typeof(TimeOnly)) // read without an offset, which the format demands
                schema.Remove("format");
            schema["type"] = Typed("string", nullable);
            schema["pattern"] = pattern;
        }

        if (schema["properties"] is JsonObject properties && context.TypeInfo.Kind == JsonTypeInfoKind.Object)
        {
            schema["required"] = new JsonArray([.. properties.Select(property => (JsonNode)property.Key)]);
            if (!schema.ContainsKey("additionalProperties") && !context.TypeInfo.Properties.Any(property => property.IsExtensionData))
                schema["additionalProperties"] = false;
        }

        return schema;
    }

    private static void Among(JsonObject schema, Array values, bool nullable)
    {
        schema.Remove("type");
        schema.Remove("pattern");
        JsonArray list = nullable ? [null] : [];
        foreach (object value in values)
            list.Add(JsonNode.Parse(Convert.ToString(value, System.Globalization.CultureInfo.InvariantCulture)!));
        schema["enum"] = list;
    }

    private static JsonNode Typed(string type, bool nullable) => nullable ? new JsonArray(type, "null") : type;

    private static (string Type, string? Least, string? Most)? Range(Type type) => type switch
    {
        _ when type == typeof(sbyte) => ("integer", "-128", "127"),
        _ when type == typeof(byte) => ("integer", "0", "255"),
        _ when type == typeof(short) => ("integer", "-32768", "32767"),
        _ when type == typeof(ushort) => ("integer", "0", "65535"),
        _ when type == typeof(int) => ("integer", "-2147483648", "2147483647"),
        _ when type == typeof(uint) => ("integer", "0", "4294967295"),
        _ when type == typeof(long) => ("integer", "-9223372036854775808", "9223372036854775807"),
        _ when type == typeof(ulong) => ("integer", "0", "18446744073709551615"),
        _ when type == typeof(Half) => ("number", "-65504", "65504"),
        _ when type == typeof(float) => ("number", "-1e38", "1e38"),
        _ when type == typeof(double) => ("number", null, null),
        _ when type == typeof(decimal) => ("number", "-79228162514264337593543950335", "79228162514264337593543950335"),
        _ => null,
    };

    private static string? Pattern(Type type) => type switch
    {
        _ when type == typeof(char) => "^[\\u0000-\\uFFFF]$",
        _ when type == typeof(byte[]) => "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$",
        _ when type == typeof(DateTime) || type == typeof(DateTimeOffset) => "(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])$", // .NET knows no others
        _ when type == typeof(TimeOnly) => "^(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,7})?$",
        _ when type == typeof(TimeSpan) => "^-?(?:[1-9][0-9]{0,6}\\.)?(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{7})?$",
        _ => null,
    };
}
