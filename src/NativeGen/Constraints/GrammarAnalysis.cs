// What has to be known of a grammar's graphs before they run: what can be empty, what can never end, who begins with whom.
namespace NativeGen.Constraints;

internal sealed class GrammarAnalysis
{
    private readonly Node[] _nodes;
    private readonly Edge[] _edges;
    private readonly int[] _targets;
    private readonly Loop[] _loops;
    private readonly (string Name, int Start)[] _rules;

    private GrammarAnalysis(Node[] nodes, Edge[] edges, int[] targets, Loop[] loops, (string, int)[] rules) =>
        (_nodes, _edges, _targets, _loops, _rules) = (nodes, edges, targets, loops, rules);

    /// <summary>The grammar, or null if no text matches its root.</summary>
    /// <exception cref="GrammarException">Left recursion.</exception>
    internal static Grammar? Finish(List<Node> nodes, List<Edge> edges, List<int> targets, List<Loop> loops, (string Name, int Start)[] rules, int root)
    {
        GrammarAnalysis graph = new([.. nodes], [.. edges], [.. targets], [.. loops], rules);
        (int[] starts, Dependent[] dependents) = graph.Dependents();
        bool[] nullable = graph.Solve(starts, dependents, graph.IsNullable);
        graph.RelaxLoops(nullable);
        int[] byRank = graph.Rank(nullable);
        int[] shortest = graph.Shortest(starts, dependents);
        if (shortest[rules[root].Start] == Grammar.NoEnd)
            return null;
        Edge[] kept = graph.Prune(shortest);
        (byte[] classOf, byte[] byteOf) = ByteClasses.Of(kept);
        int[] ranks = new int[rules.Length];
        for (int rank = 0; rank < byRank.Length; rank++)
            ranks[byRank[rank]] = rank;
        return new()
        {
            Nodes = graph._nodes,
            IsTail = graph.Tails(),
            Shortest = shortest,
            Edges = kept,
            Targets = graph._targets,
            Loops = graph._loops,
            Rules = [.. rules.Select((rule, i) => new Rule(rule.Start, nullable[rule.Start], ranks[i]))],
            ByRank = byRank,
            Root = root,
            ByteClasses = classOf,
            ClassBytes = byteOf,
        };
    }

    private bool IsNullable(int node, bool[] nullable)
    {
        Node n = _nodes[node];
        return n.Kind switch
        {
            NodeKind.Return => true,
            NodeKind.Split => AnyTarget(n, nullable),
            NodeKind.Call => nullable[_rules[n.A].Start] && nullable[n.B],
            NodeKind.Loop => (_loops[n.A].Min == 0 || nullable[_rules[_loops[n.A].Body].Start]) && nullable[n.B],
            _ => false,
        };
    }

    private bool AnyTarget(Node split, bool[] values)
    {
        for (int i = split.A; i < split.B; i++)
        {
            if (values[_targets[i]])
                return true;
        }

        return false;
    }

    // An empty turn counts, so a body that may be empty reaches any minimum.
    private void RelaxLoops(bool[] nullable)
    {
        for (int i = 0; i < _loops.Length; i++)
        {
            if (nullable[_rules[_loops[i].Body].Start])
                _loops[i] = _loops[i] with { Min = 0 };
        }
    }

    /// <summary>Rules, each before those it begins with.</summary>
    private int[] Rank(bool[] nullable)
    {
        HashSet<int>[] calls = new HashSet<int>[_rules.Length];
        int[] callers = new int[_rules.Length];
        int[] seen = new int[_nodes.Length]; // by node: rule + 1 that came by last
        Stack<int> stack = new();
        for (int rule = 0; rule < _rules.Length; rule++)
        {
            calls[rule] = [];
            stack.Push(_rules[rule].Start);
            while (stack.TryPop(out int at))
            {
                if (seen[at] == rule + 1)
                    continue;
                seen[at] = rule + 1;
                Node n = _nodes[at];
                switch (n.Kind)
                {
                    case NodeKind.Split:
                        for (int i = n.A; i < n.B; i++)
                            stack.Push(_targets[i]);
                        break;
                    case NodeKind.Call:
                        Begins(rule, n.A);
                        if (nullable[_rules[n.A].Start])
                            stack.Push(n.B);
                        break;
                    case NodeKind.Loop:
                        Begins(rule, _loops[n.A].Body);
                        if (_loops[n.A].Min == 0)
                            stack.Push(n.B);
                        break;
                }
            }
        }

        List<int> order = [];
        for (int rule = 0; rule < _rules.Length; rule++)
        {
            if (callers[rule] == 0)
                order.Add(rule);
        }

        for (int i = 0; i < order.Count; i++)
        {
            foreach (int called in calls[order[i]])
            {
                if (--callers[called] == 0)
                    order.Add(called);
            }
        }

        return order.Count == _rules.Length ? [.. order] : throw LeftRecursion(calls, callers);

        void Begins(int rule, int called)
        {
            if (calls[rule].Add(called))
                callers[called]++;
        }
    }

    // Every rule that is left has a caller that is left: walking back meets itself.
    private GrammarException LeftRecursion(HashSet<int>[] calls, int[] callers)
    {
        int[] callerOf = new int[calls.Length];
        for (int rule = 0; rule < calls.Length; rule++)
        {
            if (callers[rule] == 0)
                continue;
            foreach (int called in calls[rule])
                callerOf[called] = rule;
        }

        int at = Array.FindIndex(callers, count => count > 0);
        for (int i = 0; i < calls.Length; i++)
            at = callerOf[at];
        List<string> names = [_rules[at].Name];
        for (int rule = callerOf[at]; rule != at; rule = callerOf[rule])
        {
            if (names.Count < 8 && names[^1] != _rules[rule].Name)
                names.Add(_rules[rule].Name);
        }

        names.Reverse();
        return new($"The rule {names[^1]} begins with itself ({string.Join(" -> ", names.Prepend(names[^1]))}): left recursion never ends. Put what repeats behind what it begins with.");
    }

    // Ways that never come to an end go: then whatever is alive can be completed.
    private Edge[] Prune(int[] shortest)
    {
        List<Edge> kept = new(_edges.Length);
        for (int node = 0; node < _nodes.Length; node++)
        {
            Node n = _nodes[node];
            if (shortest[node] == Grammar.NoEnd)
            {
                _nodes[node] = new(NodeKind.Never, 0, 0);
            }
            else if (n.Kind == NodeKind.Chars)
            {
                int first = kept.Count;
                for (int i = n.A; i < n.B; i++)
                {
                    if (shortest[_edges[i].Target] != Grammar.NoEnd)
                        kept.Add(_edges[i]);
                }

                _nodes[node] = n with { A = first, B = kept.Count };
            }
        }

        return [.. kept];
    }

    private bool[] Tails()
    {
        bool[] tails = new bool[_nodes.Length];
        tails[Grammar.ReturnNode] = true;
        for (int node = 0; node < _nodes.Length; node++)
        {
            Node n = _nodes[node];
            if (n.Kind != NodeKind.Split)
                continue;
            tails[node] = true;
            for (int i = n.A; i < n.B; i++)
                tails[node] &= _nodes[_targets[i]].Kind == NodeKind.Never || (_targets[i] != node && tails[_targets[i]]);
        }

        return tails;
    }

    // By node: those whose answer may change with its own.
    private (int[] Starts, Dependent[] Dependents) Dependents()
    {
        int[] starts = new int[_nodes.Length + 2];
        Dependent[] dependents = [];
        for (int pass = 0; pass < 2; pass++)
        {
            for (int node = 0; node < _nodes.Length; node++)
            {
                Node n = _nodes[node];
                switch (n.Kind)
                {
                    case NodeKind.Split:
                        for (int i = n.A; i < n.B; i++)
                            Note(_targets[i], node);
                        break;
                    case NodeKind.Chars:
                        for (int i = n.A; i < n.B; i++)
                            Note(_edges[i].Target, node, Utf8Part.LengthOf(_edges[i].First));
                        break;
                    case NodeKind.Call:
                        Note(_rules[n.A].Start, node);
                        Note(n.B, node);
                        break;
                    case NodeKind.Loop:
                        Note(_rules[_loops[n.A].Body].Start, node);
                        Note(n.B, node);
                        break;
                }
            }

            if (pass == 0)
            {
                // Counts to places: starts[n + 1] moves to the end of n's list while it fills.
                for (int i = 1; i < starts.Length; i++)
                    starts[i] += starts[i - 1];
                dependents = new Dependent[starts[^1]];
            }

            void Note(int on, int node, int bytes = 0)
            {
                if (pass == 0)
                    starts[on + 2]++;
                else
                    dependents[starts[on + 1]++] = new(node, bytes);
            }
        }

        return (starts, dependents);
    }

    /// <summary>The least set of nodes that the condition, which may only grow, closes.</summary>
    private bool[] Solve(int[] starts, Dependent[] dependents, Func<int, bool[], bool> holds)
    {
        bool[] values = new bool[_nodes.Length];
        Stack<int> stack = new();
        for (int node = 0; node < _nodes.Length; node++)
            Visit(node);
        while (stack.TryPop(out int node))
        {
            for (int i = starts[node]; i < starts[node + 1]; i++)
                Visit(dependents[i].Node);
        }

        return values;

        void Visit(int node)
        {
            if (values[node] || !holds(node, values))
                return;
            values[node] = true;
            stack.Push(node);
        }
    }

    /// <summary>By node: bytes of the shortest text from it to the end of its rule. Dijkstra's algorithm as Knuth carried it over to grammars.</summary>
    private int[] Shortest(int[] starts, Dependent[] dependents)
    {
        int[] shortest = new int[_nodes.Length];
        shortest.AsSpan().Fill(Grammar.NoEnd);
        PriorityQueue<int, int> queue = new();
        Offer(Grammar.EndNode, 0);
        Offer(Grammar.ReturnNode, 0);
        while (queue.TryDequeue(out int node, out int bytes))
        {
            if (bytes > shortest[node])
                continue; // a better offer came before
            for (int i = starts[node]; i < starts[node + 1]; i++)
            {
                (int dependent, int read) = dependents[i];
                Node n = _nodes[dependent];
                Offer(dependent, n.Kind switch
                {
                    NodeKind.Call => Grammar.Both(shortest[_rules[n.A].Start], shortest[n.B]),
                    NodeKind.Loop => Grammar.Both(Grammar.Times(_loops[n.A].Min, shortest[_rules[_loops[n.A].Body].Start]), shortest[n.B]),
                    _ => Grammar.Both(bytes, read),
                });
            }
        }

        return shortest;

        void Offer(int node, int bytes)
        {
            if (bytes >= shortest[node])
                return;
            shortest[node] = bytes;
            queue.Enqueue(node, bytes);
        }
    }

    /// <summary>A node whose answer depends on another's, which it comes to after so many bytes.</summary>
    private readonly record struct Dependent(int Node, int Bytes);
}
