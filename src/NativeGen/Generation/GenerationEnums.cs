// Small enumerations of requests and results.
namespace NativeGen;

/// <summary>Why a sequence ended.</summary>
public enum FinishReason
{
    /// <summary>The model ended it with one of its end-of-generation tokens.</summary>
    Stop,

    /// <summary>MaxNewTokens or MaxLength ended it. An answer bound to a form is whole all the same if its shortest ending fitted.</summary>
    Length,

    /// <summary>One of the request's stop sequences came up; the text is cut before it.</summary>
    StopSequence,

    /// <summary>The model asks for tools to be called.</summary>
    ToolCalls,

    /// <summary>The model's context is full; else as <see cref="Length"/>.</summary>
    ContextFull,

    /// <summary>The answer repeated one passage over and over: see <see cref="GenerationOptions.MaxRepeats"/>.</summary>
    Repetition,
}

/// <summary>Which log-probabilities are reported.</summary>
public enum LogprobsMode
{
    /// <summary>The model's own, before temperature and all other options, as OpenAI defines them.</summary>
    Raw,

    /// <summary>Those the token was chosen by, after all options; tokens that were ruled out are not listed.</summary>
    Processed,
}

/// <summary>When a beam search ends: transformers' <c>early_stopping</c>, which is true, false or "never".</summary>
public readonly record struct EarlyStopping
{
    private readonly byte _when;

    private EarlyStopping(byte when) => _when = when;

    /// <summary>When the beams are not likely to become better than the answers that are found; the default.</summary>
    public static EarlyStopping False => new(0);

    /// <summary>As soon as there are as many answers as beams.</summary>
    public static EarlyStopping True => new(1);

    /// <summary>Only when no beam can become better, however long it gets.</summary>
    public static EarlyStopping Never => new(2);

    /// <summary>True or false.</summary>
    public static implicit operator EarlyStopping(bool whenFull) => FromBoolean(whenFull);

    /// <summary>True or false.</summary>
    public static EarlyStopping FromBoolean(bool whenFull) => whenFull ? True : False;

    /// <inheritdoc/>
    public override string ToString() => _when switch { 0 => "false", 1 => "true", _ => "never" };

    internal static bool TryParse(string text, out EarlyStopping value)
    {
        value = bool.TryParse(text, out var whenFull) ? whenFull : Never;
        return value != Never || string.Equals(text.Trim(), "never", StringComparison.OrdinalIgnoreCase);
    }
}

/// <summary>Makes the end of an answer likelier the longer it gets.</summary>
/// <param name="Start">After how many tokens of the answer it begins, at least 0.</param>
/// <param name="Factor">By what the pull grows with every token, above 0; less than 1 delays the end.</param>
public readonly record struct LengthDecay(int Start, float Factor);

/// <summary>Who goes first when requests compete for a model. A lower priority gives way, also in mid-answer, and continues later without a change to its text.</summary>
public enum GenerationPriority
{
    /// <summary>Work nobody waits for.</summary>
    Background = -1,

    /// <summary>The default.</summary>
    Normal = 0,

    /// <summary>Somebody is watching.</summary>
    Interactive = 1,
}

/// <summary>How a prompt's text becomes tokens.</summary>
public enum PromptFormat
{
    /// <summary>A string goes through the model's chat template as one user turn if the model has one, else it is raw; messages are a chat; tokens are raw.</summary>
    Auto,

    /// <summary>The text as it is; special tokens written in it are recognized.</summary>
    Raw,

    /// <summary>Through the model's chat template.</summary>
    Chat,
}

/// <summary>What happens when prompt and answer outgrow the model's context.</summary>
public enum ContextOverflow
{
    /// <summary>A prompt that does not fit is an error; an answer that fills the context ends with <see cref="FinishReason.ContextFull"/>.</summary>
    Error,

    /// <summary>The oldest turns of a conversation are left out.</summary>
    TruncateOldestTurns,

    /// <summary>The oldest tokens are forgotten as new ones come.</summary>
    ShiftWindow,
}
