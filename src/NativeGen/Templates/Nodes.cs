// The tree of a template. Expressions give values, statements write; both run on a Renderer.
namespace NativeGen.Templates;

/// <summary>A part of a template, with its place.</summary>
internal abstract class Node
{
    internal int Line { get; init; }

    internal int Column { get; init; }
}

internal abstract class Expression : Node
{
    internal abstract object? Evaluate(Renderer renderer);
}

internal abstract class Statement : Node
{
    internal abstract void Run(Renderer renderer);
}

// ---- expressions ----

internal sealed class Constant(object? value) : Expression
{
    internal object? Value => value;

    internal override object? Evaluate(Renderer renderer) => value;
}

internal sealed class Variable(string name) : Expression
{
    internal string Name => name;

    internal override object? Evaluate(Renderer renderer) => renderer.Lookup(name);
}

internal sealed class ListLiteral(Expression[] items) : Expression
{
    internal override object? Evaluate(Renderer renderer)
    {
        List<object?> list = new(items.Length);
        foreach (Expression item in items)
            list.Add(renderer.Value(item));
        return list;
    }
}

internal sealed class TupleLiteral(Expression[] items) : Expression
{
    internal Expression[] Items => items;

    internal override object? Evaluate(Renderer renderer) => new JinjaTuple([.. items.Select(renderer.Value)]);
}

internal sealed class DictLiteral((Expression Key, Expression Value)[] items) : Expression
{
    internal override object? Evaluate(Renderer renderer)
    {
        JinjaDict dict = new();
        foreach ((Expression key, Expression value) in items)
            dict[renderer.Value(key)] = renderer.Value(value);
        return dict;
    }
}

internal sealed class Attribute(Expression of, string name) : Expression
{
    internal Expression Of => of;

    internal string Name => name;

    internal override object? Evaluate(Renderer renderer) => Access.Attribute(renderer, renderer.Value(of), name);
}

internal sealed class Item(Expression of, Expression index) : Expression
{
    internal override object? Evaluate(Renderer renderer) => Access.Item(renderer, renderer.Value(of), renderer.Value(index));
}

/// <summary>start:stop:step between brackets.</summary>
internal sealed class Slice(Expression? start, Expression? stop, Expression? step) : Expression
{
    internal override object? Evaluate(Renderer renderer) => new SliceValue(Part(renderer, start), Part(renderer, stop), Part(renderer, step));

    private static object? Part(Renderer renderer, Expression? part) => part is null ? null : renderer.Value(part);
}

internal sealed record SliceValue(object? Start, object? Stop, object? Step);

/// <summary>Arguments of a call: positional, named, and those of * and **.</summary>
internal sealed record Arguments(Expression[] Positional, (string Name, Expression Value)[] Named, Expression? Rest, Expression? NamedRest)
{
    internal static readonly Arguments None = new([], [], null, null);

    internal (object?[] Positional, List<(string Name, object? Value)> Named) Evaluate(Renderer renderer)
    {
        List<object?> positional = [.. Positional.Select(renderer.Value)];
        List<(string, object?)> named = [.. Named.Select(pair => (pair.Name, renderer.Value(pair.Value)))];
        if (Rest is not null)
            positional.AddRange(Python.Iterate(renderer.Value(Rest)));
        if (NamedRest is not null)
        {
            if (renderer.Value(NamedRest) is not JinjaDict dict)
                throw JinjaException.Type("argument after ** must be a mapping");
            named.AddRange(dict.Items.Select(item => (Python.Str(item.Key).Text, item.Value)));
        }

        return ([.. positional], named);
    }
}

internal sealed class Call(Expression of, Arguments arguments) : Expression
{
    internal override object? Evaluate(Renderer renderer)
    {
        object? callee = renderer.Value(of);
        (object?[] positional, List<(string, object?)> named) = arguments.Evaluate(renderer);
        return renderer.Call(callee, positional, named);
    }
}

internal sealed class FilterCall(Expression? of, string name, Arguments arguments) : Expression
{
    internal override object? Evaluate(Renderer renderer) => Apply(renderer, renderer.Value(of!));

    internal object? Apply(Renderer renderer, object? value)
    {
        (object?[] positional, List<(string, object?)> named) = arguments.Evaluate(renderer);
        return Filters.Apply(renderer, name, value, new(name, positional, named));
    }
}

internal sealed class TestCall(Expression of, string name, Arguments arguments, bool negated) : Expression
{
    internal override object? Evaluate(Renderer renderer)
    {
        object? value = renderer.Value(of);
        (object?[] positional, _) = arguments.Evaluate(renderer);
        return Tests.Apply(name, value, positional) != negated;
    }
}

internal sealed class Unary(string op, Expression of) : Expression
{
    internal override object? Evaluate(Renderer renderer)
    {
        object? value = renderer.Value(of);
        return op == "not" ? !Python.Truth(value) : Arithmetic.Sign(op, value);
    }
}

internal sealed class Binary(string op, Expression left, Expression right) : Expression
{
    internal override object? Evaluate(Renderer renderer)
    {
        object? a = renderer.Value(left);
        switch (op)
        {
            case "and":
                return Python.Truth(a) ? renderer.Value(right) : a;
            case "or":
                return Python.Truth(a) ? a : renderer.Value(right);
        }

        return Arithmetic.Apply(renderer, op, a, renderer.Value(right));
    }
}

internal sealed class Concat(Expression[] parts) : Expression
{
    internal override object? Evaluate(Renderer renderer)
    {
        JinjaString.Builder builder = new();
        foreach (Expression part in parts)
            builder.Append(Python.Str(renderer.Value(part)));
        renderer.Spend(builder.Length / 16);
        return builder.ToJinja();
    }
}

internal sealed class Comparison(Expression first, (string Op, Expression Value)[] others) : Expression
{
    internal override object? Evaluate(Renderer renderer)
    {
        object? left = renderer.Value(first);
        foreach ((string op, Expression value) in others)
        {
            object? right = renderer.Value(value);
            if (!Arithmetic.Compare(op, left, right))
                return false;
            left = right;
        }

        return true;
    }
}

internal sealed class Conditional(Expression condition, Expression then, Expression? otherwise) : Expression
{
    internal override object? Evaluate(Renderer renderer) => Python.Truth(renderer.Value(condition)) ? renderer.Value(then)
        : otherwise is not null ? renderer.Value(otherwise)
        : new JinjaUndefined("the inline if-expression evaluated to false and no else section was defined.");
}

// ---- statements ----

internal sealed class Data(string text) : Statement
{
    private readonly JinjaString _text = new(text);

    internal override void Run(Renderer renderer) => renderer.Write(_text);
}

internal sealed class Print(Expression value) : Statement
{
    internal override void Run(Renderer renderer) => renderer.Write(Python.Str(renderer.Value(value)));
}

internal sealed class Block(Statement[] body) : Statement
{
    internal override void Run(Renderer renderer)
    {
        foreach (Statement statement in body)
            renderer.Do(statement);
    }
}

internal sealed class If((Expression Condition, Statement Body)[] branches, Statement? otherwise) : Statement
{
    internal override void Run(Renderer renderer)
    {
        foreach ((Expression condition, Statement body) in branches)
        {
            if (Python.Truth(renderer.Value(condition)))
            {
                renderer.Do(body);
                return;
            }
        }

        if (otherwise is not null)
            renderer.Do(otherwise);
    }
}

internal sealed class For(Expression target, Expression over, Expression? condition, Statement body, Statement? otherwise, bool recursive) : Statement
{
    internal override void Run(Renderer renderer) => Run(renderer, renderer.Value(over), 0);

    private void Run(Renderer renderer, object? values, int depth)
    {
        List<object?> items = Python.Iterate(values);
        if (condition is not null)
        {
            List<object?> kept = [];
            foreach (object? item in items)
            {
                renderer.Enter();
                Assign.To(renderer, target, item);
                if (Python.Truth(renderer.Value(condition)))
                    kept.Add(item);
                renderer.Leave();
            }

            items = kept;
        }
        else
            items = [.. items];

        Loop loop = new(items, depth, recursive ? (inner, at) => renderer.Captured(() => Run(renderer, inner, at)) : null);
        for (loop.Index = 0; loop.Index < items.Count; loop.Index++)
        {
            renderer.Spend(1);
            renderer.Enter();
            renderer.Set("loop", loop);
            Assign.To(renderer, target, items[loop.Index]);
            renderer.Do(body);
            renderer.Leave();
            if (renderer.TakeBreak())
                break;
        }

        if (items.Count == 0 && otherwise is not null)
            renderer.Do(otherwise);
    }
}

internal sealed class Jump(bool breaks) : Statement
{
    internal override void Run(Renderer renderer) => renderer.Jump(breaks);
}

internal sealed class Assign(Expression target, Expression value) : Statement
{
    internal override void Run(Renderer renderer) => To(renderer, target, renderer.Value(value));

    internal static void To(Renderer renderer, Expression target, object? value)
    {
        switch (target)
        {
            case Variable variable:
                renderer.Set(variable.Name, value);
                break;
            case Attribute attribute:
                if (renderer.Value(attribute.Of) is not JinjaNamespace ns)
                    throw new JinjaException(JinjaError.Type, "cannot assign attribute on non-namespace object");
                ns.Values[attribute.Name] = value;
                break;
            case TupleLiteral tuple:
                List<object?> items = value is JinjaUndefined u ? throw u.Error : Python.Iterate(value);
                if (items.Count != tuple.Items.Length)
                {
                    throw JinjaException.Type(items.Count > tuple.Items.Length
                        ? $"too many values to unpack (expected {tuple.Items.Length})" : $"not enough values to unpack (expected {tuple.Items.Length}, got {items.Count})");
                }

                for (int i = 0; i < items.Count; i++)
                    To(renderer, tuple.Items[i], items[i]);
                break;
        }
    }
}

/// <summary>{% set x %} ... {% endset %}, with filters.</summary>
internal sealed class AssignBlock(Expression target, FilterCall[] filters, Statement body) : Statement
{
    internal override void Run(Renderer renderer) => Assign.To(renderer, target, FilterBlock.Filtered(renderer, filters, renderer.Captured(() =>
    {
        renderer.Enter();
        renderer.Do(body);
        renderer.Leave();
    })));
}

internal sealed class FilterBlock(FilterCall[] filters, Statement body) : Statement
{
    internal override void Run(Renderer renderer) => renderer.Write(Python.Str(Filtered(renderer, filters, renderer.Captured(() =>
    {
        renderer.Enter();
        renderer.Do(body);
        renderer.Leave();
    }))));

    internal static object? Filtered(Renderer renderer, FilterCall[] filters, object? value)
    {
        foreach (FilterCall filter in filters)
            value = filter.Apply(renderer, value);
        return value;
    }
}

internal sealed class With((Expression Target, Expression Value)[] values, Statement body) : Statement
{
    internal override void Run(Renderer renderer)
    {
        object?[] evaluated = [.. values.Select(pair => renderer.Value(pair.Value))];
        renderer.Enter();
        for (int i = 0; i < values.Length; i++)
            Assign.To(renderer, values[i].Target, evaluated[i]);
        renderer.Do(body);
        renderer.Leave();
    }
}

internal sealed class Macro(string name, string[] parameters, Expression?[] defaults, Statement body, HashSet<string> used) : Statement
{
    internal override void Run(Renderer renderer) => renderer.Set(name, Bind(renderer));

    internal JinjaCallable Bind(Renderer renderer)
    {
        Scope scope = renderer.Scope;
        return new(name, (args, named) => renderer.Within(scope, () => Invoke(renderer, args, named)))
        {
            Attributes = new(StringComparer.Ordinal)
            {
                ["name"] = new JinjaString(name),
                ["arguments"] = new JinjaTuple([.. parameters.Select(parameter => (object?)new JinjaString(parameter))]),
                ["caller"] = used.Contains("caller"),
                ["catch_kwargs"] = used.Contains("kwargs"),
                ["catch_varargs"] = used.Contains("varargs"),
            },
        };
    }

    private object? Invoke(Renderer renderer, object?[] args, List<(string Name, object? Value)> named)
    {
        if (args.Length > parameters.Length && !used.Contains("varargs"))
            throw JinjaException.Type($"macro '{name}' takes not more than {parameters.Length} argument(s)");
        renderer.Enter();
        HashSet<string> given = [];
        JinjaDict rest = new();
        for (int i = 0; i < Math.Min(args.Length, parameters.Length); i++)
        {
            renderer.Set(parameters[i], args[i]);
            given.Add(parameters[i]);
        }

        object? caller = JinjaUndefined.Name("caller");
        foreach ((string key, object? value) in named)
        {
            if (Array.IndexOf(parameters, key) is >= 0 and var at)
            {
                if (at < args.Length)
                    throw JinjaException.Type($"macro '{name}' got multiple values for argument '{key}'");
                renderer.Set(key, value);
                given.Add(key);
            }
            else if (key == "caller")
                caller = value;
            else if (used.Contains("kwargs"))
                rest[key] = value;
            else
                throw JinjaException.Type($"macro '{name}' takes no keyword argument '{key}'");
        }

        if (caller is JinjaCallable && !used.Contains("caller"))
            throw JinjaException.Type($"macro '{name}' was invoked with two values for the special caller argument. This is most likely a bug.");
        for (int i = 0; i < parameters.Length; i++)
        {
            if (!given.Contains(parameters[i]))
                renderer.Set(parameters[i], defaults[i] is { } expression ? renderer.Value(expression) : new JinjaUndefined($"parameter '{parameters[i]}' was not provided"));
        }

        if (used.Contains("caller"))
            renderer.Set("caller", caller);
        if (used.Contains("kwargs"))
            renderer.Set("kwargs", rest);
        if (used.Contains("varargs"))
            renderer.Set("varargs", new JinjaTuple([.. args.Skip(parameters.Length)]));
        JinjaString text = renderer.Captured(() => renderer.Do(body));
        renderer.Leave();
        return text;
    }
}

internal sealed class CallBlock(Expression callee, Arguments arguments, Macro caller) : Statement
{
    internal override void Run(Renderer renderer)
    {
        object? function = renderer.Value(callee);
        (object?[] positional, List<(string, object?)> named) = arguments.Evaluate(renderer);
        named.Add(("caller", caller.Bind(renderer)));
        renderer.Write(Python.Str(renderer.Call(function, positional, named)));
    }
}

/// <summary>What needs other templates; there are none here.</summary>
internal sealed class NoLoader : Statement
{
    internal override void Run(Renderer renderer) => throw JinjaException.Type("no loader for this environment specified");
}
