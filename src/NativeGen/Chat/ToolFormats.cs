// The families of models by how they write tool calls and reasoning, and how a chat template shows which it is. The markers are the models' own, as their
// published templates write them.
namespace NativeGen.Chat;

internal static class ToolFormats
{
    private static readonly string[] _hermesClosers = ["</tool_call>"];

    internal static ToolFormat Hermes { get; } = new("hermes",
        [new JsonCalls { Triggers = ["<tool_call>", "<|tool_call|>"], Closers = _hermesClosers, Around = ("<tool_call>\n", "\n</tool_call>\n<tool_call>\n", "\n</tool_call>") }]);

    /// <summary>Where nothing says how: the form of Hermes, asked for in the prompt, and plain JSON.</summary>
    internal static ToolFormat Generic { get; } = Hermes with { Name = "generic", Bare = new JsonCalls { Triggers = [] } };

    internal static ToolFormat LlamaJson { get; } = new("llama-json", [new PythonTag { Triggers = ["<|python_tag|>"] }])
    {
        Bare = new JsonCalls { Triggers = [], ArgumentsKey = "parameters" },
        Parallel = false,
    };

    internal static ToolFormat Mistral { get; } = new("mistral",
    [
        new NamedCalls
        {
            Triggers = ["[TOOL_CALLS]"], Inner = ["[ARGS]", "[CALL_ID]"], Header = static header => Split(header, "[ARGS]") is [var name, ""] ? Named(name, "[CALL_ID]") : null,
            List = new JsonCalls { Triggers = [], Around = ("[TOOL_CALLS][", ", ", "]") },
        },
    ]);

    internal static ToolFormat MistralArgs { get; } = new("mistral-args",
    [
        new NamedCalls
        {
            Triggers = ["[TOOL_CALLS]"], Inner = ["[ARGS]", "[CALL_ID]"], Header = static header => Split(header, "[ARGS]") is [var name, ""] ? Named(name, "[CALL_ID]") : null,
            List = new JsonCalls { Triggers = [] }, Written = ("[TOOL_CALLS]", static name => name + "[ARGS]", "", "[TOOL_CALLS]", ""),
        },
    ]);

    internal static ToolFormat Functionary31 { get; } = new("functionary-3.1",
    [
        new NamedCalls
        {
            Triggers = ["<function="], Closers = ["</function>"], Header = static header => header.TrimEnd().EndsWith('>') ? (header.TrimEnd()[..^1].Trim(), null) : null,
            Written = ("<function=", static name => name + ">", "</function>", "<function=", ""),
        },
        new PythonTag { Triggers = ["<|python_tag|>"] },
    ]);

    internal static ToolFormat Functionary32 { get; } = new("functionary-3.2",
    [
        new NamedCalls { Triggers = [">>>"], HeaderIsLine = true, Header = static header => (header.Trim(), null), Written = (">>>", static name => name + "\n", "", ">>>", "") },
    ])
    {
        PromptTrigger = ">>>",
    };

    internal static ToolFormat DeepSeek { get; } = new("deepseek",
    [
        new NamedCalls
        {
            Triggers = ["<｜tool▁call▁begin｜>"], Closers = ["```", "<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>"], Inner = ["<｜tool▁sep｜>"],
            Header = static header => Split(header, "<｜tool▁sep｜>") is [var kind, var rest]
                ? (rest.Trim() is { Length: > 0 } name ? name.Split('\n')[0].Trim() : kind.Trim(), null) : null,
            Written = ("<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>", static name => $"function<｜tool▁sep｜>{name}\n```json\n", "\n```<｜tool▁call▁end｜>", "\n<｜tool▁call▁begin｜>", "<｜tool▁calls▁end｜>"),
        },
    ])
    {
        Ignored = ["<｜tool▁calls▁begin｜>"],
    };

    internal static ToolFormat KimiK2 { get; } = new("kimi-k2",
    [
        new NamedCalls
        {
            Triggers = ["<|tool_call_begin|>"], Closers = ["<|tool_call_end|>", "<|tool_calls_section_end|>"], Inner = ["<|tool_call_argument_begin|>"],
            Header = static header => Split(header, "<|tool_call_argument_begin|>") is [var id, ""] ? (KimiName(id.Trim()), id.Trim()) : null,
            // The number is the model's to write; 0 is right for a first call and harmless for others.
            Written = ("<|tool_calls_section_begin|><|tool_call_begin|>", static name => $"functions.{name}:0<|tool_call_argument_begin|>", "<|tool_call_end|>", "<|tool_call_begin|>", "<|tool_calls_section_end|>"),
        },
    ])
    {
        Ignored = ["<|tool_calls_section_begin|>"],
    };

    internal static ToolFormat Solar { get; } = new("solar",
    [
        new NamedCalls
        {
            Triggers = ["<|tool_call:begin|>"], Closers = ["<|tool_call:end|>", "<|calls|>"], Inner = ["<|tool_call:name|>", "<|tool_call:args|>"],
            Header = static header => Split(header, "<|tool_call:args|>") is [var front, ""] && Split(front, "<|tool_call:name|>") is [var id, var name] ? (name.Trim(), id.Trim()) : null,
        },
    ])
    {
        Ignored = ["<|begin|>assistant", "<|content|>", "<|end|>", "<|tool_calls|>"],
    };

    internal static ToolFormat Harmony { get; } = new("harmony",
    [
        new NamedCalls
        {
            Triggers = ["<|channel|>commentary to=", "<|channel|>analysis to=", "<|start|>assistant to=", "to=functions."], Closers = ["<|call|>"], Inner = ["<|constrain|>", "<|message|>"],
            Header = HarmonyHeader,
            Written = ("<|channel|>commentary to=functions.", static name => name + " <|constrain|>json<|message|>", "", null, "<|call|>"),
        },
    ])
    {
        Ignored = ["<|start|>assistant", "<|channel|>final<|message|>", "<|channel|>commentary<|message|>", "<|end|>", "<|return|>"],
        Parallel = false,
    };

    internal static ToolFormat Qwen3Coder { get; } = new("qwen3-coder",
    [
        new TaggedCalls
        {
            Triggers = ["<function="], Closers = ["</tool_call>"], HeaderEnd = ">", ParameterBegin = "<parameter=", ParameterEnd = ">", ValueEnd = "</parameter>", CallEnd = "</function>", Lines = true,
            Written = ("<tool_call>\n", "<function=", ">\n", "\n</tool_call>\n<tool_call>\n", "\n</tool_call>"), ParameterHead = static (name, _) => name + ">", AfterValue = "\n",
        },
    ])
    {
        Ignored = ["<tool_call>"],
    };

    internal static ToolFormat SeedOss { get; } = new("seed-oss",
    [
        new TaggedCalls
        {
            Triggers = ["<function="], Closers = ["</seed:tool_call>"], HeaderEnd = ">", ParameterBegin = "<parameter=", ParameterEnd = ">", ValueEnd = "</parameter>", CallEnd = "</function>",
            Written = ("<seed:tool_call>\n", "<function=", ">\n", "\n</seed:tool_call>\n<seed:tool_call>\n", "\n</seed:tool_call>"), ParameterHead = static (name, _) => name + ">", AfterValue = "\n",
        },
    ])
    {
        Ignored = ["<seed:tool_call>"],
    };

    internal static ToolFormat Glm { get; } = GlmWith("glm", "");

    internal static ToolFormat Hunyuan { get; } = HunyuanWith("");

    internal static ToolFormat DeepSeekDsml { get; } = Dsml("deepseek-dsml", "function_calls");

    internal static ToolFormat DeepSeekDsmlV4 { get; } = Dsml("deepseek-dsml-v4", "tool_calls");

    internal static ToolFormat MiniMaxM2 { get; } = Invoked("minimax-m2", "<minimax:tool_call>", "</minimax:tool_call>", "");

    internal static ToolFormat Muse { get; } = Invoked("muse", "<atem:function_calls>", "</atem:function_calls>", "atem:") with
    {
        Ignored = ["<atem:function_calls>", "<|start|>assistant", "to=user<|message|>", "<|eom|>", "<|eot|>"],
        AddressedTo = static name => $"to={name}<|message|>",
    };

    internal static ToolFormat MiniCpm5 { get; } = new("minicpm5",
    [
        new TaggedCalls
        {
            Triggers = ["<function name=\""], HeaderEnd = ">", ParameterBegin = "<param name=\"", ParameterEnd = ">", ValueEnd = "</param>", CallEnd = "</function>", Data = true,
            Written = ("", "<function name=\"", "\">", "\n", ""), ParameterHead = static (name, _) => name + "\">",
        },
    ]);

    internal static ToolFormat KimiK3 { get; } = new("kimi-k3",
    [
        new TaggedCalls
        {
            Triggers = ["<|open|>call tool=\""], Closers = ["<|close|>tools<|sep|>"], HeaderEnd = "<|sep|>", ParameterBegin = "<|open|>argument key=\"", ParameterEnd = "<|sep|>",
            ValueEnd = "<|close|>argument<|sep|>", CallEnd = "<|close|>call<|sep|>",
        },
    ])
    {
        Ignored = ["<|open|>response<|sep|>", "<|close|>response<|sep|>", "<|open|>tools<|sep|>", "<|close|>message<|sep|>"],
    };

    internal static ToolFormat Gemma { get; } = new("gemma",
        [new LiteralCalls { Triggers = ["<|tool_call>"], End = "<tool_call|>", Reader = static text => LiteralReader.GemmaCalls(text) }]) { Ignored = ["<|tool_response>"] };

    internal static ToolFormat Pythonic { get; } = new("pythonic",
        [new LiteralCalls { Triggers = ["<|tool_call_start|>"], End = "<|tool_call_end|>", Reader = static text => LiteralReader.PythonCalls(text) }]);

    internal static ToolFormat Granite { get; } = List("granite", ["<|tool_call|>", "<tool_call>"], _hermesClosers, "<|tool_call|>[", "]");

    internal static ToolFormat Nemotron { get; } = List("nemotron-nano", ["<TOOLCALL>"], ["</TOOLCALL>"], "<TOOLCALL>[", "]</TOOLCALL>");

    internal static ToolFormat ToolCallsList { get; } = List("tool-calls-list", ["<tool_calls>"], ["</tool_calls>"], "<tool_calls>[", "]</tool_calls>");

    internal static ToolFormat ToolCallsLines { get; } = new("tool-calls-lines",
        [new JsonCalls { Triggers = ["<tool_calls>"], Closers = ["</tool_calls>"], Around = ("<tool_calls>\n", "\n", "\n</tool_calls>") }]);

    internal static ToolFormat Functools { get; } = List("functools", ["functools["], [], "functools[", "]");

    internal static ToolFormat CommandR { get; } = new("command-r",
    [
        new JsonCalls { Triggers = ["Action:"], Closers = ["```"], NameKey = "tool_name", ArgumentsKey = "parameters", Around = ("Action:\n```json\n[\n    ", ",\n    ", "\n]```") },
    ]);

    internal static ToolFormat Cohere2 { get; } = new("command-a",
    [
        new JsonCalls
        {
            Triggers = ["<|START_ACTION|>"], Closers = ["<|END_ACTION|>"], NameKey = "tool_name", ArgumentsKey = "parameters",
            Around = ("<|START_ACTION|>[\n    ", ",\n    ", "\n]<|END_ACTION|>"),
        },
    ])
    {
        Ignored = ["<|START_TEXT|>", "<|END_TEXT|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>"],
    };

    internal static ToolFormat GigaChat { get; } = new("gigachat",
        [new JsonCalls { Triggers = ["<|function_call|>"], Around = ("<|function_call|>", null, "") }]) { Parallel = false };

    internal static ToolFormat Apertus { get; } = new("apertus",
        [new JsonCalls { Triggers = ["<|tools_prefix|>"], Closers = ["<|tools_suffix|>"], NameIsKey = true, Around = ("<|tools_prefix|>[", ", ", "]<|tools_suffix|>") }]);

    internal static ToolFormat MiniMaxM3 { get; } = new("minimax-m3", []) { Unreadable = "its calls are nested elements without types, which this build does not read" };

    // Each with the texts that a template of the family has, all of them; the first that fits counts, so the special ones come before the common.
    private static readonly (ToolFormat Format, string[] Texts)[] _families =
    [
        (Harmony, ["<|channel|>", "<|message|>", "functions"]),
        (Solar, ["<|tool_call:begin|>"]),
        (KimiK3, ["<|open|>", "<|sep|>", "argument"]),
        (DeepSeekDsmlV4, ["｜DSML｜", "tool_calls>"]),
        (DeepSeekDsml, ["｜DSML｜"]),
        (MiniMaxM3, ["]<]minimax[>["]),
        (MiniMaxM2, ["<minimax:tool_call>"]),
        (Muse, ["<atem:"]),
        (Gemma, ["<|tool_call>call:"]),
        (SeedOss, ["<seed:tool_call>"]),
        (MiniCpm5, ["<function name=", "<param name="]),
        (HunyuanWith(":opensource"), ["<tool_sep", ":opensource"]),
        (Hunyuan, ["<tool_sep"]),
        (Glm, ["<arg_key>", "<arg_value>"]),
        (Qwen3Coder, ["<function=", "<parameter="]),
        (Functionary31, ["<function=", "</function>"]),
        (Functionary32, [">>>", "from functions."]),
        (Functionary32, [">>>all"]),
        (KimiK2, ["<|tool_call_begin|>", "<|tool_call_argument_begin|>"]),
        (DeepSeek, ["<｜tool▁call▁begin｜>"]),
        (MistralArgs, ["[TOOL_CALLS]", "[ARGS]"]),
        (Mistral, ["[TOOL_CALLS]"]),
        (Nemotron, ["<TOOLCALL>"]),
        (Cohere2, ["<|START_ACTION|>"]),
        (CommandR, ["Action:", "tool_name"]),
        (GigaChat, ["<|function_call|>"]),
        (Apertus, ["<|tools_prefix|>"]),
        (Functools, ["functools["]),
        (Pythonic, ["<|tool_call_start|>"]),
        (ToolCallsList, ["<tool_calls>["]),
        (ToolCallsLines, ["<tool_calls>"]),
        (Hermes, ["<tool_call>"]),
        (Granite, ["<|tool_call|>"]),
        (LlamaJson, ["\"parameters\"", "<|start_header_id|>", "\"name\""]),
        (LlamaJson, ["<|python_tag|>"]),
    ];

    // For templates that say nothing: what the vocabulary was trained to write.
    private static readonly (ToolFormat Format, string Token)[] _byToken =
    [
        (Pythonic, "<|tool_call_start|>"), (DeepSeek, "<｜tool▁call▁begin｜>"), (Mistral, "[TOOL_CALLS]"), (Granite, "<|tool_call|>"),
    ];

    private static readonly (ReasoningFormat Format, string[] Texts)[] _reasoning =
    [
        (new(["<|channel|>analysis<|message|>"], ["<|end|>"], Anywhere: true), ["<|channel|>", "<|message|>"]),
        (new(["<|think|>"], ["<|end|>"], Anywhere: true), ["<|think|>", "<|end|>"]),
        (new(["<|open|>think<|sep|>"], ["<|close|>think<|sep|>"]), ["<|open|>", "think"]),
        (new(["to=self<|message|>"], ["<|eom|>"], Anywhere: true), [" to=self<|message|>"]),
        (new(["<|channel>thought"], ["<channel|>"], Anywhere: true), ["<|channel>"]),
        (new(["<seed:think>"], ["</seed:think>"]), ["<seed:think>"]),
        (new(["<mm:think>"], ["</mm:think>"]), ["<mm:think>"]),
        (new(["<think:opensource>"], ["</think:opensource>"]), ["<think{}>", ":opensource"]),
        (new(["<|START_THINKING|>"], ["<|END_THINKING|>"]), ["<|START_THINKING|>"]),
        (new(["<|inner_prefix|>"], ["<|inner_suffix|>"], Anywhere: true), ["<|inner_prefix|>"]),
        (new(["[THINK]"], ["[/THINK]"]), ["[THINK]"]),
        (new(["Here are my reasoning steps:"], ["[BEGIN FINAL RESPONSE]"]), ["Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]"]),
        (new(["<think>"], ["</think>"]), ["<think>"]),
        (new(["<think>"], ["</think>"]), ["</think>"]),
    ];

    /// <summary>Finds out how a model writes.</summary>
    /// <param name="template">Its chat template.</param>
    /// <param name="hasToken">Whether its vocabulary has a token of this name.</param>
    internal static ChatFormat Detect(string template, Func<string, bool>? hasToken = null)
    {
        bool explains = template.Contains("tools", StringComparison.Ordinal);
        ToolFormat? tools = null;
        foreach ((ToolFormat format, string[] texts) in _families)
        {
            if (Array.TrueForAll(texts, text => template.Contains(text, StringComparison.Ordinal)))
            {
                tools = format;
                break;
            }
        }

        if (tools is null && explains && hasToken is not null)
            tools = Array.Find(_byToken, pair => hasToken(pair.Token)).Format;
        ReasoningFormat reasoning = Array.Find(_reasoning, pair => Array.TrueForAll(pair.Texts, text => template.Contains(text, StringComparison.Ordinal))).Format ?? ReasoningFormat.None;
        return new(tools ?? Generic, reasoning, explains);
    }

    // ---- families that differ in a few letters ---------------------------------------------------------------------------------------

    private static ToolFormat List(string name, string[] triggers, string[] closers, string begin, string end) =>
        new(name, [new JsonCalls { Triggers = triggers, Closers = closers, Around = (begin, ", ", end) }]);

    private static ToolFormat GlmWith(string name, string suffix) => new(name,
    [
        new TaggedCalls
        {
            Triggers = [$"<tool_call{suffix}>"], ParameterBegin = $"<arg_key{suffix}>", ParameterEnd = $"<arg_value{suffix}>", ValueEnd = $"</arg_value{suffix}>", CallEnd = $"</tool_call{suffix}>",
            Written = ("", $"<tool_call{suffix}>", "\n", "\n", ""), ParameterHead = (name, _) => $"{name}</arg_key{suffix}>\n<arg_value{suffix}>", AfterValue = "\n",
        },
    ]);

    private static ToolFormat HunyuanWith(string suffix) => new("hunyuan",
    [
        new TaggedCalls
        {
            Triggers = [$"<tool_call{suffix}>"], Closers = [$"</tool_calls{suffix}>"], HeaderEnd = $"<tool_sep{suffix}>", ParameterBegin = $"<arg_key{suffix}>", ParameterEnd = $"<arg_value{suffix}>",
            ValueEnd = $"</arg_value{suffix}>", CallEnd = $"</tool_call{suffix}>", Written = ($"<tool_calls{suffix}>\n", $"<tool_call{suffix}>", $"<tool_sep{suffix}>\n", "\n", $"\n</tool_calls{suffix}>"),
            ParameterHead = (name, _) => $"{name}</arg_key{suffix}>\n<arg_value{suffix}>", AfterValue = "\n",
        },
    ])
    {
        Ignored = [$"<tool_calls{suffix}>"],
    };

    private static ToolFormat Dsml(string name, string section) => new(name,
    [
        new TaggedCalls
        {
            Triggers = ["<｜DSML｜invoke name=\""], Closers = [$"</｜DSML｜{section}>"], HeaderEnd = ">", ParameterBegin = "<｜DSML｜parameter name=\"", ParameterEnd = ">", ValueEnd = "</｜DSML｜parameter>",
            CallEnd = "</｜DSML｜invoke>", Written = ($"<｜DSML｜{section}>\n", "<｜DSML｜invoke name=\"", "\">\n", "\n", $"\n</｜DSML｜{section}>"),
            ParameterHead = static (name, isText) => $"{name}\" string=\"{(isText ? "true" : "false")}\">", AfterValue = "\n",
        },
    ])
    {
        Ignored = [$"<｜DSML｜{section}>"],
    };

    private static ToolFormat Invoked(string name, string begin, string end, string prefix) => new(name,
    [
        new TaggedCalls
        {
            Triggers = [$"<{prefix}invoke name=\""], Closers = [end], HeaderEnd = ">", ParameterBegin = $"<{prefix}parameter name=\"", ParameterEnd = ">", ValueEnd = $"</{prefix}parameter>",
            CallEnd = $"</{prefix}invoke>", Written = (begin + "\n", $"<{prefix}invoke name=\"", "\">\n", "\n", "\n" + end), ParameterHead = static (name, _) => name + "\">", AfterValue = "\n",
        },
    ])
    {
        Ignored = [begin],
    };

    // ---- headers --------------------------------------------------------------------------------------------------------------------

    private static string[] Split(string text, string by) => text.Split(by, 2, StringSplitOptions.TrimEntries);

    private static (string Name, string? Id) Named(string text, string idMark) => Split(text, idMark) is [var name, var id] ? (name, id) : (text, null);

    // functions.NAME:3
    private static string KimiName(string id)
    {
        int colon = id.LastIndexOf(':');
        string name = colon < 0 ? id : id[..colon];
        return name.StartsWith("functions.", StringComparison.Ordinal) ? name["functions.".Length..] : name;
    }

    // functions.NAME<|channel|>commentary json<|message|> or functions.NAME <|constrain|>json<|message|>
    private static (string Name, string? Id)? HarmonyHeader(string header)
    {
        if (!header.TrimEnd().EndsWith("<|message|>", StringComparison.Ordinal))
            return null;
        int end = header.AsSpan().IndexOfAny(" <\n");
        string name = end < 0 ? header : header[..end];
        return (name.StartsWith("functions.", StringComparison.Ordinal) ? name["functions.".Length..] : name, null);
    }
}

/// <summary>What stands behind Llama's python tag: JSON, one of its own tools as a call in Python, or code.</summary>
internal sealed class PythonTag : CallSyntax
{
    private static readonly JsonCalls _json = new() { Triggers = [] };

    private static readonly LiteralCalls _code = new()
    {
        Triggers = [], End = null,
        Reader = static text => LiteralReader.PythonCalls(text.Trim()) is { } calls && calls.TrueForAll(call => call.Name.Length > 0) ? calls : Code(text),
    };

    internal override IEnumerable<bool> Read(ChatParser parser, string? trigger, bool trial)
    {
        foreach (bool wait in parser.SkipSpace())
            yield return wait;
        bool json = !parser.In.IsEmpty && parser.In.Next is '{' or '[';
        foreach (bool wait in (json ? (CallSyntax)_json : _code).Read(parser, trigger, trial))
            yield return wait;
    }

    private static List<(string, string)> Code(string text)
    {
        System.Text.StringBuilder json = new("{\"code\":");
        JsonOut.AppendString(json, text);
        return [("python", json.Append('}').ToString())];
    }
}
