// What files of instruction sets give tables.cpp, which is compiled without their flags.
#pragma once

// Of these only C's functions are called: what C++ adds is inline, and the linker would keep one copy for everybody.
#include <math.h>
#include <string.h>

#include "cpu/kernels.h"

namespace ng::cpu {

// Accumulators live in registers only if everything around them is one function and its short loops are laid out flat.
#if defined(_MSC_VER) && !defined(__clang__)
#  define NG_INLINE __forceinline
#  define NG_UNROLL
#else
#  define NG_INLINE [[gnu::always_inline]] inline
#  define NG_UNROLL _Pragma("GCC unroll 16")
#endif

struct SimdMatmul {
    uint32_t type;      // ggml's number
    MatmulFn few;       // A8 or float activations
    MatmulFn many;
    MatmulFn few_a16;   // null for float types
    MatmulFn many_a16;
};
constexpr uint32_t n_simd_matmuls = 16;

// n_simd_matmuls each; data and no functions, which could hold the set's instructions and run before anybody asked for them
extern const SimdMatmul* const avx2_matmuls;
extern const SimdMatmul* const avxvnni_matmuls;
extern const SimdMatmul* const avx512_matmuls;
extern const SimdMatmul* const avx512vnni_matmuls;
extern const SimdMatmul* const neon_matmuls;

void avx2_quantize_a8(const float* x, uint32_t n_cols, int8_t* q, ActBlock* blocks);
void avx2_quantize_a16(const float* x, uint32_t n_cols, int8_t* q, ActBlock* blocks);
void avx2_quantize_a8_up(const float* x, uint32_t n_cols, int8_t* q, ActBlock* blocks);  // 128 higher
void avx2_quantize_a16_up(const float* x, uint32_t n_cols, int8_t* q, ActBlock* blocks);
void avx2_to_f16(const float* x, uint16_t* out, size_t n);
void avx2_attention(const AttentionJob* job);
void avx512_attention(const AttentionJob* job);
void avx2_silu_mul(const float* gate, const float* up, float* out, size_t n);
void avx2_gelu_tanh(float* x, size_t n);
void avx2_gelu_tanh_mul(const float* gate, const float* up, float* out, size_t n);

void neon_to_f16(const float* x, uint16_t* out, size_t n);
void neon_attention(const AttentionJob* job);
void neon_silu_mul(const float* gate, const float* up, float* out, size_t n);
void neon_gelu_tanh(float* x, size_t n);
void neon_gelu_tanh_mul(const float* gate, const float* up, float* out, size_t n);

}  // namespace ng::cpu
