// Which file is opened, and what is said when there is none: the first thing a user on another platform meets.
using System.Runtime.InteropServices;
using NativeGen.Interop;

namespace NativeGen.Tests.Interop;

public sealed class NativeLibraryLoaderTests : IDisposable
{
    private static readonly string FileName = OperatingSystem.IsWindows() ? "nativegen.dll" : OperatingSystem.IsMacOS() ? "libnativegen.dylib" : "libnativegen.so";

    private readonly string _folder = Directory.CreateTempSubdirectory("nativegen-loader-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string LibraryOfThisBuild
    {
        get
        {
            NativeLibraryLoader.Load();
            return NativeLibraryLoader.LoadedPath ?? throw new InvalidOperationException("the library was found by the runtime, not by the loader");
        }
    }

    [Fact]
    public void The_folder_for_this_platform_is_searched()
    {
        string native = Path.Combine(_folder, "runtimes", NativeLibraryLoader.RuntimeIdentifier, "native");
        Directory.CreateDirectory(native);
        File.Copy(LibraryOfThisBuild, Path.Combine(native, FileName));
        (nint library, string? path) = NativeLibraryLoader.Open(_folder);
        NativeLibrary.Free(library);
        Assert.Equal(Path.Combine(native, FileName), path);
    }

    [Fact]
    public void The_app_folder_comes_first()
    {
        string native = Path.Combine(_folder, "runtimes", NativeLibraryLoader.RuntimeIdentifier, "native");
        Directory.CreateDirectory(native);
        File.WriteAllText(Path.Combine(native, FileName), "not a library");
        File.Copy(LibraryOfThisBuild, Path.Combine(_folder, FileName));
        (nint library, string? path) = NativeLibraryLoader.Open(_folder);
        NativeLibrary.Free(library);
        Assert.Equal(Path.Combine(_folder, FileName), path);
    }

    [Fact]
    public void A_platform_without_a_library_is_told_what_there_is()
    {
        foreach (string rid in new[] { "linux-riscv64", "osx-arm64" })
        {
            Directory.CreateDirectory(Path.Combine(_folder, "runtimes", rid, "native"));
            File.WriteAllText(Path.Combine(_folder, "runtimes", rid, "native", "libnativegen.so"), "");
        }
        Assert.Equal((0, null), NativeLibraryLoader.Open(_folder));
        NativeGenException e = NativeLibraryLoader.Missing(_folder);
        Assert.Equal(NativeGenErrorCode.DeviceUnavailable, e.Code);
        Assert.Contains($"no native library for {NativeLibraryLoader.RuntimeIdentifier}; this build has linux-riscv64, osx-arm64", e.Message);
    }

    [Fact]
    public void A_build_without_any_library_says_so()
    {
        NativeGenException e = NativeLibraryLoader.Missing(_folder);
        Assert.Contains("this build has none", e.Message);
        Assert.Contains(_folder, e.Message);
    }

    [Fact]
    public void A_file_that_is_no_library_is_named()
    {
        string path = Path.Combine(_folder, FileName);
        File.WriteAllText(path, "not a library");
        NativeGenException e = Assert.Throws<NativeGenException>(() => NativeLibraryLoader.Open(_folder));
        Assert.Equal(NativeGenErrorCode.DeviceUnavailable, e.Code);
        Assert.Contains(path, e.Message);
    }

    [Fact]
    public void The_identifier_is_a_portable_one() =>
        Assert.Matches("^(linux|linux-musl|osx|win)-(x64|x86|arm64|arm|riscv64|loongarch64|s390x|ppc64le)$", NativeLibraryLoader.RuntimeIdentifier);
}
