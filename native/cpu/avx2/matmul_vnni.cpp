// Matrix products with AVX2 with AVX-VNNI.
#include "cpu/simd/vector256.h"

#include "cpu/simd/matmul.h"

namespace ng::cpu {

const SimdMatmul* const avxvnni_matmuls = matmuls;

}  // namespace ng::cpu
