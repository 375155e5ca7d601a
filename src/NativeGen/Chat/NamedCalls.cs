// Calls whose name stands outside of the JSON: a marker, a header with the name, then the arguments as a JSON object.
using System.Text;
using NativeGen.Constraints;

namespace NativeGen.Chat;

internal sealed class NamedCalls : CallSyntax
{
    /// <summary>Finds name and id in what stands between trigger and arguments; null if it is no header.</summary>
    internal required Func<string, (string Name, string? Id)?> Header { get; init; }

    /// <summary>The header is a line of its own; "all" there means that text follows instead of a call (Functionary).</summary>
    internal bool HeaderIsLine { get; init; }

    /// <summary>Older models of the family write a list of objects behind the same trigger.</summary>
    internal JsonCalls? List { get; init; }

    /// <summary>Texts of the header, for control tokens in it.</summary>
    internal string[] Inner { get; init; } = [];

    /// <summary>How a call is written, for the grammar; null for this trigger's index and name.</summary>
    internal (string Begin, Func<string, string> Header, string AfterArguments, string? Between, string End)? Written { get; init; }

    internal override IEnumerable<string> InnerMarkers => Inner;

    internal override IEnumerable<bool> Read(ChatParser parser, string? trigger, bool trial)
    {
        TextCursor text = parser.In;
        if (List is not null)
        {
            foreach (bool wait in parser.SkipSpace())
                yield return wait;
            if (!text.IsEmpty && text.Next is '[' or '{')
            {
                foreach (bool wait in List.Read(parser, trigger, trial))
                    yield return wait;
                yield break;
            }
        }

        StringBuilder header = new();
        foreach (bool wait in parser.UpTo(parser.Set(HeaderIsLine ? "\n" : "{"), header, ChatParser.MostHeader))
            yield return wait;
        if (parser.Failed)
            yield break;
        if (HeaderIsLine)
        {
            text.Advance(1);
            if (header.ToString().Trim() == "all")
                yield break;
            foreach (bool wait in parser.SkipSpace())
                yield return wait;
            if (!parser.HasNext())
                yield break;
            if (text.Next != '{')
            {
                parser.Fail("no arguments follow its name");
                yield break;
            }
        }

        if (Header(header.ToString()) is not { Name.Length: > 0 } found)
        {
            parser.Fail("it has no name");
            yield break;
        }

        parser.BeginCall(found.Name, string.IsNullOrEmpty(found.Id) ? null : found.Id);
        foreach (bool wait in parser.Json(null))
            yield return wait;
        if (!parser.Failed)
            parser.EndCall();
    }

    internal override CallShape? Shape(ToolGrammar grammar)
    {
        if (Written is not { } written)
            return List?.Shape(grammar);
        Expr call = grammar.OneOf(tool => Expr.Sequence(grammar.Text(written.Header(tool.Name)), grammar.Arguments(tool), grammar.Text(written.AfterArguments)));
        return new(written.Begin, call, written.Between, written.End);
    }
}
