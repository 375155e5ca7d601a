// Finds, opens and checks the one native library of this process. An app carries it beside itself (published for one platform) or
// under runtimes/<rid>/native/ (built or restored for any).
using System.Reflection;
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

    public static void Register() => NativeLibrary.SetDllImportResolver(typeof(NativeLibraryLoader).Assembly, Resolve);

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? searchPath)
    {
        if (name != NativeMethods.Library)
            return 0;
        lock (Gate)
        {
            if (_library == 0)
                _library = Open(AppContext.BaseDirectory, assembly);
            return _library;
        }
    }

    /// <summary>Opens the library for this platform out of an app's folder.</summary>
    /// <exception cref="NativeGenException">None is there, it does not load, or it is of another version.</exception>
    internal static nint Open(string appFolder, Assembly assembly)
    {
        foreach (string path in Candidates(appFolder))
        {
            if (!File.Exists(path))
                continue;
            nint library;
            try
            {
                library = NativeLibrary.Load(path);
            }
            catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
            {
                throw new NativeGenException(NativeGenErrorCode.DeviceUnavailable,
                    $"The native library {path} is there but does not load: {e.Message}", e);
            }
            CheckVersion(library, path);
            LoadedPath = path;
            return library;
        }

        // The runtime's own search knows single-file bundles and package folders.
        if (NativeLibrary.TryLoad(NativeMethods.Library, assembly, DllImportSearchPath.SafeDirectories | DllImportSearchPath.AssemblyDirectory, out nint found))
        {
            CheckVersion(found, FileName);
            return found;
        }
        throw new NativeGenException(NativeGenErrorCode.DeviceUnavailable, MissingMessage(appFolder));
    }

    private static IEnumerable<string> Candidates(string appFolder) =>
    [
        Path.Combine(appFolder, FileName),
        Path.Combine(appFolder, "runtimes", RuntimeIdentifier, "native", FileName),
    ];

    private static void CheckVersion(nint library, string path)
    {
        uint version = NativeLibrary.TryGetExport(library, "ng_abi_version", out nint export)
            ? ((delegate* unmanaged[Cdecl]<uint>)export)()
            : 0;
        if (version == NativeMethods.AbiVersion)
            return;
        NativeLibrary.Free(library);
        throw new NativeGenException(NativeGenErrorCode.DeviceUnavailable,
            $"The native library {path} has ABI version {version}, this NativeGen.dll needs {NativeMethods.AbiVersion}: " +
            "the two come from different builds. Rebuild, or restore one version of the NativeGen package.");
    }

    private static string MissingMessage(string appFolder)
    {
        string runtimes = Path.Combine(appFolder, "runtimes");
        IEnumerable<string> present = !Directory.Exists(runtimes) ? [] :
            from folder in Directory.EnumerateDirectories(runtimes)
            let native = Path.Combine(folder, "native")
            where Directory.Exists(native) && Directory.EnumerateFiles(native, "*nativegen.*").Any()
            orderby folder
            select Path.GetFileName(folder);
        string list = string.Join(", ", present);
        return $"no native library for {RuntimeIdentifier}; this build has {(list.Length == 0 ? "none" : list)}. " +
            $"Looked for {string.Join(" and ", Candidates(appFolder))}. " +
            $"Build NativeGen from source on this platform, or use a NativeGen package that lists {RuntimeIdentifier}.";
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
