// Attention with AVX2, FMA and F16C.
#include "cpu/simd/vector256.h"

#include "cpu/simd/attention.h"
#include "cpu/simd/simd.h"

namespace ng::cpu {

void avx2_attention(const AttentionJob* job) { attend(*job); }

}  // namespace ng::cpu
