// Matrix products with AVX-512 F, BW, DQ and VL.
#include "cpu/simd/vector512.h"

#include "cpu/simd/matmul.h"

namespace ng::cpu {

const SimdMatmul* avx512_matmuls() { return matmuls; }

}  // namespace ng::cpu
