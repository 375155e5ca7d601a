// The formats against the templates themselves: what a template writes for a message is what its model learned to write, and has to be read as that message.
using System.Text.Json;
using System.Text.Json.Nodes;
using NativeGen.Chat;

namespace NativeGen.Tests.Chat;

public sealed class GoldenCallTests
{
    // What each template's calls and reasoning look like, read from the template by hand: format, what opens the reasoning, whether it tells of tools.
    private static readonly Dictionary<string, (string Format, string Reasoning, bool Explains)> _formats = new()
    {
        ["Apertus-8B-Instruct"] = ("apertus", "<|inner_prefix|>", true),
        ["Apriel-1.6-15b-Thinker-fixed"] = ("tool-calls-list", "Here are my reasoning steps:", true),
        ["ByteDance-Seed-OSS"] = ("seed-oss", "<seed:think>", true),
        ["Cohere2MoE"] = ("command-a", "<|START_THINKING|>", true),
        ["CohereForAI-c4ai-command-r-plus-tool_use"] = ("command-r", "", true),
        ["GLM-4.6"] = ("glm", "<think>", true),
        ["GigaChat3.1-10B-A1.8B"] = ("gigachat", "", true),
        ["HuggingFaceTB-SmolLM3-3B"] = ("generic", "<think>", false),
        ["Kimi-K2-Thinking"] = ("kimi-k2", "<think>", true),
        ["Kimi-K3"] = ("kimi-k3", "<|open|>think<|sep|>", true),
        ["LFM2.5-8B-A1B"] = ("pythonic", "<think>", true),
        ["LFM2.5-Instruct"] = ("generic", "<think>", true),
        ["MiMo-VL"] = ("hermes", "", true),
        ["MiniMax-M1"] = ("tool-calls-lines", "", true),
        ["MiniMax-M3"] = ("minimax-m3", "<mm:think>", true),
        ["Mistral-Small-3.2-24B-Instruct-2506"] = ("mistral-args", "", true),
        ["NVIDIA-Nemotron-3-Nano-30B-A3B-BF16"] = ("qwen3-coder", "<think>", true),
        ["NVIDIA-Nemotron-Nano-v2"] = ("nemotron-nano", "<think>", true),
        ["Qwen-QwQ-32B"] = ("hermes", "<think>", true),
        ["Qwen-Qwen2.5-7B-Instruct"] = ("hermes", "", true),
        ["Qwen3-Coder"] = ("qwen3-coder", "", true),
        ["Reka-Edge"] = ("hermes", "<think>", true),
        ["Spark2.5"] = ("glm", "<think>", true),
        ["classic-Mistral-Nemo-Instruct-2407"] = ("mistral", "", true),
        ["classic-ibm-granite-granite-3.0-8b-instruct"] = ("granite", "", true),
        ["classic-ibm-granite-granite-3.x-tool-call"] = ("granite", "", false),
        ["classic-ibm-granite-granite-4.1-tool-call"] = ("hermes", "", true),
        ["deepseek-ai-DeepSeek-R1-Distill-Llama-8B"] = ("deepseek", "<think>", false),
        ["deepseek-ai-DeepSeek-R1-Distill-Qwen-32B"] = ("deepseek", "<think>", false),
        ["deepseek-ai-DeepSeek-V3.2"] = ("deepseek-dsml", "<think>", true),
        ["deepseek-ai-DeepSeek-V4"] = ("deepseek-dsml-v4", "<think>", true),
        ["fireworks-ai-llama-3-firefunction-v2"] = ("functools", "", true),
        ["gguf-command-r-rag"] = ("generic", "", true),
        ["gguf-gemma-4"] = ("gemma", "<|channel>thought", true),
        ["google-gemma-4-31B-it"] = ("gemma", "<|channel>thought", true),
        ["ibm-granite-granite-3.3-2B-Instruct"] = ("granite", "<think>", true),
        ["ibm-granite-granite-4.1"] = ("hermes", "", true),
        ["inclusionai-ling-3.0-flash"] = ("glm", "<think>", true),
        ["llama-cpp-rwkv-world"] = ("generic", "<think>", false),
        ["meetkai-functionary-medium-v3.1"] = ("functionary-3.1", "", true),
        ["meta-llama-Llama-3.1-8B-Instruct"] = ("llama-json", "", true),
        ["meta-llama-Llama-3.2-3B-Instruct"] = ("llama-json", "", true),
        ["moonshotai-Kimi-K2"] = ("kimi-k2", "", true),
        ["muse-glimmer"] = ("muse", "to=self<|message|>", true),
        ["openbmb-MiniCPM5-1B"] = ("minicpm5", "<think>", true),
        ["poolside-Laguna-S-2.1"] = ("glm", "<think>", true),
        ["poolside-Laguna-XS.2"] = ("glm", "<think>", true),
        ["tencent-Hy3"] = ("hunyuan", "<think:opensource>", true),
        ["unsloth-Apriel-1.5"] = ("tool-calls-list", "", true),
        ["upstage-Solar-Open-100B"] = ("solar", "<|think|>", true),
    };

    // Cases in which the template does not write what a model would, and why.
    private static readonly Dictionary<string, string> _odd = new()
    {
        ["CohereForAI-c4ai-command-r-plus-tool_use"] = "writes an instruction behind every message",
        ["NVIDIA-Nemotron-Nano-v2"] = "opens the reasoning in front of old answers, too, and never closes it",
        ["Apriel-1.6-15b-Thinker-fixed"] = "leaves the beginning of the reasoning out of old answers",
        ["MiniMax-M3"] = "is not read",
        ["gguf-command-r-rag"] = "writes an instruction behind every message",
    };

    [Fact]
    public void EveryTemplateShowsItsFormat()
    {
        int seen = 0;
        foreach (string path in Goldens.Templates(TestData.Shared("fixtures", "templates")))
        {
            string name = Path.GetFileNameWithoutExtension(path);
            string template = File.ReadAllText(Path.ChangeExtension(path, ".jinja"));
            ChatFormat format = ToolFormats.Detect(template);
            if (!_formats.TryGetValue(name, out var expected))
            {
                if (template.Contains("tool", StringComparison.Ordinal) || template.Contains("think", StringComparison.Ordinal))
                    continue;
                expected = ("generic", "", false); // knows no tools at all
            }

            Assert.Equal((name, expected), (name, (format.Tools.Name, string.Concat(format.Reasoning.Opens), format.Explains)));
            seen++;
        }

        TestContext.Current.SendDiagnosticMessage($"tool formats: {seen} of {seen} templates detected");
        Assert.True(seen > 50);
    }

    [Fact]
    public void WhatATemplateWritesIsReadAsTheMessage()
    {
        int read = 0, calls = 0, odd = 0;
        List<string> wrong = [];
        foreach (string path in Goldens.Templates(TestData.Shared("fixtures", "templates")))
        {
            string template = File.ReadAllText(Path.ChangeExtension(path, ".jinja"));
            if (!_formats.ContainsKey(Path.GetFileNameWithoutExtension(path)) && template.Contains("tool", StringComparison.Ordinal))
                continue;
            ChatFormat format = ToolFormats.Detect(template);
            foreach (GoldenAnswer answer in Goldens.Answers(path))
            {
                string[] expected = Calls(answer.Message);
                bool leftOut = !Array.TrueForAll(expected, call => answer.Output.Contains(call[..call.IndexOf('(')], StringComparison.Ordinal));
                bool asText = answer.Case.StartsWith("tool_args_string", StringComparison.Ordinal) && expected.Length > 0; // arguments as a text in a text: no model writes that
                bool notAnAnswer = answer.Output.Contains("<|end_of_msg|>", StringComparison.Ordinal) || answer.Output.StartsWith("<|end_of_role|>", StringComparison.Ordinal) || answer.Case == "think_in_content"
                    || answer.Output.Contains("<｜Assistant｜>", StringComparison.Ordinal) || answer.Output.Contains("[/INST]", StringComparison.Ordinal); // more than one message
                if (_odd.ContainsKey(answer.Template) || leftOut || asText || notAnAnswer || answer.Tools.IsEmpty)
                {
                    odd++;
                    continue;
                }

                read++;
                calls += expected.Length;
                Parsed parsed = Parsed.Of(format, answer.Tools, answer.Output, answer.Prompt);
                string content = answer.Message.TryGetProperty("content", out JsonElement text) && text.ValueKind == JsonValueKind.String ? text.GetString()!.Trim() : "";
                content = answer.Output.Contains(content, StringComparison.Ordinal) ? content : "";
                if (!expected.SequenceEqual(parsed.Whole.Select(call => $"{call.Name}({Canonical(JsonNode.Parse(call.Json))})")) || parsed.Text.Trim() != content || parsed.Diagnostics.Count > 0)
                    wrong.Add($"{answer.Template}, {answer.Case}: {answer.Output}\n=> {parsed}");
            }
        }

        TestContext.Current.SendDiagnosticMessage($"tool calls of templates: {read - wrong.Count} of {read} answers, {calls} calls; {odd} without calls or not as a model writes");
        Assert.True(wrong.Count == 0, string.Join("\n\n", wrong));
        Assert.True(calls > 150, $"{calls} calls in {read} answers");
    }

    private static string[] Calls(JsonElement message) => message.TryGetProperty("tool_calls", out JsonElement calls) && calls.ValueKind == JsonValueKind.Array
        ? [.. calls.EnumerateArray().Select(call => call.GetProperty("function")).Select(call => $"{call.GetProperty("name").GetString()}({Canonical(JsonNode.Parse(call.GetProperty("arguments").GetRawText()))})")]
        : [];

    // Members sorted: some templates sort them.
    private static string Canonical(JsonNode? node) => node switch
    {
        JsonObject of => "{" + string.Join(",", of.OrderBy(member => member.Key, StringComparer.Ordinal).Select(member => $"{member.Key}:{Canonical(member.Value)}")) + "}",
        JsonArray of => "[" + string.Join(",", of.Select(Canonical)) + "]",
        null => "null",
        _ => node.ToJsonString(),
    };
}
