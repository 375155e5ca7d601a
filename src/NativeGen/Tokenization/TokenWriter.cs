// Where encoders put tokens: the caller's buffer, or one of ours that grows.
using System.Buffers;
using System.Runtime.CompilerServices;

namespace NativeGen.Tokenization;

internal ref struct TokenWriter
{
    private readonly bool _grows;
    private Span<int> _tokens;
    private int[]? _rented;

    /// <summary>Writes to a fixed buffer; what does not fit is only counted.</summary>
    internal TokenWriter(Span<int> tokens) => _tokens = tokens;

    private TokenWriter(int[] rented) 
    {
        _tokens = _rented = rented;
        _grows = true;
    }

    /// <summary>Tokens so far, those that did not fit included.</summary>
    internal int Count { get; private set; }

    /// <summary>Nothing was left out.</summary>
    internal readonly bool AllFitted => Count <= _tokens.Length;

    internal readonly ReadOnlySpan<int> Written => _tokens[..Count];

    internal static TokenWriter Growing(int expected) => new(ArrayPool<int>.Shared.Rent(Math.Max(expected, 16)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Add(int token)
    {
        if ((uint)Count < (uint)_tokens.Length)
            _tokens[Count++] = token;
        else
            AddSlowly(token);
    }

    /// <summary>Forgets the tokens after the first <paramref name="count"/>.</summary>
    internal void Cut(int count) => Count = count;

    /// <summary>Tokens from <paramref name="from"/> on turn round (as far as they fitted).</summary>
    internal readonly void Reverse(int from)
    {
        if (from < _tokens.Length)
            _tokens[from..Math.Min(Count, _tokens.Length)].Reverse();
    }

    internal void Dispose()
    {
        if (_rented is not null)
            ArrayPool<int>.Shared.Return(_rented);
        _rented = null;
    }

    private void AddSlowly(int token)
    {
        if (_grows)
        {
            int[] larger = ArrayPool<int>.Shared.Rent(checked(_tokens.Length * 2));
            _tokens.CopyTo(larger);
            ArrayPool<int>.Shared.Return(_rented!);
            _tokens = _rented = larger;
            _tokens[Count] = token;
        }

        Count++;
    }
}
