// Internal to gguf/: reads and checks the metadata and the tensor table of one file.
#pragma once
#include "gguf/file.h"

namespace ng {

struct GgufPart {
    uint32_t version = 0;
    uint64_t alignment = 0;
    std::vector<std::byte> metadata; // the file up to the end of the tensor table
    std::vector<Kv> kvs;             // view metadata, whose memory moves with the vector
    std::vector<TensorInfo> tensors; // data is null, file is 0
};

// Throws InvalidModel: what, where (byte, key or tensor), what to do.
GgufPart parse_gguf(const InputFile& file);

} // namespace ng
