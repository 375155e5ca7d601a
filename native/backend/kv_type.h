// Number formats of the KV cache. Plain constants only: files of an instruction set include it.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace ng::backend {

// The numbers of NG_KV_*.
enum class KvType : uint8_t {
    F16,
    F32,
    Q8_0,  // a position's values of a head in blocks of 32, each a float16 scale times bytes; never over positions, which come one by one
};

constexpr uint32_t kv_block = 32;
constexpr uint32_t kv_blocks(uint32_t dims) { return (dims + kv_block - 1) / kv_block; }

// Of one position of one head with `dims` values. A page has 64 positions of each head: K as [dims][64], V as [64][dims]; in Q8_0 the bytes first,
// then the scales, K's as [blocks][64], V's as [64][blocks].
constexpr size_t kv_bytes(KvType type, uint32_t dims) {
    return type == KvType::F16 ? size_t{2} * dims : type == KvType::F32 ? size_t{4} * dims : dims + size_t{2} * kv_blocks(dims);
}

}  // namespace ng::backend
