// A parsed template: what others call.
namespace NativeGen.Templates;

/// <summary>Parsed once, rendered often. Immutable and thread safe.</summary>
internal sealed class JinjaTemplate
{
    internal const int MostCharacters = 1 << 20;

    private readonly Statement _body;

    private JinjaTemplate(Statement body) => _body = body;

    /// <exception cref="JinjaException">The text is no template.</exception>
    internal static JinjaTemplate Parse(string text)
    {
        if (text.Length > MostCharacters)
            throw new JinjaException(JinjaError.Limit, $"the template has {text.Length} characters; at most {MostCharacters} are taken");
        return new(Parser.Parse(text));
    }

    /// <param name="variables">By name; values as Values.cs lists them.</param>
    /// <param name="now">The clock of strftime_now.</param>
    /// <param name="limits">What it may cost; null: the defaults.</param>
    /// <exception cref="JinjaException">The template does something wrong, or more than the limits allow.</exception>
    internal JinjaString Render(IEnumerable<KeyValuePair<string, object?>> variables, DateTimeOffset now, JinjaLimits? limits = null)
    {
        Scope globals = Globals.Create(now);
        foreach ((string name, object? value) in variables)
            globals.Names[name] = value;
        return new Renderer(globals, limits ?? new(), now).Render(_body);
    }
}
