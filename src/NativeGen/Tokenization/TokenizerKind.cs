namespace NativeGen.Tokenization;

/// <summary>The algorithm of a tokenizer. The numbers are those of llama.cpp's vocabulary types.</summary>
public enum TokenizerKind
{
    /// <summary>SentencePiece's BPE: the pair with the best score merges first; unknown characters become bytes.</summary>
    SentencePiece = 1,

    /// <summary>BPE with a list of merges, over bytes (GPT-2) or over characters with bytes for the unknown (Gemma 4).</summary>
    Bpe = 2,

    /// <summary>BERT's longest match inside words.</summary>
    WordPiece = 3,

    /// <summary>SentencePiece's Unigram: the most probable cut.</summary>
    Unigram = 4,

    /// <summary>RWKV's longest match over bytes.</summary>
    Rwkv = 5,
}
