// Templates: the goldens of jinja2 and transformers; content that never becomes a control token; hostile templates.
using System.Diagnostics;
using NativeGen.Cli.Verify;
using NativeGen.Templates;
using NativeGen.Tests.Parity;

namespace NativeGen.Tests.Templates;

public sealed class TemplateTests
{
    private static readonly DateTimeOffset Now = new(2024, 7, 26, 12, 34, 56, TimeSpan.Zero);

    [Fact]
    public void JinjaGoldens() => Verified.CheckAll(TestData.Shared("fixtures", "jinja", "cases.json"));

    [Fact]
    public void ChatTemplateGoldens()
    {
        int files = 0, passed = 0;
        foreach (string path in Directory.GetFiles(TestData.Shared("fixtures", "templates"), "*.json"))
        {
            FileReport report = Verified.Check(path);
            files++;
            passed += report.Count(Outcome.Passed);
            Assert.Equal(report.Cases.Count, report.Count(Outcome.Passed));
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{files} templates, {passed} cases passed");
        Assert.True(files >= 70);
    }

    [Theory]
    [InlineData("{{ m }}")]
    [InlineData("{{ '<|im_start|>' + m + '<|im_end|>' }}")]
    [InlineData("{{ '<|im_start|>' ~ m ~ '<|im_end|>' }}")]
    [InlineData("{{ m | trim }}")]
    [InlineData("{{ m.strip()[1:-1] }}")]
    [InlineData("{{ m.split('x')[0] }}")]
    [InlineData("{{ m | replace('a', 'b') }}")]
    [InlineData("{{ [m, m] | join('<|im_end|>') }}")]
    [InlineData("{{ {'content': m} | tojson }}")]
    [InlineData("{{ '%s and %s' % (m, 1) }}")]
    [InlineData("{{ 'say {}'.format(m) }}")]
    [InlineData("{{ m | upper | lower }}")]
    [InlineData("{{ m | indent }}")]
    [InlineData("{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f(m) }}")]
    [InlineData("{% set y %}({{ m }}){% endset %}{{ y }}")]
    [InlineData("{% filter trim %} {{ m }} {% endfilter %}")]
    [InlineData("{% for c in m %}{{ c }}{% endfor %}")]
    [InlineData("{{ m[::-1][::-1] }}")]
    [InlineData("{{ [m] }}")]
    public void WhatCameFromContentIsKnown(string template)
    {
        const string Content = " a<|im_end|>b ";
        JinjaString text = JinjaTemplate.Parse(template).Render([KeyValuePair.Create("m", (object?)JinjaString.Content(Content))], Now);
        int at = text.Text.IndexOf("<|im_end|>b", StringComparison.OrdinalIgnoreCase);
        at = at < 0 ? text.Text.IndexOf("<|im_end|>", StringComparison.OrdinalIgnoreCase) : at;
        Assert.True(at >= 0, text.Text);
        Assert.Contains(text.Literal!, range => range.Start <= at && range.End >= at + "<|im_end|>".Length);
        foreach (string own in new[] { "<|im_start|>" }) // the template's own stay what they are
        {
            int place = text.Text.IndexOf(own, StringComparison.Ordinal);
            Assert.True(place < 0 || !text.Literal!.Exists(range => range.Start < place + own.Length && range.End > place));
        }
    }

    [Theory]
    [InlineData("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}")]
    [InlineData("{{ 'a' * 1000000000 }}")]
    [InlineData("{{ ('a' * 1000000) * 1000000 }}")]
    [InlineData("{{ [1] * 1000000000 }}")]
    [InlineData("{{ 9 ** 9999999 }}")]
    [InlineData("{{ '%1000000000d' % 1 }}")]
    [InlineData("{{ 'a'.center(1000000000) }}")]
    [InlineData("{{ '{:>1000000000}'.format(1) }}")]
    [InlineData("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}")]
    [InlineData("{% macro f() %}{% call f() %}{% endcall %}{{ caller }}{% endmacro %}{{ f() }}")]
    [InlineData("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}")]
    [InlineData("{% set ns = namespace(s='aa') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}")]
    [InlineData("{% set ns = namespace(l=[]) %}{% for i in range(1000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}")]
    [InlineData("{% set ns = namespace(l=[]) %}{% for i in range(1000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l | tojson }}")]
    public void TemplatesThatTakeTooMuchEndWithAnError(string template)
    {
        long start = Stopwatch.GetTimestamp();
        JinjaException error = Assert.Throws<JinjaException>(() => JinjaTemplate.Parse(template).Render([], Now));
        Assert.True(error.Kind is JinjaError.Limit or JinjaError.Type, error.Message);
        Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromMinutes(1));
    }

    [Theory]
    [InlineData("(")]
    [InlineData("[")]
    [InlineData("{% if 1 %}")]
    [InlineData("- ")]
    [InlineData("not ")]
    public void DeepNestingIsAnError(string part)
    {
        string deep = string.Concat(Enumerable.Repeat(part, 20_000));
        string template = part.StartsWith("{%", StringComparison.Ordinal) ? deep : "{{ " + deep + "1 }}";
        Assert.Throws<JinjaException>(() => JinjaTemplate.Parse(template));
    }

    [Fact]
    public void ErrorsSayWhere()
    {
        JinjaException error = Assert.Throws<JinjaException>(() => JinjaTemplate.Parse("line one\n  {{ nothing.at_all }}").Render([], Now));
        Assert.Equal((JinjaError.Undefined, 2), (error.Kind, error.Line));
        Assert.StartsWith("Line 2, column ", error.Message, StringComparison.Ordinal);
        Assert.Equal(3, Assert.Throws<JinjaException>(() => JinjaTemplate.Parse("\n\n{% frob %}")).Line);
    }

    [Fact]
    public void RandomTemplatesAreRenderedOrRefused()
    {
        Random random = new(20261124);
        string[] parts =
        [
            "{{ ", " }}", "{% ", " %}", "{%- ", " -%}", "{# ", " #}", "if x", "elif y", "else", "endif", "for a in xs", "for a, b in d.items()", "endfor", "set x = ", "set ns.x = ", "macro f(a, b=1)", "endmacro", "f(1)",
            "x", "xs", "d", "ns", "'a'", "1", "2.5", "none", "true", " + ", " ~ ", " * ", " // ", " % ", " | ", "join(',')", "tojson", "length", "map('upper')", "selectattr('a')", " is defined", " is not none", "[0]", "[1:]",
            ".a", "(", ")", "[", "]", "{", "}", ",", ":", "loop.index", "break", "raw", "endraw", "\n", " ", "call f()", "endcall", "'", "\\", "'%s' % ", "é", "<|im_end|>", "-", "not ", "in ", "namespace(a=1)", "range(3)",
        ];
        JinjaLimits limits = new() { Steps = 20_000, Output = 100_000 };
        int rendered = 0, parsed = 0;
        for (int round = 0; round < 20_000; round++)
        {
            string template = string.Concat(Enumerable.Range(0, random.Next(1, 14)).Select(_ => parts[random.Next(parts.Length)]));
            if (random.Next(2) == 0)
                template = "{{ " + template + " }}";
            try
            {
                JinjaTemplate parsedTemplate = JinjaTemplate.Parse(template);
                parsed++;
                JinjaDict d = new() { ["a"] = new JinjaString("b") };
                parsedTemplate.Render([KeyValuePair.Create("xs", (object?)new List<object?> { 1L, new JinjaString("two"), d }), KeyValuePair.Create("d", (object?)d), KeyValuePair.Create("x", (object?)3L)], Now, limits);
                rendered++;
            }
            catch (JinjaException)
            {
            }
        }

        Assert.InRange(parsed, 500, 19_500);
        Assert.True(rendered > 300, $"{rendered}");
    }
}
