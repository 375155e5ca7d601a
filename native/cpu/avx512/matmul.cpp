// Matrix products with AVX-512 F, BW, DQ and VL.
#include "cpu/simd/vector512.h"

#include "cpu/simd/matmul.h"

namespace ng::cpu {

const SimdMatmul* const avx512_matmuls = matmuls;

}  // namespace ng::cpu
