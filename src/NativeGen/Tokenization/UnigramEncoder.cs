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
    private readonly float[] _scores; // by token
    private readonly ByteTrie _tokens = new(), _userDefined = new();
    private static readonly byte[] _same = [.. Enumerable.Range(0, 256).Select(b => (byte)b)];
    private readonly byte[] _plain = new byte[256]; // ASCII characters that always become this one; 0: it depends on what follows
    private readonly SearchValues<byte> _plainBytes;
    private readonly int _owner = WordCache.NewOwner();

    internal UnigramEncoder(Vocabulary vocabulary, TokenizerData data)
    {
        _vocabulary = vocabulary;
        _map = new(data.CharacterMap ?? []);
        _addSpacePrefix = data.AddSpacePrefix ?? true;
        _mergeSpaces = data.RemoveExtraWhitespace ?? false;
        float least = float.MaxValue;
        _scores = new float[vocabulary.Count];
        _cutsWords = true;
        for (int id = 0; id < vocabulary.Count; id++)
        {
            if (vocabulary.Is(id, TokenAttributes.Normal))
                least = Math.Min(least, vocabulary.Score(id));
            _scores[id] = vocabulary.Is(id, TokenAttributes.UserDefined) ? 0 : vocabulary.Score(id);
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
        for (byte b = 1; b < 0x80; b++)
        {
            if (_userDefined.Step(ByteTrie.Root, b) == ByteTrie.None)
                _plain[b] = _map.Alone(b);
        }

        _plainBytes = SearchValues.Create([.. _same.Where(b => _plain[b] != 0)]);
    }

    internal override void Encode(ReadOnlySpan<byte> text, bool atStart, ref TokenWriter tokens)
    {
        var normalized = new NormalizedText(text.Length + text.Length / 2, _addSpacePrefix, _mergeSpaces);
        Normalize(text, ref normalized);
        if (_cutsWords)
            CutWords(normalized.Written, ref tokens);
        else
            Cut(normalized.Written, ref tokens);
        normalized.Dispose();
    }

    private void Normalize(ReadOnlySpan<byte> text, ref NormalizedText output)
    {
        for (int at = 0; at < text.Length;)
        {
            int consumed = PlainRun(text[at..]);
            if (consumed > 0)
                output.Append(text.Slice(at, consumed), _plain);
            else if (_userDefined.Longest(text[at..], out consumed) >= 0)
                output.Append(text.Slice(at, consumed), _same);
            else
                output.Append(_map.Next(text[at..], out consumed), _same);
            at += consumed;
        }
    }

    // How many of the next bytes are ASCII characters that stand for themselves whatever comes; the last one before anything else may not.
    private int PlainRun(ReadOnlySpan<byte> text)
    {
        const int most = 4096;
        int ahead = Math.Min(text.Length, most), length = text[..ahead].IndexOfAnyExcept(_plainBytes);
        if (length < 0)
            length = ahead;
        return length < text.Length && text[length] >= 0x80 ? Math.Max(length - 1, 0) : length;
    }

    // No token holds a space behind another character, so the best cut of a text is that of its words, and words repeat.
    private void CutWords(ReadOnlySpan<byte> text, ref TokenWriter tokens)
    {
        WordCache words = WordCache.OfThread;
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
        const int shortText = 64;
        Ending[]? rented = text.Length < shortText ? null : ArrayPool<Ending>.Shared.Rent(text.Length + 1);
        Span<Ending> best = (rented ?? stackalloc Ending[shortText])[..(text.Length + 1)];
        int unknown = _vocabulary.Special.Unknown;
        best.Fill(new(double.NegativeInfinity, unknown, 0));
        best[0].Score = 0;
        for (int at = 0; at < text.Length;)
        {
            int character = Math.Min(UnicodeTables.AnnouncedLength(text[at]), text.Length - at);
            bool known = false;
            int node = ByteTrie.Root;
            double before = best[at].Score;
            for (int end = at; end < text.Length && (node = _tokens.Step(node, text[end])) != ByteTrie.None;)
            {
                end++;
                int token = _tokens.Value(node);
                if (token < 0)
                    continue;
                known |= end == at + character;
                double score = before + _scores[token];
                if (score > best[end].Score)
                    best[end] = new(score, token, at);
            }

            if (!known && before + _unknownScore > best[at + character].Score)
                best[at + character] = new(before + _unknownScore, unknown, at);
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
        if (rented is not null)
            ArrayPool<Ending>.Shared.Return(rented);
    }

    private record struct Ending(double Score, int Token, int Start);

    /// <summary>What tokens are looked for in: every space is U+2581, more of them where the model wants them. In a rented buffer that grows.</summary>
    private ref struct NormalizedText(int expected, bool addSpacePrefix, bool mergeSpaces)
    {
        private byte[] _bytes = ArrayPool<byte>.Shared.Rent(expected);
        private int _length;
        private bool _inWord, _begun; // the last byte was no space; any byte was none

        internal readonly ReadOnlySpan<byte> Written => _bytes.AsSpan(0, _length);

        /// <summary>Appends bytes as the table has them.</summary>
        internal void Append(ReadOnlySpan<byte> piece, byte[] table)
        {
            Span<byte> room = Reserve(piece.Length * 3 + 3); // a space becomes three bytes, there or before the next word
            int n = 0;
            bool inWord = _inWord;
            foreach (byte raw in piece)
            {
                byte b = table[raw];
                if (b == (byte)' ')
                {
                    inWord = false;
                    if (!mergeSpaces)
                        n += Space(room[n..]);
                    continue;
                }

                if (!inWord)
                {
                    inWord = true;
                    if (mergeSpaces || (addSpacePrefix && !_begun))
                        n += Space(room[n..]);
                    _begun = true;
                }

                room[n++] = b;
            }

            _inWord = inWord;
            _length += n;
        }

        internal readonly void Dispose() => ArrayPool<byte>.Shared.Return(_bytes);

        private Span<byte> Reserve(int bytes)
        {
            if (_bytes.Length - _length < bytes)
            {
                byte[] larger = ArrayPool<byte>.Shared.Rent(checked((_length + bytes) * 2));
                Written.CopyTo(larger);
                ArrayPool<byte>.Shared.Return(_bytes);
                _bytes = larger;
            }

            return _bytes.AsSpan(_length);
        }

        private static int Space(Span<byte> room)
        {
            SpaceEscape.Utf8.CopyTo(room);
            return SpaceEscape.Utf8.Length;
        }
    }

    /// <summary>
    /// SentencePiece's precompiled normalizer: a compressed double array (Yata et al. 2007) from text to a place in a list of replacements. Every index
    /// is checked: the bytes come from the model file.
    /// </summary>
    private sealed class CharacterMap
    {
        private const int MostBytes = 256; // of a replacement; Unicode's longest has 33, and a text must not become a million times longer
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
            int longest = 0;
            for (ReadOnlySpan<byte> rest = _replacements; !rest.IsEmpty;)
            {
                int length = rest.IndexOf((byte)0) is var end && end < 0 ? rest.Length : end;
                longest = Math.Max(longest, length);
                rest = rest[Math.Min(length + 1, rest.Length)..];
            }

            if (longest > MostBytes)
                throw Vocabulary.Invalid("tokenizer.ggml.precompiled_charsmap", $"replaces a character by {longest} bytes");
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
