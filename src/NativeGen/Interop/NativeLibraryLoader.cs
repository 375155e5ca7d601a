// Finds, opens and checks the one native library of this process. An app carries it beside itself (published for one platform) or
// under runtimes/<rid>/native/ (built or restored for any).
using System.Runtime.InteropServices;

namespace NativeGen.Interop;

internal static unsafe class NativeLibraryLoader
{
    private static readonly Lock Gate = new();
    private static nint _library;

    /// <summary>Where the opened library lies, null before the first native call or if the runtime's own search found it.</summary>
    public static string? LoadedPath { get; private set; }

    public static string RuntimeIdentifier { get; } = CurrentRuntimeIdentifier();

    private static string FileName =>
        OperatingSystem.IsWindows() ? "nativegen.dll" : OperatingSystem.IsMacOS() ? "libnativegen.dylib" : "libnativegen.so";

    public static void Register() => NativeLibrary.SetDllImportResolver(typeof(NativeLibraryLoader).Assembly,
        static (name, _, _) => name == NativeMethods.Library ? Load() : 0);

    /// <summary>The library of this process, opened by the first call.</summary>
    /// <exception cref="NativeGenException">None is there, it does not load, or it is of another version.</exception>
    public static nint Load()
    {
        lock (Gate)
        {
            if (_library == 0)
            {
                (_library, LoadedPath) = Open(AppContext.BaseDirectory);
                if (_library == 0)
                    _library = RuntimeSearch();
                if (_library == 0)
                    throw Missing(AppContext.BaseDirectory);
            }
            return _library;
        }
    }

    /// <summary>Opens the library for this platform out of an app's folder; 0 if none is there.</summary>
    internal static (nint Library, string? Path) Open(string appFolder)
    {
        string? path = Candidates(appFolder).FirstOrDefault(File.Exists);
        if (path is null)
            return (0, null);
        try
        {
            return (CheckVersion(NativeLibrary.Load(path), path), path);
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
        {
            throw new NativeGenException(NativeGenErrorCode.DeviceUnavailable, $"The native library {path} is there but does not load: {e.Message}", e);
        }
    }

    // Single-file bundles and package folders are known to the runtime alone.
    private static nint RuntimeSearch() =>
        NativeLibrary.TryLoad(NativeMethods.Library, typeof(NativeLibraryLoader).Assembly, null, out nint library) ? CheckVersion(library, FileName) : 0;

    private static IEnumerable<string> Candidates(string appFolder) =>
    [
        Path.Combine(appFolder, FileName),
        Path.Combine(appFolder, "runtimes", RuntimeIdentifier, "native", FileName),
    ];

    private static nint CheckVersion(nint library, string path)
    {
        uint version = NativeLibrary.TryGetExport(library, "ng_abi_version", out nint export)
            ? ((delegate* unmanaged[Cdecl]<uint>)export)()
            : 0;
        if (version == NativeMethods.AbiVersion)
            return library;
        NativeLibrary.Free(library);
        throw new NativeGenException(NativeGenErrorCode.DeviceUnavailable,
            $"The native library {path} has ABI version {version}, this NativeGen.dll needs {NativeMethods.AbiVersion}: " +
            "the two come from different builds. Rebuild, or restore one version of the NativeGen package.");
    }

    internal static NativeGenException Missing(string appFolder)
    {
        string runtimes = Path.Combine(appFolder, "runtimes");
        IEnumerable<string> present = !Directory.Exists(runtimes) ? [] :
            from folder in Directory.EnumerateDirectories(runtimes)
            let native = Path.Combine(folder, "native")
            where Directory.Exists(native) && Directory.EnumerateFiles(native, "*nativegen.*").Any()
            orderby folder
            select Path.GetFileName(folder);
        string list = string.Join(", ", present);
        return new NativeGenException(NativeGenErrorCode.DeviceUnavailable,
            $"no native library for {RuntimeIdentifier}; this build has {(list.Length == 0 ? "none" : list)}. " +
            $"Looked for {string.Join(" and ", Candidates(appFolder))}. " +
            $"Build NativeGen from source on this platform, or use a NativeGen package that lists {RuntimeIdentifier}.");
    }

    // Composed, because RuntimeInformation.RuntimeIdentifier names a distribution on some source-built runtimes.
    private static string CurrentRuntimeIdentifier()
    {
        string os = OperatingSystem.IsWindows() ? "win"
            : OperatingSystem.IsMacOS() ? "osx"
            : RuntimeInformation.RuntimeIdentifier.Contains("musl", StringComparison.Ordinal) ? "linux-musl"
            : "linux";
        return $"{os}-{RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()}";
    }
}
