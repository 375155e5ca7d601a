// Tools over a real model: a call that is demanded comes, is valid, and is the same streamed; what was called and answered goes back through the template.
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace NativeGen.Tests.Generation;

public sealed class ToolTests
{
    private static readonly AIFunctionDeclaration _weather = Tool("get_weather", "The weather of a city.",
        """{"type":"object","properties":{"city":{"type":"string","maxLength":20},"unit":{"enum":["celsius","fahrenheit"]}},"required":["city","unit"]}""");

    private static readonly AIFunctionDeclaration _now = Tool("now", "The time.", """{"type":"object","properties":{}}""");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private static TextGenerator Open() => TextGenerator.Open(TestData.Shared("models", "smollm2-135m-instruct.q4_1.gguf"), new() { Context = new() { ContextLength = 1024 } }, cancellationToken: Stop);

    [Fact]
    public async Task ACallThatIsDemandedIsValid()
    {
        await using TextGenerator generator = Open();
        GenerationRequest request = new("What is the weather in Paris?", new() { Seed = 3, MaxNewTokens = 120, Temperature = 1.2f })
        {
            Tools = [_weather, _now], ToolChoice = ChatToolMode.RequireSpecific("get_weather"),
        };
        GenerationResult result = await generator.GenerateAsync(request, Stop);
        FunctionCallContent call = Assert.Single(result.Sequences[0].ToolCalls);
        Assert.Equal("get_weather", call.Name);
        Assert.Equal(2, call.Arguments!.Count);
        Assert.Contains(((JsonElement)call.Arguments["unit"]!).GetString(), new[] { "celsius", "fahrenheit" });
        Assert.Equal(JsonValueKind.String, ((JsonElement)call.Arguments["city"]!).ValueKind);
        Assert.Equal((FinishReason.ToolCalls, ""), (result.FinishReason, result.Text));
        Assert.Matches("^[a-zA-Z0-9]{9}$", call.CallId);

        List<ToolCallUpdate> pieces = [];
        FinishReason? reason = null;
        await foreach (GenerationUpdate update in generator.StreamAsync(request, Stop))
        {
            Assert.Equal("", update.Text);
            pieces.AddRange(update.ToolCalls);
            reason = update.FinishReason;
        }

        Assert.Equal((FinishReason.ToolCalls, call.CallId, "get_weather"), (reason, pieces[0].CallId, pieces[0].Name));
        Assert.Equal((string)call.RawRepresentation!, string.Concat(pieces.Select(piece => piece.Arguments)));
        Assert.True(pieces.Count > 3);

        // What was called and what came of it is part of the next prompt.
        GenerationResult next = await generator.GenerateAsync(new GenerationRequest(new ChatMessage[]
        {
            new(ChatRole.User, "What is the weather in Paris?"), new(ChatRole.Assistant, [call]), new(ChatRole.Tool, [new FunctionResultContent(call.CallId, "sunny")]),
        }, new() { MaxNewTokens = 8, Seed = 1 }) { Tools = [_weather], ToolChoice = ChatToolMode.None }, Stop);
        Assert.Empty(next.Sequences[0].ToolCalls);
    }

    [Fact]
    public async Task WithAChoiceTheAnswerIsTextOrAValidCall()
    {
        await using TextGenerator generator = Open();
        for (int seed = 0; seed < 3; seed++)
        {
            GenerationResult result = await generator.GenerateAsync(new GenerationRequest("Say hello.", new() { Seed = seed, MaxNewTokens = 30 }) { Tools = [_now] }, Stop);
            Assert.DoesNotContain("<tool_call>", result.Text, StringComparison.Ordinal);
            Assert.All(result.Sequences[0].ToolCalls, call => Assert.Equal("{}", call.RawRepresentation));
        }
    }

    [Fact]
    public async Task AModelWithoutATemplateIsToldInItsPrompt()
    {
        await using TextGenerator generator = TextGenerator.Open(TestData.StoryModel, new() { Context = new() { ContextLength = 512 } }, cancellationToken: Stop);
        GenerationResult result = await generator.GenerateAsync(new GenerationRequest("What time is it?", new() { Seed = 1, MaxNewTokens = 60 }) { Tools = [_now], ToolChoice = ChatToolMode.RequireAny, AllowMultipleToolCalls = false }, Stop);
        Assert.Equal("now", Assert.Single(result.Sequences[0].ToolCalls).Name);
    }

    [Fact]
    public void WhatCannotBeIsNamed()
    {
        Assert.Equal("ToolChoice", Refused(new("x") { ToolChoice = ChatToolMode.RequireAny }));
        Assert.Equal("ToolChoice", Refused(new("x") { Tools = [_now], ToolChoice = ChatToolMode.RequireSpecific("other") }));
        Assert.Equal("Tools", Refused(new("x") { Tools = [_now, _now] }));
        Assert.Equal("Tools", Refused(new("x") { Tools = [new HostedWebSearchTool()] }));
        Assert.Equal("Tools", Refused(new(new[] { 1 }) { Tools = [_now] }));
        Assert.Equal("ToolChoice", Refused(new("x", new() { Regex = "a" }) { Tools = [_now], ToolChoice = ChatToolMode.RequireAny }));

        static string? Refused(GenerationRequest request) => Assert.Throws<ArgumentException>(() => GenerationRequest.Validate(request)).ParamName;
    }

    private static AIFunctionDeclaration Tool(string name, string description, string schema) => AIFunctionFactory.CreateDeclaration(name, description, JsonDocument.Parse(schema).RootElement);
}
