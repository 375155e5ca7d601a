// Bounds on hyperparameters: wide of every known model, narrow enough that no product of them overflows.
#pragma once

#include <cstdint>

namespace ng::limits {

constexpr uint32_t n_layer = 1024;
constexpr uint32_t n_head = 1024;
constexpr uint32_t head_dim = 1024;
constexpr uint32_t width = 1 << 20;   // n_embd, n_ff
constexpr uint32_t n_ctx = 1 << 26;

}  // namespace ng::limits
