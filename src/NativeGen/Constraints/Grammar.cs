// A compiled grammar: each rule a small graph of nodes over Unicode scalars. Automaton runs it; nothing here changes after it is made.
namespace NativeGen.Constraints;

internal enum NodeKind : byte
{
    /// <summary>Behind the root rule: the text may end here.</summary>
    End,

    /// <summary>End of a rule: on with whoever called it.</summary>
    Return,

    /// <summary>Takes one scalar. A..B are its ranges, each with a target of its own.</summary>
    Chars,

    /// <summary>Takes nothing and goes on at each of the targets A..B.</summary>
    Split,

    /// <summary>What rule A says, then node B.</summary>
    Call,

    /// <summary>Repetitions that are counted: <see cref="Grammar.Loops"/>[A], then node B.</summary>
    Loop,

    /// <summary>No text leads on from here.</summary>
    Never,
}

/// <summary>A node; what A and B mean is said at <see cref="NodeKind"/>.</summary>
internal readonly record struct Node(NodeKind Kind, int A, int B);

/// <summary>Scalars First to Last lead to node Target.</summary>
internal readonly record struct Edge(int First, int Last, int Target);

/// <summary>Min to Max times what rule Body says; without a maximum Max is <see cref="int.MaxValue"/>. Where the body may be empty, Min is 0.</summary>
internal readonly record struct Loop(int Body, int Min, int Max);

/// <summary>A rule's graph. Rank: a rule that begins with another one has the lower rank.</summary>
internal readonly record struct Rule(int Start, bool Nullable, int Rank);

/// <summary>Immutable and thread safe.</summary>
internal sealed class Grammar
{
    /// <summary>Nodes that every grammar has.</summary>
    internal const int EndNode = 0, ReturnNode = 1, NeverNode = 2;

    /// <summary>Instead of a text's length: there is none.</summary>
    internal const int NoEnd = int.MaxValue;

    private const int Longest = 1 << 28; // lengths beyond it are all alike

    internal required Node[] Nodes { get; init; }

    /// <summary>By node: bytes of the shortest text from it to the end of its rule, or <see cref="NoEnd"/>.</summary>
    internal required int[] Shortest { get; init; }

    /// <summary>By node: nothing but returning is left.</summary>
    internal required bool[] IsTail { get; init; }

    /// <summary>Of Chars nodes; a node's are sorted and disjoint.</summary>
    internal required Edge[] Edges { get; init; }

    /// <summary>Of Split nodes.</summary>
    internal required int[] Targets { get; init; }

    internal required Loop[] Loops { get; init; }

    internal required Rule[] Rules { get; init; }

    /// <summary>Rules by rank.</summary>
    internal required int[] ByRank { get; init; }

    internal required int Root { get; init; }

    /// <summary>By byte: its class. Bytes of one class do the same wherever the grammar meets them.</summary>
    internal required byte[] ByteClasses { get; init; }

    /// <summary>By class: the least byte of it.</summary>
    internal required byte[] ClassBytes { get; init; }

    internal int ClassCount => ClassBytes.Length;

    /// <summary>The length of two texts in a row.</summary>
    internal static int Both(int a, int b) => a == NoEnd || b == NoEnd ? NoEnd : Math.Min(a + b, Longest);

    /// <summary>The length of so many texts in a row.</summary>
    internal static int Times(int count, int length) => count == 0 ? 0 : length == NoEnd ? NoEnd : (int)Math.Min((long)count * length, Longest);
}
