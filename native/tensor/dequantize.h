// Blocks -> float32, the reference: bit for bit what ggml's C code gives, on any machine.
#pragma once
#include "tensor/dtype.h"

namespace ng {

// n elements, a multiple of the block's. `blocks` needs no alignment.
void dequantize(DType type, const void* blocks, float* values, size_t n);

} // namespace ng
