// What a parser said about an output, put together again, with the promises of its events checked on the way.
using System.Text;
using System.Text.Json;
using NativeGen.Chat;

namespace NativeGen.Tests.Chat;

internal sealed class Parsed : IChatEvents
{
    private readonly StringBuilder _text = new(), _reasoning = new();
    private readonly List<(string? Id, string Name, StringBuilder Json, bool Ended, bool Withdrawn)> _calls = [];

    public string Text => _text.ToString();

    public string Reasoning => _reasoning.ToString();

    public List<string> Diagnostics { get; } = [];

    /// <summary>name(arguments) of each whole call, in order.</summary>
    public List<string> Calls => [.. Whole.Select(call => $"{call.Name}({call.Json})")];

    public IEnumerable<(string? Id, string Name, string Json)> Whole => _calls.Where(call => call.Ended).Select(call => (call.Id, call.Name, call.Json.ToString()));

    public static Parsed Of(ChatFormat format, ToolSet tools, string output, string prompt = "", params IEnumerable<int> cuts)
    {
        Parsed parsed = new();
        ChatParser parser = new(format, tools, parsed, prompt);
        int from = 0;
        foreach (int cut in cuts)
        {
            parser.Append(output.AsSpan(from, cut - from));
            from = cut;
        }

        parser.Append(output.AsSpan(from));
        parser.End();
        return parsed;
    }

    void IChatEvents.Text(ReadOnlySpan<char> text)
    {
        Assert.False(text.IsEmpty);
        _text.Append(text);
    }

    void IChatEvents.Reasoning(ReadOnlySpan<char> text) => _reasoning.Append(text);

    void IChatEvents.CallBegins(int index, string? id, string name)
    {
        Assert.Equal(_calls.Count, index);
        Assert.NotEqual("", name);
        _calls.Add((id, name, new(), false, false));
    }

    void IChatEvents.Arguments(int index, ReadOnlySpan<char> json)
    {
        Assert.Equal(_calls.Count - 1, index);
        Assert.False(_calls[index].Ended || _calls[index].Withdrawn);
        _calls[index].Json.Append(json);
    }

    void IChatEvents.CallEnds(int index)
    {
        using JsonDocument arguments = JsonDocument.Parse(_calls[index].Json.ToString(), new() { MaxDepth = 600 });
        Assert.Equal(JsonValueKind.Object, arguments.RootElement.ValueKind);
        _calls[index] = _calls[index] with { Ended = true };
    }

    void IChatEvents.CallWithdrawn(int index)
    {
        Assert.False(_calls[index].Ended);
        _calls[index] = _calls[index] with { Withdrawn = true };
    }

    void IChatEvents.Diagnostic(string what) => Diagnostics.Add(what);

    /// <summary>All of it as one text, to compare.</summary>
    public override string ToString() =>
        $"text: {Text}\nreasoning: {Reasoning}\n{string.Join('\n', _calls.Select(call => $"{call.Id} {call.Name} {call.Json} {(call.Ended ? "whole" : call.Withdrawn ? "withdrawn" : "open")}"))}\n{string.Join('\n', Diagnostics)}";
}
