// Packing rows of the file into panels and reading a row back out of them. Runs at load, on any processor.
#include "cpu/panels.h"

#include <algorithm>
#include <cstring>

#include "tensor/blocks.h"
#include "tensor/dequantize.h"
#include "tensor/dtype.h"

namespace ng::cpu {
namespace {

// Moves one row's block into lane `row` of a panel block, and back. `from` is false: panel to block.
template <bool to_panel, class A, class B>
void move(A& panel, B& block) {
    if constexpr (to_panel) panel = static_cast<A>(block);
    else block = static_cast<B>(panel);
}

template <bool to_panel, class T>
void move4(T (&panel)[4], T* bytes) {
    if constexpr (to_panel) std::memcpy(panel, bytes, 4);
    else std::memcpy(bytes, panel, 4);
}

// 16 bytes of nibbles (column j and j + 16 in byte j) as q[4][8][4] has them.
template <bool to_panel, class Q>
void move_nibbles(Q& q, uint32_t row, uint8_t* bytes) {
    for (uint32_t i = 0; i < 4; ++i) move4<to_panel>(q[i][row], bytes + 4 * i);
}

template <DType T> struct Format;

template <> struct Format<DType::Q4_0> {
    using Panel = PanelQ4_0;
    using Block = block_q4_0;
    template <bool to_panel> static void lane(Panel& p, uint32_t row, Block& b) {
        move<to_panel>(p.d[row], b.d);
        move_nibbles<to_panel>(p.q, row, b.qs);
    }
};

template <> struct Format<DType::Q4_1> {
    using Panel = PanelQ4_1;
    using Block = block_q4_1;
    template <bool to_panel> static void lane(Panel& p, uint32_t row, Block& b) {
        move<to_panel>(p.d[row], b.d);
        move<to_panel>(p.m[row], b.m);
        move_nibbles<to_panel>(p.q, row, b.qs);
    }
};

template <> struct Format<DType::Q8_0> {
    using Panel = PanelQ8_0;
    using Block = block_q8_0;
    template <bool to_panel> static void lane(Panel& p, uint32_t row, Block& b) {
        move<to_panel>(p.d[row], b.d);
        for (uint32_t i = 0; i < 8; ++i) move4<to_panel>(p.q[i][row], b.qs + 4 * i);
    }
};

template <> struct Format<DType::Q4_K> {
    using Panel = PanelQ4_K;
    using Block = block_q4_K;
    template <bool to_panel> static void lane(Panel& p, uint32_t row, Block& b) {
        move<to_panel>(p.d[row], b.d);
        move<to_panel>(p.dmin[row], b.dmin);
        if constexpr (to_panel) {
            for (int part = 0; part < 8; ++part) {
                int scale, min;
                scale_min_k4(b.scales, part, scale, min);
                p.scale[part][row] = static_cast<uint8_t>(scale);
                p.min[part][row] = static_cast<uint8_t>(min);
            }
        } else {
            for (uint32_t part = 0; part < 4; ++part) {
                b.scales[part] = static_cast<uint8_t>(p.scale[part][row] | (p.scale[part + 4][row] >> 4) << 6);
                b.scales[part + 4] = static_cast<uint8_t>(p.min[part][row] | (p.min[part + 4][row] >> 4) << 6);
                b.scales[part + 8] = static_cast<uint8_t>((p.scale[part + 4][row] & 15) | (p.min[part + 4][row] & 15) << 4);
            }
        }
        // The file pairs columns of neighbouring parts in a byte; the panel pairs the halves of one part.
        for (uint32_t pair = 0; pair < 4; ++pair)
            for (uint32_t j = 0; j < 16; ++j) {
                uint8_t &a = b.qs[32 * pair + j], &c = b.qs[32 * pair + 16 + j];
                uint8_t &low = p.q[2 * pair][j / 4][row][j % 4], &high = p.q[2 * pair + 1][j / 4][row][j % 4];
                if constexpr (to_panel) {
                    low = static_cast<uint8_t>((a & 15) | (c & 15) << 4);
                    high = static_cast<uint8_t>(a >> 4 | (c & 0xf0));
                } else {
                    a = static_cast<uint8_t>((low & 15) | (high & 15) << 4);
                    c = static_cast<uint8_t>(low >> 4 | (high & 0xf0));
                }
            }
    }
};

template <> struct Format<DType::Q6_K> {
    using Panel = PanelQ6_K;
    using Block = block_q6_K;
    template <bool to_panel> static void lane(Panel& p, uint32_t row, Block& b) {
        move<to_panel>(p.d[row], b.d);
        for (uint32_t s = 0; s < 16; ++s) move<to_panel>(p.scale[s][row], b.scales[s]);
        if constexpr (!to_panel) {
            std::memset(b.ql, 0, sizeof b.ql);
            std::memset(b.qh, 0, sizeof b.qh);
        }
        for (uint32_t column = 0; column < 256; ++column) {
            const uint32_t part = column / 32, half = part / 4, quarter = part % 4, l = column % 32;
            uint8_t& low = b.ql[64 * half + 32 * (quarter % 2) + l];
            uint8_t& high = b.qh[32 * half + l];
            const uint32_t low_shift = 4 * (quarter / 2), high_shift = 2 * quarter;
            const uint32_t i = l / 4, j = l % 4;
            uint8_t& panel_low = p.part[part].low[i % 4][row][j];
            uint8_t& panel_high = p.part[part].high[i / 4][row][j];
            const uint32_t panel_low_shift = 4 * (i / 4), panel_high_shift = 2 * (i % 4);
            if constexpr (to_panel) {
                panel_low = static_cast<uint8_t>(panel_low | (low >> low_shift & 15) << panel_low_shift);
                panel_high = static_cast<uint8_t>(panel_high | (high >> high_shift & 3) << panel_high_shift);
            } else {
                low = static_cast<uint8_t>(low | (panel_low >> panel_low_shift & 15) << low_shift);
                high = static_cast<uint8_t>(high | (panel_high >> panel_high_shift & 3) << high_shift);
            }
        }
    }
};

template <DType T> constexpr uint32_t block_columns = T == DType::Q4_K || T == DType::Q6_K ? 256 : 32;

template <DType T>
size_t panel_bytes(uint32_t n_cols) { return n_cols / block_columns<T> * sizeof(typename Format<T>::Panel); }

template <DType T>
void pack(const uint8_t* rows, size_t row_bytes, uint32_t n_rows, uint32_t n_cols, uint32_t first_panel, uint32_t n_panels, uint8_t* dst) {
    using F = Format<T>;
    const uint32_t n_blocks = n_cols / block_columns<T>;
    auto* panel = reinterpret_cast<typename F::Panel*>(dst);
    for (uint32_t i = 0; i < n_panels; ++i, panel += n_blocks) {
        const uint32_t first_row = (first_panel + i) * panel_rows, n_lanes = std::min(panel_rows, n_rows - first_row);
        const uint8_t* const source = rows + first_row * row_bytes;
        for (uint32_t k = 0; k < n_blocks; ++k) {
            panel[k] = {};
            for (uint32_t lane = 0; lane < n_lanes; ++lane) {
                typename F::Block block;
                std::memcpy(&block, source + lane * row_bytes + k * sizeof block, sizeof block);
                F::template lane<true>(panel[k], lane, block);
            }
        }
    }
}

template <DType T>
void unpack_row(const WeightView* weight, uint32_t row, float* values) {
    using F = Format<T>;
    auto* panel = reinterpret_cast<const typename F::Panel*>(weight->data + row / panel_rows * weight->panel_bytes);
    for (uint32_t k = 0; k < weight->n_cols / block_columns<T>; ++k) {
        typename F::Block block{};
        F::template lane<false>(const_cast<typename F::Panel&>(panel[k]), row % panel_rows, block);
        dequantize(T, &block, values + k * block_columns<T>, block_columns<T>);
    }
}

template <class Element>
size_t float_panel_bytes(uint32_t n_cols) { return size_t{n_cols} * panel_rows * sizeof(Element); }

template <class Element>
void float_pack(const uint8_t* rows, size_t row_bytes, uint32_t n_rows, uint32_t n_cols, uint32_t first_panel, uint32_t n_panels, uint8_t* dst) {
    std::memset(dst, 0, n_panels * float_panel_bytes<Element>(n_cols));
    for (uint32_t i = 0; i < n_panels; ++i) {
        auto* panel = reinterpret_cast<Element*>(dst + i * float_panel_bytes<Element>(n_cols));
        for (uint32_t lane = 0; lane < panel_rows && (first_panel + i) * panel_rows + lane < n_rows; ++lane) {
            const auto* row = reinterpret_cast<const Element*>(rows + ((first_panel + i) * panel_rows + lane) * row_bytes);
            for (uint32_t k = 0; k < n_cols; ++k) panel[k * panel_rows + lane] = row[k];
        }
    }
}

template <DType T, class Element>
void float_unpack_row(const WeightView* weight, uint32_t row, float* values) {
    const auto* panel = reinterpret_cast<const Element*>(weight->data + row / panel_rows * weight->panel_bytes);
    for (uint32_t k = 0; k < weight->n_cols; ++k) dequantize(T, panel + k * panel_rows + row % panel_rows, values + k, 1);
}

template <DType T> constexpr PanelFormat quantized = {pack<T>, unpack_row<T>, panel_bytes<T>};
template <DType T, class Element> constexpr PanelFormat floats = {float_pack<Element>, float_unpack_row<T, Element>, float_panel_bytes<Element>};

}  // namespace

const PanelFormat* panel_format(uint32_t type) {
    switch (static_cast<DType>(type)) {
        case DType::Q4_0: return &quantized<DType::Q4_0>;
        case DType::Q4_1: return &quantized<DType::Q4_1>;
        case DType::Q8_0: return &quantized<DType::Q8_0>;
        case DType::Q4_K: return &quantized<DType::Q4_K>;
        case DType::Q6_K: return &quantized<DType::Q6_K>;
        case DType::F32: return &floats<DType::F32, float>;
        case DType::F16: return &floats<DType::F16, uint16_t>;
        case DType::BF16: return &floats<DType::BF16, uint16_t>;
        default: return nullptr;
    }
}

}  // namespace ng::cpu
