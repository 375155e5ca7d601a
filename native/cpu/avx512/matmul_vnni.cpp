// Matrix products with AVX-512 with VNNI.
#include "cpu/simd/vector512.h"

#include "cpu/simd/matmul.h"

namespace ng::cpu {

const SimdMatmul* const avx512vnni_matmuls = matmuls;

}  // namespace ng::cpu
