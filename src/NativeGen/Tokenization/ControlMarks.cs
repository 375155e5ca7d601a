// Control tokens inside a text: one character each that no text has, so that what only looks like a control token's name is never taken for it.
using System.Text;

namespace NativeGen.Tokenization;

/// <summary>
/// Characters (high halves of surrogate pairs, always alone) for those control tokens of a vocabulary whose names some texts have. Tokens that end an
/// answer have none. Immutable and thread safe.
/// </summary>
internal sealed class ControlMarks
{
    private const char First = '\uD800';

    private readonly List<(int Token, string Name)> _tokens = []; // the longest name first
    private readonly List<string> _ends = [];

    /// <param name="tokenizer">The vocabulary.</param>
    /// <param name="texts">Texts in which names of control tokens may stand.</param>
    internal ControlMarks(Tokenizer tokenizer, IReadOnlyCollection<string> texts)
    {
        for (int id = 0; id < tokenizer.VocabularySize; id++)
        {
            bool ends = tokenizer.IsEndOfGeneration(id);
            if (!ends && !tokenizer.IsSpecial(id))
                continue;
            string name = Encoding.UTF8.GetString(tokenizer.Piece(id));
            if (name.Length == 0 || !texts.Any(text => text.Contains(name, StringComparison.Ordinal)))
                continue;
            if (ends)
                _ends.Add(name);
            else
                _tokens.Add((id, name));
        }

        _tokens.Sort(static (a, b) => b.Name.Length.CompareTo(a.Name.Length));
    }

    private ControlMarks()
    {
    }

    /// <summary>Of a vocabulary without control tokens.</summary>
    internal static ControlMarks None { get; } = new();

    /// <summary>Each token with its character.</summary>
    internal IEnumerable<(int Token, char Mark)> All => _tokens.Select(static (pair, i) => (pair.Token, (char)(First + i)));

    /// <summary>A token's character, or null.</summary>
    internal char? Of(int token)
    {
        int index = _tokens.FindIndex(pair => pair.Token == token);
        return index < 0 ? null : (char)(First + index);
    }

    /// <summary>Whether the first of these characters is a mark.</summary>
    internal static bool BeginsWithMark(ReadOnlySpan<char> text) =>
        text.Length > 0 && char.IsHighSurrogate(text[0]) && (text.Length == 1 || !char.IsLowSurrogate(text[1]));

    /// <summary>A text with marks for names. Names of tokens that end an answer fall out: the end itself says so.</summary>
    internal string Mark(string text)
    {
        for (int i = 0; i < _tokens.Count; i++)
            text = text.Replace(_tokens[i].Name, ((char)(First + i)).ToString(), StringComparison.Ordinal);
        foreach (string end in _ends)
            text = text.Replace(end, "", StringComparison.Ordinal);
        return text;
    }

    /// <summary>A text with names for marks.</summary>
    internal string Named(ReadOnlySpan<char> text) => Replaced(text, names: true);

    /// <summary>A text without its marks.</summary>
    internal string Without(ReadOnlySpan<char> text) => Replaced(text, names: false);

    /// <summary>Whether a text has any mark.</summary>
    internal bool AreIn(ReadOnlySpan<char> text)
    {
        if (_tokens.Count == 0)
            return false;
        for (int i = 0; (i = Next(text, i)) < text.Length; i++)
        {
            if (BeginsWithMark(text[i..]))
                return true;
        }

        return false;
    }

    private static int Next(ReadOnlySpan<char> text, int from)
    {
        int found = text[from..].IndexOfAnyInRange('\uD800', '\uDBFF');
        return found < 0 ? text.Length : from + found;
    }

    private string Replaced(ReadOnlySpan<char> text, bool names)
    {
        StringBuilder result = new(text.Length);
        int at = 0;
        for (int i = 0; (i = Next(text, i)) < text.Length; i++)
        {
            if (!BeginsWithMark(text[i..]))
                continue;
            result.Append(text[at..i]);
            if (names && text[i] - First < _tokens.Count)
                result.Append(_tokens[text[i] - First].Name);
            at = i + 1;
        }

        return result.Append(text[at..]).ToString();
    }
}
