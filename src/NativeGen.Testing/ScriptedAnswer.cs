// What a scripted generator says to one request.
namespace NativeGen.Testing;

/// <summary>An answer that was decided beforehand. A plain text converts to one.</summary>
public sealed record ScriptedAnswer
{
    /// <summary>An answer of a text.</summary>
    public ScriptedAnswer(string text = "")
    {
        ArgumentNullException.ThrowIfNull(text);
        Text = text;
    }

    /// <summary>The text. Its tokens are its words, each with the white space before it.</summary>
    public string Text { get; init; }

    /// <summary>How the answer ends if neither MaxNewTokens nor a stop sequence ends it earlier. Default: the model ends it.</summary>
    public FinishReason FinishReason { get; init; } = FinishReason.Stop;

    /// <summary>Time before the first token.</summary>
    public TimeSpan FirstTokenDelay { get; init; }

    /// <summary>Time before every other token.</summary>
    public TimeSpan TokenDelay { get; init; }

    /// <summary>Thrown after <see cref="FailAfterTokens"/> tokens.</summary>
    public Exception? Failure { get; init; }

    /// <summary>How many tokens come before <see cref="Failure"/>. Default 0.</summary>
    public int FailAfterTokens { get; init; }

    /// <summary>An answer of a text.</summary>
    public static implicit operator ScriptedAnswer(string text) => new(text);

    /// <summary>No answer but an exception, after a number of tokens of a text.</summary>
    public static ScriptedAnswer Failing(Exception failure, string text = "", int afterTokens = 0)
    {
        ArgumentNullException.ThrowIfNull(failure);
        return new(text) { Failure = failure, FailAfterTokens = afterTokens };
    }
}
