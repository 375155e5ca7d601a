// One function per block type. The order of the float operations is part of the format's meaning: (d * scale) * q, then minus the min.
#include "tensor/dequantize.h"

#include "tensor/blocks.h"
#include "tensor/half.h"

#include <cstring>

namespace ng {

namespace {

void unpack(float value, float* y) { *y = value; }

struct F16 {
    uint16_t bits;
};
void unpack(F16 value, float* y) { *y = f16_to_f32(value.bits); }

struct BF16 {
    uint16_t bits;
};
void unpack(BF16 value, float* y) { *y = bf16_to_f32(value.bits); }

void unpack(const block_q4_0& block, float* y) {
    const float d = f16_to_f32(block.d);
    for (int j = 0; j < 16; j++) {
        y[j] = static_cast<float>((block.qs[j] & 15) - 8) * d;
        y[j + 16] = static_cast<float>((block.qs[j] >> 4) - 8) * d;
    }
}

void unpack(const block_q4_1& block, float* y) {
    const float d = f16_to_f32(block.d);
    const float m = f16_to_f32(block.m);
    for (int j = 0; j < 16; j++) {
        y[j] = static_cast<float>(block.qs[j] & 15) * d + m;
        y[j + 16] = static_cast<float>(block.qs[j] >> 4) * d + m;
    }
}

void unpack(const block_q5_0& block, float* y) {
    const float d = f16_to_f32(block.d);
    for (int j = 0; j < 16; j++) {
        y[j] = static_cast<float>(((block.qs[j] & 15) | fifth_bit(block.qh, j)) - 16) * d;
        y[j + 16] = static_cast<float>(((block.qs[j] >> 4) | fifth_bit(block.qh, j + 16)) - 16) * d;
    }
}

void unpack(const block_q5_1& block, float* y) {
    const float d = f16_to_f32(block.d);
    const float m = f16_to_f32(block.m);
    for (int j = 0; j < 16; j++) {
        y[j] = static_cast<float>((block.qs[j] & 15) | fifth_bit(block.qh, j)) * d + m;
        y[j + 16] = static_cast<float>((block.qs[j] >> 4) | fifth_bit(block.qh, j + 16)) * d + m;
    }
}

void unpack(const block_q8_0& block, float* y) {
    const float d = f16_to_f32(block.d);
    for (int j = 0; j < 32; j++)
        y[j] = static_cast<float>(block.qs[j]) * d;
}

void unpack(const block_iq4_nl& block, float* y) {
    const float d = f16_to_f32(block.d);
    for (int j = 0; j < 16; j++) {
        y[j] = d * static_cast<float>(kvalues_iq4nl[block.qs[j] & 15]);
        y[j + 16] = d * static_cast<float>(kvalues_iq4nl[block.qs[j] >> 4]);
    }
}

void unpack(const block_mxfp4& block, float* y) {
    const float d = e8m0_half_to_f32(block.e);
    for (int j = 0; j < 16; j++) {
        y[j] = d * static_cast<float>(kvalues_mxfp4[block.qs[j] & 15]);
        y[j + 16] = d * static_cast<float>(kvalues_mxfp4[block.qs[j] >> 4]);
    }
}

void unpack(const block_q2_K& block, float* y) {
    const float d = f16_to_f32(block.d);
    const float dmin = f16_to_f32(block.dmin);
    for (int i = 0; i < 16; i++) { // sub-block i: 16 elements of 128 * half + 32 * shift
        const float scale = d * static_cast<float>(block.scales[i] & 15);
        const float min = dmin * static_cast<float>(block.scales[i] >> 4);
        const uint8_t* q = block.qs + 32 * (i / 8) + 16 * (i % 2);
        const int shift = 2 * (i / 2 % 4);
        for (int l = 0; l < 16; l++)
            y[16 * i + l] = scale * static_cast<float>((q[l] >> shift) & 3) - min;
    }
}

void unpack(const block_q3_K& block, float* y) {
    const float d = f16_to_f32(block.d);
    for (int i = 0; i < 16; i++) {
        const float scale = d * static_cast<float>(scale_q3_K(block.scales, i) - 32);
        const uint8_t* q = block.qs + 32 * (i / 8) + 16 * (i % 2);
        const uint8_t* high = block.hmask + 16 * (i % 2);
        const int shift = 2 * (i / 2 % 4);
        const int bit = 1 << (i / 2);
        for (int l = 0; l < 16; l++)
            y[16 * i + l] = scale * static_cast<float>(((q[l] >> shift) & 3) - (high[l] & bit ? 0 : 4));
    }
}

void unpack(const block_q4_K& block, float* y) {
    const float d = f16_to_f32(block.d);
    const float dmin = f16_to_f32(block.dmin);
    for (int i = 0; i < 8; i++) {
        int scale_bits, min_bits;
        scale_min_k4(block.scales, i, scale_bits, min_bits);
        const float scale = d * static_cast<float>(scale_bits);
        const float min = dmin * static_cast<float>(min_bits);
        const uint8_t* q = block.qs + 32 * (i / 2);
        const int shift = 4 * (i % 2);
        for (int l = 0; l < 32; l++)
            y[32 * i + l] = scale * static_cast<float>((q[l] >> shift) & 15) - min;
    }
}

void unpack(const block_q5_K& block, float* y) {
    const float d = f16_to_f32(block.d);
    const float dmin = f16_to_f32(block.dmin);
    for (int i = 0; i < 8; i++) {
        int scale_bits, min_bits;
        scale_min_k4(block.scales, i, scale_bits, min_bits);
        const float scale = d * static_cast<float>(scale_bits);
        const float min = dmin * static_cast<float>(min_bits);
        const uint8_t* q = block.qs + 32 * (i / 2);
        const int shift = 4 * (i % 2);
        for (int l = 0; l < 32; l++)
            y[32 * i + l] = scale * static_cast<float>(((q[l] >> shift) & 15) | (((block.qh[l] >> i) & 1) << 4)) - min;
    }
}

void unpack(const block_q6_K& block, float* y) {
    const float d = f16_to_f32(block.d);
    for (int i = 0; i < 16; i++) { // in each half of 128 elements, groups of 32 take turns: s = 0 to 3
        const int half = i / 8;
        const int s = i / 2 % 4;
        const int first = 16 * (i % 2);
        const float scale = d * static_cast<float>(block.scales[i]);
        const uint8_t* low = block.ql + 64 * half + 32 * (s % 2) + first;
        const uint8_t* high = block.qh + 32 * half + first;
        for (int l = 0; l < 16; l++) {
            const int q = ((low[l] >> (4 * (s / 2))) & 15) | (((high[l] >> (2 * s)) & 3) << 4);
            y[16 * i + l] = scale * static_cast<float>(q - 32);
        }
    }
}

void unpack(const block_iq4_xs& block, float* y) {
    const float d = f16_to_f32(block.d);
    for (int i = 0; i < 8; i++) {
        const float scale = d * static_cast<float>(scale_iq4_xs(block, i) - 32);
        const uint8_t* q = block.qs + 16 * i;
        for (int j = 0; j < 16; j++) {
            y[32 * i + j] = scale * static_cast<float>(kvalues_iq4nl[q[j] & 15]);
            y[32 * i + j + 16] = scale * static_cast<float>(kvalues_iq4nl[q[j] >> 4]);
        }
    }
}

template <class Block> void each_block(const void* blocks, float* values, size_t n, size_t block_elements) {
    const auto* at = static_cast<const unsigned char*>(blocks);
    for (size_t i = 0; i < n; i += block_elements, at += sizeof(Block)) {
        Block block;
        std::memcpy(&block, at, sizeof block);
        unpack(block, values + i);
    }
}

} // namespace

void dequantize(DType type, const void* blocks, float* values, size_t n) {
    switch (type) {
    case DType::F32: return each_block<float>(blocks, values, n, 1);
    case DType::F16: return each_block<F16>(blocks, values, n, 1);
    case DType::BF16: return each_block<BF16>(blocks, values, n, 1);
    case DType::Q4_0: return each_block<block_q4_0>(blocks, values, n, 32);
    case DType::Q4_1: return each_block<block_q4_1>(blocks, values, n, 32);
    case DType::Q5_0: return each_block<block_q5_0>(blocks, values, n, 32);
    case DType::Q5_1: return each_block<block_q5_1>(blocks, values, n, 32);
    case DType::Q8_0: return each_block<block_q8_0>(blocks, values, n, 32);
    case DType::IQ4_NL: return each_block<block_iq4_nl>(blocks, values, n, 32);
    case DType::MXFP4: return each_block<block_mxfp4>(blocks, values, n, 32);
    case DType::Q2_K: return each_block<block_q2_K>(blocks, values, n, 256);
    case DType::Q3_K: return each_block<block_q3_K>(blocks, values, n, 256);
    case DType::Q4_K: return each_block<block_q4_K>(blocks, values, n, 256);
    case DType::Q5_K: return each_block<block_q5_K>(blocks, values, n, 256);
    case DType::Q6_K: return each_block<block_q6_K>(blocks, values, n, 256);
    case DType::IQ4_XS: return each_block<block_iq4_xs>(blocks, values, n, 256);
    }
}

} // namespace ng
