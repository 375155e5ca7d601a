// The `nativegen` tool. Verbs are in Commands/, what they share with the terminal in Shell/, golden data in Verify/.
return await NativeGen.Cli.App.RunAsync(args).ConfigureAwait(false);
