// float32 -> blocks, the reference quantizers: byte for byte what ggml's C code writes for finite values. NaN and infinity do not survive in a
// block of integers; nothing else breaks.
#pragma once
#include "tensor/dtype.h"

namespace ng {

// F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0.
bool can_quantize(DType type);

// Plain rounding: a block's scale comes from its extreme values. n elements, a multiple of the block's; the type is one that can_quantize.
void quantize(DType type, const float* values, void* blocks, size_t n);

// One row of a matrix, where importance[i] says how much an error in values[i] counts (ones: all the same). Q4_0 Q4_1 Q5_0 Q5_1 search for the
// scale with the smallest weighted error, about a tenth less than plain rounding; the other types have nothing to search.
void quantize_weighted(DType type, const float* values, const float* importance, void* blocks, size_t n);

} // namespace ng
