// A stranger's program, built from the packages alone: text from the embedded model, and a scripted generator for its tests.
using Microsoft.Extensions.DependencyInjection;
using NativeGen;
using NativeGen.Testing;

var services = new ServiceCollection();
services.AddNativeGen();
await using ServiceProvider provider = services.BuildServiceProvider();
var generator = provider.GetRequiredService<ITextGenerator>();
GenerationResult story = await generator.GenerateAsync("Once upon a time", new GenerationOptions { MaxNewTokens = 20, Seed = 1 });
Console.WriteLine(story.Text);

var scripted = new ScriptedTextGenerator().When("ping", "pong");
GenerationResult answer = await scripted.GenerateAsync("ping");
return answer.Text == "pong" && story.Usage.GeneratedTokens > 0 ? 0 : 1;
