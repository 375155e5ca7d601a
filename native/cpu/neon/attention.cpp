// Attention with NEON.
#include "cpu/simd/vector_neon.h"

#include "cpu/simd/attention.h"

namespace ng::cpu {

void neon_attention(const AttentionJob* job) { attend(*job); }

}  // namespace ng::cpu
