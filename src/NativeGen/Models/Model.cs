// An open model: immutable weights shared by every context, the file's metadata, and the tokenizer made from it.
using NativeGen.Interop;
using NativeGen.Tokenization;

namespace NativeGen.Models;

/// <summary>An open model. Contexts made from it do the work.</summary>
/// <remarks>
/// Thread safe. Disposing it while contexts are open is safe: each keeps the weights until it is disposed itself.
/// </remarks>
public sealed class Model : IDisposable
{
    private readonly Lazy<Tokenizer> _tokenizer;
    private readonly Lazy<string?> _chatTemplate;

    private Model(ModelHandle handle, GgufFile file)
    {
        Handle = handle;
        File = file;
        Info = ModelInfo.Read(handle, file);
        _tokenizer = new(() => Tokenizer.Create(TokenizerDataReader.Read(file)));
        _chatTemplate = new(() => file.GetString("tokenizer.chat_template"));
    }

    internal ModelHandle Handle { get; }

    /// <summary>What the model is.</summary>
    public ModelInfo Info { get; }

    /// <summary>The model's tokenizer, made from the file's metadata when first asked for.</summary>
    /// <exception cref="NativeGenException">InvalidModel or UnsupportedArchitecture: the file's tokenizer is missing, damaged or of an unknown kind.</exception>
    public Tokenizer Tokenizer => _tokenizer.Value;

    /// <summary>The chat template that the file has, or null.</summary>
    internal string? ChatTemplate => _chatTemplate.Value;

    /// <summary>The file's metadata and tensor list. It belongs to the model and is closed with it.</summary>
    public GgufFile File { get; }

    /// <summary>Opens a model. Memory is estimated and compared with what is available before anything is allocated.</summary>
    /// <param name="path">Path of a GGUF file; of a split model, its first file.</param>
    /// <param name="options">How to load it, null for the defaults.</param>
    /// <param name="progress">Gets a number rising from 0 to 1, from another thread, at most every 50 ms; never after this method has returned.</param>
    /// <param name="cancellationToken">Ends loading within 50 ms.</param>
    /// <exception cref="NativeGenException">
    /// ModelNotFound, InvalidModel, UnsupportedArchitecture, OutOfMemory, or DeviceUnavailable (NATIVEGEN_ISA names an instruction set that is not there).
    /// </exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static Model Open(string path, ModelOptions? options = null, IProgress<float>? progress = null, CancellationToken cancellationToken = default)
    {
        NativePath.Check(path);
        NgModelOptions native = (options ?? new ModelOptions()).ToNative();
        cancellationToken.ThrowIfCancellationRequested();

        ModelHandle handle = OpenWeights(path, native, progress, cancellationToken);
        try
        {
            return new Model(handle, GgufFile.Of(handle, path));
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    private static ModelHandle OpenWeights(string path, in NgModelOptions options, IProgress<float>? progress, CancellationToken cancellationToken)
    {
        using NativeTask task = new();
        using CancellationTokenRegistration registration = task.CancelWith(cancellationToken);
        using ProgressPoller? poller = progress is null ? null : new ProgressPoller(task, progress);
        NgError error = new();
        NativeStatus status = NativeMethods.ng_model_open(path, options, task.Handle, out ModelHandle handle, ref error);
        try
        {
            poller?.Finish(completed: status == NativeStatus.Ok);
            if (status.ThrowIfFailed(error) == NativeStatus.Cancelled)
                throw new OperationCanceledException(cancellationToken);
            return handle;
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>The exact memory that opening a model and one context would take. Loads nothing.</summary>
    /// <param name="path">Path of a GGUF file.</param>
    /// <param name="modelOptions">How it would be loaded, null for the defaults.</param>
    /// <param name="contextOptions">How much the context would hold, null for the defaults.</param>
    /// <exception cref="NativeGenException">As <see cref="Open"/>, except OutOfMemory.</exception>
    public static MemoryEstimate EstimateMemory(string path, ModelOptions? modelOptions = null, ContextOptions? contextOptions = null)
    {
        NativePath.Check(path);
        NgModelOptions model = (modelOptions ?? new ModelOptions()).ToNative();
        NgContextOptions context = (contextOptions ?? new ContextOptions()).ToNative();
        NgMemoryEstimate estimate = new();
        NgError error = new();
        NativeMethods.ng_memory_get_estimate(path, model, context, ref estimate, ref error).ThrowIfFailed(error);
        return new MemoryEstimate((long)estimate.WeightsMapped, (long)estimate.WeightsOwned, (long)estimate.KvBytes, (long)estimate.KvBytesPerToken,
            (long)estimate.ScratchBytes, (long)estimate.TotalBytes, (long)estimate.AvailableBytes, (int)estimate.PageTokens);
    }

    /// <summary>Closes the model; its weights go when the last context does.</summary>
    public void Dispose()
    {
        Handle.Dispose();
        File.Dispose();
    }
}
