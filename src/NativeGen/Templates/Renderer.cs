// Runs a template: scopes, output, and the limits that templates from model files are kept to.
using System.Diagnostics;

namespace NativeGen.Templates;

/// <summary>What rendering may cost.</summary>
internal sealed record JinjaLimits
{
    /// <summary>Expressions and statements that are run.</summary>
    public long Steps { get; init; } = 5_000_000;

    /// <summary>UTF-16 units of output, and of any string on the way.</summary>
    public int Output { get; init; } = 32 << 20;

    /// <summary>Macros and loops inside each other.</summary>
    public int Depth { get; init; } = 120;

    /// <summary>Time; looked at now and then.</summary>
    public TimeSpan Time { get; init; } = TimeSpan.FromSeconds(10);
}

/// <summary>Names of a block, and the block around it.</summary>
internal sealed class Scope(Scope? outer)
{
    internal Scope? Outer => outer;

    internal Dictionary<string, object?> Names { get; } = new(StringComparer.Ordinal);
}

/// <summary>One rendering. Not thread safe.</summary>
internal sealed class Renderer
{
    private readonly JinjaLimits _limits;
    private readonly long _started = Stopwatch.GetTimestamp();
    private JinjaString.Builder _output = new();
    private long _steps;
    private int _depth;
    private bool _jumping, _breaks;

    internal Renderer(Scope globals, JinjaLimits limits, DateTimeOffset now)
    {
        _limits = limits;
        Scope = new(globals);
        Now = now;
    }

    internal Scope Scope { get; private set; }

    /// <summary>The clock of strftime_now.</summary>
    internal DateTimeOffset Now { get; }

    internal JinjaString Render(Statement template)
    {
        Do(template);
        return _output.ToJinja();
    }

    internal object? Value(Expression expression)
    {
        Spend(1);
        try
        {
            return expression.Evaluate(this);
        }
        catch (JinjaException e) when (e.Line == 0 && expression.Line > 0)
        {
            throw e.At(expression.Line, expression.Column);
        }
    }

    internal void Do(Statement statement)
    {
        if (_jumping)
            return;
        Spend(1);
        try
        {
            statement.Run(this);
        }
        catch (JinjaException e) when (e.Line == 0 && statement.Line > 0)
        {
            throw e.At(statement.Line, statement.Column);
        }
    }

    internal void Write(JinjaString text)
    {
        _output.Append(text);
        if (_output.Length > _limits.Output)
            throw new JinjaException(JinjaError.Limit, $"the template writes more than {_limits.Output} characters");
    }

    internal void Spend(long steps)
    {
        long before = _steps;
        _steps += steps;
        if (_steps > _limits.Steps)
            throw new JinjaException(JinjaError.Limit, $"the template takes more than {_limits.Steps} steps");
        if (before >> 12 != _steps >> 12 && Stopwatch.GetElapsedTime(_started) > _limits.Time)
            throw new JinjaException(JinjaError.Limit, $"the template takes longer than {_limits.Time.TotalSeconds:0} s");
    }

    /// <summary>Before a string or list of this size is made.</summary>
    internal void Room(double size)
    {
        if (size > _limits.Output)
            throw new JinjaException(JinjaError.Limit, $"the template makes a value of more than {_limits.Output} parts");
        Spend((long)(size / 64));
    }

    internal void Enter()
    {
        if (++_depth > _limits.Depth)
            throw new JinjaException(JinjaError.Limit, $"the template's blocks and macros call each other more than {_limits.Depth} deep");
        Scope = new(Scope);
    }

    internal void Leave()
    {
        _depth--;
        Scope = Scope.Outer!;
    }

    /// <summary>Runs something where another scope is around it: a macro's own.</summary>
    internal object? Within(Scope scope, Func<object?> run)
    {
        Scope before = Scope;
        Scope = scope;
        object? result = run();
        Scope = before;
        return result;
    }

    /// <summary>What something writes.</summary>
    internal JinjaString Captured(Action write)
    {
        JinjaString.Builder before = _output;
        _output = new();
        write();
        JinjaString text = _output.ToJinja();
        _output = before;
        return text;
    }

    internal object? Lookup(string name)
    {
        for (Scope? scope = Scope; scope is not null; scope = scope.Outer)
        {
            if (scope.Names.TryGetValue(name, out object? value))
                return value;
        }

        return JinjaUndefined.Name(name);
    }

    internal void Set(string name, object? value) => Scope.Names[name] = value;

    internal void Jump(bool breaks) => (_jumping, _breaks) = (true, breaks);

    /// <summary>At the end of a loop's turn: whether the loop ends.</summary>
    internal bool TakeBreak()
    {
        bool breaks = _jumping && _breaks;
        _jumping = false;
        return breaks;
    }

    internal object? Call(object? callee, object?[] args, List<(string Name, object? Value)> named)
    {
        Spend(2);
        if (++_depth > _limits.Depth)
            throw new JinjaException(JinjaError.Limit, $"the template's blocks and macros call each other more than {_limits.Depth} deep");
        object? result = callee switch
        {
            JinjaCallable callable => callable.Call(args, named),
            JinjaObject o => o.Call(args, named),
            JinjaUndefined undefined => throw undefined.Error,
            JinjaUnsafe hidden => throw hidden.Error,
            _ => throw JinjaException.Type($"'{Python.TypeName(callee)}' object is not callable"),
        };
        _depth--;
        return result;
    }
}

/// <summary>The variable <c>loop</c>.</summary>
internal sealed class Loop(List<object?> items, int depth, Func<object?, int, JinjaString>? recurse) : JinjaObject
{
    private object? _last;
    private bool _any;

    internal int Index { get; set; }

    internal override string TypeName => "LoopContext";

    internal override bool TryGet(string name, out object? value)
    {
        value = name switch
        {
            "index" => Index + 1L,
            "index0" => (long)Index,
            "revindex" => (long)(items.Count - Index),
            "revindex0" => (long)(items.Count - Index - 1),
            "first" => Index == 0,
            "last" => Index == items.Count - 1,
            "length" => (long)items.Count,
            "depth" => depth + 1L,
            "depth0" => (long)depth,
            "previtem" => Index > 0 ? items[Index - 1] : new JinjaUndefined("there is no previous item"),
            "nextitem" => Index + 1 < items.Count ? items[Index + 1] : new JinjaUndefined("there is no next item"),
            "cycle" => new JinjaCallable("cycle", (args, _) => args.Length > 0 ? args[Index % args.Length] : throw JinjaException.Type("no items for cycling given")),
            "changed" => new JinjaCallable("changed", (args, _) => Changed(new JinjaTuple(args))),
            _ => null,
        };
        return value is not null || name is "previtem" or "nextitem";
    }

    internal override object? Call(object?[] args, List<(string Name, object? Value)> named)
    {
        if (recurse is null)
            throw JinjaException.Type("The loop must have the 'recursive' marker to be called recursively.");
        return args.Length > 0 ? recurse(args[0], depth + 1) : throw JinjaException.Type("LoopContext.__call__() missing 1 required positional argument: 'iterable'");
    }

    private bool Changed(JinjaTuple values)
    {
        bool changed = !_any || !Python.Equal(_last, values);
        (_any, _last) = (true, values);
        return changed;
    }
}
