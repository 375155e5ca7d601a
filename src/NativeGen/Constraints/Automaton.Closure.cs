// How a state of an automaton is made: from the places that a scalar led to, everything that can be reached without reading another one.
using System.Runtime.InteropServices;

namespace NativeGen.Constraints;

internal sealed partial class Automaton
{
    private const int MostWork = 1 << 15; // items looked at to make one state

    // While one state is made.
    private readonly List<Item> _kernel = [], _core = [];
    private readonly Stack<Item> _stack = new();
    private readonly ItemMarks _seen = new();
    private readonly List<Item>?[] _callers; // by rule
    private readonly PriorityQueue<int, int> _called = new(); // rules by rank

    private void Begin()
    {
        _core.Clear();
        _seen.Clear();
        _stack.Clear();
        while (_called.TryDequeue(out int rule, out _))
            _callers[rule]!.Clear(); // left by a state that was given up
    }

    // Everything that can be reached from an item without reading: its Chars nodes go to the core, its calls to those who call.
    private void Push(Item start, bool mayReturn)
    {
        _stack.Push(start);
        while (_stack.TryPop(out Item item))
        {
            if (!_seen.Add(item))
                continue;
            if (_seen.Count > MostWork || --Budget < 0)
                throw TooAmbiguous();
            Node node = _grammar.Nodes[item.Node];
            switch (node.Kind)
            {
                case NodeKind.Chars or NodeKind.End:
                    _core.Add(item);
                    break;
                case NodeKind.Split:
                    for (int i = node.A; i < node.B; i++)
                        _stack.Push(new(_grammar.Targets[i], 0, item.Frame));
                    break;
                case NodeKind.Return:
                    // A rule that ends where it began was empty, and its callers have gone on already.
                    if (mayReturn)
                    {
                        foreach (Item caller in _sets[item.Frame])
                            _stack.Push(caller);
                    }

                    break;
                case NodeKind.Call:
                    Call(node.A, new(node.B, 0, item.Frame));
                    if (_grammar.Rules[node.A].Nullable)
                        _stack.Push(new(node.B, 0, item.Frame));
                    break;
                case NodeKind.Loop:
                    Loop loop = _grammar.Loops[node.A];
                    if (item.Count >= loop.Min || item.Count == Plenty)
                        _stack.Push(new(node.B, 0, item.Frame));
                    if (item.Count < loop.Max)
                        Call(loop.Body, item with { Count = Turn(item.Count, loop) });
                    break;
            }
        }
    }

    private void Call(int rule, Item caller)
    {
        if (_callers[rule] is not { } callers)
            _callers[rule] = callers = [];
        if (callers.Count == 0)
            _called.Enqueue(rule, _grammar.Rules[rule].Rank);

        // Where nothing is left to do but return, the caller's own callers are who goes on: right recursion stays flat.
        if (_grammar.IsTail[caller.Node])
        {
            foreach (Item item in _sets[caller.Frame])
                callers.Add(item);
        }
        else
        {
            callers.Add(caller);
        }

        if (callers.Count > MostWork)
            throw TooAmbiguous();
    }

    // Begins the rules that were called, each once with all its callers, those that begin with others first; gives the state that results.
    private int Close()
    {
        while (_called.TryDequeue(out int rule, out _))
        {
            List<Item> callers = _callers[rule]!;
            callers.Sort(Item.Order);
            Thin(callers);
            if (callers.Count > MostItems)
                throw TooAmbiguous();
            int frame = _sets.Intern(CollectionsMarshal.AsSpan(callers));
            callers.Clear();
            Push(new(_grammar.Rules[rule].Start, 0, frame), mayReturn: false);
        }

        if (_core.Count > MostItems)
            throw TooAmbiguous();
        _core.Sort(Item.Order);
        return _core.Count == 0 ? Dead : State(_sets.Intern(CollectionsMarshal.AsSpan(_core)), default);
    }

    // Drops doubles, and of a loop with its minimum behind it all but the least count: the others may do nothing that this one may not.
    private void Thin(List<Item> sorted)
    {
        int n = 0;
        foreach (Item item in CollectionsMarshal.AsSpan(sorted))
        {
            if (n > 0 && sorted[n - 1] is var last && last.Node == item.Node && last.Frame == item.Frame)
            {
                if (last.Count == item.Count)
                    continue;
                Node node = _grammar.Nodes[item.Node];
                if (node.Kind == NodeKind.Loop && last.Count >= _grammar.Loops[node.A].Min)
                    continue;
            }

            sorted[n++] = item;
        }

        sorted.RemoveRange(n, sorted.Count - n);
    }

    private static int Turn(int count, Loop loop)
    {
        if (count < 0)
            return count;
        return loop.Max == int.MaxValue ? Math.Min(count + 1, loop.Min) : count + 1;
    }
}
