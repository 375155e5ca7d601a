// quantize_weighted: tries a few scales around the plain one and keeps the least weighted squared error. For given quants the best scale (and
// minimum) is a least-squares fit in closed form. The order of the sums decides ties, so it is part of the result.
#include "tensor/quantize.h"

#include "tensor/blocks.h"
#include "tensor/half.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace ng {

namespace {

constexpr int block_n = 32;

// The nearest whole number in [low, high], ties to even; NaN becomes low. Adding 1.5 * 2^23 makes the float's last bit worth 1.
float nearest(float v, float low, float high) {
    v = !(v > low) ? low : v < high ? v : high;
    return (v + 12582912.0f) - 12582912.0f;
}

// x ~ d * l with l in [-zero, zero - 1]: fills l and returns d. w: weight of each error.
float search_symmetric(const float* x, const float* w, int zero, float* l) {
    float extreme = 0.0f;
    for (int i = 0; i < block_n; i++) {
        if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
    }
    std::fill_n(l, block_n, static_cast<float>(-zero));
    if (!(std::fabs(extreme) >= 1e-15f)) return 0.0f;

    const auto low = static_cast<float>(-zero), high = static_cast<float>(zero - 1);
    float d = 0.0f, best = 0.0f;
    float tried[block_n];
    const auto try_scale = [&](float inverse, bool first) {
        float sum_xl = 0.0f, sum_ll = 0.0f;
        for (int i = 0; i < block_n; i++) {
            tried[i] = nearest(inverse * x[i], low, high);
            sum_xl += w[i] * x[i] * tried[i];
            sum_ll += w[i] * tried[i] * tried[i];
        }
        // The error left by d = sum_xl / sum_ll is sum_xx - sum_xl^2 / sum_ll: the larger the quotient the better.
        if (!first && !(sum_ll > 0.0f && sum_xl * sum_xl > best * sum_ll)) return;
        std::copy_n(tried, block_n, l);
        d = sum_ll != 0.0f ? sum_xl / sum_ll : 0.0f;
        best = d * sum_xl;
    };
    try_scale(static_cast<float>(-zero) / extreme, true);
    for (int step = -9; step <= 9; step++) {
        if (step != 0) try_scale(-(static_cast<float>(zero) + 0.1f * static_cast<float>(step)) / extreme, false);
    }
    return d;
}

// x ~ d * l + min with l in [0, most] and min <= 0: fills l and min, returns d.
float search_affine(const float* x, const float* w, int most, float* l, float& min) {
    min = x[0];
    float max = x[0];
    float sum_w = w[0], sum_x = w[0] * x[0];
    for (int i = 1; i < block_n; i++) {
        if (x[i] < min) min = x[i];
        if (x[i] > max) max = x[i];
        sum_w += w[i];
        sum_x += w[i] * x[i];
    }
    if (min > 0.0f) min = 0.0f;
    std::fill_n(l, block_n, 0.0f);
    if (!(max > min)) return 0.0f;

    const auto high = static_cast<float>(most);
    const auto error_of = [&](const float* quants, float scale, float offset) {
        float sum = 0.0f;
        for (int i = 0; i < block_n; i++) {
            const float error = scale * quants[i] + offset - x[i];
            sum += w[i] * (error * error);
        }
        return sum;
    };
    const float plain = high / (max - min);
    for (int i = 0; i < block_n; i++)
        l[i] = nearest(plain * (x[i] - min), 0.0f, high);
    float d = plain > 0 ? 1.0f / plain : std::numeric_limits<float>::infinity();  // a range beyond float makes plain 0
    float best = error_of(l, d, min);

    float tried[block_n];
    for (int step = 0; step <= 36; step++) {
        const float inverse = (-0.9f + 0.05f * static_cast<float>(step) + high) / (max - min); // from the best min so far
        float sum_l = 0.0f, sum_ll = 0.0f, sum_xl = 0.0f;
        for (int i = 0; i < block_n; i++) {
            tried[i] = nearest(inverse * (x[i] - min), 0.0f, high);
            sum_l += w[i] * tried[i];
            sum_ll += w[i] * tried[i] * tried[i];
            sum_xl += w[i] * tried[i] * x[i];
        }
        const float determinant = sum_w * sum_ll - sum_l * sum_l;
        if (!(determinant > 0.0f)) continue;
        float scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
        float offset = (sum_ll * sum_x - sum_l * sum_xl) / determinant;
        if (offset > 0.0f) {
            offset = 0.0f;
            scale = sum_xl / sum_ll;
        }
        const float error = error_of(tried, scale, offset);
        if (!(error < best)) continue;
        std::copy_n(tried, block_n, l);
        best = error;
        d = scale;
        min = offset;
    }
    return d;
}

// Quants 0 to 31 into the block's nibbles and, where it has them, fifth bits.
template <class Block> void store(Block& y, const float* l, int zero) {
    for (int j = 0; j < 16; j++) {
        const int a = static_cast<int>(l[j]) + zero, b = static_cast<int>(l[j + 16]) + zero;
        y.qs[j] = static_cast<uint8_t>((a & 15) | (b & 15) << 4);
        if constexpr (requires { y.qh; }) {
            y.qh[j / 8] = static_cast<uint8_t>(y.qh[j / 8] | (a >> 4) << (j % 8));
            y.qh[2 + j / 8] = static_cast<uint8_t>(y.qh[2 + j / 8] | (b >> 4) << (j % 8));
        }
    }
}

template <class Block> void search_row(const float* values, const float* importance, void* blocks, size_t n, int levels) {
    float sum = 0.0f;
    for (size_t i = 0; i < n; i++)
        sum += values[i] * values[i];
    const float mean_square = sum / static_cast<float>(n);
    auto* out = static_cast<unsigned char*>(blocks);
    for (size_t i = 0; i < n; i += block_n, out += sizeof(Block)) {
        const float* x = values + i;
        float w[block_n], l[block_n];
        for (int j = 0; j < block_n; j++)
            w[j] = importance[i + static_cast<size_t>(j)] * std::sqrt(mean_square + x[j] * x[j]); // large weights matter more
        Block block{};
        if constexpr (requires { block.m; }) {
            float min;
            block.d = f32_to_f16(search_affine(x, w, levels - 1, l, min));
            block.m = f32_to_f16(min);
            store(block, l, 0);
        } else {
            block.d = f32_to_f16(search_symmetric(x, w, levels / 2, l));
            store(block, l, levels / 2);
        }
        std::memcpy(out, &block, sizeof block);
    }
}

} // namespace

void quantize_weighted(DType type, const float* values, const float* importance, void* blocks, size_t n) {
    switch (type) {
    case DType::Q4_0: return search_row<block_q4_0>(values, importance, blocks, n, 16);
    case DType::Q4_1: return search_row<block_q4_1>(values, importance, blocks, n, 16);
    case DType::Q5_0: return search_row<block_q5_0>(values, importance, blocks, n, 32);
    case DType::Q5_1: return search_row<block_q5_1>(values, importance, blocks, n, 32);
    default: return quantize(type, values, blocks, n);
    }
}

} // namespace ng
