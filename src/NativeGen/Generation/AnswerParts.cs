// What of an answer is not its text: reasoning and calls of tools, as the chat parser finds them.
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;
using NativeGen.Chat;
using NativeGen.Sampling;
using NativeGen.Tokenization;

namespace NativeGen;

/// <summary>How a request's answers are written.</summary>
/// <param name="Format">The model's way.</param>
/// <param name="Tools">What may be called.</param>
/// <param name="PromptEnd">The prompt's text behind all content.</param>
/// <param name="Marks">The format's control tokens.</param>
/// <param name="Salt">Of the prompt: calls in the answers to different prompts have different ids, even with one seed.</param>
internal sealed record AnswerFormat(ChatFormat Format, ToolSet Tools, string PromptEnd, ControlMarks Marks, int Salt);

/// <summary>Takes one answer apart while it comes.</summary>
internal sealed class AnswerParts : IChatEvents
{
    private const int IdLength = 9; // as Mistral's templates demand it
    private const string IdCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

    private readonly AnswerFormat _format;
    private readonly AnswerText _text;
    private readonly ChatParser _parser;
    private readonly long _seed;
    private readonly int _sequence;
    private readonly StringBuilder _arguments = new();
    private readonly HashSet<string> _ids = new(StringComparer.Ordinal);
    private readonly List<ToolCallUpdate> _updates = [];
    private string _id = "", _name = "";

    internal AnswerParts(AnswerFormat format, AnswerText text, long seed, int sequence)
    {
        (_format, _text, _seed, _sequence) = (format, text, seed, sequence);
        _parser = new ChatParser(format.Format, format.Tools, this, format.PromptEnd, format.Marks);
    }

    internal AnswerText Reasoning { get; } = new(StopSequences.None, wholeGraphemes: true);

    /// <summary>Whole calls.</summary>
    internal List<FunctionCallContent> Calls { get; } = [];

    internal List<string> Diagnostics { get; } = [];

    /// <summary>Whether there is anything to stream.</summary>
    internal bool HasNews => Reasoning.Available > 0 || _updates.Count > 0;

    internal void Append(ReadOnlySpan<char> text) => _parser.Append(text);

    /// <summary>Takes a control token of the format; false if it is another token.</summary>
    internal bool AppendControl(int token)
    {
        if (_format.Marks.Of(token) is not { } mark)
            return false;
        _parser.Append([mark]);
        return true;
    }

    internal void End()
    {
        if (!_text.Stopped)
            _parser.End();
        Reasoning.End();
    }

    /// <summary>What has come since the last call.</summary>
    internal IReadOnlyList<ToolCallUpdate> TakeUpdates()
    {
        if (_updates.Count == 0)
            return [];
        ToolCallUpdate[] taken = [.. _updates];
        _updates.Clear();
        return taken;
    }

    void IChatEvents.Text(ReadOnlySpan<char> text) => _text.Append(text);

    void IChatEvents.Reasoning(ReadOnlySpan<char> text) => Reasoning.Append(text);

    void IChatEvents.CallBegins(int index, string? id, string name)
    {
        _arguments.Clear();
        _id = id is { Length: > 0 and <= 64 } && _ids.Add(id) ? id : NewId(index);
        _name = name;
        _updates.Add(new ToolCallUpdate(index, _id, name, ""));
    }

    void IChatEvents.Arguments(int index, ReadOnlySpan<char> json)
    {
        _arguments.Append(json);
        _updates.Add(new ToolCallUpdate(index, null, null, json.ToString()));
    }

    void IChatEvents.CallEnds(int index)
    {
        string json = _arguments.ToString();
        Dictionary<string, object?> arguments = new(StringComparer.Ordinal);
        using JsonDocument parsed = JsonDocument.Parse(json, new() { MaxDepth = JsonScanner.MostDepth + 1 });
        foreach (JsonProperty member in parsed.RootElement.EnumerateObject())
            arguments[member.Name] = member.Value.Clone();
        Calls.Add(new FunctionCallContent(_id, _name, arguments) { RawRepresentation = json });
    }

    void IChatEvents.CallWithdrawn(int index) => _updates.Add(new ToolCallUpdate(index, null, null, "") { IsWithdrawn = true });

    void IChatEvents.Diagnostic(string what) => Diagnostics.Add(what);

    // A function of the request, so that the same seed gives the same result.
    private string NewId(int index)
    {
        ulong state = unchecked((ulong)_seed + ((ulong)(uint)_format.Salt << 32) + ((ulong)_sequence << 16) + (ulong)index);
        Span<char> id = stackalloc char[IdLength];
        for (int i = 0; i < id.Length; i++)
        {
            // SplitMix64
            state = unchecked(state + 0x9E3779B97F4A7C15);
            ulong mixed = unchecked((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9);
            mixed = unchecked((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB);
            id[i] = IdCharacters[(int)((mixed ^ (mixed >> 31)) % (ulong)IdCharacters.Length)];
        }

        return id.ToString();
    }
}
