// The vector vocabulary of matmul.h with 8 lanes: AVX2, FMA and F16C, with AVX-VNNI where the file is compiled for it.
// Everything is internal to the file that includes it.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

namespace ng::cpu {
namespace {

using Ints = __m256i;
using Floats = __m256;
constexpr uint32_t lanes = 8;

inline void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }
inline Ints load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
inline Floats load_floats(const float* p) { return _mm256_loadu_ps(p); }
inline void store_floats(float* p, Floats v) { _mm256_storeu_ps(p, v); }
inline __m128i load_half(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
inline __m128i load_quarter(const void* p) { return _mm_loadl_epi64(static_cast<const __m128i*>(p)); }
inline Floats load_f16(const uint16_t* p) { return _mm256_cvtph_ps(load_half(p)); }
inline float load_f16_1(const uint16_t* p) { return _cvtsh_ss(*p); }
inline Floats load_bf16(const uint16_t* p) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_half(p)), 16)); }
inline Ints load_u8(const uint8_t* p) { return _mm256_cvtepu8_epi32(load_quarter(p)); }
inline Ints load_i8(const int8_t* p) { return _mm256_cvtepi8_epi32(load_quarter(p)); }

inline Ints zero() { return _mm256_setzero_si256(); }
inline Floats zero_floats() { return _mm256_setzero_ps(); }
inline Ints all8(int x) { return _mm256_set1_epi8(static_cast<char>(x)); }
inline Ints all16(int x) { return _mm256_set1_epi16(static_cast<short>(x)); }
inline Ints all32(int32_t x) { return _mm256_set1_epi32(x); }
inline Floats all(float x) { return _mm256_set1_ps(x); }

inline Ints both(Ints a, Ints b) { return _mm256_and_si256(a, b); }
inline Ints either(Ints a, Ints b) { return _mm256_or_si256(a, b); }
template <int n> Ints up16(Ints v) { return _mm256_slli_epi16(v, n); }
template <int n> Ints down16(Ints v) { return _mm256_srli_epi16(v, n); }
template <int n> Ints up32(Ints v) { return _mm256_slli_epi32(v, n); }
inline Ints add8(Ints a, Ints b) { return _mm256_add_epi8(a, b); }
inline Ints sub8(Ints a, Ints b) { return _mm256_sub_epi8(a, b); }
inline Ints add16(Ints a, Ints b) { return _mm256_add_epi16(a, b); }
inline Ints add32(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
inline Ints sub32(Ints a, Ints b) { return _mm256_sub_epi32(a, b); }
inline Ints mul16(Ints a, Ints b) { return _mm256_mullo_epi16(a, b); }
inline Ints mul32(Ints a, Ints b) { return _mm256_mullo_epi32(a, b); }
inline Ints abs8(Ints v) { return _mm256_abs_epi8(v); }
inline Ints sign8(Ints v, Ints sign) { return _mm256_sign_epi8(v, sign); }
inline Ints pairs8(Ints u, Ints s) { return _mm256_maddubs_epi16(u, s); }    // unsigned x signed bytes, neighbours added: 16 bits, saturating
inline Ints pairs16(Ints a, Ints b) { return _mm256_madd_epi16(a, b); }      // 16 bits, neighbours added: 32 bits
inline Ints look_up(const uint8_t* table, Ints index) { return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load_half(table)), index); }

#ifdef __AVXVNNI__
constexpr bool has_dots = true, signed_dots = false;
inline Ints dot4(Ints acc, Ints u, Ints s) { return _mm256_dpbusd_avx_epi32(acc, u, s); }  // acc + four unsigned x signed bytes
inline Ints dot2(Ints acc, Ints a, Ints b) { return _mm256_dpwssd_avx_epi32(acc, a, b); }
#else
constexpr bool has_dots = false, signed_dots = false;
inline Ints dot4(Ints acc, Ints, Ints) { return acc; }
inline Ints dot2(Ints acc, Ints a, Ints b) { return add32(acc, pairs16(a, b)); }
#endif

inline Floats to_floats(Ints v) { return _mm256_cvtepi32_ps(v); }
inline Floats mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
inline Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
inline Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
inline Floats sub(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
inline Floats divide(Floats a, Floats b) { return _mm256_div_ps(a, b); }
inline Floats larger(Floats a, Floats b) { return _mm256_max_ps(a, b); }  // b where either is NaN
inline Floats negate(Floats v) { return _mm256_xor_ps(v, _mm256_set1_ps(-0.0f)); }
inline Floats to_nearest(Floats v) { return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
inline Floats times_power_of_two(Floats v, Floats n) {  // by the exponent's bits
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(v), _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23)));
}

using Mask = __m256;
inline Mask above(Floats a, Floats b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }  // false where either is NaN
inline Mask nan(Floats v) { return _mm256_cmp_ps(v, v, _CMP_UNORD_Q); }
inline Mask first_lanes(uint32_t n) {  // lanes 0 ... n - 1
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)));
}
inline Floats select(Mask mask, Floats yes, Floats no) { return _mm256_blendv_ps(no, yes, mask); }

inline float highest(Floats v) {
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_shuffle_ps(m, m, 1)));
}

// Sum of 16 floats: lane j and j + 8, then a tree of halves.
inline float sum16(const Floats* v) {
    const __m256 eight = _mm256_add_ps(v[0], v[1]);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

}  // namespace
}  // namespace ng::cpu
