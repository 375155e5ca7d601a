// From a schema to a grammar: one rule for each goal that a value can have, the schema's values as compact JSON.
using System.Text.Json;

namespace NativeGen.Constraints.Schema;

/// <summary>
/// Compiles a JSON schema (draft 2020-12, with what draft 07 wrote differently). The grammar's texts are values of the schema, without white space,
/// members in the order of <c>properties</c> and undeclared ones behind them, numbers without exponent, characters as they are. Every keyword is
/// enforced or refused with its place.
/// </summary>
internal sealed class SchemaCompiler
{
    private readonly GrammarBuilder _builder;
    private readonly Budget _budget = new();
    private readonly GoalTable _goals;
    private readonly SchemaExpander _expander;
    private readonly ImpliedTypes _implied;
    private readonly ArrayWriter _arrays;
    private readonly ObjectWriter _objects;
    private readonly Dictionary<int, RuleId> _rules = []; // by goal
    private readonly Queue<(Goal Goal, RuleId Rule)> _open = new();
    private readonly Dictionary<Dfa, Dfa> _sure = []; // numbers with those of their texts that every reader reads alike
    private RuleId? _anyValue, _anyString;

    private SchemaCompiler(SchemaDocument document, GrammarBuilder builder)
    {
        _builder = builder;
        _goals = new(_budget);
        _expander = new(document, _goals, _budget);
        _implied = new(document);
        _arrays = new(_goals, _expander, builder, RuleOf, _budget);
        _objects = new(_goals, builder, RuleOf, AnyString, _budget);
    }

    /// <summary>The grammar of a schema's values.</summary>
    /// <exception cref="SchemaException">The schema is wrong, cannot be enforced exactly, has no value, or takes too much work.</exception>
    internal static Grammar Compile(string schema)
    {
        GrammarBuilder builder = new();
        RuleId root = AddTo(builder, schema);
        try
        {
            return builder.Build(root);
        }
        catch (GrammarException e)
        {
            throw new SchemaException("", $"no grammar can be made of it: {e.Message} If no value can satisfy the schema, look for bounds that contradict each other or a required member that contains itself.", e);
        }
    }

    /// <summary>The rule of a schema's values, in a grammar that has more than that (a tool call around its arguments).</summary>
    /// <exception cref="SchemaException">As for <see cref="Compile"/>; a schema without any value is found when the grammar is built.</exception>
    internal static RuleId AddTo(GrammarBuilder builder, string schema)
    {
        try
        {
            SchemaDocument document = SchemaDocument.Parse(schema);
            SchemaCompiler compiler = new(document, builder);
            return compiler.Run(compiler._goals.Schema(document.Root));
        }
        catch (InvalidOperationException e) // System.Text.Json's word for half a surrogate pair in a name
        {
            throw new SchemaException("", $"a name in it cannot be read: {e.Message}", e);
        }
        catch (GrammarException e)
        {
            throw new SchemaException("", e.Message, e);
        }
    }

    private RuleId Run(Goal root)
    {
        if (root.Node is { } node)
            _ = SchemaKeywords.Of(node);
        RuleId rule = RuleOf(root);
        while (_open.TryDequeue(out (Goal Goal, RuleId Rule) next))
            _builder.Define(next.Rule, ValuesOf(next.Goal));
        return rule;
    }

    private RuleId RuleOf(Goal goal)
    {
        if (goal.IsAny)
            return AnyValue();
        if (!_rules.TryGetValue(goal.Id, out RuleId rule))
        {
            _budget.Spend(100);
            _rules[goal.Id] = rule = _builder.Declare(goal.Node is { } node ? $"#{node.Pointer}" : $"value {goal.Id}");
            _open.Enqueue((goal, rule));
        }

        return rule;
    }

    private Expr ValuesOf(Goal goal)
    {
        ValueSet values = _expander.Expand(goal);
        _budget.Pointer = goal.Node?.Pointer ?? "";
        if (_implied.Of(goal) is var types && types != JsonTypes.All && values.Only(types) is { IsEmpty: false } meant)
            values = meant;
        List<Expr> ways = [];
        if (values.Null)
            ways.Add(Expr.Text("null"));
        if (values.True)
            ways.Add(Expr.Text("true"));
        if (values.False)
            ways.Add(Expr.Text("false"));
        if (!values.Numbers.IsEmpty)
            ways.Add(Number(values.Numbers));
        if (!values.Strings.IsEmpty)
            ways.Add(String(values.Strings));
        foreach (ArrayShape shape in values.Arrays)
            ways.Add(_arrays.Write(shape));
        foreach (ObjectShape shape in values.Objects)
        {
            foreach (ObjectShape resolved in shape.Resolved(_goals))
                ways.Add(_objects.Write(resolved));
        }

        return Expr.Choice([.. ways]);
    }

    private Expr Number(Dfa numbers)
    {
        if (ReferenceEquals(numbers, NumberLanguage.All))
            return NumberLanguage.Json;
        if (ReferenceEquals(numbers, NumberLanguage.Integers) || numbers.IsFinite)
            return Expr.Regular(numbers);
        if (!_sure.TryGetValue(numbers, out Dfa? sure))
            _sure[numbers] = sure = numbers.Intersect(NumberLanguage.Sure);
        return Expr.Regular(sure);
    }

    private Expr String(StringSet strings)
    {
        if (ReferenceEquals(strings, StringSet.Any))
            return Expr.Reference(AnyString());
        Expr quote = Expr.Text("\"");
        if (ReferenceEquals(strings.Language, Dfa.AnyText))
            return Expr.Sequence(quote, Expr.Repeat(JsonTexts.AnyCharacter, strings.Min, strings.Max), quote);
        return Expr.Sequence(quote, Expr.Regular(StringLanguages.InJson(strings.Flat().Language)), quote);
    }

    private RuleId AnyString() => _anyString ??= _builder.Add("string", Expr.Sequence(Expr.Text("\""), Expr.Repeat(JsonTexts.AnyCharacter, 0), Expr.Text("\"")));

    private RuleId AnyValue()
    {
        if (_anyValue is { } known)
            return known;
        RuleId value = _builder.Declare("value");
        _anyValue = value;
        Expr member = Expr.Sequence(Expr.Reference(AnyString()), Expr.Text(":"), Expr.Reference(value));
        _builder.Define(value, Expr.Choice(
            Expr.Sequence(Expr.Text("{"), List(member), Expr.Text("}")),
            Expr.Sequence(Expr.Text("["), List(Expr.Reference(value)), Expr.Text("]")),
            Expr.Reference(AnyString()), NumberLanguage.Json, Expr.Text("true"), Expr.Text("false"), Expr.Text("null")));
        return value;
    }

    // Any number of parts with commas between them.
    private static Expr List(Expr part) => Expr.Optional(Expr.Sequence(part, Expr.Repeat(Expr.Sequence(Expr.Text(","), part), 0)));
}
