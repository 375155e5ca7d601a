// The vector vocabulary of matmul.h with 8 lanes in pairs of NEON registers, with the dot products of ARMv8.2 (both factors signed).
// Everything is internal to the file that includes it.
#pragma once

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

namespace ng::cpu {
namespace {

struct Ints {  // lanes 0-3, lanes 4-7
    int32x4_t l, h;
};
struct Floats {
    float32x4_t l, h;
};
constexpr uint32_t lanes = 8;

inline int8x16_t s8(int32x4_t v) { return vreinterpretq_s8_s32(v); }
inline uint8x16_t u8(int32x4_t v) { return vreinterpretq_u8_s32(v); }
inline int16x8_t s16(int32x4_t v) { return vreinterpretq_s16_s32(v); }
inline uint16x8_t u16(int32x4_t v) { return vreinterpretq_u16_s32(v); }
inline int32x4_t bits(int8x16_t v) { return vreinterpretq_s32_s8(v); }
inline int32x4_t bits(uint8x16_t v) { return vreinterpretq_s32_u8(v); }
inline int32x4_t bits(int16x8_t v) { return vreinterpretq_s32_s16(v); }
inline int32x4_t bits(uint16x8_t v) { return vreinterpretq_s32_u16(v); }
inline int32x4_t bits(uint32x4_t v) { return vreinterpretq_s32_u32(v); }

inline void prefetch(const void* p) { __builtin_prefetch(p); }
inline Ints load(const void* p) {
    const auto* const bytes = static_cast<const uint8_t*>(p);
    return {bits(vld1q_u8(bytes)), bits(vld1q_u8(bytes + 16))};
}
inline Floats load_floats(const float* p) { return {vld1q_f32(p), vld1q_f32(p + 4)}; }
inline void store_floats(float* p, Floats v) {
    vst1q_f32(p, v.l);
    vst1q_f32(p + 4, v.h);
}
inline Floats load_f16(const uint16_t* p) {
    const float16x8_t halves = vreinterpretq_f16_u16(vld1q_u16(p));
    return {vcvt_f32_f16(vget_low_f16(halves)), vcvt_high_f32_f16(halves)};
}
inline float load_f16_1(const uint16_t* p) { return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(*p))), 0); }
inline Floats load_bf16(const uint16_t* p) {
    const uint16x8_t halves = vld1q_u16(p);
    return {vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(halves), 16)), vreinterpretq_f32_u32(vshll_high_n_u16(halves, 16))};
}
inline Ints load_u8(const uint8_t* p) {
    const uint16x8_t wide = vmovl_u8(vld1_u8(p));
    return {bits(vmovl_u16(vget_low_u16(wide))), bits(vmovl_high_u16(wide))};
}
inline Ints load_i8(const int8_t* p) {
    const int16x8_t wide = vmovl_s8(vld1_s8(p));
    return {vmovl_s16(vget_low_s16(wide)), vmovl_high_s16(wide)};
}

inline Ints zero() { return {vdupq_n_s32(0), vdupq_n_s32(0)}; }
inline Floats zero_floats() { return {vdupq_n_f32(0), vdupq_n_f32(0)}; }
inline Ints twice(int32x4_t v) { return {v, v}; }
inline Ints all8(int x) { return twice(bits(vdupq_n_s8(static_cast<int8_t>(x)))); }
inline Ints all16(int x) { return twice(bits(vdupq_n_s16(static_cast<int16_t>(x)))); }
inline Ints all32(int32_t x) { return twice(vdupq_n_s32(x)); }
inline Floats all(float x) { return {vdupq_n_f32(x), vdupq_n_f32(x)}; }

inline Ints both(Ints a, Ints b) { return {vandq_s32(a.l, b.l), vandq_s32(a.h, b.h)}; }
inline Ints either(Ints a, Ints b) { return {vorrq_s32(a.l, b.l), vorrq_s32(a.h, b.h)}; }
template <int n> Ints up16(Ints v) { return {bits(vshlq_n_u16(u16(v.l), n)), bits(vshlq_n_u16(u16(v.h), n))}; }
template <int n> Ints down16(Ints v) {
    if constexpr (n == 0) return v;
    else return {bits(vshrq_n_u16(u16(v.l), n)), bits(vshrq_n_u16(u16(v.h), n))};
}
template <int n> Ints up32(Ints v) { return {vshlq_n_s32(v.l, n), vshlq_n_s32(v.h, n)}; }
inline Ints add8(Ints a, Ints b) { return {bits(vaddq_u8(u8(a.l), u8(b.l))), bits(vaddq_u8(u8(a.h), u8(b.h)))}; }
inline Ints sub8(Ints a, Ints b) { return {bits(vsubq_u8(u8(a.l), u8(b.l))), bits(vsubq_u8(u8(a.h), u8(b.h)))}; }
inline Ints add16(Ints a, Ints b) { return {bits(vaddq_s16(s16(a.l), s16(b.l))), bits(vaddq_s16(s16(a.h), s16(b.h)))}; }
inline Ints add32(Ints a, Ints b) { return {vaddq_s32(a.l, b.l), vaddq_s32(a.h, b.h)}; }
inline Ints sub32(Ints a, Ints b) { return {vsubq_s32(a.l, b.l), vsubq_s32(a.h, b.h)}; }
inline Ints mul16(Ints a, Ints b) { return {bits(vmulq_s16(s16(a.l), s16(b.l))), bits(vmulq_s16(s16(a.h), s16(b.h)))}; }
inline Ints mul32(Ints a, Ints b) { return {vmulq_s32(a.l, b.l), vmulq_s32(a.h, b.h)}; }
// unsigned x signed bytes, neighbours added: 16 bits
inline int32x4_t pairs8(int32x4_t u, int32x4_t s) {
    const int16x8_t low = vmulq_s16(vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(u8(u)))), vmovl_s8(vget_low_s8(s8(s))));
    const int16x8_t high = vmulq_s16(vreinterpretq_s16_u16(vmovl_high_u8(u8(u))), vmovl_high_s8(s8(s)));
    return bits(vpaddq_s16(low, high));
}
inline Ints pairs8(Ints u, Ints s) { return {pairs8(u.l, s.l), pairs8(u.h, s.h)}; }
// 16 bits, neighbours added: 32 bits
inline int32x4_t pairs16(int32x4_t a, int32x4_t b) {
    return vpaddq_s32(vmull_s16(vget_low_s16(s16(a)), vget_low_s16(s16(b))), vmull_high_s16(s16(a), s16(b)));
}
inline Ints pairs16(Ints a, Ints b) { return {pairs16(a.l, b.l), pairs16(a.h, b.h)}; }
inline Ints look_up(const uint8_t* table, Ints index) {
    const uint8x16_t values = vld1q_u8(table);
    return {bits(vqtbl1q_u8(values, u8(index.l))), bits(vqtbl1q_u8(values, u8(index.h)))};
}

constexpr bool has_dots = true, signed_dots = true;
inline Ints dot4(Ints acc, Ints a, Ints b) { return {vdotq_s32(acc.l, s8(a.l), s8(b.l)), vdotq_s32(acc.h, s8(a.h), s8(b.h))}; }
inline Ints dot2(Ints acc, Ints a, Ints b) { return add32(acc, pairs16(a, b)); }
// Only sets without dots take them.
inline Ints abs8(Ints v) { return {bits(vabsq_s8(s8(v.l))), bits(vabsq_s8(s8(v.h)))}; }
inline Ints sign8(Ints v, Ints) { return v; }

inline Floats to_floats(Ints v) { return {vcvtq_f32_s32(v.l), vcvtq_f32_s32(v.h)}; }
inline Floats mul(Floats a, Floats b) { return {vmulq_f32(a.l, b.l), vmulq_f32(a.h, b.h)}; }
inline Floats fma(Floats a, Floats b, Floats c) { return {vfmaq_f32(c.l, a.l, b.l), vfmaq_f32(c.h, a.h, b.h)}; }
inline Floats add(Floats a, Floats b) { return {vaddq_f32(a.l, b.l), vaddq_f32(a.h, b.h)}; }
inline Floats sub(Floats a, Floats b) { return {vsubq_f32(a.l, b.l), vsubq_f32(a.h, b.h)}; }
inline Floats divide(Floats a, Floats b) { return {vdivq_f32(a.l, b.l), vdivq_f32(a.h, b.h)}; }
inline Floats negate(Floats v) { return {vnegq_f32(v.l), vnegq_f32(v.h)}; }
inline Floats to_nearest(Floats v) { return {vrndnq_f32(v.l), vrndnq_f32(v.h)}; }
inline float32x4_t times_power_of_two(float32x4_t v, float32x4_t n) {
    return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(v), vshlq_n_s32(vcvtnq_s32_f32(n), 23)));
}
inline Floats times_power_of_two(Floats v, Floats n) { return {times_power_of_two(v.l, n.l), times_power_of_two(v.h, n.h)}; }  // by the exponent's bits

struct Mask {
    uint32x4_t l, h;
};
inline Mask above(Floats a, Floats b) { return {vcgtq_f32(a.l, b.l), vcgtq_f32(a.h, b.h)}; }  // false where either is NaN
inline Mask nan(Floats v) { return {vmvnq_u32(vceqq_f32(v.l, v.l)), vmvnq_u32(vceqq_f32(v.h, v.h))}; }
inline Mask first_lanes(uint32_t n) {  // lanes 0 ... n - 1
    constexpr uint32_t numbers[lanes] = {0, 1, 2, 3, 4, 5, 6, 7};
    const uint32x4_t end = vdupq_n_u32(n);
    return {vcltq_u32(vld1q_u32(numbers), end), vcltq_u32(vld1q_u32(numbers + 4), end)};
}
inline Floats select(Mask mask, Floats yes, Floats no) { return {vbslq_f32(mask.l, yes.l, no.l), vbslq_f32(mask.h, yes.h, no.h)}; }
inline Floats larger(Floats a, Floats b) { return select(above(a, b), a, b); }  // b where either is NaN

inline float highest(Floats v) { return vmaxvq_f32(vmaxq_f32(v.l, v.h)); }

// Sum of 16 floats: lane j and j + 8, then a tree of halves.
inline float sum16(const Floats* v) {
    const Floats eight = add(v[0], v[1]);
    const float32x4_t four = vaddq_f32(eight.l, eight.h);
    const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

}  // namespace
}  // namespace ng::cpu
