// Tables that read well in a terminal of any width and, without a border, in a pipe.
using Spectre.Console;

namespace NativeGen.Cli.Shell;

internal static class Tables
{
    /// <summary>A table with a head. A name that begins with '>' is set flush right.</summary>
    public static Table Columns(params string[] names)
    {
        var table = new Table { Border = TableBorder.None, ShowHeaders = true };
        foreach (var name in names)
        {
            var right = name.StartsWith('>');
            var column = new TableColumn(new Text(right ? name[1..] : name, new Style(decoration: Decoration.Bold)))
            {
                Alignment = right ? Justify.Right : Justify.Left,
                Padding = new Padding(0, 0, 2, 0),
            };
            table.AddColumn(column);
        }
        return table;
    }

    /// <summary>Two columns, a name and what is so called.</summary>
    public static Table Facts()
    {
        var table = Columns("", "");
        table.ShowHeaders = false;
        table.Columns[0].NoWrap = true;
        return table;
    }

    public static void Row(this Table table, params string[] cells) => table.AddRow(cells.Select(c => new Text(c)));

    public static void Fact(this Table table, string name, string value) => table.AddRow(new Text(name, new Style(decoration: Decoration.Bold)), new Text(value));
}
