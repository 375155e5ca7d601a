// float32 -> blocks, the reference quantizers: byte for byte what ggml's C code writes for finite values.
#pragma once
#include "tensor/dtype.h"

namespace ng {

// F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0.
bool can_quantize(DType type);

// n elements, a multiple of the block's; the type is one that can_quantize. NaN and infinity do not survive in a block, nothing else breaks.
void quantize(DType type, const float* values, void* blocks, size_t n);

} // namespace ng
