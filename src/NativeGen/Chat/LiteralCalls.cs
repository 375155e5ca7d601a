// Calls in a notation of their own between two markers: read when they are whole.
using System.Text;

namespace NativeGen.Chat;

internal sealed class LiteralCalls : CallSyntax
{
    /// <summary>Behind the calls; null: they go on to the end of the answer.</summary>
    internal required string? End { get; init; }

    /// <summary>What stands between the markers as calls, or null if it is none.</summary>
    internal required Func<string, List<(string Name, string Arguments)>?> Reader { get; init; }

    internal override IEnumerable<string> InnerMarkers => [End ?? "", "<|\"|>"];

    internal override IEnumerable<bool> Read(ChatParser parser, string? trigger, bool trial)
    {
        TextCursor text = parser.In;
        StringBuilder content = new();
        if (End is not null)
        {
            foreach (bool wait in parser.UpTo(parser.Set(End), content))
                yield return wait;
            if (parser.Failed)
                yield break;
            parser.TakeFound();
        }
        else
        {
            while (true)
            {
                content.Append(parser.Named(text.Rest));
                text.Advance(text.Rest.Length);
                if (text.Ended)
                    break;
                yield return true;
            }
        }

        if (Reader(content.ToString()) is not { } calls)
        {
            parser.Fail("it is not in the notation of calls");
            yield break;
        }

        foreach ((string name, string arguments) in calls)
        {
            parser.BeginCall(name, null);
            parser.Arguments(arguments);
            parser.EndCall();
        }
    }
}
