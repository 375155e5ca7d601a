// Matrix products with AVX-512 with VNNI.
#include "cpu/simd/vector512.h"

#include "cpu/simd/matmul.h"

namespace ng::cpu {

const SimdMatmul* avx512vnni_matmuls() { return matmuls; }

}  // namespace ng::cpu
