namespace NativeGen;
internal interface ITokenizer
{
    int Count { get; }
    int? BosId { get; }
    int[] Encode(string text, bool addSpecial, bool parseSpecial);
    ReadOnlySpan<byte> Piece(int id);
    bool IsEndOfGeneration(int id);
    ITokenDecoder CreateDecoder(bool skipSpecial);
}
internal interface ITokenDecoder
{
    ReadOnlySpan<char> Append(int id);
    ReadOnlySpan<char> Flush();
}
