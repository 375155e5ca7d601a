// A GGUF file's metadata and tensor list, read through the native reader: everything about a model that is not its weights.
using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Text;
using NativeGen.Interop;

namespace NativeGen.Models;

/// <summary>
/// Reads the metadata and the tensor list of a GGUF file (versions 2 and 3), or of all files of a split model.
/// A file of an architecture or tensor type that this build does not run can still be inspected.
/// </summary>
/// <remarks>Thread safe. Values are copied out: nothing returned depends on the file staying open.</remarks>
public sealed unsafe class GgufFile : IDisposable
{
    private readonly GgufHandle _handle;
    private readonly Dictionary<string, GgufEntry> _byKey;
    private readonly Lazy<ImmutableArray<GgufTensor>> _tensors;
    private readonly int _tensorCount;

    private GgufFile(string path, GgufHandle handle)
    {
        Path = path;
        _handle = handle;
        NgError error = new();
        NgGgufInfo info = new();
        NativeMethods.ng_gguf_get_info(handle, ref info, ref error).ThrowIfFailed(error);
        Version = (int)info.Version;
        FileCount = checked((int)info.FileCount);
        FileBytes = Saturate(info.FileBytes);
        Alignment = Saturate(info.Alignment);
        _tensorCount = checked((int)info.TensorCount);
        Metadata = ReadEntries(handle, checked((int)info.KvCount));
        _byKey = new Dictionary<string, GgufEntry>(Metadata.Length, StringComparer.Ordinal);
        foreach (GgufEntry entry in Metadata)
            _byKey.TryAdd(entry.Key, entry);
        _tensors = new Lazy<ImmutableArray<GgufTensor>>(ReadTensors);
    }

    /// <summary>The path this was opened with.</summary>
    public string Path { get; }

    /// <summary>Format version, 2 or 3.</summary>
    public int Version { get; }

    /// <summary>1, or the number of files of a split model.</summary>
    public int FileCount { get; }

    /// <summary>Size in bytes, of all files together.</summary>
    public long FileBytes { get; }

    /// <summary>What tensor data is aligned to, in bytes.</summary>
    public long Alignment { get; }

    /// <summary>All metadata keys in file order.</summary>
    public ImmutableArray<GgufEntry> Metadata { get; }

    /// <summary>All tensors in file order.</summary>
    /// <exception cref="ObjectDisposedException">The file was disposed before this was first read.</exception>
    public ImmutableArray<GgufTensor> Tensors => _tensors.Value;

    /// <summary>Opens and checks a file, or all files of a split model when given its first one.</summary>
    /// <param name="path">Path of the file.</param>
    /// <exception cref="NativeGenException">ModelNotFound: no such file. InvalidModel: not a GGUF, or damaged; the message says where.</exception>
    public static GgufFile Open(string path)
    {
        NativePath.Check(path);
        NgError error = new();
        NativeMethods.ng_gguf_open(path, out GgufHandle handle, ref error).ThrowIfFailed(error);
        return Adopt(path, handle);
    }

    /// <summary>The file of an open model; nothing is read again.</summary>
    internal static GgufFile Of(ModelHandle model, string path)
    {
        NgError error = new();
        NativeMethods.ng_model_get_gguf(model, out GgufHandle handle, ref error).ThrowIfFailed(error);
        return Adopt(path, handle);
    }

    private static GgufFile Adopt(string path, GgufHandle handle)
    {
        try
        {
            return new GgufFile(path, handle);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Whether a key is there.</summary>
    public bool Contains(string key) => _byKey.ContainsKey(key);

    /// <summary>Finds a key's entry.</summary>
    public bool TryGetEntry(string key, [NotNullWhen(true)] out GgufEntry? entry) => _byKey.TryGetValue(key, out entry);

    /// <summary>A text, or null if the key is missing.</summary>
    /// <exception cref="NativeGenException">InvalidModel: the value is not a string.</exception>
    public string? GetString(string key) =>
        Find(key, GgufType.String) is { } entry ? Encoding.UTF8.GetString(ReadBytes(entry)) : null;

    /// <summary>The bytes of a text, which need not be valid UTF-8, or null if the key is missing.</summary>
    /// <exception cref="NativeGenException">InvalidModel: the value is not a string.</exception>
    public byte[]? GetStringBytes(string key) => Find(key, GgufType.String) is { } entry ? ReadBytes(entry) : null;

    /// <summary>A boolean, or null if the key is missing.</summary>
    /// <exception cref="NativeGenException">InvalidModel: the value is not a boolean.</exception>
    public bool? GetBoolean(string key) => Find(key, GgufType.Bool) is { } entry ? ReadBytes(entry)[0] != 0 : null;

    /// <summary>A number of any stored type as <typeparamref name="T"/>, or null if the key is missing.</summary>
    /// <exception cref="NativeGenException">InvalidModel: the value is not a number, or out of the range of <typeparamref name="T"/>.</exception>
    public T? GetNumber<T>(string key) where T : unmanaged, INumber<T>
    {
        if (!_byKey.TryGetValue(key, out GgufEntry? entry))
            return null;
        if (entry.Type == GgufType.Array)
            throw WrongType(entry, "a number");
        return ReadNumbers<T>(entry)[0];
    }

    /// <summary>An array of numbers of any stored type as <typeparamref name="T"/>, or null if the key is missing.</summary>
    /// <exception cref="NativeGenException">InvalidModel: the value is not an array of numbers, or one is out of the range of <typeparamref name="T"/>.</exception>
    public T[]? GetNumbers<T>(string key) where T : unmanaged, INumber<T>
    {
        if (!_byKey.TryGetValue(key, out GgufEntry? entry))
            return null;
        if (entry.Type != GgufType.Array)
            throw WrongType(entry, "an array of numbers");
        return ReadNumbers<T>(entry);
    }

    /// <summary>An array of booleans, or null if the key is missing.</summary>
    /// <exception cref="NativeGenException">InvalidModel: the value is not an array of booleans.</exception>
    public bool[]? GetBooleans(string key) =>
        FindArray(key, GgufType.Bool) is { } entry ? Array.ConvertAll(ReadBytes(entry), static b => b != 0) : null;

    /// <summary>An array of texts, or null if the key is missing.</summary>
    /// <exception cref="NativeGenException">InvalidModel: the value is not an array of strings.</exception>
    public string[]? GetStrings(string key) => FindArray(key, GgufType.String) is { } entry
        ? ReadStrings(entry, static bytes => Encoding.UTF8.GetString(bytes)) : null;

    /// <summary>An array of texts as their bytes, which need not be valid UTF-8, or null if the key is missing.</summary>
    /// <exception cref="NativeGenException">InvalidModel: the value is not an array of strings.</exception>
    public byte[][]? GetStringsBytes(string key) => FindArray(key, GgufType.String) is { } entry
        ? ReadStrings(entry, static bytes => bytes.ToArray()) : null;

    /// <summary>Any value in its stored type: a boxed number or boolean, a string, or an array of these; null if the key is missing.</summary>
    /// <exception cref="NativeGenException">InvalidModel: an array of arrays.</exception>
    public object? GetValue(string key)
    {
        if (!_byKey.TryGetValue(key, out GgufEntry? entry))
            return null;
        Array values = entry.ItemType switch
        {
            GgufType.UInt8 => ReadNumbers<byte>(entry),
            GgufType.Int8 => ReadNumbers<sbyte>(entry),
            GgufType.UInt16 => ReadNumbers<ushort>(entry),
            GgufType.Int16 => ReadNumbers<short>(entry),
            GgufType.UInt32 => ReadNumbers<uint>(entry),
            GgufType.Int32 => ReadNumbers<int>(entry),
            GgufType.UInt64 => ReadNumbers<ulong>(entry),
            GgufType.Int64 => ReadNumbers<long>(entry),
            GgufType.Float32 => ReadNumbers<float>(entry),
            GgufType.Float64 => ReadNumbers<double>(entry),
            GgufType.Bool => Array.ConvertAll(ReadBytes(entry), static b => b != 0),
            GgufType.String when entry.Type == GgufType.String => new[] { Encoding.UTF8.GetString(ReadBytes(entry)) },
            GgufType.String => ReadStrings(entry, static bytes => Encoding.UTF8.GetString(bytes)),
            _ => throw WrongType(entry, "a value or an array of values"),
        };
        return entry.Type == GgufType.Array ? values : values.GetValue(0);
    }

    /// <summary>Closes the file. Values and lists that were read stay valid.</summary>
    public void Dispose() => _handle.Dispose();

    // ---- entries and tensors

    private static ImmutableArray<GgufEntry> ReadEntries(GgufHandle handle, int count)
    {
        var entries = ImmutableArray.CreateBuilder<GgufEntry>();
        for (int i = 0; i < count; i++)
        {
            NgGgufKv info = new();
            string key = ReadName((byte* buffer, nuint cap, out nuint length, ref NgError error) =>
                NativeMethods.ng_gguf_kv_info(handle, (ulong)i, ref info, buffer, cap, out length, ref error));
            entries.Add(new GgufEntry(key, (GgufType)info.Type, (GgufType)info.ItemType, Saturate(info.Count), Saturate(info.Bytes)) { Index = (ulong)i });
        }
        return entries.DrainToImmutable();
    }

    private ImmutableArray<GgufTensor> ReadTensors()
    {
        var tensors = ImmutableArray.CreateBuilder<GgufTensor>();
        Dictionary<uint, (string Name, bool Supported)> types = [];
        for (int i = 0; i < _tensorCount; i++)
        {
            NgGgufTensor info = new();
            string name = ReadName((byte* buffer, nuint cap, out nuint length, ref NgError error) =>
                NativeMethods.ng_gguf_tensor_info(_handle, (ulong)i, ref info, buffer, cap, out length, ref error));
            if (!types.TryGetValue(info.Type, out var type))
                types.Add(info.Type, type = DescribeType(info.Type));
            var shape = ImmutableArray.CreateBuilder<long>();
            for (int d = 0; d < Math.Min(info.DimensionCount, 4); d++)
                shape.Add(Saturate(info.Ne[d]));
            tensors.Add(new GgufTensor(name, (int)info.Type, type.Name, type.Supported, shape.DrainToImmutable(), Saturate(info.Offset), Saturate(info.Bytes), (int)info.File));
        }
        return tensors.DrainToImmutable();
    }

    private static (string Name, bool Supported) DescribeType(uint type)
    {
        NgError error = new();
        NgTypeInfo info = new();
        return NativeMethods.ng_type_get_info(type, ref info, ref error) == NativeStatus.Ok
            ? (Utf8.Read(info.Name, 16), info.Supported != 0)
            : ($"type {type}", false);
    }

    private delegate NativeStatus NameReader(byte* buffer, nuint cap, out nuint length, ref NgError error);

    private static string ReadName(NameReader read)
    {
        const int Usual = 256;
        byte* buffer = stackalloc byte[Usual];
        NgError error = new();
        read(buffer, Usual, out nuint length, ref error).ThrowIfFailed(error);
        if (length < Usual)
            return Encoding.UTF8.GetString(buffer, (int)length);
        byte[] larger = new byte[checked((int)length + 1)];
        fixed (byte* pointer = larger)
            read(pointer, (nuint)larger.Length, out length, ref error).ThrowIfFailed(error);
        return Encoding.UTF8.GetString(larger, 0, (int)length);
    }

    // ---- values

    private GgufEntry? Find(string key, GgufType type)
    {
        if (!_byKey.TryGetValue(key, out GgufEntry? entry))
            return null;
        return entry.Type == type ? entry : throw WrongType(entry, $"a {type}");
    }

    private GgufEntry? FindArray(string key, GgufType itemType)
    {
        if (!_byKey.TryGetValue(key, out GgufEntry? entry))
            return null;
        return entry.Type == GgufType.Array && entry.ItemType == itemType ? entry : throw WrongType(entry, $"an array of {itemType}");
    }

    private byte[] ReadBytes(GgufEntry entry)
    {
        byte[] value = new byte[ValueLength(entry)];
        ReadInto(entry, value);
        return value;
    }

    private void ReadInto(GgufEntry entry, Span<byte> value)
    {
        ObjectDisposedException.ThrowIf(_handle.IsClosed, this);
        NgError error = new();
        fixed (byte* pointer = value)
            NativeMethods.ng_gguf_kv_value(_handle, entry.Index, pointer, (nuint)value.Length, ref error).ThrowIfFailed(error);
    }

    private int ValueLength(GgufEntry entry) => entry.Bytes <= Array.MaxLength
        ? (int)entry.Bytes
        : throw new NativeGenException(NativeGenErrorCode.InvalidModel, $"{Path}: key '{entry.Key}' has {entry.Bytes} bytes, more than an array holds.");

    private T[] ReadNumbers<T>(GgufEntry entry) where T : unmanaged, INumber<T> => entry.ItemType switch
    {
        GgufType.UInt8 => Convert<byte, T>(entry),
        GgufType.Int8 => Convert<sbyte, T>(entry),
        GgufType.UInt16 => Convert<ushort, T>(entry),
        GgufType.Int16 => Convert<short, T>(entry),
        GgufType.UInt32 => Convert<uint, T>(entry),
        GgufType.Int32 => Convert<int, T>(entry),
        GgufType.UInt64 => Convert<ulong, T>(entry),
        GgufType.Int64 => Convert<long, T>(entry),
        GgufType.Float32 => Convert<float, T>(entry),
        GgufType.Float64 => Convert<double, T>(entry),
        _ => throw WrongType(entry, "numbers"),
    };

    private TTo[] Convert<TFrom, TTo>(GgufEntry entry)
        where TFrom : unmanaged, INumber<TFrom>
        where TTo : unmanaged, INumber<TTo>
    {
        TFrom[] stored = new TFrom[ValueLength(entry) / sizeof(TFrom)];
        ReadInto(entry, MemoryMarshal.AsBytes(stored.AsSpan()));
        if (typeof(TFrom) == typeof(TTo)) // `is` would also take byte[] for sbyte[]
            return (TTo[])(object)stored;
        TTo[] values = new TTo[stored.Length];
        try
        {
            for (int i = 0; i < stored.Length; i++)
                values[i] = TTo.CreateChecked(stored[i]);
        }
        catch (OverflowException)
        {
            throw new NativeGenException(NativeGenErrorCode.InvalidModel,
                $"{Path}: key '{entry.Key}' holds a number beyond the range of {typeof(TTo).Name}; the file is damaged or made for something else.");
        }
        return values;
    }

    // The native value of a string array: a little-endian uint64 length and the bytes, for each.
    private T[] ReadStrings<T>(GgufEntry entry, StringDecoder<T> decode)
    {
        byte[] rented = ArrayPool<byte>.Shared.Rent(ValueLength(entry));
        try
        {
            Span<byte> rest = rented.AsSpan(0, (int)entry.Bytes);
            ReadInto(entry, rest);
            T[] values = new T[checked((int)entry.Count)];
            for (int i = 0; i < values.Length; i++)
            {
                int length = checked((int)BinaryPrimitives.ReadUInt64LittleEndian(rest));
                values[i] = decode(rest.Slice(sizeof(ulong), length));
                rest = rest[(sizeof(ulong) + length)..];
            }
            return values;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    private delegate T StringDecoder<T>(ReadOnlySpan<byte> bytes);

    private NativeGenException WrongType(GgufEntry entry, string wanted) => new(NativeGenErrorCode.InvalidModel,
        $"{Path}: key '{entry.Key}' is {entry}, not {wanted}; the file is damaged or made for something else.");

    private static long Saturate(ulong value) => (long)Math.Min(value, long.MaxValue);
}
