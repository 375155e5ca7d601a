// What the AVX2 files give the table in table.cpp (which is compiled without the instruction set's flags).
#pragma once

#include "cpu/kernels.h"

namespace ng::cpu {

struct Avx2Matmul {
    uint32_t type;  // ggml's number
    MatmulFn few;   // A8 or float activations
    MatmulFn many;
    MatmulFn a16;   // null for float types
};
extern const Avx2Matmul* const avx2_matmul_list;
extern const uint32_t avx2_matmul_count;

void avx2_quantize_a8(const float* x, uint32_t n_cols, int8_t* q, ActBlock* blocks);
void avx2_quantize_a16(const float* x, uint32_t n_cols, int16_t* q, ActBlock* blocks);
void avx2_to_f16(const float* x, uint16_t* out, size_t n);
void avx2_attention(const AttentionJob* job);
void avx2_silu_mul(const float* gate, const float* up, float* out, size_t n);
void avx2_gelu_tanh(float* x, size_t n);
void avx2_gelu_tanh_mul(const float* gate, const float* up, float* out, size_t n);

}  // namespace ng::cpu
