// Matrix products with AVX2, FMA and F16C.
#include "cpu/simd/vector256.h"

#include "cpu/simd/matmul.h"

namespace ng::cpu {

const SimdMatmul* const avx2_matmuls = matmuls;

}  // namespace ng::cpu
