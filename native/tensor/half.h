// float16, bfloat16 and e8m0 <-> float32, one value at a time, in integer arithmetic: the same bits on every machine.
// Static, so that kernels compiled for one instruction set never lend their copy to the rest of the library.
#pragma once
#include <bit>
#include <cstdint>

namespace ng {

// Exact. A NaN stays a NaN with its payload, made quiet, as the F16C instructions do.
static inline float f16_to_f32(uint16_t h) {
    const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16;
    const uint32_t exponent = (h >> 10) & 0x1fu;
    const uint32_t mantissa = h & 0x3ffu;
    if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13) | (mantissa ? 0x400000u : 0u));
    if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f; // subnormal or zero: exact in float32
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}

// Rounds to nearest, ties to even; beyond 65504 + half a step becomes infinity.
static inline uint16_t f32_to_f16(float f) {
    const uint32_t bits = std::bit_cast<uint32_t>(f);
    const uint32_t sign = (bits >> 16) & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
    if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);
    if (magnitude >= 0x38800000u) { // normal: rebias the exponent, round at bit 13
        const uint32_t odd = (magnitude >> 13) & 1u;
        return static_cast<uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
    }
    if (magnitude < 0x33000000u) return static_cast<uint16_t>(sign); // under half of the smallest subnormal
    const uint32_t exponent = magnitude >> 23;                       // 102 to 112
    const uint32_t significand = (magnitude & 0x7fffffu) | 0x800000u;
    const uint32_t shift = 126 - exponent; // 14 to 24
    const uint32_t odd = (significand >> shift) & 1u;
    return static_cast<uint16_t>(sign | ((significand + (1u << (shift - 1)) - 1u + odd) >> shift));
}

static inline float bf16_to_f32(uint16_t h) { return std::bit_cast<float>(static_cast<uint32_t>(h) << 16); }

// Rounds to nearest, ties to even.
static inline uint16_t f32_to_bf16(float f) {
    const uint32_t bits = std::bit_cast<uint32_t>(f);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u); // NaN, made quiet
    return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// Half the e8m0 scale: 2^(e - 128), to go with code books that hold twice the FP4 values.
static inline float e8m0_half_to_f32(uint8_t e) { return std::bit_cast<float>(e < 2 ? 0x00200000u << e : static_cast<uint32_t>(e - 1) << 23); }

} // namespace ng
