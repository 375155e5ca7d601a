// Makes automata small: states that lead nowhere go, states that accept the same rest become one.
using System.Runtime.InteropServices;

namespace NativeGen.Constraints;

internal static class DfaTrimmer
{
    private const long MostWork = 20_000_000; // moves looked at while minimizing; beyond it the automaton stays as it is

    /// <summary>Drops states that are not reached from state 0 or reach no accepting one; numbers the rest breadth first.</summary>
    internal static (bool[] Accepts, DfaMove[][] Moves) Trim(bool[] accepts, DfaMove[][] moves)
    {
        List<int>[] sources = [.. accepts.Select(_ => new List<int>())];
        for (int state = 0; state < moves.Length; state++)
        {
            foreach (DfaMove move in moves[state])
                sources[move.Target].Add(state);
        }

        bool[] alive = new bool[accepts.Length];
        Stack<int> stack = new();
        for (int state = 0; state < accepts.Length; state++)
        {
            if (!accepts[state])
                continue;
            alive[state] = true;
            stack.Push(state);
        }

        while (stack.TryPop(out int state))
        {
            foreach (int source in sources[state])
            {
                if (alive[source])
                    continue;
                alive[source] = true;
                stack.Push(source);
            }
        }

        if (alive.Length == 0 || !alive[0])
            return ([], []);
        return Renumber(accepts, [.. moves.Select(m => m.Where(move => alive[move.Target]).ToArray())], [.. Enumerable.Range(0, accepts.Length)]);
    }

    /// <summary>Joins states with the same rest. Expects a trimmed automaton.</summary>
    internal static (bool[] Accepts, DfaMove[][] Moves) Minimize(bool[] accepts, DfaMove[][] moves)
    {
        int[] blocks = new int[accepts.Length];
        if (BottomUp(moves) is { } order)
        {
            // Without cycles one pass from the ends is enough.
            Dictionary<Shape, int> known = [];
            foreach (int state in order)
                blocks[state] = Number(known, new(accepts[state], Joined(moves[state], blocks)), state);
            return Renumber(accepts, moves, blocks);
        }

        long round = moves.Sum(m => (long)m.Length) + moves.Length, work = 0;
        for (int count = 0; ;)
        {
            work += round;
            if (work > MostWork)
                return Renumber(accepts, moves, [.. Enumerable.Range(0, accepts.Length)]);
            Dictionary<Shape, int> known = [];
            int[] next = new int[accepts.Length];
            for (int state = 0; state < accepts.Length; state++)
                next[state] = Number(known, new(accepts[state], Joined(moves[state], blocks)), state);
            if (known.Count == count)
                return Renumber(accepts, moves, blocks);
            (count, blocks) = (known.Count, next);
        }

        static int Number(Dictionary<Shape, int> known, Shape shape, int state)
        {
            ref int number = ref CollectionsMarshal.GetValueRefOrAddDefault(known, shape, out bool exists);
            return exists ? number : number = state;
        }
    }

    /// <summary>All states, each after those it leads to; null if there is a cycle.</summary>
    internal static List<int>? BottomUp(DfaMove[][] moves)
    {
        List<int> order = [];
        byte[] seen = new byte[moves.Length]; // 1: on the path, 2: done
        Stack<(int State, int Move)> stack = new();
        for (int start = 0; start < moves.Length; start++)
        {
            if (seen[start] == 0)
                stack.Push((start, 0));
            while (stack.TryPop(out (int State, int Move) at))
            {
                seen[at.State] = 1;
                if (at.Move == moves[at.State].Length)
                {
                    seen[at.State] = 2;
                    order.Add(at.State);
                    continue;
                }

                stack.Push((at.State, at.Move + 1));
                int target = moves[at.State][at.Move].Target;
                if (seen[target] == 1)
                    return null;
                if (seen[target] == 0)
                    stack.Push((target, 0));
            }
        }

        return order;
    }

    // One state per block, numbered breadth first from state 0's; blocks are named by one of their states.
    private static (bool[] Accepts, DfaMove[][] Moves) Renumber(bool[] accepts, DfaMove[][] moves, int[] blocks)
    {
        if (accepts.Length == 0)
            return ([], []);
        int[] numbers = new int[accepts.Length];
        numbers.AsSpan().Fill(-1);
        List<int> order = [blocks[0]];
        numbers[blocks[0]] = 0;
        List<DfaMove[]> renumbered = [];
        for (int i = 0; i < order.Count; i++)
        {
            DfaMove[] joined = Joined(moves[order[i]], blocks);
            for (int m = 0; m < joined.Length; m++)
            {
                int block = joined[m].Target;
                if (numbers[block] < 0)
                {
                    numbers[block] = order.Count;
                    order.Add(block);
                }

                joined[m] = joined[m] with { Target = numbers[block] };
            }

            renumbered.Add(joined);
        }

        return ([.. order.Select(block => accepts[block])], [.. renumbered]);
    }

    private static DfaMove[] Joined(DfaMove[] moves, int[] blocks)
    {
        List<DfaMove> joined = new(moves.Length);
        foreach (DfaMove move in moves)
        {
            int block = blocks[move.Target];
            if (joined.Count > 0 && joined[^1].Target == block && joined[^1].Last + 1 == move.First)
                joined[^1] = joined[^1] with { Last = move.Last };
            else
                joined.Add(move with { Target = block });
        }

        return [.. joined];
    }

    /// <summary>What a state looks like if targets are named by their block.</summary>
    private readonly struct Shape(bool accepts, DfaMove[] moves) : IEquatable<Shape>
    {
        private readonly bool _accepts = accepts;
        private readonly DfaMove[] _moves = moves;

        public bool Equals(Shape other) => _accepts == other._accepts && _moves.AsSpan().SequenceEqual(other._moves);

        public override bool Equals(object? obj) => obj is Shape other && Equals(other);

        public override int GetHashCode()
        {
            HashCode hash = default;
            hash.Add(_accepts);
            foreach (DfaMove move in _moves)
                hash.Add(move);
            return hash.ToHashCode();
        }
    }
}
