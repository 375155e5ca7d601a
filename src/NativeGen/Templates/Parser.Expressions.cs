// The expression grammar, in Jinja's own order of precedence: if, or, and, not, comparisons, + -, ~, * / // %, **, unary, postfix, filters and tests.
using System.Text;

namespace NativeGen.Templates;

internal sealed partial class Parser
{
    private Expression Expression() => Nested(ParseConditional);

    private Expression ParseConditional()
    {
        int unknown = _unknown.Count;
        Expression value = Or();
        while (Current.Is("if"))
        {
            Token at = Next();
            Expression condition = Or();
            Expression? otherwise = Skip("else") ? Expression() : null;
            value = new Conditional(condition, value, otherwise) { Line = at.Line, Column = at.Column };
            Forgive(unknown);
        }

        return value;
    }

    private Expression Or() => LeftToRight(And, "or");

    private Expression And() => LeftToRight(Not, "and");

    private Expression Not()
    {
        if (!Current.Is("not"))
            return Compare();
        Token at = Next();
        return new Unary("not", Nested(Not)) { Line = at.Line, Column = at.Column };
    }

    private Expression Compare()
    {
        Expression first = Sum();
        List<(string, Expression)> others = [];
        Token at = Current;
        while (true)
        {
            string? op = Current.Kind == TokenKind.Operator && Current.Text is "==" or "!=" or "<" or "<=" or ">" or ">=" && Current.Kind == TokenKind.Operator ? Current.Text : Current.Is("in") ? "in" : null;
            if (op is null && Current.Is("not") && _tokens[Math.Min(_at + 1, _tokens.Count - 1)].Is("in"))
            {
                _at++;
                op = "not in";
            }

            if (op is null)
                break;
            _at++;
            others.Add((op, Sum()));
        }

        return others.Count == 0 ? first : new Comparison(first, [.. others]) { Line = at.Line, Column = at.Column };
    }

    private Expression Sum() => LeftToRight(Tilde, "+", "-");

    private Expression Tilde()
    {
        Token at = Current;
        List<Expression> parts = [Product()];
        while (Skip("~"))
            parts.Add(Product());
        return parts.Count == 1 ? parts[0] : new Concat([.. parts]) { Line = at.Line, Column = at.Column };
    }

    private Expression Product() => LeftToRight(Power, "*", "/", "//", "%");

    private Expression Power() => LeftToRight(() => Sign(), "**");

    private Expression LeftToRight(Func<Expression> operand, params ReadOnlySpan<string> ops)
    {
        Expression left = operand();
        while (true)
        {
            Token at = Current;
            string? op = null;
            foreach (string candidate in ops)
                op = at.Is(candidate) && (at.Kind == TokenKind.Operator) == !char.IsLetter(candidate[0]) ? candidate : op;
            if (op is null)
                return left;
            _at++;
            left = new Binary(op, left, operand()) { Line = at.Line, Column = at.Column };
        }
    }

    private Expression Sign(bool withFilters = true)
    {
        Token at = Current;
        Expression value;
        if (at.Kind == TokenKind.Operator && at.Text is "-" or "+")
        {
            _at++;
            value = new Unary(at.Text, Nested(() => Sign(withFilters: false))) { Line = at.Line, Column = at.Column };
        }
        else
            value = Primary();
        value = Postfix(value, callEnds: false, out _);
        return withFilters ? FiltersAndTests(value) : value;
    }

    private Expression Primary()
    {
        Token at = Current;
        (int line, int column) = (at.Line, at.Column);
        switch (at.Kind)
        {
            case TokenKind.Name:
                _at++;
                switch (at.Text)
                {
                    case "true" or "True":
                        return new Constant(true);
                    case "false" or "False":
                        return new Constant(false);
                    case "none" or "None":
                        return new Constant(null);
                    case "not" or "and" or "or" or "in" or "is" or "if" or "else":
                        _at--;
                        throw Error($"unexpected {Describe(Current)}");
                }

                _used.Peek().Add(at.Text);
                return new Variable(at.Text) { Line = line, Column = column };
            case TokenKind.String:
                StringBuilder text = new();
                while (Current.Kind == TokenKind.String)
                    text.Append((string)Next().Value);
                return new Constant(new JinjaString(text.ToString()));
            case TokenKind.Integer or TokenKind.Float:
                _at++;
                return new Constant(at.Value);
        }

        if (Skip("("))
        {
            Expression inside = Nested(() => Tuple(withCondition: true, parenthesized: true));
            Expect(")");
            return inside;
        }

        if (Skip("["))
        {
            List<Expression> items = [];
            while (!Skip("]"))
            {
                if (items.Count > 0)
                    Expect(",");
                if (Skip("]"))
                    break;
                items.Add(Expression());
            }

            return new ListLiteral([.. items]) { Line = line, Column = column };
        }

        if (Skip("{"))
        {
            List<(Expression, Expression)> items = [];
            while (!Skip("}"))
            {
                if (items.Count > 0)
                    Expect(",");
                if (Skip("}"))
                    break;
                Expression key = Expression();
                Expect(":");
                items.Add((key, Expression()));
            }

            return new DictLiteral([.. items]) { Line = line, Column = column };
        }

        throw Error($"unexpected {Describe(at)}");
    }

    /// <summary>Expressions with commas between them are a tuple.</summary>
    private Expression Tuple(bool withCondition, bool parenthesized = false, string? end = null)
    {
        Token at = Current;
        List<Expression> items = [];
        bool comma = false;
        while (true)
        {
            if (items.Count > 0)
            {
                if (!Skip(","))
                    break;
                comma = true;
            }

            if (Current.Kind is TokenKind.BlockEnd or TokenKind.PrintEnd || Current.Is(")") || (end is not null && Current.Is(end)))
                break;
            items.Add(withCondition ? Expression() : Nested(Or));
        }

        if (items.Count == 0 && !parenthesized)
            throw Error($"Expected an expression, got {Describe(at)}");
        return items.Count == 1 && !comma ? items[0] : new TupleLiteral([.. items]) { Line = at.Line, Column = at.Column };
    }

    /// <summary>What may be assigned to: a name, names with commas, an attribute of a namespace.</summary>
    private Expression Target(string? end = null)
    {
        Token at = Current;
        List<Expression> items = [];
        bool comma = false;
        while (true)
        {
            if (items.Count > 0)
            {
                if (!Skip(","))
                    break;
                comma = true;
                if (end is not null && Current.Is(end))
                    break;
            }

            if (Skip("("))
            {
                items.Add(Nested(() => Target()));
                Expect(")");
                continue;
            }

            if (Current.Kind is TokenKind.Integer or TokenKind.Float or TokenKind.String || Current.Is("true") || Current.Is("false") || Current.Is("none"))
                throw Error("can't assign to 'const'");
            Token name = Current;
            Expression target = new Variable(Name()) { Line = name.Line, Column = name.Column };
            if (Skip("."))
                target = new Attribute(target, Name()) { Line = name.Line, Column = name.Column };
            items.Add(target);
        }

        return items.Count == 1 && !comma ? items[0] : new TupleLiteral([.. items]) { Line = at.Line, Column = at.Column };
    }

    private Expression Postfix(Expression value, bool callEnds, out Arguments? call)
    {
        call = null;
        while (true)
        {
            Token at = Current;
            if (Skip("."))
            {
                if (Current.Kind == TokenKind.Name)
                    value = new Attribute(value, Name()) { Line = at.Line, Column = at.Column };
                else if (Current.Kind == TokenKind.Integer)
                    value = new Item(value, new Constant(Next().Value)) { Line = at.Line, Column = at.Column };
                else
                    throw Error("expected name or number");
            }
            else if (Skip("["))
            {
                List<Expression> parts = [];
                while (parts.Count == 0 || Skip(","))
                    parts.Add(Subscript());
                Expect("]");
                value = new Item(value, parts.Count == 1 ? parts[0] : new TupleLiteral([.. parts])) { Line = at.Line, Column = at.Column };
            }
            else if (at.Is("("))
            {
                Arguments arguments = CallArguments();
                if (callEnds && Current.Kind == TokenKind.BlockEnd)
                {
                    call = arguments;
                    return value;
                }

                value = new Call(value, arguments) { Line = at.Line, Column = at.Column };
            }
            else
                return value;
        }
    }

    private Expression Subscript()
    {
        Token at = Current;
        Expression? start = null;
        if (!Current.Is(":"))
        {
            start = Expression();
            if (!Current.Is(":"))
                return start;
        }

        _at++;
        Expression? stop = Current.Is(":") || Current.Is("]") || Current.Is(",") ? null : Expression();
        Expression? step = Skip(":") && !Current.Is("]") && !Current.Is(",") ? Expression() : null;
        return new Slice(start, stop, step) { Line = at.Line, Column = at.Column };
    }

    private Expression FiltersAndTests(Expression value)
    {
        while (true)
        {
            Token at = Current;
            if (at.Kind == TokenKind.Operator && Skip("|"))
            {
                string name = Name();
                while (Skip("."))
                    name += "." + Name();
                if (!Filters.Exists(name))
                    _unknown.Add(new(JinjaError.Syntax, $"No filter named '{name}'.", at.Line, at.Column));
                value = new FilterCall(value, name, Current.Is("(") ? CallArguments() : Arguments.None) { Line = at.Line, Column = at.Column };
            }
            else if (Skip("is"))
                value = Test(value, at);
            else if (at.Kind == TokenKind.Operator && at.Is("("))
                value = new Call(value, CallArguments()) { Line = at.Line, Column = at.Column };
            else
                return value;
        }
    }

    private TestCall Test(Expression value, Token at)
    {
        bool negated = Skip("not");
        string name = Name();
        while (Skip("."))
            name += "." + Name();
        if (!Tests.Exists(name))
            _unknown.Add(new(JinjaError.Syntax, $"No test named '{name}'.", at.Line, at.Column));
        Arguments arguments = Arguments.None;
        if (Current.Is("("))
            arguments = CallArguments();
        else if ((Current.Kind is TokenKind.Name or TokenKind.String or TokenKind.Integer or TokenKind.Float || Current.Is("[") || Current.Is("{"))
            && !Current.Is("else") && !Current.Is("or") && !Current.Is("and") && !Current.Is("if") && !Current.Is("is") && !Current.Is("in") && !Current.Is("not") && !Current.Is("recursive"))
            arguments = new([Postfix(Primary(), callEnds: false, out _)], [], null, null);
        else if (Current.Is("is"))
            throw Error("You cannot chain multiple tests with is");
        return new(value, name, arguments, negated) { Line = at.Line, Column = at.Column };
    }

    private Arguments CallArguments()
    {
        Expect("(");
        List<Expression> positional = [];
        List<(string, Expression)> named = [];
        Expression? rest = null, namedRest = null;
        bool comma = false;
        while (!Skip(")"))
        {
            if (comma)
            {
                Expect(",");
                if (Skip(")"))
                    break;
            }

            if (Skip("*"))
            {
                if (rest is not null || namedRest is not null)
                    throw Error("invalid syntax for function call expression");
                rest = Expression();
            }
            else if (Skip("**"))
            {
                if (namedRest is not null)
                    throw Error("invalid syntax for function call expression");
                namedRest = Expression();
            }
            else if (Current.Kind == TokenKind.Name && _tokens[Math.Min(_at + 1, _tokens.Count - 1)].Is("="))
            {
                if (namedRest is not null)
                    throw Error("invalid syntax for function call expression");
                string name = Name();
                _at++;
                named.Add((name, Expression()));
            }
            else
            {
                if (named.Count > 0 || rest is not null || namedRest is not null)
                    throw Error("invalid syntax for function call expression");
                positional.Add(Expression());
            }

            comma = true;
        }

        return new([.. positional], [.. named], rest, namedRest);
    }
}
