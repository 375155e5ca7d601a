// value is something.
using System.Numerics;

namespace NativeGen.Templates;

internal static class Tests
{
    private static readonly HashSet<string> Names =
    [
        "defined", "undefined", "none", "boolean", "false", "true", "integer", "float", "number", "string", "mapping", "iterable", "sequence", "callable", "odd", "even", "divisibleby", "lower", "upper",
        "sameas", "eq", "equalto", "==", "ne", "!=", "lt", "lessthan", "<", "le", "<=", "gt", "greaterthan", ">", "ge", ">=", "in", "escaped", "filter", "test",
    ];

    internal static bool Exists(string name) => Names.Contains(name);

    internal static bool Apply(string name, object? value, object?[] args)
    {
        if (value is JinjaUnsafe hidden)
            return name is "undefined" or "iterable" or "sequence" || (name == "defined" ? false : throw hidden.Error);
        object? Argument() => args.Length > 0 ? args[0] : throw JinjaException.Type($"test {name} needs an argument");
        switch (name)
        {
            case "defined": return value is not JinjaUndefined;
            case "undefined": return value is JinjaUndefined;
            case "none": return value is null;
            case "boolean": return value is bool;
            case "false": return value is false;
            case "true": return value is true;
            case "integer": return value is long or BigInteger;
            case "float": return value is double;
            case "number": return Python.IsNumber(value);
            case "string": return value is JinjaString;
            case "mapping": return value is JinjaDict;
            case "iterable": return value is JinjaString or List<object?> or JinjaTuple or JinjaDict or JinjaUndefined or JinjaView or JinjaGroup;
            case "sequence": return value is JinjaString or List<object?> or JinjaTuple or JinjaDict or JinjaUndefined or JinjaGroup or JinjaView { Range: not null };
            case "callable": return value is JinjaCallable or Loop;
            case "escaped": return value is JinjaString { IsSafe: true };
            case "odd" or "even":
                if (value is JinjaUndefined u)
                    throw u.Error;
                return (Python.Float(Arithmetic.Apply(null!, "%", value, 2L)) == 1) == (name == "odd");
            case "divisibleby": return Python.Float(Arithmetic.Apply(null!, "%", value, Argument())) == 0;
            case "lower" or "upper":
                string text = Python.Str(value).Text;
                bool cased = text.Any(c => char.IsUpper(c) || char.IsLower(c));
                return cased && !text.Any(name == "lower" ? char.IsUpper : char.IsLower);
            case "sameas": return args is [var other] && (ReferenceEquals(value, other) || (value is bool or long or null && other is bool or long or null && Equals(value, other)));
            case "eq" or "equalto" or "==": return Python.Equal(value, Argument());
            case "ne" or "!=": return !Python.Equal(value, Argument());
            case "lt" or "lessthan" or "<": return Arithmetic.Compare("<", value, Argument());
            case "le" or "<=": return Arithmetic.Compare("<=", value, Argument());
            case "gt" or "greaterthan" or ">": return Arithmetic.Compare(">", value, Argument());
            case "ge" or ">=": return Arithmetic.Compare(">=", value, Argument());
            case "in": return Arithmetic.Contains(Argument(), value);
            case "filter": return value is JinjaString filter && Filters.Exists(filter.Text);
            case "test": return value is JinjaString test && Exists(test.Text);
        }

        throw new JinjaException(JinjaError.Syntax, $"No test named '{name}'.");
    }
}
