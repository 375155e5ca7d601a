// A read-only list of byte strings in one block: vocabularies and merges, without an object per string.
using System.Collections;
using System.Runtime.InteropServices;

namespace NativeGen.Tokenization;

/// <summary>An immutable list of byte strings (UTF-8 as a rule, but any bytes) that lie end to end in one array. Thread safe.</summary>
public sealed class Utf8Strings : IReadOnlyList<ReadOnlyMemory<byte>>
{
    private readonly byte[] _bytes;
    private readonly int[] _starts; // Count + 1

    private Utf8Strings(byte[] bytes, int[] starts) => (_bytes, _starts) = (bytes, starts);

    /// <summary>A list without strings.</summary>
    public static Utf8Strings Empty { get; } = new([], [0]);

    /// <summary>How many strings there are.</summary>
    public int Count => _starts.Length - 1;

    /// <summary>Bytes of all strings together.</summary>
    public int TotalBytes => _bytes.Length;

    /// <summary>The bytes of one string. The span stays valid as long as the list.</summary>
    public ReadOnlySpan<byte> this[int index] => _bytes.AsSpan(_starts[index].._starts[index + 1]);

    ReadOnlyMemory<byte> IReadOnlyList<ReadOnlyMemory<byte>>.this[int index] => _bytes.AsMemory(_starts[index].._starts[index + 1]);

    /// <summary>Copies strings into a list.</summary>
    public static Utf8Strings Create(IEnumerable<byte[]> strings)
    {
        ArgumentNullException.ThrowIfNull(strings);
        var bytes = new List<byte>();
        var starts = new List<int> { 0 };
        foreach (byte[] s in strings)
        {
            bytes.AddRange(s);
            starts.Add(bytes.Count);
        }

        return new([.. bytes], [.. starts]);
    }

    /// <summary>Copies text into a list, as UTF-8.</summary>
    public static Utf8Strings Create(IEnumerable<string> strings) => Create(strings.Select(System.Text.Encoding.UTF8.GetBytes));

    /// <summary>
    /// Reads an array as GGUF stores it: for each string a little-endian 64-bit length and its bytes. Null if <paramref name="data"/> does not
    /// hold exactly <paramref name="count"/> strings.
    /// </summary>
    public static Utf8Strings? Parse(ReadOnlySpan<byte> data, long count)
    {
        const int header = sizeof(ulong);
        if (count < 0 || count > data.Length / header)
            return null;
        var starts = new int[count + 1];
        var bytes = new byte[data.Length - header * count];
        int at = 0, end = 0;
        for (int i = 0; i < count; i++)
        {
            if (data.Length - at < header)
                return null;
            ulong length = MemoryMarshal.Read<ulong>(data[at..]);
            at += header;
            if (length > (ulong)(data.Length - at) || length > (ulong)(bytes.Length - end))
                return null;
            data.Slice(at, (int)length).CopyTo(bytes.AsSpan(end));
            at += (int)length;
            starts[i + 1] = end += (int)length;
        }

        return at == data.Length ? new(bytes, starts) : null;
    }

    /// <summary>Goes through the strings in order.</summary>
    public IEnumerator<ReadOnlyMemory<byte>> GetEnumerator()
    {
        for (int i = 0; i < Count; i++)
            yield return _bytes.AsMemory(_starts[i].._starts[i + 1]);
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
