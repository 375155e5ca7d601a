using NativeGen.Interop;

namespace NativeGen.Models;

/// <summary>What a model is, and the memory its weights take.</summary>
public sealed record ModelInfo
{
    /// <summary>The path it was opened from.</summary>
    public required string Path { get; init; }

    /// <summary>The name the file gives itself (general.name), or its file name.</summary>
    public required string Name { get; init; }

    /// <summary>The architecture, e.g. "llama".</summary>
    public required string Architecture { get; init; }

    /// <summary>Tokens of the vocabulary: the length of a row of logits.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>The context length the file states, in tokens.</summary>
    public required int TrainedContextLength { get; init; }

    /// <summary>Width of the residual stream.</summary>
    public required int EmbeddingLength { get; init; }

    /// <summary>Number of blocks.</summary>
    public required int LayerCount { get; init; }

    /// <summary>Query heads of a block.</summary>
    public required int HeadCount { get; init; }

    /// <summary>Number of weights.</summary>
    public required long ParameterCount { get; init; }

    /// <summary>Size of the file, or of all files of a split model, in bytes.</summary>
    public required long FileBytes { get; init; }

    /// <summary>Bytes read per decoded token: every matrix once and one row of the embedding.</summary>
    public required long WeightBytes { get; init; }

    /// <summary>Memory that holds repacked weights, in bytes.</summary>
    public required long RepackedBytes { get; init; }

    /// <summary>File pages that stay in use, in bytes.</summary>
    public required long MappedBytes { get; init; }

    /// <summary>Of the metadata and the tensor table. A saved sequence loads only into a model of the same hash.</summary>
    public required ulong Hash { get; init; }

    /// <summary>The kernel set it runs with, e.g. "avx2".</summary>
    public required string InstructionSet { get; init; }

    internal static unsafe ModelInfo Read(ModelHandle model, GgufFile file)
    {
        NgError error = new();
        NgModelInfo info = new();
        NativeMethods.ng_model_get_info(model, ref info, ref error).ThrowIfFailed(error);
        string? name = file.TryGetEntry("general.name", out GgufEntry? entry) && entry.Type == GgufType.String ? file.GetString(entry.Key) : null;
        return new ModelInfo
        {
            Path = file.Path,
            Name = string.IsNullOrWhiteSpace(name) ? System.IO.Path.GetFileNameWithoutExtension(file.Path) : name,
            Architecture = Utf8.Read(info.Arch, 32),
            VocabularySize = (int)info.VocabularySize,
            TrainedContextLength = (int)Math.Min(info.TrainedContextLength, int.MaxValue),
            EmbeddingLength = (int)info.EmbeddingLength,
            LayerCount = (int)info.LayerCount,
            HeadCount = (int)info.HeadCount,
            ParameterCount = (long)info.ParameterCount,
            FileBytes = (long)info.FileBytes,
            WeightBytes = (long)info.WeightBytes,
            RepackedBytes = (long)info.RepackedBytes,
            MappedBytes = (long)info.MappedBytes,
            Hash = info.Hash,
            InstructionSet = Utf8.Read(info.Isa, 16),
        };
    }
}
