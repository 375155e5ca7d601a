// Tensor types: ggml's numbers as they stand in GGUF files, and what a block of each measures.
#pragma once
#include <cstddef>
#include <cstdint>

namespace ng {

// The types this build reads values of. Files may hold others: see dtype_traits.
enum class DType : uint32_t {
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q5_0 = 6,
    Q5_1 = 7,
    Q8_0 = 8,
    Q2_K = 10,
    Q3_K = 11,
    Q4_K = 12,
    Q5_K = 13,
    Q6_K = 14,
    IQ4_NL = 20,
    IQ4_XS = 23,
    BF16 = 30,
    MXFP4 = 39,
};

struct DTypeTraits {
    const char* name;
    uint32_t block_elements; // 1 for plain numbers
    uint32_t block_bytes;
    bool supported; // is a DType: dequantize() takes it
};

// By the number in the file; nullptr for one this build has never heard of.
const DTypeTraits* dtype_traits(uint32_t raw);

inline const DTypeTraits& dtype_traits(DType type) { return *dtype_traits(static_cast<uint32_t>(type)); }

// Bytes of n elements, a multiple of the block's. No overflow check: n comes from a tensor that was checked.
inline size_t dtype_bytes(DType type, size_t n) {
    const DTypeTraits& traits = dtype_traits(type);
    return n / traits.block_elements * traits.block_bytes;
}

} // namespace ng
