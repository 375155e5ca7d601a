// nativegen generate: text goes to stdout as it comes, through the same ITextGenerator that applications inject.
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using NativeGen.Cli.Shell;
using NativeGen.Models;

namespace NativeGen.Cli.Commands;

internal static class GenerateCommand
{
    public static Command Create(Terminal terminal)
    {
        var prompt = TextInput.Argument("PROMPT", "The beginning of the text");
        var model = CommonOptions.Model();
        var maxNewTokens = CommonOptions.AtLeast(Nullable("--max-new-tokens", "-n", "Most tokens to write [default: until the model ends or the context is full]"), 1);
        var temperature = CommonOptions.Checked(new Option<float?>("--temperature") { Description = "Randomness; 0 takes the likeliest token always [default: 0.8]", HelpName = "T" }, t => t is >= 0 and <= 100, "from 0 to 100");
        var topK = CommonOptions.AtLeast(Nullable("--top-k", null, "Choose among the K likeliest; 0 = all [default: 40]"), 0);
        var topP = Probability("--top-p", "Choose among the likeliest that make up this probability [default: 0.95]");
        var minP = Probability("--min-p", "Leave out what is less likely than this share of the likeliest [default: 0.05]");
        var numReturnSequences = CommonOptions.AtLeast(Nullable("--num-return-sequences", null, "How many texts to write [default: 1]"), 1);
        var greedy = new Option<bool>("--greedy") { Description = "Take the likeliest token always" };
        var doSample = new Option<bool>("--do-sample") { Description = "Draw tokens by their probabilities (the default without beams)" };
        var seed = CommonOptions.Checked(new Option<long?>("--seed") { Description = "The same seed gives the same text [default: a new one each time]", HelpName = "N" }, _ => true, "");
        var stop = new Option<string[]>("--stop") { Description = "End before this text; may be given several times", HelpName = "TEXT", AllowMultipleArgumentsPerToken = false };
        var logprobs = new Option<bool>("--logprobs") { Description = "With --json: the log-probability of every token" };
        var topLogprobs = CommonOptions.Checked(Nullable("--top-logprobs", null, "With --json: also the N likeliest tokens at its place"), n => n is >= 0 and <= 20, "from 0 to 20");
        var logprobsMode = LogprobsModes();
        var json = CommonOptions.Json("The whole result as JSON instead of the text");
        var stats = new Option<bool>("--stats") { Description = "Speed and token counts on stderr [default: when it is a terminal]" };
        var threads = CommonOptions.Threads();
        var contextLength = CommonOptions.ContextLength();
        var jsonSchema = Form("--json-schema", "FILE", "The text is JSON that the schema in this file describes");
        var grammar = Form("--grammar", "FILE", "The text follows the grammar in this file (GBNF)");
        var regex = Form("--regex", "PATTERN", "The whole text matches this regular expression");
        var choice = new Option<string[]>("--choice") { Description = "The text is one of these; may be given several times", HelpName = "TEXT", AllowMultipleArgumentsPerToken = false };
        var chat = new Option<bool>("--chat") { Description = "The prompt is a user's message: it goes through the model's chat template" };
        var sampling = new SamplingFlags();
        var verb = new Verb("generate", "Continues a text.",
            ("nativegen generate \"Once upon a time\"", "a story by the model that comes along"),
            ("nativegen generate -m model.gguf -n 100 --temperature 0.2 \"Dear Sir\"", "another model, at most 100 tokens, little chance"),
            ("nativegen generate --greedy --json < prompt.txt", "prompt from stdin, result as JSON"),
            ("nativegen generate --choice yes --choice no \"Is the sky blue? \"", "one of two answers"),
            ("nativegen generate --dry-multiplier 0.8 --max-repeats 4 \"Once upon a time\"", "a story that does not go round in circles"))
        {
            prompt, model, maxNewTokens, temperature, topK, topP, minP, numReturnSequences, greedy, doSample, seed, stop, logprobs, topLogprobs, logprobsMode, json, stats, threads, contextLength,
            jsonSchema, grammar, regex, choice, chat,
        };
        foreach (var option in sampling.All)
            verb.Options.Add(option);
        verb.Groups = sampling.Groups;
        verb.Validators.Add(result =>
        {
            if (result.GetValue(greedy) && result.GetValue(doSample))
                result.AddError("--greedy and --do-sample contradict each other");
            if (result.GetValue(stop)?.Contains("") == true)
                result.AddError("--stop must not be empty: every text would end before it begins");
            foreach (var option in new Option[] { logprobs, topLogprobs, logprobsMode })
            {
                if (result.GetResult(option) is { Implicit: false } && !result.GetValue(json))
                    result.AddError($"{option.Name} needs --json");
            }
        });
        verb.SetAction(async (parsed, cancel) =>
        {
            var path = ModelLocator.Find(parsed.GetValue(model));
            var request = new GenerationRequest(TextInput.ReadPrompt(terminal, parsed.GetValue(prompt), cancel), sampling.Apply(parsed, new GenerationOptions
            {
                MaxNewTokens = parsed.GetValue(maxNewTokens),
                Temperature = parsed.GetValue(temperature),
                TopK = parsed.GetValue(topK),
                TopP = parsed.GetValue(topP),
                MinP = parsed.GetValue(minP),
                NumReturnSequences = parsed.GetValue(numReturnSequences),
                DoSample = parsed.GetValue(greedy) ? false : parsed.GetValue(doSample) ? true : null,
                Seed = parsed.GetValue(seed),
                StopSequences = parsed.GetValue(stop) is { Length: > 0 } stops ? stops : null,
                Logprobs = parsed.GetValue(logprobs) ? true : null,
                TopLogprobs = parsed.GetValue(topLogprobs),
                LogprobsMode = parsed.GetValue(logprobsMode),
                ResponseFormat = parsed.GetValue(jsonSchema) is { } schema ? Schema(schema) : null,
                Grammar = parsed.GetValue(grammar) is { } file ? Text(file) : null,
                Regex = parsed.GetValue(regex),
                Choices = parsed.GetValue(choice) is { Length: > 0 } choices ? choices : null,
            }))
            {
                PromptFormat = parsed.GetValue(chat) ? PromptFormat.Chat : PromptFormat.Auto,
            };
            await using var generator = Open(terminal, path, parsed.GetValue(threads), parsed.GetValue(contextLength), cancel);
            if (parsed.GetValue(json))
            {
                var result = await generator.GenerateAsync(request, cancel).ConfigureAwait(false);
                Warn(terminal, result.Warnings);
                terminal.WriteJson(writer => Write(writer, result));
                if (parsed.GetValue(stats))
                    Report(terminal, result.Usage, result.Timings, result.FinishReason);
                return ExitCode.Done;
            }
            return await StreamAsync(terminal, generator, request, parsed.GetValue(stats), cancel).ConfigureAwait(false);
        });
        return verb;
    }

    private static Option<string?> Form(string name, string value, string description) => new(name) { Description = description, HelpName = value };

    private static string Text(string path)
    {
        try
        {
            return new System.Text.UTF8Encoding(false, throwOnInvalidBytes: true).GetString(TextInput.ReadFile(path));
        }
        catch (System.Text.DecoderFallbackException e)
        {
            throw new CliException(ExitCode.Usage, $"{path} is not UTF-8 (byte {e.Index})");
        }
    }

    private static Microsoft.Extensions.AI.ChatResponseFormatJson Schema(string path)
    {
        try
        {
            using var schema = JsonDocument.Parse(Text(path), new() { MaxDepth = 1000 }); // the compiler has its own limit, and says where
            return Microsoft.Extensions.AI.ChatResponseFormat.ForJsonSchema(schema.RootElement.Clone());
        }
        catch (JsonException e)
        {
            throw new CliException(ExitCode.Usage, $"{path} is not JSON: {e.Message}");
        }
    }

    private static TextGenerator Open(Terminal terminal, string path, int threads, int contextLength, CancellationToken cancel)
    {
        var options = new TextGeneratorOptions
        {
            Model = new ModelOptions { Threads = threads },
            Context = new ContextOptions { Threads = threads, ContextLength = contextLength },
            MaxConcurrentRequests = 1,
        };
        return CommonOptions.Load(terminal, path, progress => TextGenerator.Open(path, options, progress, cancel));
    }

    private static async Task<int> StreamAsync(Terminal terminal, TextGenerator generator, GenerationRequest request, bool stats, CancellationToken cancel)
    {
        // Several texts are written one after the other: those that are not at the front wait.
        var waiting = new Dictionary<int, System.Text.StringBuilder>();
        var ended = new HashSet<int>();
        int front = 0, count = request.Options!.NumReturnSequences ?? 1;
        // Written with the first update: a request that is refused leaves stdout empty. A text of a bound form (JSON) stands alone.
        var prompt = ResponseForm.Set(request.Options).Any() || request.PromptFormat == PromptFormat.Chat ? "" : request.Prompt.Text!;
        GenerationUpdate? last = null;
        await foreach (var update in generator.StreamAsync(request, cancel).ConfigureAwait(false))
        {
            last = update.Usage is null ? last : update;
            if (count == 1)
            {
                if (prompt.Length + update.Text.Length > 0)
                    terminal.Write(prompt.Length == 0 ? update.Text : prompt + update.Text);
                prompt = "";
                continue;
            }
            if (!waiting.TryGetValue(update.SequenceIndex, out var text))
                waiting[update.SequenceIndex] = text = new();
            text.Append(update.Text);
            if (update.FinishReason is not null)
                ended.Add(update.SequenceIndex);
            while (ended.Contains(front))
                terminal.Write($"{front + 1}. {prompt}{waiting[front++]}\n\n");
        }
        if (count == 1)
            terminal.WriteLine();
        if (last is not null)
        {
            Warn(terminal, last.Warnings);
            if (stats || (terminal.ErrIsTerminal && !terminal.Quiet))
                Report(terminal, last.Usage!, last.Timings!, last.FinishReason!.Value);
        }
        return ExitCode.Done;
    }

    private static void Warn(Terminal terminal, IReadOnlyList<string> warnings)
    {
        foreach (var warning in warnings)
            terminal.Note($"note: {warning}");
    }

    private static void Report(Terminal terminal, GenerationUsage usage, GenerationTimings timings, FinishReason reason) =>
        terminal.Note(string.Create(CultureInfo.InvariantCulture,
            $"{usage.PromptTokens} prompt tokens, {usage.GeneratedTokens} written, {timings.TokensPerSecond:0.0} tokens/s, first after {timings.FirstToken.TotalMilliseconds:0} ms, ended by {reason}"));

    private static void Write(Utf8JsonWriter writer, GenerationResult result)
    {
        writer.WriteStartObject();
        writer.WriteStartArray("sequences");
        foreach (var sequence in result.Sequences)
        {
            writer.WriteStartObject();
            writer.WriteString("text", sequence.Text);
            writer.WriteStartArray("tokens");
            foreach (var token in sequence.Tokens)
                writer.WriteNumberValue(token);
            writer.WriteEndArray();
            writer.WriteString("finish_reason", sequence.FinishReason.ToString());
            writer.WriteNumber("sum_logprob", sequence.SumLogprob);
            if (sequence.Score is { } score)
                writer.WriteNumber("score", score);
            if (sequence.Logprobs is { } values)
            {
                writer.WriteStartArray("logprobs");
                foreach (var value in values)
                    Write(writer, value.Logprob);
                writer.WriteEndArray();
                if (values.Any(value => value.Top.Count > 0))
                {
                    writer.WriteStartArray("top_logprobs");
                    foreach (var value in values)
                    {
                        writer.WriteStartArray();
                        foreach (var top in value.Top)
                        {
                            writer.WriteStartObject();
                            writer.WriteNumber("token", top.Token);
                            writer.WriteString("text", top.Text);
                            writer.WritePropertyName("logprob");
                            Write(writer, top.Logprob);
                            writer.WriteEndObject();
                        }
                        writer.WriteEndArray();
                    }
                    writer.WriteEndArray();
                }
            }
            writer.WriteEndObject();
        }
        writer.WriteEndArray();
        writer.WriteStartObject("usage");
        writer.WriteNumber("prompt_tokens", result.Usage.PromptTokens);
        writer.WriteNumber("generated_tokens", result.Usage.GeneratedTokens);
        writer.WriteEndObject();
        writer.WriteNumber("tokens_per_second", Math.Round(result.Timings.TokensPerSecond, 1));
        writer.WriteNumber("seed", result.Seed);
        writer.WriteEndObject();
    }

    // JSON has no infinity.
    private static void Write(Utf8JsonWriter writer, float logprob)
    {
        if (float.IsFinite(logprob))
            writer.WriteNumberValue(logprob);
        else
            writer.WriteNullValue();
    }

    private static Option<LogprobsMode?> LogprobsModes()
    {
        var option = new Option<LogprobsMode?>("--logprobs-mode") { Description = "The model's own log-probabilities, or those after all options [default: raw]", HelpName = "raw|processed" };
        option.CustomParser = result => result.Tokens[0].Value switch
        {
            "raw" => LogprobsMode.Raw,
            "processed" => LogprobsMode.Processed,
            var other => CommonOptions.Refuse<LogprobsMode?>(result, $"--logprobs-mode is raw or processed, not '{other}'", null),
        };
        option.CompletionSources.Add("raw", "processed");
        return option;
    }

    private static Option<int?> Nullable(string name, string? alias, string description)
    {
        var option = new Option<int?>(name) { Description = description, HelpName = "N" };
        if (alias is not null)
            option.Aliases.Add(alias);
        return option;
    }

    private static Option<float?> Probability(string name, string description) =>
        CommonOptions.Checked(new Option<float?>(name) { Description = description, HelpName = "P" }, p => p is >= 0 and <= 1, "from 0 to 1");
}
