// From a tree of expressions to a Grammar: rules are declared, defined in any order, and checked together.
namespace NativeGen.Constraints;

/// <summary>Collects the rules of one grammar. Not thread safe; the grammar it makes is.</summary>
internal sealed class GrammarBuilder
{
    private readonly List<(string Name, Expr? Body)> _rules = [];

    /// <summary>A new rule, to be defined later. Names are for messages; two rules may share one.</summary>
    internal RuleId Declare(string name)
    {
        _rules.Add((name, null));
        return new(_rules.Count - 1);
    }

    /// <summary>Says what a declared rule looks like. Once.</summary>
    internal void Define(RuleId rule, Expr body)
    {
        (string name, Expr? before) = _rules[rule.Index];
        if (before is not null)
            throw new InvalidOperationException($"The rule {name} is defined twice.");
        _rules[rule.Index] = (name, body);
    }

    /// <summary>Declares and defines.</summary>
    internal RuleId Add(string name, Expr body)
    {
        RuleId rule = Declare(name);
        Define(rule, body);
        return rule;
    }

    internal bool IsDefined(RuleId rule) => _rules[rule.Index].Body is not null;

    /// <summary>The grammar whose texts are those of <paramref name="root"/>. Rules that it does not reach are left out.</summary>
    /// <exception cref="GrammarException">
    /// A rule that is reached is not defined, begins with itself (left recursion, also behind parts that may be empty), the limits of size are passed,
    /// or no text at all can match.
    /// </exception>
    internal Grammar Build(RuleId root) => GrammarCompiler.Compile(_rules, root, everyRule: false);

    /// <summary>The same, but left recursion is an error in rules that are not reached, too.</summary>
    internal Grammar BuildStrictly(RuleId root) => GrammarCompiler.Compile(_rules, root, everyRule: true);

    internal IReadOnlyList<(string Name, Expr? Body)> Rules => _rules;
}
