// Attention with AVX-512.
#include "cpu/simd/vector512.h"

#include "cpu/simd/attention.h"
#include "cpu/simd/simd.h"

namespace ng::cpu {

void avx512_attention(const AttentionJob* job) { attend(*job); }

}  // namespace ng::cpu
