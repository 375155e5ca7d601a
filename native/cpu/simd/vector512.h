// The vector vocabulary of matmul.h with 16 lanes: AVX-512 F, BW, DQ and VL, with AVX512-VNNI where the file is compiled for it.
// Everything is internal to the file that includes it.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

namespace ng::cpu {
namespace {

using Ints = __m512i;
using Floats = __m512;
constexpr uint32_t lanes = 16;

inline void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }
inline Ints load(const void* p) { return _mm512_loadu_si512(p); }
inline Floats load_floats(const float* p) { return _mm512_loadu_ps(p); }
inline void store_floats(float* p, Floats v) { _mm512_storeu_ps(p, v); }
inline __m256i load_half(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
inline __m128i load_quarter(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
inline Floats load_f16(const uint16_t* p) { return _mm512_cvtph_ps(load_half(p)); }
inline float load_f16_1(const uint16_t* p) { return _cvtsh_ss(*p); }
inline Floats load_bf16(const uint16_t* p) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load_half(p)), 16)); }
inline Ints load_u8(const uint8_t* p) { return _mm512_cvtepu8_epi32(load_quarter(p)); }
inline Ints load_i8(const int8_t* p) { return _mm512_cvtepi8_epi32(load_quarter(p)); }

inline Ints zero() { return _mm512_setzero_si512(); }
inline Floats zero_floats() { return _mm512_setzero_ps(); }
inline Ints all8(int x) { return _mm512_set1_epi8(static_cast<char>(x)); }
inline Ints all16(int x) { return _mm512_set1_epi16(static_cast<short>(x)); }
inline Ints all32(int32_t x) { return _mm512_set1_epi32(x); }
inline Floats all(float x) { return _mm512_set1_ps(x); }

inline Ints both(Ints a, Ints b) { return _mm512_and_si512(a, b); }
inline Ints either(Ints a, Ints b) { return _mm512_or_si512(a, b); }
template <int n> Ints up16(Ints v) { return _mm512_slli_epi16(v, n); }
template <int n> Ints down16(Ints v) { return _mm512_srli_epi16(v, n); }
template <int n> Ints up32(Ints v) { return _mm512_slli_epi32(v, n); }
inline Ints add8(Ints a, Ints b) { return _mm512_add_epi8(a, b); }
inline Ints sub8(Ints a, Ints b) { return _mm512_sub_epi8(a, b); }
inline Ints add16(Ints a, Ints b) { return _mm512_add_epi16(a, b); }
inline Ints add32(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
inline Ints sub32(Ints a, Ints b) { return _mm512_sub_epi32(a, b); }
inline Ints mul16(Ints a, Ints b) { return _mm512_mullo_epi16(a, b); }
inline Ints mul32(Ints a, Ints b) { return _mm512_mullo_epi32(a, b); }
inline Ints abs8(Ints v) { return _mm512_abs_epi8(v); }
// v where sign > 0, 0 where it is 0, -v where it is < 0
inline Ints sign8(Ints v, Ints sign) {
    const __mmask64 negative = _mm512_movepi8_mask(sign);
    return _mm512_mask_sub_epi8(_mm512_maskz_mov_epi8(_mm512_test_epi8_mask(sign, sign), v), negative, zero(), v);
}
inline Ints pairs8(Ints u, Ints s) { return _mm512_maddubs_epi16(u, s); }    // unsigned x signed bytes, neighbours added: 16 bits, saturating
inline Ints pairs16(Ints a, Ints b) { return _mm512_madd_epi16(a, b); }      // 16 bits, neighbours added: 32 bits
inline Ints look_up(const uint8_t* table, Ints index) { return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(load_quarter(table)), index); }

#ifdef __AVX512VNNI__
constexpr bool has_dots = true, signed_dots = false;
inline Ints dot4(Ints acc, Ints u, Ints s) { return _mm512_dpbusd_epi32(acc, u, s); }  // acc + four unsigned x signed bytes
inline Ints dot2(Ints acc, Ints a, Ints b) { return _mm512_dpwssd_epi32(acc, a, b); }
#else
constexpr bool has_dots = false, signed_dots = false;
inline Ints dot4(Ints acc, Ints, Ints) { return acc; }
inline Ints dot2(Ints acc, Ints a, Ints b) { return add32(acc, pairs16(a, b)); }
#endif

inline Floats to_floats(Ints v) { return _mm512_cvtepi32_ps(v); }
inline Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
inline Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
inline Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
inline Floats sub(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
inline Floats divide(Floats a, Floats b) { return _mm512_div_ps(a, b); }
inline Floats larger(Floats a, Floats b) { return _mm512_max_ps(a, b); }  // b where either is NaN
inline Floats negate(Floats v) { return _mm512_xor_ps(v, _mm512_set1_ps(-0.0f)); }
inline Floats to_nearest(Floats v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
inline Floats times_power_of_two(Floats v, Floats n) {  // by the exponent's bits
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(v), _mm512_slli_epi32(_mm512_cvtps_epi32(n), 23)));
}

using Mask = __mmask16;
inline Mask above(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }  // false where either is NaN
inline Mask nan(Floats v) { return _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q); }
inline Mask first_lanes(uint32_t n) { return static_cast<Mask>(n >= 16 ? 0xffffu : (1u << n) - 1); }  // lanes 0 ... n - 1
inline Floats select(Mask mask, Floats yes, Floats no) { return _mm512_mask_blend_ps(mask, no, yes); }

inline float highest(Floats v) {
    const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_shuffle_ps(m, m, 1)));
}

// Sum of 16 floats: lane j and j + 8, then a tree of halves.
inline float sum16(const Floats* v) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v[0]), _mm512_extractf32x8_ps(v[0], 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

}  // namespace
}  // namespace ng::cpu
