using Microsoft.Extensions.DependencyInjection;

namespace NativeGen.Hosting;

/// <summary>What <c>AddNativeGen</c> returns, for further registrations to hang on.</summary>
public sealed class NativeGenBuilder
{
    internal NativeGenBuilder(IServiceCollection services) => Services = services;

    /// <summary>The application's services.</summary>
    public IServiceCollection Services { get; }
}
