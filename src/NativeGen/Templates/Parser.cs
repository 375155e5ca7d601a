// Tokens to a tree: statements here, expressions in Parser.Expressions.cs. Nesting is counted, since it costs stack.
namespace NativeGen.Templates;

internal sealed partial class Parser
{
    private const int MostDepth = 200;

    private readonly List<Token> _tokens;
    private readonly Stack<HashSet<string>> _used = new([[]]); // names in the macros around
    private readonly List<JinjaException> _unknown = []; // filters and tests that do not exist
    private int _at, _depth, _loops, _escaping;

    private Parser(List<Token> tokens) => _tokens = tokens;

    internal static Statement Parse(string template)
    {
        Parser parser = new(Lexer.Read(template));
        Statement body = parser.Body(null);
        return parser._unknown.Count > 0 ? throw parser._unknown[0] : body;
    }

    /// <summary>What stands under a condition may name filters and tests that do not exist; it fails when it is run.</summary>
    private void Forgive(int from) => _unknown.RemoveRange(from, _unknown.Count - from);

    private Token Current => _tokens[_at];

    private Token Next() => _tokens[_at < _tokens.Count - 1 ? _at++ : _at];

    private bool Skip(string text)
    {
        if (!Current.Is(text))
            return false;
        _at++;
        return true;
    }

    private void Expect(string text)
    {
        if (!Skip(text))
            throw Error($"expected token '{text}', got {Describe(Current)}");
    }

    private string Name()
    {
        if (Current.Kind != TokenKind.Name)
            throw Error($"expected token 'name', got {Describe(Current)}");
        return (string)Next().Value;
    }

    private void EndBlock()
    {
        if (Current.Kind != TokenKind.BlockEnd)
            throw Error(Current.Kind == TokenKind.End ? "unexpected end of template, expected 'end of statement block'." : $"expected token 'end of statement block', got {Describe(Current)}");
        _at++;
    }

    private JinjaException Error(string what) => new(JinjaError.Syntax, what, Current.Line, Current.Column);

    private static string Describe(Token token) => token.Kind switch
    {
        TokenKind.BlockEnd => "'end of statement block'",
        TokenKind.PrintEnd => "'end of print statement'",
        TokenKind.End => "'end of template'",
        _ => $"'{token.Text}'",
    };

    private T Nested<T>(Func<T> parse)
    {
        if (++_depth > MostDepth)
            throw Error($"the template is nested more than {MostDepth} deep");
        T result = parse();
        _depth--;
        return result;
    }

    /// <summary>Statements up to a tag that ends them, whose name is read already; null: to the end of the template.</summary>
    private Block Body(string? opened, params string[] ends)
    {
        Token start = Current;
        List<Statement> body = [];
        while (true)
        {
            Token token = Current;
            switch (token.Kind)
            {
                case TokenKind.End:
                    if (opened is not null)
                        throw Error($"Unexpected end of template. Jinja was looking for the following tags: {string.Join(" or ", ends.Select(end => $"'{end}'"))}. The innermost block that needs to be closed is '{opened}'.");
                    return new([.. body]) { Line = start.Line, Column = start.Column };
                case TokenKind.Data:
                    _at++;
                    body.Add(new Data((string)token.Value) { Line = token.Line, Column = token.Column });
                    break;
                case TokenKind.PrintBegin:
                    _at++;
                    Expression value = Tuple(withCondition: true);
                    if (Current.Kind != TokenKind.PrintEnd)
                        throw Error(Current.Kind == TokenKind.End ? "unexpected end of template, expected 'end of print statement'." : $"expected token 'end of print statement', got {Describe(Current)}");
                    _at++;
                    body.Add(new Print(_escaping > 0 ? new FilterCall(value, "e", Arguments.None) : value) { Line = token.Line, Column = token.Column });
                    break;
                default:
                    _at++;
                    if (Current.Kind != TokenKind.Name)
                        throw Error($"tag name expected, got {Describe(Current)}");
                    string name = (string)Current.Value;
                    if (ends.Contains(name))
                        return new([.. body]) { Line = start.Line, Column = start.Column };
                    _at++;
                    body.Add(Nested(() => Statement(name, token, opened, ends)));
                    break;
            }
        }
    }

    private Statement Statement(string name, Token token, string? opened, string[] ends)
    {
        (int line, int column) = (token.Line, token.Column);
        switch (name)
        {
            case "if":
                return IfBlock(line, column);
            case "for":
                return ForBlock(line, column);
            case "set":
                return SetStatement(line, column);
            case "macro":
                return MacroBlock(line, column);
            case "call":
                return CallStatement(line, column);
            case "filter":
                FilterCall[] filters = FilterChain(needsFirst: true);
                EndBlock();
                return new FilterBlock(filters, Ended("filter", "endfilter")) { Line = line, Column = column };
            case "with":
                List<(Expression, Expression)> values = [];
                while (Current.Kind != TokenKind.BlockEnd)
                {
                    if (values.Count > 0)
                        Expect(",");
                    Expression target = Target();
                    Expect("=");
                    values.Add((target, Expression()));
                }

                EndBlock();
                return new With([.. values], Ended("with", "endwith")) { Line = line, Column = column };
            case "generation":
                EndBlock();
                return Ended("generation", "endgeneration");
            case "autoescape":
                bool escapes = Expression() is Constant { Value: true };
                EndBlock();
                _escaping += escapes ? 1 : 0;
                Statement escaped = Ended("autoescape", "endautoescape");
                _escaping -= escapes ? 1 : 0;
                return escaped;
            case "block":
                Name();
                while (Current.Kind == TokenKind.Name)
                    _at++;
                EndBlock();
                Statement block = Ended("block", "endblock", closed: false);
                if (Current.Kind == TokenKind.Name)
                    _at++;
                EndBlock();
                return new With([], block) { Line = line, Column = column };
            case "break" or "continue":
                EndBlock();
                if (_loops == 0)
                    throw new JinjaException(JinjaError.Type, name == "break" ? "'break' outside loop" : "'continue' not properly in loop", line, column);
                return new Jump(name == "break") { Line = line, Column = column };
            case "include" or "import" or "from" or "extends":
                while (Current.Kind is not (TokenKind.BlockEnd or TokenKind.End))
                    _at++;
                EndBlock();
                return new NoLoader { Line = line, Column = column };
        }

        _at--;
        string hint = opened is null ? "" : $" Jinja was looking for the following tags: {string.Join(" or ", ends.Select(end => $"'{end}'"))}. The innermost block that needs to be closed is '{opened}'.";
        throw Error($"Encountered unknown tag '{name}'.{hint}");
    }

    private Block Ended(string name, string end, bool closed = true)
    {
        Block body = Body(name, end);
        _at++;
        if (closed)
            EndBlock();
        return body;
    }

    private If IfBlock(int line, int column)
    {
        List<(Expression, Statement)> branches = [];
        Statement? otherwise = null;
        string tag = "elif";
        int unknown = _unknown.Count;
        while (tag == "elif")
        {
            Expression condition = Tuple(withCondition: false);
            EndBlock();
            branches.Add((condition, Body("if", "elif", "else", "endif")));
            tag = Name();
        }

        if (tag == "else")
        {
            EndBlock();
            otherwise = Body("if", "endif");
            _at++;
        }

        Forgive(unknown);
        EndBlock();
        return new([.. branches], otherwise) { Line = line, Column = column };
    }

    private For ForBlock(int line, int column)
    {
        Expression target = Target("in");
        Expect("in");
        Expression over = Tuple(withCondition: false, end: "recursive");
        Expression? condition = Skip("if") ? Expression() : null;
        bool recursive = Skip("recursive");
        EndBlock();
        _loops++;
        Statement body = Body("for", "endfor", "else");
        _loops--;
        Statement? otherwise = null;
        if (Name() == "else")
        {
            EndBlock();
            otherwise = Body("for", "endfor");
            _at++;
        }

        EndBlock();
        return new(target, over, condition, body, otherwise, recursive) { Line = line, Column = column };
    }

    private Statement SetStatement(int line, int column)
    {
        Expression target = Target();
        if (Skip("="))
        {
            Expression value = Tuple(withCondition: true);
            EndBlock();
            return new Assign(target, value) { Line = line, Column = column };
        }

        FilterCall[] filters = FilterChain(needsFirst: false);
        EndBlock();
        return new AssignBlock(target, filters, Ended("set", "endset")) { Line = line, Column = column };
    }

    private Macro MacroBlock(int line, int column)
    {
        string name = Name();
        Expect("(");
        List<string> parameters = [];
        List<Expression?> defaults = [];
        while (!Skip(")"))
        {
            if (parameters.Count > 0)
                Expect(",");
            if (Skip(")"))
                break;
            parameters.Add(Name());
            if (Skip("="))
                defaults.Add(Expression());
            else if (defaults.Count > 0 && defaults[^1] is not null)
                throw Error("non-default argument follows default argument");
            else
                defaults.Add(null);
        }

        return Finish(name, "macro", "endmacro", line, column, parameters, defaults);
    }

    private Macro Finish(string name, string tag, string end, int line, int column, List<string> parameters, List<Expression?> defaults)
    {
        EndBlock();
        int loops = _loops;
        _loops = 0;
        _used.Push([]);
        Statement body = Ended(tag, end);
        HashSet<string> used = _used.Pop();
        _loops = loops;
        return new(name, [.. parameters], [.. defaults], body, used) { Line = line, Column = column };
    }

    private CallBlock CallStatement(int line, int column)
    {
        List<string> parameters = [];
        List<Expression?> defaults = [];
        if (Skip("("))
        {
            while (!Skip(")"))
            {
                if (parameters.Count > 0)
                    Expect(",");
                parameters.Add(Name());
                defaults.Add(Skip("=") ? Expression() : null);
            }
        }

        Expression callee = Postfix(Primary(), callEnds: true, out Arguments? arguments);
        if (arguments is null)
            throw Error("expected call");
        return new(callee, arguments, Finish("caller", "call", "endcall", line, column, parameters, defaults)) { Line = line, Column = column };
    }

    private FilterCall[] FilterChain(bool needsFirst)
    {
        List<FilterCall> filters = [];
        while (needsFirst || Skip("|"))
        {
            needsFirst = false;
            Token at = Current;
            string name = Name();
            while (Skip("."))
                name += "." + Name();
            if (!Filters.Exists(name))
                _unknown.Add(new(JinjaError.Syntax, $"No filter named '{name}'.", at.Line, at.Column));
            filters.Add(new(null, name, Current.Is("(") ? CallArguments() : Arguments.None) { Line = at.Line, Column = at.Column });
        }

        return [.. filters];
    }
}
