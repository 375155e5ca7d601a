// Each block takes its scale from its own extreme values; the quants are rounded with the scale before it becomes a float16.
#include "tensor/quantize.h"

#include "tensor/blocks.h"
#include "tensor/half.h"

#include <cmath>
#include <cstring>

namespace ng {

namespace {

// v cut to a whole number from 0 to most; NaN becomes 0. v already holds the half that rounds.
uint8_t quant(float v, int most) {
    if (!(v > 0.0f)) return 0;
    return static_cast<uint8_t>(v >= static_cast<float>(most) ? most : static_cast<int>(v));
}

float inverse(float d) { return d != 0.0f ? 1.0f / d : 0.0f; }

// The element furthest from zero, with its sign; the first of equals.
float extreme(const float* x) {
    float most = 0.0f;
    for (int j = 0; j < 32; j++) {
        if (std::fabs(x[j]) > std::fabs(most)) most = x[j];
    }
    return most;
}

void range(const float* x, float& min, float& max) {
    min = max = x[0];
    for (int j = 1; j < 32; j++) {
        if (x[j] < min) min = x[j];
        if (x[j] > max) max = x[j];
    }
}

void pack(const float* x, float& y) { y = *x; }

struct F16 {
    uint16_t bits;
};
void pack(const float* x, F16& y) { y.bits = f32_to_f16(*x); }

struct BF16 {
    uint16_t bits;
};
void pack(const float* x, BF16& y) { y.bits = f32_to_bf16(*x); }

// Low nibbles and, for five bits, the word of high bits.
void store(block_q4_0& y, int j, int a, int b) { y.qs[j] = static_cast<uint8_t>(a | b << 4); }
void store(block_q4_1& y, int j, int a, int b) { y.qs[j] = static_cast<uint8_t>(a | b << 4); }
template <class Block> void store_fifth(Block& y, int j, int a, int b) {
    y.qs[j] = static_cast<uint8_t>((a & 15) | (b & 15) << 4);
    y.qh[j / 8] = static_cast<uint8_t>(y.qh[j / 8] | (a >> 4) << (j % 8));
    y.qh[2 + j / 8] = static_cast<uint8_t>(y.qh[2 + j / 8] | (b >> 4) << (j % 8));
}
void store(block_q5_0& y, int j, int a, int b) { store_fifth(y, j, a, b); }
void store(block_q5_1& y, int j, int a, int b) { store_fifth(y, j, a, b); }

// d * (q - zero): the extreme value becomes q = 0 exactly, so d has the opposite sign.
template <class Block> void pack_symmetric(const float* x, Block& y, int zero) {
    const float d = extreme(x) / static_cast<float>(-zero);
    const float id = inverse(d);
    const int most = 2 * zero - 1;
    const float rounding = static_cast<float>(zero) + 0.5f;
    y = {};
    y.d = f32_to_f16(d);
    for (int j = 0; j < 16; j++)
        store(y, j, quant(x[j] * id + rounding, most), quant(x[j + 16] * id + rounding, most));
}

// d * q + m.
template <class Block> void pack_affine(const float* x, Block& y, int most) {
    float min, max;
    range(x, min, max);
    const float d = (max - min) / static_cast<float>(most);
    const float id = inverse(d);
    y = {};
    y.d = f32_to_f16(d);
    y.m = f32_to_f16(min);
    for (int j = 0; j < 16; j++)
        store(y, j, quant((x[j] - min) * id + 0.5f, most), quant((x[j + 16] - min) * id + 0.5f, most));
}

void pack(const float* x, block_q4_0& y) { pack_symmetric(x, y, 8); }
void pack(const float* x, block_q5_0& y) { pack_symmetric(x, y, 16); }
void pack(const float* x, block_q4_1& y) { pack_affine(x, y, 15); }
void pack(const float* x, block_q5_1& y) { pack_affine(x, y, 31); }

void pack(const float* x, block_q8_0& y) {
    const float d = std::fabs(extreme(x)) / 127.0f;
    const float id = inverse(d);
    y.d = f32_to_f16(d);
    for (int j = 0; j < 32; j++) {
        const float v = std::round(x[j] * id); // halves away from zero
        y.qs[j] = static_cast<int8_t>(v >= 127.0f ? 127 : v <= -127.0f ? -127 : v == v ? static_cast<int>(v) : 0);
    }
}

template <class Block> void each_block(const float* values, void* blocks, size_t n, size_t block_elements) {
    auto* at = static_cast<unsigned char*>(blocks);
    for (size_t i = 0; i < n; i += block_elements, at += sizeof(Block)) {
        Block block;
        pack(values + i, block);
        std::memcpy(at, &block, sizeof block);
    }
}

} // namespace

bool can_quantize(DType type) {
    switch (type) {
    case DType::F32:
    case DType::F16:
    case DType::BF16:
    case DType::Q4_0:
    case DType::Q4_1:
    case DType::Q5_0:
    case DType::Q5_1:
    case DType::Q8_0: return true;
    default: return false;
    }
}

void quantize(DType type, const float* values, void* blocks, size_t n) {
    switch (type) {
    case DType::F32: return each_block<float>(values, blocks, n, 1);
    case DType::F16: return each_block<F16>(values, blocks, n, 1);
    case DType::BF16: return each_block<BF16>(values, blocks, n, 1);
    case DType::Q4_0: return each_block<block_q4_0>(values, blocks, n, 32);
    case DType::Q4_1: return each_block<block_q4_1>(values, blocks, n, 32);
    case DType::Q5_0: return each_block<block_q5_0>(values, blocks, n, 32);
    case DType::Q5_1: return each_block<block_q5_1>(values, blocks, n, 32);
    case DType::Q8_0: return each_block<block_q8_0>(values, blocks, n, 32);
    default: break;
    }
}

} // namespace ng
