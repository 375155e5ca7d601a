// Block layouts of the quantized tensor types, byte for byte as they lie in a file. Layouts are data of the format
// (ggml-common.h, ggml authors, MIT). `d` and `m` are float16: a value is d * q, or d * q + m.
#pragma once
#include <cstdint>

namespace ng {

// ---- blocks of 32 ----

struct block_q4_0 { // d * (q - 8)
    uint16_t d;
    uint8_t qs[16]; // byte j holds q of j (low nibble) and of j + 16 (high nibble)
};
static_assert(sizeof(block_q4_0) == 18);

struct block_q4_1 { // d * q + m
    uint16_t d;
    uint16_t m;
    uint8_t qs[16];
};
static_assert(sizeof(block_q4_1) == 20);

struct block_q5_0 { // d * (q - 16)
    uint16_t d;
    uint8_t qh[4]; // bit j of this little-endian word is bit 4 of q[j]
    uint8_t qs[16];
};
static_assert(sizeof(block_q5_0) == 22);

struct block_q5_1 { // d * q + m
    uint16_t d;
    uint16_t m;
    uint8_t qh[4];
    uint8_t qs[16];
};
static_assert(sizeof(block_q5_1) == 24);

struct block_q8_0 { // d * q
    uint16_t d;
    int8_t qs[32];
};
static_assert(sizeof(block_q8_0) == 34);

struct block_iq4_nl { // d * kvalues_iq4nl[q]
    uint16_t d;
    uint8_t qs[16];
};
static_assert(sizeof(block_iq4_nl) == 18);

struct block_mxfp4 { // 2^(e - 128) * kvalues_mxfp4[q]; the table holds twice the FP4 values
    uint8_t e;
    uint8_t qs[16];
};
static_assert(sizeof(block_mxfp4) == 17);

// ---- blocks of 256, with scales of their sub-blocks ----

struct block_q2_K {     // 16 sub-blocks of 16: d * scale * q - dmin * min
    uint8_t scales[16]; // low nibble scale, high nibble min
    uint8_t qs[64];     // byte 32 * h + l holds q of 128 * h + 32 * s + l at bit 2 * s
    uint16_t d;
    uint16_t dmin;
};
static_assert(sizeof(block_q2_K) == 84);

struct block_q3_K {     // 16 sub-blocks of 16: d * (scale - 32) * (q - 4)
    uint8_t hmask[32];  // bit 4 * h + s of byte l is bit 2 of q of 128 * h + 32 * s + l
    uint8_t qs[64];     // low two bits, as in q2_K
    uint8_t scales[12]; // 16 scales of 6 bits: see scale_q3_K
    uint16_t d;
};
static_assert(sizeof(block_q3_K) == 110);

struct block_q4_K { // 8 sub-blocks of 32: d * scale * q - dmin * min
    uint16_t d;
    uint16_t dmin;
    uint8_t scales[12]; // 8 scales and 8 mins of 6 bits: see scale_min_k4
    uint8_t qs[128];    // byte 32 * p + l holds q of 64 * p + l (low) and 64 * p + 32 + l (high)
};
static_assert(sizeof(block_q4_K) == 144);

struct block_q5_K { // as q4_K with a fifth bit
    uint16_t d;
    uint16_t dmin;
    uint8_t scales[12];
    uint8_t qh[32]; // bit i of byte l is bit 4 of q of sub-block i, element l
    uint8_t qs[128];
};
static_assert(sizeof(block_q5_K) == 176);

struct block_q6_K {  // 16 sub-blocks of 16: d * scale * (q - 32)
    uint8_t ql[128]; // low four bits, per half: 64 bytes, element l + 32 * s in byte l + 32 * (s & 1), nibble s >> 1
    uint8_t qh[64];  // high two bits, per half: 32 bytes, element l + 32 * s at bit 2 * s of byte l
    int8_t scales[16];
    uint16_t d;
};
static_assert(sizeof(block_q6_K) == 210);

struct block_iq4_xs { // 8 sub-blocks of 32: d * (scale - 32) * kvalues_iq4nl[q]
    uint16_t d;
    uint16_t scales_h;   // high two bits of scale i at bit 2 * i
    uint8_t scales_l[4]; // low four bits, two per byte
    uint8_t qs[128];     // 16 bytes per sub-block, as in iq4_nl
};
static_assert(sizeof(block_iq4_xs) == 136);

// ---- what several readers of the blocks need (static: see half.h) ----

// Bit i of the 32 fifth bits of a q5_0 or q5_1 block, in place.
static inline int fifth_bit(const uint8_t qh[4], int i) {
    return ((qh[i / 8] >> (i % 8)) & 1) << 4;
}

// Scale i of a q3_K block, 0 to 63.
static inline int scale_q3_K(const uint8_t scales[12], int i) {
    const int low = i < 8 ? scales[i] & 15 : scales[i - 8] >> 4;
    const int high = (scales[8 + i % 4] >> (2 * (i / 4))) & 3;
    return low | (high << 4);
}

// Scale and min of sub-block i of a q4_K or q5_K block, 0 to 63.
static inline void scale_min_k4(const uint8_t scales[12], int i, int& scale, int& min) {
    if (i < 4) {
        scale = scales[i] & 63;
        min = scales[i + 4] & 63;
    } else {
        scale = (scales[i + 4] & 15) | ((scales[i - 4] >> 6) << 4);
        min = (scales[i + 4] >> 4) | ((scales[i] >> 6) << 4);
    }
}

// Scale i of an iq4_xs block, 0 to 63.
static inline int scale_iq4_xs(const block_iq4_xs& block, int i) {
    const int low = (block.scales_l[i / 2] >> (4 * (i % 2))) & 15;
    const int high = (block.scales_h >> (2 * i)) & 3;
    return low | (high << 4);
}

// Code books (ggml-common.h, ggml authors, MIT).
inline constexpr int8_t kvalues_iq4nl[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
inline constexpr int8_t kvalues_mxfp4[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

} // namespace ng
