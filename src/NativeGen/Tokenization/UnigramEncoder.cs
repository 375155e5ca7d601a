// SentencePiece's Unigram (Kudo 2018, arXiv 1804.10959): text is normalized by the model's character map, then cut so that the sum of the
// tokens' log-probabilities is largest (Viterbi).
using System.Buffers;
using System.Buffers.Binary;
using NativeGen.Tokenization.Unicode;

namespace NativeGen.Tokenization;

internal sealed class UnigramEncoder : TextEncoder
{
    private const float UnknownPenalty = 10; // below the worst token: SentencePiece's constant

    private readonly Vocabulary _vocabulary;
    private readonly CharacterMap _map;
    private readonly bool _addSpacePrefix, _mergeSpaces, _cutsWords;
    private readonly float _unknownScore;
    private readonly ByteTrie _tokens = new(), _userDefined = new();
    private readonly byte[] _plain = new byte[128]; // ASCII characters that always become this one; 0: it depends on what follows
    private readonly int _owner = WordCache.NewOwner();
    [ThreadStatic] private static WordCache? _words;

    internal UnigramEncoder(Vocabulary vocabulary, TokenizerData data)
    {
        _vocabulary = vocabulary;
        _map = new(data.CharacterMap ?? []);
        _addSpacePrefix = data.AddSpacePrefix ?? true;
        _mergeSpaces = data.RemoveExtraWhitespace ?? false;
        float least = float.MaxValue;
        _cutsWords = true;
        for (int id = 0; id < vocabulary.Count; id++)
        {
            if (vocabulary.Is(id, TokenAttributes.Normal))
                least = Math.Min(least, vocabulary.Score(id));
            ReadOnlySpan<byte> text = vocabulary.Table[id];
            if (vocabulary.Table.Find(text) != id)
                continue; // of equal texts the first counts
            if (vocabulary.Is(id, TokenAttributes.Normal | TokenAttributes.UserDefined | TokenAttributes.Unused))
            {
                _tokens.Add(text, id);
                _cutsWords &= !SpaceEscape.IsInside(text);
            }

            if (vocabulary.Is(id, TokenAttributes.UserDefined))
                _userDefined.Add(text, id);
        }

        _unknownScore = (least == float.MaxValue ? 0 : least) - UnknownPenalty;
        _cutsWords &= _tokens.Longest(SpaceEscape.Utf8, out _) >= 0; // else a word's first character could be unknown, and one with the last word's end
        for (byte b = 1; b < _plain.Length; b++)
        {
            if (_userDefined.Step(ByteTrie.Root, b) == ByteTrie.None)
                _plain[b] = _map.Alone(b);
        }
    }

    internal override void Encode(ReadOnlySpan<byte> text, bool atStart, ref TokenWriter tokens)
    {
        var normalized = new ArrayBufferWriter<byte>(text.Length * 2 + 16);
        Normalize(text, normalized);
        if (_cutsWords)
            CutWords(normalized.WrittenSpan, ref tokens);
        else
            Cut(normalized.WrittenSpan, ref tokens);
    }

    private void Normalize(ReadOnlySpan<byte> text, ArrayBufferWriter<byte> output)
    {
        bool prepended = false, inWord = false;
        for (int at = 0; at < text.Length;)
        {
            int plain = PlainRun(text[at..]);
            if (plain > 0)
            {
                Span<byte> room = output.GetSpan(plain * 6); // a space, should one be due before every byte
                int filled = 0;
                foreach (byte b in text.Slice(at, plain))
                    Add(_plain[b], room, ref filled);
                output.Advance(filled);
                at += plain;
                continue;
            }

            ReadOnlySpan<byte> piece = _userDefined.Longest(text[at..], out int consumed) >= 0 ? text.Slice(at, consumed) : _map.Next(text[at..], out consumed);
            at += consumed;
            Span<byte> space = output.GetSpan(piece.Length * 6);
            int written = 0;
            foreach (byte b in piece)
                Add(b, space, ref written);
            output.Advance(written);
        }

        void Add(byte b, Span<byte> space, ref int written)
        {
            if (b == (byte)' ')
            {
                inWord = false;
                if (!_mergeSpaces)
                    Write(SpaceEscape.Utf8, space, ref written);
                return;
            }

            if (!inWord)
            {
                inWord = true;
                if ((_addSpacePrefix && !prepended) || _mergeSpaces)
                {
                    Write(SpaceEscape.Utf8, space, ref written);
                    prepended = true;
                }
            }

            space[written++] = b;
        }

        static void Write(ReadOnlySpan<byte> bytes, Span<byte> space, ref int written)
        {
            bytes.CopyTo(space[written..]);
            written += bytes.Length;
        }
    }

    // How many of the next bytes are ASCII characters that stand for themselves whatever comes; the last one before anything else may not.
    private int PlainRun(ReadOnlySpan<byte> text)
    {
        int length = 0;
        while (length < text.Length && text[length] < 0x80 && _plain[text[length]] != 0)
            length++;
        return length < text.Length && text[length] >= 0x80 ? Math.Max(length - 1, 0) : length;
    }

    // No token holds a space behind another character, so the best cut of a text is that of its words, and words repeat.
    private void CutWords(ReadOnlySpan<byte> text, ref TokenWriter tokens)
    {
        WordCache words = _words ??= new WordCache();
        for (int start = 0; start < text.Length;)
        {
            int end = SpaceEscape.EndOfWord(text, start);
            ReadOnlySpan<byte> word = text[start..end];
            if (!words.TryAppend(word, _owner, ref tokens))
            {
                int before = tokens.Count;
                Cut(word, ref tokens);
                words.Keep(word, _owner, in tokens, before);
            }

            start = end;
        }
    }

    // best[i]: the best way to spell text[..i]; its last token and where that begins.
    private void Cut(ReadOnlySpan<byte> text, ref TokenWriter tokens)
    {
        int unknown = _vocabulary.Special.Unknown;
        (int Token, int Start, double Score)[] best = ArrayPool<(int, int, double)>.Shared.Rent(text.Length + 1);
        best.AsSpan(0, text.Length + 1).Fill((unknown, 0, double.NegativeInfinity));
        best[0] = (unknown, 0, 0);
        for (int at = 0; at < text.Length;)
        {
            int character = Math.Min(UnicodeTables.AnnouncedLength(text[at]), text.Length - at);
            bool known = false;
            int node = ByteTrie.Root;
            for (int length = 1; at + length <= text.Length && (node = _tokens.Step(node, text[at + length - 1])) != ByteTrie.None; length++)
            {
                int token = _tokens.Value(node);
                if (token < 0)
                    continue;
                known |= length == character;
                double score = best[at].Score + (_vocabulary.Is(token, TokenAttributes.UserDefined) ? 0 : _vocabulary.Score(token));
                if (score > best[at + length].Score)
                    best[at + length] = (token, at, score);
            }

            if (!known && best[at].Score + _unknownScore > best[at + character].Score)
                best[at + character] = (unknown, at, best[at].Score + _unknownScore);
            at += character;
        }

        int first = tokens.Count;
        bool wasUnknown = false;
        for (int end = text.Length; end > 0; end = best[end].Start)
        {
            bool isUnknown = best[end].Token == unknown;
            if (!(isUnknown && wasUnknown) && best[end].Token >= 0)
                tokens.Add(best[end].Token); // neighbouring unknowns are one
            wasUnknown = isUnknown;
        }

        tokens.Reverse(first);
        ArrayPool<(int, int, double)>.Shared.Return(best);
    }

    /// <summary>
    /// SentencePiece's precompiled normalizer: a compressed double array (Yata et al. 2007) from text to a place in a list of replacements. Every index
    /// is checked: the bytes come from the model file.
    /// </summary>
    private sealed class CharacterMap
    {
        private readonly uint[] _nodes = [];
        private readonly byte[] _replacements = [];

        internal CharacterMap(byte[] data)
        {
            if (data.Length == 0)
                return;
            uint size = data.Length >= 4 ? BinaryPrimitives.ReadUInt32LittleEndian(data) : uint.MaxValue;
            if (size % 4 != 0 || size > data.Length - 4)
                throw Vocabulary.Invalid("tokenizer.ggml.precompiled_charsmap", "is cut off");
            _nodes = new uint[size / 4];
            for (int i = 0; i < _nodes.Length; i++)
                _nodes[i] = BinaryPrimitives.ReadUInt32LittleEndian(data.AsSpan(4 + 4 * i));
            _replacements = data[(int)(4 + size)..];
        }

        /// <summary>What the text begins with, normalized, and how many bytes of it that was.</summary>
        internal ReadOnlySpan<byte> Next(ReadOnlySpan<byte> text, out int consumed)
        {
            consumed = 0;
            uint replacement = 0;
            uint node = Base(0);
            for (int i = 0; i < text.Length && text[i] != 0; i++)
            {
                node ^= text[i];
                if (node >= _nodes.Length || (_nodes[node] & 0x800000FF) != text[i])
                    break;
                bool leaf = (_nodes[node] >> 8 & 1) != 0;
                node ^= Base(node);
                if (leaf && node < _nodes.Length)
                {
                    consumed = i + 1;
                    replacement = _nodes[node] & 0x7FFFFFFF;
                }
            }

            if (consumed > 0 && replacement < _replacements.Length)
            {
                ReadOnlySpan<byte> rest = _replacements.AsSpan((int)replacement);
                int end = rest.IndexOf((byte)0);
                return end < 0 ? rest : rest[..end];
            }

            UnicodeTables.Decode(text, 0, out consumed);
            return consumed > 1 || text[0] < 0x80 ? text[..consumed] : "\uFFFD"u8;
        }

        /// <summary>The byte that an ASCII character becomes before any other ASCII character; 0 if that is not one byte, or depends on it.</summary>
        internal byte Alone(byte character)
        {
            uint node = Base(0) ^ character;
            if (node < _nodes.Length && (_nodes[node] & 0x800000FF) == character)
            {
                node ^= Base(node);
                for (byte next = 1; next < 0x80; next++)
                {
                    uint child = node ^ next;
                    if (child < _nodes.Length && (_nodes[child] & 0x800000FF) == next)
                        return 0;
                }
            }

            ReadOnlySpan<byte> piece = Next([character], out _);
            return piece.Length == 1 ? piece[0] : (byte)0;
        }

        private uint Base(uint node)
        {
            if (node >= _nodes.Length)
                return 0;
            uint packed = _nodes[node];
            return (packed >> 10) << (int)((packed & 1u << 9) >> 6);
        }
    }
}
