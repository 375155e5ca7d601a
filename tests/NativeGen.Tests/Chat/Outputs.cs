// Outputs as models of each family write them, and what is in them.
using System.Text.Json;
using NativeGen.Chat;

namespace NativeGen.Tests.Chat;

/// <param name="Format">How it is written.</param>
/// <param name="Output">The model's.</param>
/// <param name="Text">The plain text in it.</param>
/// <param name="Calls">The calls in it, name(arguments).</param>
/// <param name="Reasoning">The reasoning in it.</param>
/// <param name="Prompt">The prompt's end.</param>
/// <param name="Malformed">It has something of which the parser has to tell.</param>
internal sealed record Output(ChatFormat Format, string Written, string Text, string[] Calls, string Reasoning = "", string Prompt = "", bool Malformed = false)
{
    public override string ToString() => $"{Format.Tools.Name}: {Written}";
}

internal static class Outputs
{
    public static ToolSet Tools { get; } = new(
        Tool("get_weather", """{"type":"object","properties":{"location":{"type":"string"},"days":{"type":"integer"},"detail":{"type":["string","null"]},"options":{"type":"object"}},"required":["location"]}"""),
        Tool("now", """{"type":"object","properties":{}}"""),
        Tool("python", """{"type":"object","properties":{"code":{"type":"string"}},"required":["code"]}"""));

    private static readonly ReasoningFormat _think = new(["<think>"], ["</think>"]);

    public static Output[] All { get; } =
    [
        // Hermes and Qwen
        Of(ToolFormats.Hermes, "Just text, 1 < 2 <b>.", "Just text, 1 < 2 <b>."),
        Of(ToolFormats.Hermes, "Let me look.\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"location\": \"Zürich\"}}\n</tool_call>", "Let me look.", """get_weather({"location": "Zürich"})"""),
        Of(ToolFormats.Hermes, "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"location\": \"a \\\"b\\\" \\u00e9 {[\", \"days\": -1.5e3}}\n</tool_call>\n",
            "", "now({})", """get_weather({"location": "a \"b\" \u00e9 {[", "days": -1.5e3})"""),
        Of(ToolFormats.Hermes, "<tool_call>{\"arguments\": {\"location\": \"Rome\"}, \"id\": \"x\", \"name\": \"get_weather\"}</tool_call>", "", """get_weather({"location": "Rome"})"""),
        Of(ToolFormats.Hermes, "<tool_call>{\"name\": \"get_weather\", \"arguments\": \"{\\\"location\\\": \\\"Rome\\\"}\"}</tool_call> Done.", "Done.", """get_weather({"location": "Rome"})"""),
        Of(ToolFormats.Hermes, "<tool_call>{\"name\": \"now\"}</tool_call>", "", "now({})"),
        Of(ToolFormats.Hermes, "<tool_call>{\"name\": \"now\", \"arguments\": null}", "", "now({})"),
        Of(ToolFormats.Hermes, "<tool_call>{\"type\": \"function\", \"function\": {\"name\": \"now\", \"parameters\": {}}}</tool_call>", "", "now({})"),
        Of(ToolFormats.Hermes, "<tool_call>{\"name\": \"python\", \"arguments\": {\"code\": \"a\nb\tc\"}}</tool_call>", "", """python({"code": "a\nb\tc"})"""),
        Of(ToolFormats.Hermes, "<tool_call>{\"name\": \"now\", \"arguments\": {}}{\"name\": \"now\", \"arguments\": {}}</tool_call>", "", "now({})", "now({})"),
        Bad(ToolFormats.Hermes, "<tool_call>\nnow()\n</tool_call>", "<tool_call>\nnow()\n</tool_call>"),
        Bad(ToolFormats.Hermes, "Hm <tool_call>{\"name\": \"get_weather\", \"arguments\": {\"location\": 'x'}}</tool_call>", "Hm <tool_call>{\"name\": \"get_weather\", \"arguments\": {\"location\": 'x'}}</tool_call>"),
        Bad(ToolFormats.Hermes, "<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"location\": \"Ro", "<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"location\": \"Ro"),
        Bad(ToolFormats.Hermes, "<tool_call>{\"name\": \"get_weather\", \"arguments\": [1]}", "<tool_call>{\"name\": \"get_weather\", \"arguments\": [1]}"),
        Bad(ToolFormats.Hermes, "<tool_call>{bad <tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>", "<tool_call>{bad", "now({})"),
        Bad(ToolFormats.Hermes, "<tool_call>{\"name\": \"unheard\", \"arguments\": {}}</tool_call>", "", "unheard({})"),
        Bad(ToolFormats.Hermes, "<tool_call>", "<tool_call>"),
        // reasoning
        Thinks("<think>\nI should look.\n</think>\n\nLooking.", "Looking.", "I should look."),
        Thinks("  <think>a</think>b", "b", "a"),
        Thinks("<think></think>b", "b", ""),
        Thinks("</think>\nb", "b", ""),
        Thinks("no thought <think>here</think>", "no thought <think>here</think>", ""),
        Thinks("<think>cut off ", "", "cut off"),
        Thinks("First I\n\nsee. </thin </think> Text <tool_call>{\"name\":\"now\"}</tool_call>", "Text", "First I\n\nsee. </thin", "<|im_start|>assistant\n<think>\n", "now({})"),
        Thinks("Text", "Text", "", "<|im_start|>assistant\n<think>\n\n</think>\n\n"),
        // Llama
        Of(ToolFormats.LlamaJson, "{\"name\": \"get_weather\", \"parameters\": {\"location\": \"Oslo\"}}", "", """get_weather({"location": "Oslo"})"""),
        Of(ToolFormats.LlamaJson, "\n{\"type\": \"function\", \"name\": \"now\", \"parameters\": {}}; {\"name\": \"now\", \"parameters\": {}}", "", "now({})", "now({})"),
        Of(ToolFormats.LlamaJson, "{\"city\": \"Oslo\", \"name\": \"now\"}", "{\"city\": \"Oslo\", \"name\": \"now\"}"),
        Of(ToolFormats.LlamaJson, "{\"name\": \"Peter\", \"parameters\": {}}", "{\"name\": \"Peter\", \"parameters\": {}}"),
        Of(ToolFormats.LlamaJson, "[1, 2]", "[1, 2]"),
        Of(ToolFormats.LlamaJson, "{ this is no JSON", "{ this is no JSON"),
        Of(ToolFormats.LlamaJson, "{", "{"),
        Of(ToolFormats.LlamaJson, "<|python_tag|>{\"name\": \"now\", \"parameters\": {}}", "", "now({})"),
        Of(ToolFormats.LlamaJson, "<|python_tag|>get_weather.call(location=\"Oslo\", days=3)", "", """get_weather({"location":"Oslo","days":3})"""),
        Of(ToolFormats.LlamaJson, "<|python_tag|>print(1)\nprint('x')", "", """python({"code":"print(1)\nprint('x')"})"""),
        // Mistral
        Of(ToolFormats.Mistral, "[TOOL_CALLS][{\"name\": \"now\", \"arguments\": {}}, {\"name\": \"get_weather\", \"arguments\": {\"location\": \"a]b\"}}]", "", "now({})", """get_weather({"location": "a]b"})"""),
        Of(ToolFormats.Mistral, "[TOOL_CALLS] [{\"name\": \"now\", \"arguments\": {}, \"id\": \"abcdefghi\"}]", "", "now({})"),
        Of(ToolFormats.MistralArgs, "Sure.[TOOL_CALLS]now[ARGS]{}[TOOL_CALLS]get_weather[CALL_ID]abc123de2[ARGS]{\"location\": \"Oslo\"}", "Sure.", "now({})", """get_weather({"location": "Oslo"})"""),
        Bad(ToolFormats.MistralArgs, "[TOOL_CALLS]now[ARGS]", "[TOOL_CALLS]now[ARGS]"),
        // Functionary
        Of(ToolFormats.Functionary31, "<function=now>{}</function><function=get_weather>{\"location\": \"</function>\"}</function>", "", "now({})", """get_weather({"location": "</function>"})"""),
        new(new(ToolFormats.Functionary32, ReasoningFormat.None, true), "all\nHello >> there.>>>get_weather\n{\"location\": \"Oslo\"}", "Hello >> there.", ["""get_weather({"location": "Oslo"})"""], Prompt: "<|end_header_id|>\n\n>>>"),
        new(new(ToolFormats.Functionary32, ReasoningFormat.None, true), "now\n{}>>>now\n{}", "", ["now({})", "now({})"], Prompt: ">>>"),
        // DeepSeek, Kimi, Solar, harmony
        Of(ToolFormats.DeepSeek, "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{\"location\": \"Oslo\"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
            "", "now({})", """get_weather({"location": "Oslo"})"""),
        Of(ToolFormats.DeepSeek, "OK<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>", "OK", "now({})"),
        Of(ToolFormats.KimiK2, "<|tool_calls_section_begin|><|tool_call_begin|>functions.now:0<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>", "", "now({})"),
        Of(ToolFormats.Solar, "<|tool_calls|><|tool_call:begin|>a1<|tool_call:name|>now<|tool_call:args|>{}<|tool_call:end|><|calls|>", "", "now({})"),
        Harmony("<|channel|>analysis<|message|>Think.<|end|><|start|>assistant<|channel|>final<|message|>Hello!<|return|>", "Hello!", "Think."),
        Harmony("<|channel|>analysis<|message|>One.<|end|><|start|>assistant<|channel|>commentary<|message|>I will look.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{\"location\": \"Oslo\"}<|call|>",
            "I will look.", "One.", """get_weather({"location": "Oslo"})"""),
        Harmony("<|channel|>analysis<|message|>a<|end|><|start|>assistant to=functions.now<|channel|>commentary json<|message|>{}", "", "a", "now({})"),
        // tags
        Of(ToolFormats.Qwen3Coder, "Now.\n\n<tool_call>\n<function=get_weather>\n<parameter=location>\nNew \"York\"\n\n</parameter>\n<parameter=days>\n3\n</parameter>\n<parameter=options>\n{\"a\": [1]}\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=now>\n</function>\n</tool_call>",
            "Now.", """get_weather({"location":"New \"York\"\n","days":3,"options":{"a": [1]}})""", "now({})"),
        Of(ToolFormats.Qwen3Coder, "<function=get_weather>\n<parameter=location>\n7\n</parameter>\n<parameter=detail>\nNone\n</parameter>\n<parameter=days>\nmany\n</parameter>\n</function>", "", """get_weather({"location":"7","detail":null,"days":"many"})"""),
        Of(ToolFormats.Qwen3Coder, "<tool_call><function=get_weather><parameter=options>{'a': True, 'b': (1,)}</parameter></function></tool_call>", "", """get_weather({"options":{"a":true,"b":[1]}})"""),
        Bad(ToolFormats.Qwen3Coder, "<function=get_weather>\nOslo</function>", "<function=get_weather>\nOslo</function>"),
        Bad(ToolFormats.Qwen3Coder, "<function=get_weather>\n<parameter=location>\nOs", "<function=get_weather>\n<parameter=location>\nOs"),
        Of(ToolFormats.Glm, "<tool_call>get_weather\n<arg_key>location</arg_key>\n<arg_value>Oslo</arg_value>\n<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n</tool_call>\n<tool_call>now</tool_call>", "", """get_weather({"location":"Oslo","days":3})""", "now({})"),
        Of(ToolFormats.DeepSeekDsml, "\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"other\">\n<｜DSML｜parameter name=\"a\" string=\"true\">7</｜DSML｜parameter>\n<｜DSML｜parameter name=\"b\" string=\"false\">7</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>",
            "", """other({"a":"7","b":7})""") with { Malformed = true },
        Of(ToolFormats.MiniMaxM2, "<minimax:tool_call>\n<invoke name=\"now\">\n</invoke>\n</minimax:tool_call>", "", "now({})"),
        Of(ToolFormats.MiniCpm5, "<function name=\"python\"><param name=\"code\"><![CDATA[a < b\n</param>]]></param></function>", "", """python({"code":"a < b\n</param>"})"""),
        Of(ToolFormats.KimiK3, "<|open|>tools<|sep|><|open|>call tool=\"get_weather\" index=\"1\"<|sep|><|open|>argument key=\"location\" type=\"string\"<|sep|>Oslo<|close|>argument<|sep|><|close|>call<|sep|><|close|>tools<|sep|>", "", """get_weather({"location":"Oslo"})"""),
        // notations of their own
        Of(ToolFormats.Gemma, "<|tool_call>call:get_weather{location:<|\"|>Oslo, \"N\"<|\"|>,days:3,options:{a:[true,None]}}<tool_call|><|tool_call>call:now{}<tool_call|>", "", """get_weather({"location":"Oslo, \"N\"","days":3,"options":{"a":[true,null]}})""", "now({})"),
        Of(ToolFormats.Pythonic, "Hi <|tool_call_start|>[get_weather(location='O\\'slo', options={'a': [1, (2,)]}), now()]<|tool_call_end|>", "Hi", """get_weather({"location":"O'slo","options":{"a":[1,[2]]}})""", "now({})"),
        Bad(ToolFormats.Pythonic, "<|tool_call_start|>[now(]<|tool_call_end|>", "<|tool_call_start|>[now(]<|tool_call_end|>"),
        // lists between markers
        Of(ToolFormats.Granite, "<|tool_call|>[{\"name\": \"now\", \"arguments\": {}}]", "", "now({})"),
        Of(ToolFormats.Nemotron, "<TOOLCALL>[{\"name\": \"now\", \"arguments\": {}}, {\"name\": \"now\", \"arguments\": {}}]</TOOLCALL>", "", "now({})", "now({})"),
        Of(ToolFormats.Functools, " functools[{\"name\": \"now\", \"arguments\": {}}]", "", "now({})"),
        Of(ToolFormats.CommandR, "Action: ```json\n[\n    {\n        \"tool_name\": \"get_weather\",\n        \"parameters\": {\"location\": \"Oslo\"}\n    }\n]\n```", "", """get_weather({"location": "Oslo"})"""),
        Of(ToolFormats.Cohere2, "<|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"now\", \"parameters\": {}}\n]<|END_ACTION|>", "", "now({})"),
        Of(ToolFormats.Cohere2, "<|START_TEXT|>Hello<|END_TEXT|>", "Hello"),
        Of(ToolFormats.Apertus, "Well.<|tools_prefix|>[{\"now\": {}}, {\"get_weather\": {\"location\": \"Oslo\"}}]<|tools_suffix|>", "Well.", "now({})", """get_weather({"location": "Oslo"})"""),
        Of(ToolFormats.Generic, "```json\n{\"name\": \"now\"}\n```", "```json\n{\"name\": \"now\"}\n```"),
        Of(ToolFormats.Generic, "{\"name\": \"now\", \"arguments\": {}}", "", "now({})"),
    ];

    private static ToolSpec Tool(string name, string schema) => new(name, null, JsonDocument.Parse(schema).RootElement);

    private static Output Of(ToolFormat format, string output, string text, params string[] calls) => new(new(format, ReasoningFormat.None, true), output, text, calls);

    private static Output Bad(ToolFormat format, string output, string text, params string[] calls) => Of(format, output, text, calls) with { Malformed = true };

    private static Output Thinks(string output, string text, string reasoning, string prompt = "", params string[] calls) => new(new(ToolFormats.Hermes, _think, true), output, text, calls, reasoning, prompt);

    private static Output Harmony(string output, string text, string reasoning, params string[] calls) =>
        new(new(ToolFormats.Harmony, new(["<|channel|>analysis<|message|>"], ["<|end|>"], Anywhere: true), true), output, text, calls, reasoning, "<|start|>assistant");
}
