// Wrong usage in one line: what is wrong, the nearest thing that exists, where the help is.
using System.CommandLine;
using System.CommandLine.Parsing;

namespace NativeGen.Cli.Shell;

internal static class UsageErrors
{
    public static string? FirstOf(ParseResult parsed)
    {
        var verb = parsed.CommandResult.Command;
        var help = verb is RootCommand ? "see 'nativegen --help'" : $"see 'nativegen {verb.Name} --help'";
        if (UnknownOption(parsed) is { } option)
            return $"unknown option '{option}'{Nearest(option, OptionNames(parsed))}; {help}";
        if (parsed.Errors.Count == 0)
            return null;
        if (verb is RootCommand && parsed.UnmatchedTokens.FirstOrDefault() is { } word)
            return $"unknown verb '{word}'{Nearest(word, verb.Subcommands.Select(c => c.Name))}; {help}";
        if (verb is RootCommand)
            return $"no verb is named; {help}";
        var message = string.Join(' ', parsed.Errors[0].Message.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)); // the parser writes lists on several lines
        return $"{Lower(message.TrimEnd('.'))}; {help}";
    }

    // Options of the library whose flags are not their names in small letters.
    private static readonly (string Option, string Flag)[] Flags =
    [
        (nameof(GenerationOptions.ResponseFormat), "--json-schema"), (nameof(GenerationOptions.Choices), "--choice"), (nameof(GenerationOptions.Regex), "--regex"),
        (nameof(GenerationOptions.Grammar), "--grammar"), (nameof(GenerationOptions.StopSequences), "--stop"), (nameof(GenerationOptions.DrySequenceBreakers), "--dry-sequence-breaker"),
    ];

    /// <summary>An argument the library refused, by the name of the flag that set it.</summary>
    public static string OfArgument(ArgumentException e)
    {
        if (e.ParamName is null)
            return e.Message;
        var flag = Array.Find(Flags, known => known.Option == e.ParamName).Flag
            ?? "--" + string.Concat(e.ParamName.Select((c, i) => char.IsUpper(c) ? (i > 0 ? "-" : "") + char.ToLowerInvariant(c) : c.ToString()));
        var message = e.Message.Replace($" (Parameter '{e.ParamName}')", "");
        if (message.StartsWith(e.ParamName, StringComparison.OrdinalIgnoreCase))
            return flag + message[e.ParamName.Length..];

        // "ResponseFormat and Regex each bind the form": the others by their flags, too.
        var named = Flags.Aggregate(message, (text, known) => text.StartsWith(known.Option + " and ", StringComparison.Ordinal) ? known.Flag + text[known.Option.Length..] : text);
        return named != message ? named.Replace(" " + e.ParamName + " ", $" {flag} ", StringComparison.Ordinal) : $"{flag}: {message}";
    }

    // The parser gives a word that no option knows to the next free argument: `generate --temprature 1` would be a prompt.
    private static string? UnknownOption(ParseResult parsed)
    {
        foreach (var token in parsed.Tokens)
        {
            if (token.Type == TokenType.DoubleDash)
                return null;
            if (token.Type == TokenType.Argument && LooksLikeOption(token.Value) && !IsOptionValue(parsed, token))
                return token.Value.Split('=')[0];
        }
        return null;
    }

    private static bool IsOptionValue(ParseResult parsed, Token token) =>
        parsed.CommandResult.Children.OfType<OptionResult>().Any(o => o.Tokens.Any(t => ReferenceEquals(t, token)));

    private static bool LooksLikeOption(string word) =>
        word.Length > 1 && word[0] == '-' && (char.IsAsciiLetter(word[1]) || (word[1] == '-' && word.Length > 2)) && !word.Any(char.IsWhiteSpace);

    private static IEnumerable<string> OptionNames(ParseResult parsed) =>
        parsed.CommandResult.Command.Options.Where(o => !o.Hidden).SelectMany(o => o.Aliases.Append(o.Name));

    private static string Nearest(string word, IEnumerable<string> known)
    {
        var best = known.Select(k => (Name: k, Distance: Distance(word, k))).OrderBy(k => k.Distance).FirstOrDefault();
        return best.Name is not null && best.Distance <= Math.Max(1, word.Length / 3) ? $", did you mean '{best.Name}'?" : "";
    }

    // Levenshtein: insertions, deletions and substitutions.
    private static int Distance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)));
        }
        return row[b.Length];
    }

    private static string Lower(string text) => text.Length > 1 && char.IsLower(text[1]) ? char.ToLowerInvariant(text[0]) + text[1..] : text;
}
