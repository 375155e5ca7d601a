// How one family of models writes tool calls and reasoning. What the families share is in four syntaxes; a family is data for them (ToolFormats).
using NativeGen.Constraints;
using NativeGen.Tokenization;

namespace NativeGen.Chat;

/// <summary>One way to write calls. Immutable and thread safe.</summary>
internal abstract class CallSyntax
{
    /// <summary>Texts that announce a call.</summary>
    internal required string[] Triggers { get; init; }

    /// <summary>Texts behind a call that say nothing more.</summary>
    internal string[] Closers { get; init; } = [];

    /// <summary>Texts inside a call that separate its parts.</summary>
    internal virtual IEnumerable<string> InnerMarkers => [];

    /// <summary>Reads what follows a trigger: calls, as many as belong to it.</summary>
    /// <param name="parser">Where to read and to tell; a failure there ends the reading.</param>
    /// <param name="trigger">Which it was; null if the call was not announced.</param>
    /// <param name="trial">The text may well be no call: it is one only if it names a tool.</param>
    internal abstract IEnumerable<bool> Read(ChatParser parser, string? trigger, bool trial);

    /// <summary>What calls look like, from their trigger to their end; null if this build cannot say.</summary>
    internal virtual CallShape? Shape(ToolGrammar grammar) => null;
}

/// <summary>The grammar of calls: what announces each, the call itself, and what may stand around and between.</summary>
/// <param name="Begin">Begins the first call. Free text must not have it.</param>
/// <param name="Call">One call, without Begin and End.</param>
/// <param name="Between">Between two calls; null if there is one only.</param>
/// <param name="End">Behind the last.</param>
internal sealed record CallShape(string Begin, Expr Call, string? Between, string End);

/// <summary>How a model opens and closes its reasoning.</summary>
/// <param name="Opens">Texts that open it; none: the model has no reasoning of its own.</param>
/// <param name="Closes">Texts that close it.</param>
/// <param name="Anywhere">It may open in the middle of the answer, not only at its start.</param>
internal sealed record ReasoningFormat(string[] Opens, string[] Closes, bool Anywhere = false)
{
    internal static ReasoningFormat None { get; } = new([], []);

    /// <summary>Whether a prompt leaves it to the answer to go on with reasoning.</summary>
    internal bool IsOpenIn(ReadOnlySpan<char> prompt)
    {
        prompt = prompt.TrimEnd();
        foreach (string open in Opens)
        {
            if (prompt.EndsWith(open.AsSpan().TrimEnd(), StringComparison.Ordinal))
                return true;
        }

        return false;
    }
}

/// <summary>How a family writes tool calls.</summary>
internal sealed record ToolFormat(string Name, CallSyntax[] Calls)
{
    /// <summary>Texts of the format that say nothing to a reader.</summary>
    internal string[] Ignored { get; init; } = [];

    /// <summary>Says nothing either: how an answer is addressed to a tool.</summary>
    internal Func<string, string>? AddressedTo { get; init; }

    /// <summary>The syntax of calls that nothing announces, at the start of an answer.</summary>
    internal CallSyntax? Bare { get; init; }

    /// <summary>The family's templates take several calls in one answer.</summary>
    internal bool Parallel { get; init; } = true;

    /// <summary>A trigger that prompts end with, so that every answer begins behind it.</summary>
    internal string? PromptTrigger { get; init; }

    /// <summary>Why this build does not read the family's calls; null if it does.</summary>
    internal string? Unreadable { get; init; }

    internal string? OpenedIn(ReadOnlySpan<char> prompt) => PromptTrigger is { } trigger && prompt.EndsWith(trigger, StringComparison.Ordinal) ? trigger : null;
}

/// <summary>All of how a model writes.</summary>
/// <param name="Tools">Its tool calls.</param>
/// <param name="Reasoning">Its reasoning.</param>
/// <param name="Explains">Its template tells the model of tools; if not, the prompt has to.</param>
internal sealed record ChatFormat(ToolFormat Tools, ReasoningFormat Reasoning, bool Explains)
{
    /// <summary>All texts of the format in which control tokens may stand.</summary>
    internal string[] Texts =>
        [.. Reasoning.Opens, .. Reasoning.Closes, .. Tools.Ignored, .. Tools.Calls.SelectMany(calls => calls.Triggers.Concat(calls.Closers).Concat(calls.InnerMarkers))];

    /// <summary>The format's control tokens in a vocabulary.</summary>
    internal ControlMarks MarksIn(Tokenizer tokenizer) => new(tokenizer, Texts);
}
