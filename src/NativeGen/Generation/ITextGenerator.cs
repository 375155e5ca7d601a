// The interface users inject, and the short forms of its calls.
using Microsoft.Extensions.AI;
using NativeGen.Models;

namespace NativeGen;

/// <summary>Generates text with one model.</summary>
/// <remarks>
/// Thread safe: one instance serves a whole application, and requests that come together share the work. It belongs to whoever made it, with
/// dependency injection to the container. Cancelling a call's token ends the request wherever it is (loading, queued, reading its prompt,
/// writing) with an <see cref="OperationCanceledException"/> and frees what it held; leaving an <c>await foreach</c> early does the same.
/// Options that cannot be carried out throw an <see cref="ArgumentException"/> that names them; failures are a <see cref="NativeGenException"/>.
/// </remarks>
public interface ITextGenerator
{
    /// <summary>What the model is. Loads it first if it is not loaded.</summary>
    ValueTask<ModelInfo> GetModelAsync(CancellationToken cancellationToken = default);

    /// <summary>Generates whole answers.</summary>
    /// <exception cref="ArgumentException">The request cannot be carried out; the message names the option.</exception>
    /// <exception cref="NativeGenException">
    /// ContextOverflow: the prompt does not fit; Busy: too many requests wait; or the model could not be loaded.
    /// </exception>
    Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default);

    /// <summary>Generates answers piece by piece. A reader that is slow slows down only its own request.</summary>
    /// <exception cref="ArgumentException">As <see cref="GenerateAsync"/>, when the first piece is awaited.</exception>
    /// <exception cref="NativeGenException">As <see cref="GenerateAsync"/>.</exception>
    IAsyncEnumerable<GenerationUpdate> StreamAsync(GenerationRequest request, CancellationToken cancellationToken = default);

    /// <summary>What a request would take, without carrying it out.</summary>
    ValueTask<GenerationEstimate> EstimateAsync(GenerationRequest request, CancellationToken cancellationToken = default);
}

/// <summary>Short forms of <see cref="ITextGenerator"/>'s calls.</summary>
public static class TextGeneratorExtensions
{
    /// <summary>Continues a text.</summary>
    public static Task<GenerationResult> GenerateAsync(this ITextGenerator generator, string prompt, GenerationOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(generator);
        return generator.GenerateAsync(new GenerationRequest(prompt, options), cancellationToken);
    }

    /// <summary>Answers a chat.</summary>
    public static Task<GenerationResult> GenerateAsync(this ITextGenerator generator, IEnumerable<ChatMessage> messages, GenerationOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(generator);
        return generator.GenerateAsync(new GenerationRequest(GenerationPrompt.FromMessages(messages), options), cancellationToken);
    }

    /// <summary>Continues a text piece by piece.</summary>
    public static IAsyncEnumerable<GenerationUpdate> StreamAsync(this ITextGenerator generator, string prompt, GenerationOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(generator);
        return generator.StreamAsync(new GenerationRequest(prompt, options), cancellationToken);
    }

    /// <summary>Answers a chat piece by piece.</summary>
    public static IAsyncEnumerable<GenerationUpdate> StreamAsync(this ITextGenerator generator, IEnumerable<ChatMessage> messages, GenerationOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(generator);
        return generator.StreamAsync(new GenerationRequest(GenerationPrompt.FromMessages(messages), options), cancellationToken);
    }

    /// <summary>What continuing a text would take.</summary>
    public static ValueTask<GenerationEstimate> EstimateAsync(this ITextGenerator generator, string prompt, GenerationOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(generator);
        return generator.EstimateAsync(new GenerationRequest(prompt, options), cancellationToken);
    }
}
