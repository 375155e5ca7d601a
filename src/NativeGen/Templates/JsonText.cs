// tojson as transformers defines it: Python's json.dumps.
using System.Globalization;
using System.Numerics;
using System.Text;

namespace NativeGen.Templates;

internal static class JsonText
{
    internal static JinjaString Of(Renderer renderer, object? value, FilterArguments a)
    {
        bool ascii = Python.Truth(a.Get(0, "ensure_ascii", false)), sort = Python.Truth(a.Get(3, "sort_keys", false));
        string? indent = a.Get(1, "indent") switch { null => null, JinjaString s => s.Text, var n => new string(' ', Math.Clamp(Python.Index(n), 0, 100)) };
        (string item, string key) = (indent is null ? ", " : ",", ": ");
        if (a.Get(2, "separators") is { } separators && Python.Iterate(separators) is [JinjaString first, JinjaString second])
            (item, key) = (first.Text, second.Text);
        StringBuilder json = new();
        bool literal = false;
        Write(value, 0);
        return new(json.ToString(), literal && json.Length > 0 ? [(0, json.Length)] : null);

        void Write(object? v, int depth)
        {
            if (depth > 100)
                throw new JinjaException(JinjaError.Limit, "values are nested too deep for JSON");
            renderer.Spend(1);
            renderer.Room(json.Length);
            switch (v)
            {
                case null:
                    json.Append("null");
                    break;
                case bool b:
                    json.Append(b ? "true" : "false");
                    break;
                case long or BigInteger:
                    json.Append(Python.Big(v).ToString(CultureInfo.InvariantCulture));
                    break;
                case double d:
                    json.Append(double.IsNaN(d) ? "NaN" : double.IsInfinity(d) ? d > 0 ? "Infinity" : "-Infinity" : Python.FloatText(d));
                    break;
                case JinjaString s:
                    literal |= s.Literal is not null;
                    Quote(s.Text);
                    break;
                case List<object?> or JinjaTuple or JinjaGroup:
                    List<object?> items = Python.Iterate(v);
                    Members("[", "]", items.Count, i => Write(items[i], depth + 1), depth);
                    break;
                case JinjaDict dict:
                    IReadOnlyList<(object? Key, object? Value)> members = dict.Items;
                    if (sort)
                        members = [.. members.Order(Comparer<(object? Key, object? Value)>.Create((x, y) => Python.Compare(x.Key, y.Key, "<")))];
                    Members("{", "}", members.Count, i =>
                    {
                        object? name = members[i].Key;
                        if (name is JinjaString text)
                        {
                            literal |= text.Literal is not null;
                            Quote(text.Text);
                        }
                        else
                            Quote(name switch { null => "null", bool b => b ? "true" : "false", long or BigInteger or double => Python.Str(name).Text, _ => throw JinjaException.Type("keys must be str, int, float, bool or None, not " + Python.TypeName(name)) });
                        json.Append(key);
                        Write(members[i].Value, depth + 1);
                    }, depth);
                    break;
                case JinjaUnsafe hidden:
                    throw hidden.Error;
                default:
                    throw JinjaException.Type($"Object of type {Python.TypeName(v)} is not JSON serializable");
            }
        }

        void Members(string open, string close, int count, Action<int> write, int depth)
        {
            json.Append(open);
            for (int i = 0; i < count; i++)
            {
                if (i > 0)
                    json.Append(item);
                NewLine(depth + 1);
                write(i);
            }

            if (count > 0)
                NewLine(depth);
            json.Append(close);
        }

        void NewLine(int depth)
        {
            if (indent is null)
                return;
            json.Append('\n');
            for (int i = 0; i < depth; i++)
                json.Append(indent);
        }

        void Quote(string text)
        {
            json.Append('"');
            foreach (char c in text)
            {
                _ = c switch
                {
                    '"' => json.Append("\\\""),
                    '\\' => json.Append("\\\\"),
                    '\n' => json.Append("\\n"),
                    '\r' => json.Append("\\r"),
                    '\t' => json.Append("\\t"),
                    '\b' => json.Append("\\b"),
                    '\f' => json.Append("\\f"),
                    < ' ' => json.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture)),
                    > '~' when ascii => json.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture)),
                    _ => json.Append(c),
                };
            }

            json.Append('"');
        }
    }
}
