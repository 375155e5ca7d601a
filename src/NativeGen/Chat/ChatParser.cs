// A model's output as a chat's: plain text, reasoning and tool calls, told apart while it comes. The formats' readers are coroutines: they read as if all
// text were there and wait wherever it is not yet, so that nothing depends on how the output was cut into pieces.
using System.Text;
using NativeGen.Tokenization;

namespace NativeGen.Chat;

/// <summary>Takes what a <see cref="ChatParser"/> finds, in the order of the output. Spans are valid during the call.</summary>
internal interface IChatEvents
{
    void Text(ReadOnlySpan<char> text);

    void Reasoning(ReadOnlySpan<char> text);

    /// <param name="index">Counts the calls from 0; a call that was withdrawn keeps its number.</param>
    /// <param name="id">As the model wrote it, or null.</param>
    void CallBegins(int index, string? id, string name);

    /// <summary>The call's arguments grow: joined, they are a JSON object once the call has ended.</summary>
    void Arguments(int index, ReadOnlySpan<char> json);

    void CallEnds(int index);

    /// <summary>What began as a call is none; its text follows as plain text.</summary>
    void CallWithdrawn(int index);

    /// <summary>Something in the output was not as its format demands.</summary>
    void Diagnostic(string what);
}

/// <summary>
/// One answer's parser: linear time, memory as long as the call that is being read. Never throws for what the model wrote: a call that is not well
/// formed becomes text, with a diagnostic. Not thread safe.
/// </summary>
internal sealed class ChatParser
{
    /// <summary>A longer name is no name.</summary>
    internal const int MostHeader = 512;

    private const int MostDiagnostics = 8;

    private readonly ChatFormat _format;
    private readonly IChatEvents _events;
    private readonly bool _reads; // tool calls, not only reasoning
    private readonly ControlMarks _marks;
    private readonly Dictionary<string, MarkerSet> _sets = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Action> _actions = new(StringComparer.Ordinal);
    private readonly Dictionary<string, CallSyntax> _triggers = new(StringComparer.Ordinal);
    private readonly MarkerSet _markers, _starts, _closes;
    private readonly IEnumerator<bool> _run;
    private readonly JsonScanner _json = new();
    private readonly StringBuilder _space = new();          // white space of the text that waits for what follows
    private readonly StringBuilder _reasoningSpace = new(); // the same of the reasoning
    private bool _trimText, _trimReasoning, _anyReasoning;
    private bool _atStart = true;
    private int _calls, _whole, _diagnostics;
    private bool _callOpen;
    private string? _failure;

    private enum Action
    {
        Call,
        Ignore,
        IgnoreBehindCall,
        Reason,
    }

    /// <param name="format">How the model writes.</param>
    /// <param name="tools">What may be called; empty: only reasoning is told apart.</param>
    /// <param name="events">Takes what is found.</param>
    /// <param name="prompt">The prompt's end: it may have opened the reasoning or a call already.</param>
    /// <param name="marks">How control tokens stand in the output; null: it has none but by name.</param>
    internal ChatParser(ChatFormat format, ToolSet tools, IChatEvents events, ReadOnlySpan<char> prompt = default, ControlMarks? marks = null)
    {
        _marks = marks ?? ControlMarks.None;
        _format = format;
        Tools = tools;
        _events = events;
        _reads = !tools.IsEmpty;
        foreach (string marker in format.Tools.Ignored)
            _actions.TryAdd(marker, Action.Ignore);
        foreach (ToolSpec tool in format.Tools.AddressedTo is null ? [] : tools.Tools)
            _actions.TryAdd(format.Tools.AddressedTo!(tool.Name), Action.Ignore);
        if (_reads)
        {
            foreach (CallSyntax syntax in format.Tools.Calls)
            {
                foreach (string trigger in syntax.Triggers)
                {
                    _triggers.TryAdd(trigger, syntax);
                    _actions[trigger] = Action.Call;
                }

                foreach (string closer in syntax.Closers)
                    _actions.TryAdd(closer, Action.IgnoreBehindCall);
            }
        }

        _starts = new(_marks, [.. format.Reasoning.Opens, .. format.Reasoning.Closes]);
        _closes = new(_marks, format.Reasoning.Closes);
        if (format.Reasoning.Anywhere)
        {
            foreach (string open in format.Reasoning.Opens)
                _actions[open] = Action.Reason;
        }

        _markers = new(_marks, _actions.Keys);
        string? trigger0 = _reads ? format.Tools.OpenedIn(prompt) : null;
        _run = Run(format.Reasoning.IsOpenIn(prompt), trigger0).GetEnumerator();
    }

    internal ToolSet Tools { get; }

    /// <summary>The output from here on.</summary>
    internal TextCursor In { get; } = new();

    /// <summary>The marker that <see cref="UpTo"/> or <see cref="Peek"/> found, or null.</summary>
    internal string? Found { get; private set; }

    private int _foundLength; // in the output

    /// <summary>What is being read is no call.</summary>
    internal bool Failed => _failure is not null;

    internal void Append(ReadOnlySpan<char> text)
    {
        if (text.IsEmpty)
            return;
        In.Append(text);
        _run.MoveNext();
    }

    /// <summary>The output is over.</summary>
    internal void End()
    {
        In.Ended = true;
        _run.MoveNext();
        FlushSpace(_whole == 0);
    }

    private IEnumerable<bool> Run(bool reasoningOpen, string? trigger)
    {
        if (reasoningOpen)
        {
            foreach (bool wait in ReadReasoning())
                yield return wait;
        }

        if (trigger is not null)
        {
            foreach (bool wait in Attempt(_triggers[trigger], trigger, 0, trial: false))
                yield return wait;
        }

        while (true)
        {
            if (_atStart)
            {
                // White space, then perhaps reasoning, or a call that nothing announces.
                foreach (bool wait in Space())
                    yield return wait;
                if (_calls == 0)
                {
                    foreach (bool wait in Peek(_starts))
                        yield return wait;
                    if (Found is { } start)
                    {
                        TakeFound();
                        if (_format.Reasoning.Opens.Contains(start))
                        {
                            foreach (bool wait in ReadReasoning())
                                yield return wait;
                        }
                        else
                        {
                            _space.Clear(); // an end without a beginning: the model says that it does not reason
                            _trimText = true;
                        }

                        continue;
                    }
                }

                _atStart = false;
                if (_reads && _format.Tools.Bare is { } bare && !In.IsEmpty && In.Next is '{' or '[')
                {
                    foreach (bool wait in Attempt(bare, null, 0, trial: true))
                        yield return wait;
                    continue;
                }
            }

            int at = _markers.Find(In.Rest, In.Ended, out string? marker, out int length);
            Text(In.Rest[..at]);
            In.Advance(at);
            if (marker is null)
            {
                if (In.Ended)
                    yield break;
                yield return true;
                continue;
            }

            switch (_actions[marker])
            {
                case Action.Call:
                    foreach (bool wait in Attempt(_triggers[marker], marker, length, trial: false))
                        yield return wait;
                    break;
                case Action.Reason:
                    In.Advance(length);
                    foreach (bool wait in ReadReasoning())
                        yield return wait;
                    break;
                default:
                    if (_actions[marker] == Action.IgnoreBehindCall && _whole == 0)
                        Text(In.Rest[..length]);
                    In.Advance(length);
                    break;
            }
        }
    }

    private IEnumerable<bool> ReadReasoning()
    {
        _space.Clear();
        _reasoningSpace.Clear();
        _trimReasoning = true;
        if (_anyReasoning)
            _reasoningSpace.Append('\n'); // between two blocks
        while (true)
        {
            int at = _closes.Find(In.Rest, In.Ended, out string? close, out int length);
            Reasoning(In.Rest[..at]);
            In.Advance(at);
            if (close is not null)
            {
                In.Advance(length);
                break;
            }

            if (In.Ended)
                break;
            yield return true;
        }

        _trimText = true;
    }

    // Reads calls; where that fails, what was read since the last whole call is text.
    private IEnumerable<bool> Attempt(CallSyntax syntax, string? trigger, int length, bool trial)
    {
        _failure = null;
        In.Mark();
        In.Advance(length);
        foreach (bool wait in syntax.Read(this, trigger, trial))
            yield return wait;
        if (_failure is { } why)
        {
            bool began = _callOpen;
            if (began)
                _events.CallWithdrawn(_calls - 1);
            _callOpen = _atStart = false;
            Text(In.Raw);
            if (began || !trial)
                Diagnostic($"The model began a tool call that is not well formed ({why}): it is part of the text.");
        }

        In.Unmark();
    }

    // ---- what readers use ---------------------------------------------------------------------------------------------------------

    internal void Fail(string why) => _failure ??= why;

    internal void BeginCall(string name, string? id)
    {
        _callOpen = true;
        _events.CallBegins(_calls++, id, name);
        if (!Tools.Contains(name))
            Diagnostic($"The model calls {Shown(name)}, which is none of the tools.");
    }

    internal void Arguments(ReadOnlySpan<char> json)
    {
        if (_marks.AreIn(json))
            json = _marks.Without(json);
        if (!json.IsEmpty)
            _events.Arguments(_calls - 1, json);
    }

    /// <summary>The call is whole: what follows cannot undo it.</summary>
    internal void EndCall()
    {
        _events.CallEnds(_calls - 1);
        FlushSpace(false);
        _whole++;
        _callOpen = false;
        _trimText = true;
        _atStart = true;
        In.Mark();
    }

    /// <summary>Passes white space that means nothing.</summary>
    internal IEnumerable<bool> SkipSpace()
    {
        while (true)
        {
            int space = In.Rest.Length - In.Rest.TrimStart().Length;
            In.Advance(space);
            if (!In.IsEmpty || In.Ended)
                yield break;
            yield return true;
        }
    }

    /// <summary>Reads the marker that was found.</summary>
    internal void TakeFound() => In.Advance(Found is null ? 0 : _foundLength);

    /// <summary>The set of these markers; made once for equal ones.</summary>
    internal MarkerSet Set(params ReadOnlySpan<string> markers)
    {
        string key = string.Join('\0', markers);
        if (!_sets.TryGetValue(key, out MarkerSet? set))
            _sets[key] = set = new(_marks, markers.ToArray());
        return set;
    }

    /// <summary>Output with its control tokens by name.</summary>
    internal string Named(ReadOnlySpan<char> text) => _marks.AreIn(text) ? _marks.Named(text) : text.ToString();

    /// <summary>Whether a marker is next: <see cref="Found"/>. It is not read.</summary>
    internal IEnumerable<bool> Peek(MarkerSet markers)
    {
        while (true)
        {
            MarkerMatch match = MarkerMatch.Wait;
            string? found = null;
            if (!In.IsEmpty || In.Ended)
                match = markers.Match(In.Rest, In.Ended, out found, out _foundLength);
            Found = found;
            if (match != MarkerMatch.Wait)
                yield break;
            yield return true;
        }
    }

    /// <summary>Reads up to a marker, which is <see cref="Found"/> and not read; fails if the text ends or grows longer than <paramref name="most"/> before.</summary>
    internal IEnumerable<bool> UpTo(MarkerSet markers, StringBuilder into, int most = int.MaxValue)
    {
        while (true)
        {
            int at = markers.Find(In.Rest, In.Ended, out string? marker, out int length);
            if (into.Length + at > most)
            {
                In.Advance(most + 1 - into.Length);
                Fail("its name does not end");
                yield break;
            }

            into.Append(Named(In.Rest[..at]));
            In.Advance(at);
            if (marker is not null)
            {
                (Found, _foundLength) = (marker, length);
                yield break;
            }

            if (In.Ended)
            {
                Fail("the output ends in the middle of it");
                yield break;
            }

            yield return true;
        }
    }

    /// <summary>Reads one JSON value, into a text or, without one, as the call's arguments.</summary>
    internal IEnumerable<bool> Json(StringBuilder? into)
    {
        _json.Reset();
        while (true)
        {
            int length = _json.Scan(In.Rest);
            Write(In.Rest[..length], into);
            In.Advance(length);
            switch (_json.State)
            {
                case JsonState.Done:
                    yield break;
                case JsonState.Control:
                    Write(JsonOut.Escape(In.Next), into);
                    In.Advance(1);
                    _json.TakeControl();
                    continue;
                case JsonState.Failed:
                    Fail("its JSON is wrong");
                    yield break;
            }

            if (In.Ended)
            {
                if (!_json.MayEnd)
                    Fail("the output ends in the middle of its JSON");
                yield break;
            }

            yield return true;
        }
    }

    /// <summary>Whether there is another character; fails otherwise. Only behind <see cref="SkipSpace"/> or <see cref="Peek"/>, which wait for one.</summary>
    internal bool HasNext()
    {
        if (In.IsEmpty)
            Fail("the output ends in the middle of it");
        return !In.IsEmpty;
    }

    // ---- what is told ----------------------------------------------------------------------------------------------------------------

    private void Write(ReadOnlySpan<char> json, StringBuilder? into)
    {
        if (into is null)
            Arguments(json);
        else
            into.Append(json);
    }

    // White space as text, as long as it lasts.
    private IEnumerable<bool> Space()
    {
        while (true)
        {
            int space = In.Rest.Length - In.Rest.TrimStart().Length;
            Text(In.Rest[..space]);
            In.Advance(space);
            if (!In.IsEmpty || In.Ended)
                yield break;
            yield return true;
        }
    }

    // White space waits: it is left out in front of a call.
    private void Text(ReadOnlySpan<char> text)
    {
        if (_marks.AreIn(text))
            text = _marks.Without(text);
        if (_trimText)
        {
            text = text.TrimStart();
            _trimText = text.IsEmpty;
        }

        int length = text.TrimEnd().Length;
        if (length > 0)
        {
            FlushSpace(true);
            _events.Text(text[..length]);
        }

        _space.Append(text[length..]);
        if (!_reads && !_atStart)
            FlushSpace(true);
    }

    private void FlushSpace(bool asText)
    {
        if (asText && _space.Length > 0)
            _events.Text(_space.ToString());
        _space.Clear();
    }

    private void Reasoning(ReadOnlySpan<char> text)
    {
        if (_marks.AreIn(text))
            text = _marks.Without(text);
        if (_trimReasoning)
        {
            text = text.TrimStart();
            _trimReasoning = text.IsEmpty;
        }

        int length = text.TrimEnd().Length;
        if (length > 0)
        {
            if (_reasoningSpace.Length > 0)
                _events.Reasoning(_reasoningSpace.ToString());
            _reasoningSpace.Clear();
            _events.Reasoning(text[..length]);
            _anyReasoning = true;
        }

        _reasoningSpace.Append(text[length..]);
    }

    private void Diagnostic(string what)
    {
        if (_diagnostics++ < MostDiagnostics)
            _events.Diagnostic(what);
    }

    private static string Shown(string name) => name.Length <= 64 ? name : name[..64] + "...";
}
