// Expressions to graphs of nodes. Works backwards, each part built in front of what follows it, with stacks of its own: depth costs memory only.
namespace NativeGen.Constraints;

internal sealed class GrammarCompiler
{
    internal const int MostNodes = 250_000, MostEdges = 1_000_000;
    private const int Unrolled = 64;      // nodes up to which a counted repetition is written out
    private const int Inlined = 8;        // nodes up to which a rule is copied to where it is used
    private const int InlinedStates = 16; // the same for automata
    private const int Spellings = 4;      // texts in a choice from which on they share their beginnings

    private readonly IReadOnlyList<(string Name, Expr? Body)> _source;
    private readonly List<Node> _nodes = [new(NodeKind.End, 0, 0), new(NodeKind.Return, 0, 0), new(NodeKind.Never, 0, 0)];
    private readonly List<Edge> _edges = [];
    private readonly List<int> _targets = [];
    private readonly List<Loop> _loops = [];
    private readonly List<(string Name, Expr Body, int Start)> _rules = [];
    private readonly Dictionary<int, int> _declared = [];   // index in _source -> rule
    private readonly Dictionary<object, int> _shared = new(ReferenceEqualityComparer.Instance); // body of a loop, or automaton -> rule
    private readonly Stack<Step> _steps = new();
    private readonly Stack<int> _results = new();
    private int _current; // the node in front of which the next part is built
    private string _where = "";

    private GrammarCompiler(IReadOnlyList<(string Name, Expr? Body)> source) => _source = source;

    private enum What
    {
        Build,         // Body in front of the current node
        Goto,          // the current node is A
        Keep,          // the current node is a result
        Choose,        // a Split of the last A results
        ChooseOrSkip,  // a Split of the current node and A
        Close,         // the current node is a turn of the loop at A, a Split; it is entered at A
        CloseEntered,  // the same, entered with the turn
    }

    private readonly record struct Step(What What, Expr? Body, int A);

    /// <exception cref="GrammarException">See <see cref="GrammarBuilder.Build"/>.</exception>
    internal static Grammar Compile(IReadOnlyList<(string Name, Expr? Body)> rules, RuleId root, bool everyRule) =>
        TryCompile(rules, root, everyRule) ?? throw new GrammarException($"No text matches the rule {rules[root.Index].Name}: every way through it meets something that cannot be, or never ends.");

    /// <summary>The grammar, or null if no text matches.</summary>
    internal static Grammar? TryCompile(IReadOnlyList<(string Name, Expr? Body)> rules, RuleId root, bool everyRule)
    {
        GrammarCompiler compiler = new(rules);
        int start = compiler.Declared(root.Index);
        if (everyRule)
        {
            for (int i = 0; i < rules.Count; i++)
                compiler.Declared(i);
        }

        for (int rule = 0; rule < compiler._rules.Count; rule++)
            compiler.Build(rule);
        return GrammarAnalysis.Finish(compiler._nodes, compiler._edges, compiler._targets, compiler._loops,
            [.. compiler._rules.Select(rule => (rule.Name, rule.Start))], start);
    }

    private int Declared(int index)
    {
        if (_declared.TryGetValue(index, out int rule))
            return rule;
        (string name, Expr? body) = _source[index];
        rule = NewRule(name, body ?? throw new GrammarException($"The rule {name} is used but not defined."));
        _declared.Add(index, rule);
        return rule;
    }

    private int NewRule(string name, Expr body)
    {
        _rules.Add((name, body, -1));
        return _rules.Count - 1;
    }

    private int Shared(object key, Func<Expr> body)
    {
        if (!_shared.TryGetValue(key, out int rule))
        {
            rule = NewRule(_where, body());
            _shared.Add(key, rule);
        }

        return rule;
    }

    private void Build(int rule)
    {
        (string name, Expr body, _) = _rules[rule];
        _where = name;
        _current = Grammar.ReturnNode;
        if (body is Expr.RegularExpr regular)
            Embed(regular.Dfa); // the rule that a large automaton got
        else
            _steps.Push(new(What.Build, body, 0));
        while (_steps.TryPop(out Step step))
        {
            switch (step.What)
            {
                case What.Build:
                    Build(step.Body!);
                    break;
                case What.Goto:
                    _current = step.A;
                    break;
                case What.Keep:
                    _results.Push(_current);
                    break;
                case What.Choose:
                    int first = _targets.Count;
                    for (int i = 0; i < step.A; i++)
                        _targets.Add(_results.Pop());
                    _targets.Reverse(first, step.A);
                    _current = Add(new(NodeKind.Split, first, _targets.Count));
                    break;
                case What.ChooseOrSkip:
                    _targets.Add(_current);
                    _targets.Add(step.A);
                    _current = Add(new(NodeKind.Split, _targets.Count - 2, _targets.Count));
                    break;
                default:
                    _targets[_nodes[step.A].A] = _current;
                    if (step.What == What.Close)
                        _current = step.A;
                    break;
            }
        }

        _rules[rule] = (name, body, _current);
    }

    private void Build(Expr expression)
    {
        switch (expression)
        {
            case Expr.TextExpr text:
                foreach (System.Text.Rune rune in Backwards(text.Value))
                    AddChars([new(rune.Value, rune.Value, _current)]);
                break;
            case Expr.CharsExpr chars:
                List<Edge> edges = [];
                foreach (CodePointRange range in chars.Set.Ranges)
                    edges.Add(new(range.First, range.Last, _current));
                AddChars(edges);
                break;
            case Expr.SequenceExpr sequence:
                foreach (Expr part in sequence.Parts)
                    Push(part); // the last one comes first
                break;
            case Expr.ChoiceExpr choice:
                BuildChoice(choice);
                break;
            case Expr.RepeatExpr repeat:
                BuildRepeat(repeat);
                break;
            case Expr.ReferenceExpr reference:
                int rule = Declared(reference.Rule.Index);
                if (Size(_rules[rule].Body, Inlined) <= Inlined)
                    Push(_rules[rule].Body);
                else
                    _current = Add(new(NodeKind.Call, rule, _current));
                break;
            case Expr.RegularExpr { Dfa: var dfa } regular:
                if (dfa.StateCount <= InlinedStates)
                    Embed(dfa);
                else
                    _current = Add(new(NodeKind.Call, Shared(dfa, () => regular), _current));
                break;
            default:
                throw new InvalidOperationException(expression.GetType().Name);
        }
    }

    private void BuildChoice(Expr.ChoiceExpr choice)
    {
        // Many texts are one automaton: what they have in common is then matched once.
        List<string> texts = [];
        int parts = 0, next = _current;
        foreach (Expr alternative in choice.Alternatives)
        {
            if (alternative is Expr.TextExpr text)
                texts.Add(text.Value);
        }

        bool spelled = texts.Count >= Spellings;
        _steps.Push(new(What.Choose, null, choice.Alternatives.Length - (spelled ? texts.Count - 1 : 0)));
        for (int i = choice.Alternatives.Length - 1; i >= 0; i--)
        {
            if (!spelled || choice.Alternatives[i] is not Expr.TextExpr)
                Alternative(choice.Alternatives[i]);
        }

        if (spelled)
            Alternative(Expr.Regular(Dfa.OfTexts(texts)));
        if (parts == 0)
            _current = next;

        void Alternative(Expr body)
        {
            _steps.Push(new(What.Keep, null, 0));
            Push(body);
            _steps.Push(new(What.Goto, null, next));
            parts++;
        }
    }

    private void BuildRepeat(Expr.RepeatExpr repeat)
    {
        (Expr body, int min, int? max) = (repeat.Body, repeat.Min, repeat.Max);
        if (body is Expr.RepeatExpr { Min: 0, Max: null })
        {
            Push(body); // any number of them, however often: any number
            return;
        }

        int next = _current;
        if ((min, max) is (0, 1))
        {
            _steps.Push(new(What.ChooseOrSkip, null, next));
            Push(body);
            return;
        }

        long copies = max ?? min;
        if (copies > 1 && copies * Size(body, Unrolled) > Unrolled)
        {
            int rule = Shared(body, () => body);
            _loops.Add(new(rule, min, max ?? int.MaxValue));
            _current = Add(new(NodeKind.Loop, _loops.Count - 1, next));
            return;
        }

        // Steps run last in, first out: required turns are pushed first, being in front.
        for (int i = max is null && min > 0 ? 1 : 0; i < min; i++)
            Push(body);
        if (max is null)
        {
            _targets.Add(Grammar.NeverNode);
            _targets.Add(next);
            _current = Add(new(NodeKind.Split, _targets.Count - 2, _targets.Count));
            _steps.Push(new(min > 0 ? What.CloseEntered : What.Close, null, _current));
            Push(body);
            return;
        }

        for (int i = min; i < max; i++)
        {
            _steps.Push(new(What.ChooseOrSkip, null, next));
            Push(body);
        }
    }

    // The automaton's states in front of the current node.
    private void Embed(Dfa dfa)
    {
        if (dfa.IsEmpty)
        {
            _current = Grammar.NeverNode;
            return;
        }

        // Two nodes each, the first the entry: takes a scalar, or is a split into that and going on.
        int first = _nodes.Count, next = _current;
        for (int state = 0; state < dfa.StateCount; state++)
        {
            Add(new(NodeKind.Never, 0, 0));
            Add(new(NodeKind.Never, 0, 0));
        }

        for (int state = 0; state < dfa.StateCount; state++)
        {
            int edges = _edges.Count;
            foreach (DfaMove move in dfa.Moves(state))
                _edges.Add(new(move.First, move.Last, first + (2 * move.Target)));
            Node chars = new(NodeKind.Chars, edges, _edges.Count);
            int at = first + (2 * state);
            if (!dfa.Accepts(state))
            {
                _nodes[at] = chars;
                continue;
            }

            _nodes[at + 1] = chars;
            _targets.Add(at + 1);
            _targets.Add(next);
            _nodes[at] = new(NodeKind.Split, _targets.Count - 2, _targets.Count);
        }

        _current = first;
    }

    private void Push(Expr body) => _steps.Push(new(What.Build, body, 0));

    private void AddChars(List<Edge> edges)
    {
        _edges.AddRange(edges);
        _current = Add(new(NodeKind.Chars, _edges.Count - edges.Count, _edges.Count));
    }

    private int Add(Node node)
    {
        if (_nodes.Count >= MostNodes || _edges.Count >= MostEdges || _targets.Count >= MostEdges)
            throw new GrammarException($"The grammar is too large: written out, it has more than {MostNodes} parts.");
        _nodes.Add(node);
        return _nodes.Count - 1;
    }

    /// <summary>Nodes an expression takes, written out; counted no further than past the limit. References count as more than any limit.</summary>
    private static int Size(Expr expression, int limit)
    {
        Stack<(Expr, int)> stack = new([(expression, 1)]);
        long size = 0;
        int visits = 0;
        while (size <= limit && stack.TryPop(out (Expr Expression, int Times) at))
        {
            if (++visits > 4 * limit)
                return limit + 1;
            switch (at.Expression)
            {
                case Expr.TextExpr text:
                    size += (long)text.Value.Length * at.Times;
                    break;
                case Expr.CharsExpr:
                    size += at.Times;
                    break;
                case Expr.SequenceExpr sequence:
                    if (sequence.Parts.Length > limit)
                        return limit + 1;
                    foreach (Expr part in sequence.Parts)
                        stack.Push((part, at.Times));
                    break;
                case Expr.ChoiceExpr choice:
                    size += at.Times;
                    if (choice.Alternatives.Length > limit)
                        return limit + 1;
                    foreach (Expr alternative in choice.Alternatives)
                        stack.Push((alternative, at.Times));
                    break;
                case Expr.RepeatExpr repeat:
                    size += at.Times;
                    stack.Push((repeat.Body, (int)Math.Min((long)at.Times * Math.Max(repeat.Max ?? repeat.Min, 1), limit + 1)));
                    break;
                case Expr.RegularExpr regular:
                    size += 2L * regular.Dfa.StateCount * at.Times;
                    break;
                default:
                    return limit + 1;
            }
        }

        return (int)Math.Min(size, limit + 1);
    }

    private static IEnumerable<System.Text.Rune> Backwards(string text)
    {
        for (int i = text.Length - 1; i >= 0; i--)
        {
            if (char.IsLowSurrogate(text[i]))
                i--;
            yield return System.Text.Rune.GetRuneAt(text, i);
        }
    }
}
