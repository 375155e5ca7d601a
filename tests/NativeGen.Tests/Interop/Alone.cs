namespace NativeGen.Tests.Interop;

/// <summary>Tests that change or measure the whole process: they run after all others, one at a time.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;
