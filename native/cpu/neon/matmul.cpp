// Matrix products with NEON and the dot products of ARMv8.2.
#include "cpu/simd/vector_neon.h"

#include "cpu/simd/matmul.h"

namespace ng::cpu {

const SimdMatmul* const neon_matmuls = matmuls;

}  // namespace ng::cpu
