// Damaged models: 10,000 mutations of the tiny ones. Each is refused with a typed error, or opens, tokenizes, decodes and closes; the
// process lives. What a crash leaves in the temporary folder (named after the seed) is the file that caused it.
using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using NativeGen.Models;
using NativeGen.Tokenization;

namespace NativeGen.Tests.Models;

public sealed class MutationTests
{
    private const int Mutations = 10_000;
    private const int Workers = 2;

    private static readonly string[] Originals = ["llama", "llama3", "mistral", "gpt2"];

    private enum Outcome { RefusedFile, RefusedModel, RefusedDecode, RanWithoutTokenizer, Ran }

    [Fact]
    public void A_damaged_model_is_refused_or_runs()
    {
        int seed = Environment.GetEnvironmentVariable("NATIVEGEN_TEST_SEED") is { } given ? int.Parse(given, CultureInfo.InvariantCulture) : Random.Shared.Next();
        TestContext.Current.TestOutputHelper?.WriteLine($"NATIVEGEN_TEST_SEED={seed}");
        string folder = Directory.CreateTempSubdirectory($"nativegen-mutation-{seed}-").FullName;
        Original[] originals = [.. Originals.Select(name => new Original(TestData.TinyModel(name)))];
        int[] counts = new int[Enum.GetValues<Outcome>().Length];
        Parallel.For(0, Workers, worker =>
        {
            string path = Path.Combine(folder, $"{worker}.gguf");
            for (int i = worker; i < Mutations; i += Workers)
            {
                Random random = new(unchecked(seed * 31 + i));
                Original original = originals[i % originals.Length];
                string mutation = original.Mutate(path, random);
                try
                {
                    Interlocked.Increment(ref counts[(int)Try(path)]);
                }
                catch (Exception e)
                {
                    throw new InvalidOperationException($"NATIVEGEN_TEST_SEED={seed}, mutation {i} of {original.Path}: {mutation}. The file is {path}.", e);
                }
            }
        });
        Directory.Delete(folder, recursive: true);
        string summary = string.Join(", ", Enum.GetValues<Outcome>().Select(o => $"{o} {counts[(int)o]}"));
        TestContext.Current.TestOutputHelper?.WriteLine(summary);
        // Both ends are reached in numbers: mutations that are all refused by the first check, or that touch nothing, prove little.
        Assert.True(counts[(int)Outcome.RefusedFile] > Mutations / 20 && counts[(int)Outcome.RefusedModel] > Mutations / 100 && counts[(int)Outcome.Ran] > Mutations / 20
            && counts[(int)Outcome.RanWithoutTokenizer] > 0, summary);
    }

    private static Outcome Try(string path)
    {
        Outcome outcome = Outcome.RefusedFile;
        try
        {
            using (GgufFile file = GgufFile.Open(path))
                _ = file.Tensors;
            outcome = Outcome.RefusedModel;
            using Model model = Model.Open(path, new ModelOptions { Threads = 1 });
            using InferenceContext context = new(model, new ContextOptions { ContextLength = 16, MaxBatchRows = 8, Threads = 1 });
            Tokenizer? tokenizer = null;
            int[] prompt = [3, 4];
            try
            {
                tokenizer = model.Tokenizer;
                int[] encoded = tokenizer.Encode("The <s>lamp</s> was 日本 😀 lit.\n", addSpecial: true, parseSpecial: true);
                if (encoded.Length > 0)
                    prompt = encoded[..Math.Min(encoded.Length, 6)];
            }
            catch (NativeGenException)
            {
                // without a tokenizer a model still takes ids
            }
            outcome = Outcome.RefusedDecode;
            Decode(context, tokenizer, prompt);
            return tokenizer is null ? Outcome.RanWithoutTokenizer : Outcome.Ran;
        }
        catch (NativeGenException e) when (e.Code is not (NativeGenErrorCode.Internal or NativeGenErrorCode.Busy))
        {
            Assert.NotEmpty(e.Message);
            Assert.DoesNotContain('\n', e.Message);
            return outcome;
        }
        catch (ArgumentException) when (outcome == Outcome.RefusedDecode)
        {
            return outcome; // the tokenizer's ids and the weights' rows differ
        }
    }

    private static void Decode(InferenceContext context, Tokenizer? tokenizer, int[] prompt)
    {
        float[] logits = new float[context.VocabularySize];
        int sequence = context.CreateSequence();
        int[] tokens = prompt;
        StringBuilder text = new();
        for (int step = 0; step < 4; step++)
        {
            byte[] outputs = new byte[tokens.Length];
            outputs[^1] = 1;
            int length = context.SequenceLength(sequence);
            Assert.True(context.Decode(tokens, [.. Enumerable.Repeat(sequence, tokens.Length)], [.. Enumerable.Range(length, tokens.Length)], outputs, logits, CancellationToken.None));
            int next = 0;
            for (int id = 1; id < logits.Length; id++)
                next = logits[id] > logits[next] ? id : next;
            tokens = [next];
            if (tokenizer is not null && next < tokenizer.VocabularySize)
                text.Append(Encoding.UTF8.GetString(tokenizer.Piece(next)));
        }
    }

    /// <summary>A sound file and the places in it that are worth damaging.</summary>
    private sealed class Original
    {
        private static readonly ulong[] Interesting =
        [
            0, 1, 2, 3, 7, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 319, 321, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x100000000,
            0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF, 0x3F800000, 0x7F800000, 0xFF800000, 0x7FC00000, 0x00000001_00000000, 0x7F7FFFFF,
        ];

        private readonly byte[] _bytes;
        private readonly int _header; // metadata and tensor table
        private readonly int[] _values; // where a key's value, or a tensor's shape, begins

        public Original(string path)
        {
            Path = path;
            _bytes = File.ReadAllBytes(path);
            using GgufFile file = GgufFile.Open(path);
            _header = (int)file.Tensors.Min(t => t.Offset);
            _values = [.. file.Metadata.Select(e => After(e.Key)).Concat(file.Tensors.Select(t => After(t.Name)))];
        }

        public string Path { get; }

        private int After(string name)
        {
            byte[] bytes = [.. BitConverter.GetBytes((ulong)name.Length), .. Encoding.UTF8.GetBytes(name)];
            return _bytes.AsSpan(0, _header).IndexOf(bytes) + bytes.Length;
        }

        /// <summary>Writes a damaged copy and says what was done.</summary>
        public string Mutate(string path, Random random)
        {
            byte[] bytes = [.. _bytes];
            List<string> done = [];
            int times = random.Next(4) == 0 ? random.Next(2, 6) : 1;
            for (int i = 0; i < times; i++)
                done.Add(Mutate(ref bytes, random));
            File.WriteAllBytes(path, bytes);
            return string.Join(" + ", done);
        }

        private string Mutate(ref byte[] bytes, Random random)
        {
            int header = Math.Min(_header, bytes.Length);
            switch (random.Next(12))
            {
                case 0:
                    return Damage(ref bytes, random.Next(header), random, "header");
                case 1 or 2: // type, value or count right behind a name
                    return Damage(ref bytes, Math.Min(_values[random.Next(_values.Length)] + random.Next(24), bytes.Length - 1), random, "value");
                case 3 or 4 or 5 or 6: // exactly a 32-bit value: n_head 0, an epsilon of NaN, a wild token id
                    int value = Math.Min(_values[random.Next(_values.Length)] + 4, bytes.Length - 4);
                    uint number = (uint)Interesting[random.Next(Interesting.Length)];
                    BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(value), number);
                    return $"value at {value} = 0x{number:x}";
                case 7:
                    int length = random.Next(3) == 0 ? random.Next(bytes.Length) : random.Next(header);
                    bytes = bytes[..Math.Max(length, 8)];
                    return $"cut to {length}";
                case 8:
                    int from = random.Next(header), count = Math.Min(random.Next(1, 64), bytes.Length - from);
                    bytes = random.Next(2) == 0 ? [.. bytes[..from], .. bytes[(from + count)..], 0] : [.. bytes[..from], .. bytes[from..(from + count)], .. bytes[from..]];
                    return $"{count} bytes at {from} taken out or doubled";
                case 9:
                    int at = random.Next(header), n = Math.Min(random.Next(1, 200), bytes.Length - at);
                    random.NextBytes(bytes.AsSpan(at, n));
                    return $"{n} random bytes at {at}";
                default:
                    return Damage(ref bytes, random.Next(bytes.Length), random, "anywhere");
            }
        }

        private static string Damage(ref byte[] bytes, int at, Random random, string where)
        {
            switch (random.Next(4))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    return $"{where}: a bit at {at}";
                case 1:
                    bytes[at] = (byte)random.Next(256);
                    return $"{where}: a byte at {at}";
                default:
                    Span<byte> number = stackalloc byte[8];
                    BinaryPrimitives.WriteUInt64LittleEndian(number, Interesting[random.Next(Interesting.Length)]);
                    Span<byte> target = bytes.AsSpan(at, Math.Min(random.Next(2) == 0 ? 4 : 8, bytes.Length - at));
                    number[..target.Length].CopyTo(target);
                    return $"{where}: {target.Length} bytes at {at} = {Convert.ToHexString(target)}";
            }
        }
    }
}
