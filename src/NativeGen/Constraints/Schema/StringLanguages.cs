// The texts of patterns and formats as automata, made once each: a pattern's per schema, a format's per process.
using System.Collections.Concurrent;
using System.Runtime.CompilerServices;

namespace NativeGen.Constraints.Schema;

internal sealed class StringLanguages
{
    // RFC 3339 with the calendar (30 February is refused, 29 February only in leap years); no leap seconds, no year 0.
    private const string Year = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])";
    private const string LeapYear = "(?:(?:[0-9][0-9])(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)";
    private const string Date = "(?:" + Year + "-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|" + LeapYear + "-02-29)";
    private const string Time = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])";

    private const string Octet = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    private const string Ipv4 = "(?:" + Octet + "\\.){3}" + Octet;
    private const string H16 = "[0-9A-Fa-f]{1,4}";
    private const string Ls32 = "(?:" + H16 + ":" + H16 + "|" + Ipv4 + ")";

    private const string Ipv6 = "(?:(?:" + H16 + ":){6}" + Ls32 + "|::(?:" + H16 + ":){5}" + Ls32 + "|(?:" + H16 + ")?::(?:" + H16 + ":){4}" + Ls32
        + "|(?:(?:" + H16 + ":){0,1}" + H16 + ")?::(?:" + H16 + ":){3}" + Ls32 + "|(?:(?:" + H16 + ":){0,2}" + H16 + ")?::(?:" + H16 + ":){2}" + Ls32
        + "|(?:(?:" + H16 + ":){0,3}" + H16 + ")?::" + H16 + ":" + Ls32 + "|(?:(?:" + H16 + ":){0,4}" + H16 + ")?::" + Ls32
        + "|(?:(?:" + H16 + ":){0,5}" + H16 + ")?::" + H16 + "|(?:(?:" + H16 + ":){0,6}" + H16 + ")?::)";

    private const string Label = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
    private const string Atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";

    // RFC 3986; a scheme needs something behind it.
    private const string Unreserved = "A-Za-z0-9._~\\-";
    private const string SubDelims = "!$&'()*+,;=";
    private const string Percent = "%[0-9A-Fa-f]{2}";

    private static readonly ConcurrentDictionary<string, Dfa> Formats = new(StringComparer.Ordinal);   // only known ones
    private static readonly ConditionalWeakTable<Dfa, Dfa> Escaped = [];

    private readonly Dictionary<string, Dfa> _patterns = [];

    /// <summary>Texts in which the pattern is found (ECMA-262: not anchored).</summary>
    /// <exception cref="GrammarException">The pattern is wrong, has what no automaton can do, or needs too many states.</exception>
    internal Dfa Pattern(string pattern)
    {
        if (!_patterns.TryGetValue(pattern, out Dfa? dfa))
            _patterns[pattern] = dfa = RegexParser.Search(pattern);
        return dfa;
    }

    /// <summary>The shape of a format, or null for one that is not known: to the standard that is a remark.</summary>
    internal static Dfa? Format(string format) =>
        Formats.TryGetValue(format, out Dfa? known) ? known
        : Expression(format) is { } expression ? Formats.GetOrAdd(format, RegexParser.Search($"^(?:{expression})$")) : null;

    /// <summary>The texts as JSON strings write them, without the quotes.</summary>
    internal static Dfa InJson(Dfa texts) => Escaped.GetValue(texts, static dfa => dfa.Respell(JsonTexts.Spelling));

    private static string? Expression(string format) => format switch
    {
        "date-time" => Date + "T" + Time,
        "date" => Date,
        "time" => Time,
        "duration" => "P(?:[0-9]+W|(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)(?:" + DurationTime + ")?|" + DurationTime + ")",
        "uuid" => "[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}",
        "email" => Atom + "(?:\\." + Atom + ")*@(?:" + Label + "\\.)+" + Label,
        "idn-email" => Wide(Atom) + "(?:\\." + Wide(Atom) + ")*@(?:" + Wide(Label) + "\\.)+" + Wide(Label),
        "hostname" => Label + "(?:\\." + Label + ")*",
        "idn-hostname" => Wide(Label) + "(?:\\." + Wide(Label) + ")*",
        "ipv4" => Ipv4,
        "ipv6" => Ipv6,
        "uri" => Uri(Unreserved),
        "uri-reference" => UriReference(Unreserved),
        "iri" => Uri(Unreserved + Others),
        "iri-reference" => UriReference(Unreserved + Others),
        "json-pointer" => Pointer,
        "relative-json-pointer" => "(?:0|[1-9][0-9]*)(?:#|" + Pointer + ")",
        _ => null,
    };

    private const string DurationTime = "T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)";
    private const string Pointer = "(?:/(?:[^~/]|~[01])*)*";

    // Letters beyond ASCII, without the blanks and control characters there.
    private const string Others = "\u00A1-\u167F\u1681-\u1FFF\u2010-\u2027\u2030-\u205E\u2070-\u2FFF\u3001-\uD7FF\uF900-\uFDCF\uFDF0-\uFFEF";

    private static string Wide(string expression) => expression.Replace("A-Za-z0-9", "A-Za-z0-9" + Others, StringComparison.Ordinal);

    private static string Uri(string unreserved) =>
        "[A-Za-z][A-Za-z0-9+.-]*:(?:" + Authority(unreserved) + Path(unreserved) + "|/(?:" + Segment(unreserved) + "+" + Path(unreserved) + ")?|" + Segment(unreserved) + "+" + Path(unreserved) + ")" + Tail(unreserved);

    private static string UriReference(string unreserved) =>
        Uri(unreserved) + "|(?:" + Authority(unreserved) + Path(unreserved) + "|/(?:" + Segment(unreserved) + "+" + Path(unreserved) + ")?|" + NoColon(unreserved) + "+" + Path(unreserved) + "|)" + Tail(unreserved);

    private static string Authority(string unreserved) =>
        "//(?:(?:[" + unreserved + SubDelims + ":]|" + Percent + ")*@)?(?:\\[" + Ipv6 + "\\]|(?:[" + unreserved + SubDelims + "]|" + Percent + ")*)(?::[0-9]*)?";

    private static string Path(string unreserved) => "(?:/" + Segment(unreserved) + "*)*";

    private static string Segment(string unreserved) => "(?:[" + unreserved + SubDelims + ":@]|" + Percent + ")";

    private static string NoColon(string unreserved) => "(?:[" + unreserved + SubDelims + "@]|" + Percent + ")";

    private static string Tail(string unreserved) =>
        "(?:\\?(?:[" + unreserved + SubDelims + ":@/?]|" + Percent + ")*)?(?:#(?:[" + unreserved + SubDelims + ":@/?]|" + Percent + ")*)?";
}
