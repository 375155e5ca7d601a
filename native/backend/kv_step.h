// Where the rows of one step find their keys and values: page tables, grouped by sequence. Made by runtime/kv_cache, read by a device.
#pragma once

#include <cstdint>
#include <span>

#include "backend/kv_type.h"

namespace ng::backend {

constexpr uint32_t kv_page_tokens = 64;

// Rows of one sequence, in the order of their positions.
struct KvSequence {
    std::span<void* const> pages;         // page p holds positions 64 p to 64 p + 63, all layers
    std::span<const uint32_t> rows;       // batch rows; row i is at position first_position + i
    uint32_t first_position;
};

struct KvStep {
    std::span<const KvSequence> sequences;
    std::span<const int32_t> positions;   // of every batch row
    KvType type;
    // Byte offsets of a layer's keys and values within a page: one head behind the other, each as kv_type.h says.
    std::span<const uint64_t> k_offsets;
    std::span<const uint64_t> v_offsets;
};

}  // namespace ng::backend
