// Matrix products with AVX2 with AVX-VNNI.
#include "cpu/simd/vector256.h"

#include "cpu/simd/matmul.h"

namespace ng::cpu {

const SimdMatmul* avxvnni_matmuls() { return matmuls; }

}  // namespace ng::cpu
