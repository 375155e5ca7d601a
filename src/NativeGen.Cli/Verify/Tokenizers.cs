// Tokenizers of model files, made once per file: several golden files share a vocabulary.
using NativeGen.Models;
using NativeGen.Tokenization;

namespace NativeGen.Cli.Verify;

internal static class Tokenizers
{
    private static readonly Dictionary<string, Tokenizer> Opened = [];
    private static (string Path, TokenizerData Data)? _last; // read once for all pre-tokenizers of a file

    /// <summary>The tokenizer of a GGUF file, whatever its architecture. <paramref name="pre"/> replaces tokenizer.ggml.pre.</summary>
    public static Tokenizer Open(string path, string? pre = null)
    {
        var key = $"{Path.GetFullPath(path)}\n{pre}";
        lock (Opened)
        {
            if (Opened.TryGetValue(key, out var tokenizer))
                return tokenizer;
            if (Opened.Count >= 4)
                Opened.Clear(); // a vocabulary may hold 262,144 tokens
            if (_last?.Path != Path.GetFullPath(path))
            {
                using var file = GgufFile.Open(path);
                _last = (Path.GetFullPath(path), TokenizerDataReader.Read(file));
            }

            var data = _last!.Value.Data;
            return Opened[key] = Tokenizer.Create(pre is null ? data : data with { Pre = pre });
        }
    }

    public static int? AddsBos(string path)
    {
        var tokenizer = Open(path);
        return tokenizer.AddsBos ? tokenizer.BosId : null;
    }
}
