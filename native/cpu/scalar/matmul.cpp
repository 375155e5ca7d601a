// Matrix products of every weight type, one output at a time: the specification that other instruction sets reproduce bit for bit.
//
// A block of 32 weights is integers with one scale: w = dw * i (+ mw * min). With activations x = d q + m the block adds to its output
//   acc = fma(dw, fma(m, P, d * I), acc)          I = sum of i q,  P = sum of i            (exact integers)
//   acc = fma(mw, fma(m, MP, d * MI), acc)        MI = sum of min q, MP = sum of min       (types with a minimum)
// and blocks are added in file order. Float weights: acc = fma(w, x, acc), column after column.
#include <cmath>
#include <cstring>

#include "cpu/kernels.h"
#include "tensor/blocks.h"
#include "tensor/dtype.h"
#include "tensor/half.h"

namespace ng::cpu {
namespace {

struct Block32 {
    float dw;
    float mw;
    int32_t min0;  // of the first 16, of the last 16
    int32_t min1;
    int32_t i[32];
};

template <DType> struct Type;

template <> struct Type<DType::Q4_0> {
    static constexpr bool has_min = false;
    static constexpr uint32_t per_block = 1;
    using Block = block_q4_0;
    static void read(const Block& b, uint32_t, Block32& out) {
        out.dw = f16_to_f32(b.d);
        for (int j = 0; j < 16; ++j) {
            out.i[j] = (b.qs[j] & 15) - 8;
            out.i[j + 16] = (b.qs[j] >> 4) - 8;
        }
    }
};

template <> struct Type<DType::Q4_1> {
    static constexpr bool has_min = true;
    static constexpr uint32_t per_block = 1;
    using Block = block_q4_1;
    static void read(const Block& b, uint32_t, Block32& out) {
        out.dw = f16_to_f32(b.d);
        out.mw = f16_to_f32(b.m);
        out.min0 = out.min1 = 1;
        for (int j = 0; j < 16; ++j) {
            out.i[j] = b.qs[j] & 15;
            out.i[j + 16] = b.qs[j] >> 4;
        }
    }
};

template <> struct Type<DType::Q5_0> {
    static constexpr bool has_min = false;
    static constexpr uint32_t per_block = 1;
    using Block = block_q5_0;
    static void read(const Block& b, uint32_t, Block32& out) {
        out.dw = f16_to_f32(b.d);
        for (int j = 0; j < 16; ++j) {
            out.i[j] = ((b.qs[j] & 15) | fifth_bit(b.qh, j)) - 16;
            out.i[j + 16] = ((b.qs[j] >> 4) | fifth_bit(b.qh, j + 16)) - 16;
        }
    }
};

template <> struct Type<DType::Q5_1> {
    static constexpr bool has_min = true;
    static constexpr uint32_t per_block = 1;
    using Block = block_q5_1;
    static void read(const Block& b, uint32_t, Block32& out) {
        out.dw = f16_to_f32(b.d);
        out.mw = f16_to_f32(b.m);
        out.min0 = out.min1 = 1;
        for (int j = 0; j < 16; ++j) {
            out.i[j] = (b.qs[j] & 15) | fifth_bit(b.qh, j);
            out.i[j + 16] = (b.qs[j] >> 4) | fifth_bit(b.qh, j + 16);
        }
    }
};

template <> struct Type<DType::Q8_0> {
    static constexpr bool has_min = false;
    static constexpr uint32_t per_block = 1;
    using Block = block_q8_0;
    static void read(const Block& b, uint32_t, Block32& out) {
        out.dw = f16_to_f32(b.d);
        for (int j = 0; j < 32; ++j) out.i[j] = b.qs[j];
    }
};

template <> struct Type<DType::Q2_K> {
    static constexpr bool has_min = true;
    static constexpr uint32_t per_block = 8;
    using Block = block_q2_K;
    static void read(const Block& b, uint32_t part, Block32& out) {
        out.dw = f16_to_f32(b.d);
        out.mw = -f16_to_f32(b.dmin);
        const uint8_t* scales = b.scales + 2 * part;
        out.min0 = scales[0] >> 4;
        out.min1 = scales[1] >> 4;
        const uint8_t* q = b.qs + part / 4 * 32;
        const uint32_t shift = part % 4 * 2;
        for (int j = 0; j < 32; ++j) out.i[j] = (scales[j / 16] & 15) * (q[j] >> shift & 3);
    }
};

template <> struct Type<DType::Q3_K> {
    static constexpr bool has_min = false;
    static constexpr uint32_t per_block = 8;
    using Block = block_q3_K;
    static void read(const Block& b, uint32_t part, Block32& out) {
        out.dw = f16_to_f32(b.d);
        const uint8_t* q = b.qs + part / 4 * 32;
        const uint32_t shift = part % 4 * 2;
        const int first = static_cast<int>(2 * part), scales[2] = {scale_q3_K(b.scales, first) - 32, scale_q3_K(b.scales, first + 1) - 32};
        for (int j = 0; j < 32; ++j) out.i[j] = scales[j / 16] * ((q[j] >> shift & 3) - (b.hmask[j] >> part & 1 ? 0 : 4));
    }
};

template <> struct Type<DType::Q4_K> {
    static constexpr bool has_min = true;
    static constexpr uint32_t per_block = 8;
    using Block = block_q4_K;
    static void read(const Block& b, uint32_t part, Block32& out) {
        int scale, min;
        scale_min_k4(b.scales, static_cast<int>(part), scale, min);
        out.dw = f16_to_f32(b.d) * static_cast<float>(scale);
        out.mw = -(f16_to_f32(b.dmin) * static_cast<float>(min));
        out.min0 = out.min1 = 1;
        const uint8_t* q = b.qs + part / 2 * 32;
        for (int j = 0; j < 32; ++j) out.i[j] = part % 2 ? q[j] >> 4 : q[j] & 15;
    }
};

template <> struct Type<DType::Q5_K> {
    static constexpr bool has_min = true;
    static constexpr uint32_t per_block = 8;
    using Block = block_q5_K;
    static void read(const Block& b, uint32_t part, Block32& out) {
        int scale, min;
        scale_min_k4(b.scales, static_cast<int>(part), scale, min);
        out.dw = f16_to_f32(b.d) * static_cast<float>(scale);
        out.mw = -(f16_to_f32(b.dmin) * static_cast<float>(min));
        out.min0 = out.min1 = 1;
        const uint8_t* q = b.qs + part / 2 * 32;
        for (int j = 0; j < 32; ++j) out.i[j] = (part % 2 ? q[j] >> 4 : q[j] & 15) | (b.qh[j] >> part & 1) << 4;
    }
};

template <> struct Type<DType::Q6_K> {
    static constexpr bool has_min = false;
    static constexpr uint32_t per_block = 8;
    using Block = block_q6_K;
    static void read(const Block& b, uint32_t part, Block32& out) {
        out.dw = f16_to_f32(b.d);
        const uint32_t half = part / 4, quarter = part % 4;  // of 256, of 128
        const uint8_t* low = b.ql + half * 64 + quarter % 2 * 32;
        const uint8_t* high = b.qh + half * 32;
        const int8_t* scales = b.scales + 2 * part;
        for (int j = 0; j < 32; ++j) {
            const int l = quarter < 2 ? low[j] & 15 : low[j] >> 4;
            const int h = high[j] >> (2 * quarter) & 3;
            out.i[j] = scales[j / 16] * ((l | h << 4) - 32);
        }
    }
};

template <> struct Type<DType::IQ4_NL> {
    static constexpr bool has_min = false;
    static constexpr uint32_t per_block = 1;
    using Block = block_iq4_nl;
    static void read(const Block& b, uint32_t, Block32& out) {
        out.dw = f16_to_f32(b.d);
        for (int j = 0; j < 16; ++j) {
            out.i[j] = kvalues_iq4nl[b.qs[j] & 15];
            out.i[j + 16] = kvalues_iq4nl[b.qs[j] >> 4];
        }
    }
};

template <> struct Type<DType::IQ4_XS> {
    static constexpr bool has_min = false;
    static constexpr uint32_t per_block = 8;
    using Block = block_iq4_xs;
    static void read(const Block& b, uint32_t part, Block32& out) {
        out.dw = f16_to_f32(b.d) * static_cast<float>(scale_iq4_xs(b, static_cast<int>(part)) - 32);
        const uint8_t* q = b.qs + 16 * part;
        for (int j = 0; j < 16; ++j) {
            out.i[j] = kvalues_iq4nl[q[j] & 15];
            out.i[j + 16] = kvalues_iq4nl[q[j] >> 4];
        }
    }
};

template <> struct Type<DType::MXFP4> {
    static constexpr bool has_min = false;
    static constexpr uint32_t per_block = 1;
    using Block = block_mxfp4;
    static void read(const Block& b, uint32_t, Block32& out) {
        out.dw = e8m0_half_to_f32(b.e);  // the table below holds twice the values
        for (int j = 0; j < 16; ++j) {
            out.i[j] = kvalues_mxfp4[b.qs[j] & 15];
            out.i[j + 16] = kvalues_mxfp4[b.qs[j] >> 4];
        }
    }
};

// Activation j of a row's block, of one plane or of two. Another set may have stored it 128 higher: rows that are not repacked come here.
template <int planes>
int32_t activation(const ActView& x, const int8_t* q, uint32_t j) {
    const auto byte = [&](size_t at) { return static_cast<int8_t>(q[at] ^ x.up); };
    if constexpr (planes == 1) return byte(j);
    else return 128 * byte(j) + byte(size_t{x.n_cols} + j);
}

template <DType T, int planes>
void matmul(const WeightView* weight, uint32_t first_panel, uint32_t n_panels, const ActView* x, uint32_t first_row, uint32_t n_rows,
            float* out, size_t stride, void*) {
    using Block = typename Type<T>::Block;
    const uint32_t n_cols = weight->n_cols, n_blocks = n_cols / act_block;
    for (uint32_t panel = 0; panel < n_panels; ++panel) {
        const auto* row = reinterpret_cast<const Block*>(weight->data + (first_panel + panel) * weight->panel_bytes);
        for (uint32_t t = 0; t < n_rows; ++t) out[t * stride + panel] = 0;
        for (uint32_t k = 0; k < n_blocks; ++k) {
            Block32 w;
            Type<T>::read(row[k / Type<T>::per_block], k % Type<T>::per_block, w);
            int32_t sum_i = 0;
            for (const int32_t i : w.i) sum_i += i;
            for (uint32_t t = 0; t < n_rows; ++t) {
                const size_t at = (size_t{first_row} + t) * planes;
                const int8_t* q = static_cast<const int8_t*>(x->values) + at * n_cols + k * act_block;
                const ActBlock& a = x->blocks[at * n_blocks + k];
                int32_t sum = 0, sum_q[2] = {0, 0};
                for (uint32_t j = 0; j < act_block; ++j) {
                    sum += w.i[j] * activation<planes>(*x, q, j);
                    sum_q[j / 16] += activation<planes>(*x, q, j);
                }
                float& acc = out[t * stride + panel];
                acc = std::fmaf(w.dw, std::fmaf(a.m, static_cast<float>(sum_i), a.d * static_cast<float>(sum)), acc);
                if constexpr (Type<T>::has_min) {
                    const int32_t min_q = w.min0 * sum_q[0] + w.min1 * sum_q[1];
                    acc = std::fmaf(w.mw, std::fmaf(a.m, static_cast<float>(16 * (w.min0 + w.min1)), a.d * static_cast<float>(min_q)), acc);
                }
            }
        }
    }
}

template <DType T> float float_weight(const uint8_t* row, uint32_t k);
template <> float float_weight<DType::F32>(const uint8_t* row, uint32_t k) { float v; std::memcpy(&v, row + 4 * k, 4); return v; }
template <> float float_weight<DType::F16>(const uint8_t* row, uint32_t k) { uint16_t v; std::memcpy(&v, row + 2 * k, 2); return f16_to_f32(v); }
template <> float float_weight<DType::BF16>(const uint8_t* row, uint32_t k) { uint16_t v; std::memcpy(&v, row + 2 * k, 2); return bf16_to_f32(v); }

template <DType T>
void matmul_float(const WeightView* weight, uint32_t first_panel, uint32_t n_panels, const ActView* x, uint32_t first_row, uint32_t n_rows,
                  float* out, size_t stride, void*) {
    for (uint32_t panel = 0; panel < n_panels; ++panel) {
        const uint8_t* row = weight->data + (first_panel + panel) * weight->panel_bytes;
        for (uint32_t t = 0; t < n_rows; ++t) out[t * stride + panel] = 0;
        for (uint32_t k = 0; k < weight->n_cols; ++k) {
            const float w = float_weight<T>(row, k);
            for (uint32_t t = 0; t < n_rows; ++t) {
                const float* values = static_cast<const float*>(x->values) + (size_t{first_row} + t) * x->n_cols;
                float& acc = out[t * stride + panel];
                acc = std::fmaf(w, values[k], acc);
            }
        }
    }
}

template <DType T>
size_t row_bytes(uint32_t n_cols) {
    const DTypeTraits& traits = *dtype_traits(static_cast<uint32_t>(T));
    return size_t{n_cols} / traits.block_elements * traits.block_bytes;
}

template <DType T>
constexpr MatmulKernel a8 = {matmul<T, 1>, matmul<T, 1>, nullptr, 1, row_bytes<T>};
template <DType T>
constexpr MatmulKernel a16 = {matmul<T, 2>, matmul<T, 2>, nullptr, 1, row_bytes<T>};
template <DType T>
constexpr MatmulKernel f32 = {matmul_float<T>, matmul_float<T>, nullptr, 1, row_bytes<T>};

}  // namespace

// Reached from scalar.cpp, which fills the table.
const MatmulKernel* scalar_matmul(uint32_t type, ActFormat format) {
    switch (static_cast<DType>(type)) {
#define QUANTIZED(T) case DType::T: return format == ActFormat::A16 ? &a16<DType::T> : &a8<DType::T>
        QUANTIZED(Q4_0); QUANTIZED(Q4_1); QUANTIZED(Q5_0); QUANTIZED(Q5_1); QUANTIZED(Q8_0);
        QUANTIZED(Q2_K); QUANTIZED(Q3_K); QUANTIZED(Q4_K); QUANTIZED(Q5_K); QUANTIZED(Q6_K);
        QUANTIZED(IQ4_NL); QUANTIZED(IQ4_XS); QUANTIZED(MXFP4);
#undef QUANTIZED
        case DType::F32: return &f32<DType::F32>;
        case DType::F16: return &f32<DType::F16>;
        case DType::BF16: return &f32<DType::BF16>;
        default: return nullptr;
    }
}

}  // namespace ng::cpu
