// Packing rows of the file into panels. Runs at load, on any processor; loops over the bytes of a row are left to the compiler's vectors.
#include "cpu/panels.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "tensor/blocks.h"
#include "tensor/dtype.h"

namespace ng::cpu {
namespace {

static_assert(std::endian::native == std::endian::little, "four columns move as one little-endian word");

uint32_t word(const uint8_t* bytes) {
    uint32_t w;
    std::memcpy(&w, bytes, 4);
    return w;
}

void set_word(uint8_t (&to)[4], uint32_t w) { std::memcpy(to, &w, 4); }

// The planes of one row's block of 32 integers v.
template <size_t R>
void put_nibbles(uint8_t (&q)[4][R][4], uint32_t row, const uint8_t* v) {
    for (uint32_t i = 0; i < 4; ++i) set_word(q[i][row], (word(v + 4 * i) & 0x0f0f0f0fu) | (word(v + 16 + 4 * i) & 0x0f0f0f0fu) << 4);
}

template <size_t R>
void put_file_nibbles(uint8_t (&q)[4][R][4], uint32_t row, const uint8_t* bytes) {
    for (uint32_t i = 0; i < 4; ++i) std::memcpy(q[i][row], bytes + 4 * i, 4);
}

template <size_t R>
void put_bit(uint8_t (&high)[R][4], uint32_t row, const uint8_t* v, uint32_t bit) {
    uint32_t w = 0;
    for (uint32_t i = 0; i < 8; ++i) w |= (word(v + 4 * i) >> bit & 0x01010101u) << i;
    set_word(high[row], w);
}

template <size_t R>
void put_pairs(uint8_t (&pairs)[2][R][4], uint32_t row, const uint8_t* v, uint32_t bit) {
    for (uint32_t half = 0; half < 2; ++half) {
        uint32_t w = 0;
        for (uint32_t i = 0; i < 4; ++i) w |= (word(v + 16 * half + 4 * i) >> bit & 0x03030303u) << 2 * i;
        set_word(pairs[half][row], w);
    }
}

// The 32 fifth bits of a Q5_0 or Q5_1 block, which are one word in file order.
template <size_t R>
void put_fifth_bits(uint8_t (&high)[R][4], uint32_t row, const uint8_t (&qh)[4]) {
    uint8_t v[32];
    for (int j = 0; j < 32; ++j) v[j] = static_cast<uint8_t>(qh[j / 8] >> (j % 8) & 1);
    put_bit(high, row, v, 0);
}

// ---- one row's block into lane `row` of a panel block ----------------------------------------------------------------

template <class P> void put(P& p, uint32_t part, uint32_t row, const block_q4_0& b) {
    p.d[part][row] = b.d;
    put_file_nibbles(p.q[part], row, b.qs);
}
template <class P> void put(P& p, uint32_t part, uint32_t row, const block_mxfp4& b) {
    // 2^(e - 128) as bfloat16: below e = 2 it has no leading one
    p.d[part][row] = static_cast<uint16_t>(b.e < 2 ? 0x20 << b.e : (b.e - 1) << 7);
    put_file_nibbles(p.q[part], row, b.qs);
}
template <class P> void put(P& p, uint32_t part, uint32_t row, const block_q4_1& b) {
    p.d[part][row] = b.d;
    p.m[part][row] = b.m;
    put_file_nibbles(p.q[part], row, b.qs);
}
template <class P> void put(P& p, uint32_t part, uint32_t row, const block_q5_0& b) {
    p.d[part][row] = b.d;
    put_file_nibbles(p.q[part], row, b.qs);
    put_fifth_bits(p.high[part], row, b.qh);
}
template <class P> void put(P& p, uint32_t part, uint32_t row, const block_q5_1& b) {
    p.d[part][row] = b.d;
    p.m[part][row] = b.m;
    put_file_nibbles(p.q[part], row, b.qs);
    put_fifth_bits(p.high[part], row, b.qh);
}
template <class P> void put(P& p, uint32_t part, uint32_t row, const block_q8_0& b) {
    p.d[part][row] = b.d;
    for (uint32_t i = 0; i < 8; ++i) std::memcpy(p.q[part][i][row], b.qs + 4 * i, 4);
}

template <class P> void put(P& p, uint32_t, uint32_t row, const block_q2_K& b) {
    p.d[row] = b.d;
    p.dmin[row] = b.dmin;
    for (uint32_t s = 0; s < 16; ++s) p.scale[s][row] = b.scales[s];
    for (uint32_t part = 0; part < 8; ++part) put_pairs(p.low2[part], row, b.qs + 32 * (part / 4), 2 * (part % 4));
}
template <class P> void put(P& p, uint32_t, uint32_t row, const block_q3_K& b) {
    p.d[row] = b.d;
    for (int s = 0; s < 16; ++s) p.scale[s][row] = static_cast<int8_t>(scale_q3_K(b.scales, s) - 32);
    for (uint32_t part = 0; part < 8; ++part) {
        put_pairs(p.low2[part], row, b.qs + 32 * (part / 4), 2 * (part % 4));
        put_bit(p.high[part], row, b.hmask, part);
    }
}

template <class P> void put_scales_k4(P& p, uint32_t row, const uint8_t (&scales)[12]) {
    for (int part = 0; part < 8; ++part) {
        int scale, min;
        scale_min_k4(scales, part, scale, min);
        p.scale[part][row] = static_cast<uint8_t>(scale);
        p.min[part][row] = static_cast<uint8_t>(min);
    }
}
// Two parts of a Q4_K or Q5_K block share 32 bytes: one has the low nibbles, the other the high ones.
template <size_t R>
void put_nibbles_k4(uint8_t (&q)[4][R][4], uint32_t row, const uint8_t* qs, uint32_t part) {
    uint8_t v[32];
    for (uint32_t j = 0; j < 32; ++j) v[j] = static_cast<uint8_t>(qs[32 * (part / 2) + j] >> 4 * (part % 2));
    put_nibbles(q, row, v);
}
template <class P> void put(P& p, uint32_t, uint32_t row, const block_q4_K& b) {
    p.d[row] = b.d;
    p.dmin[row] = b.dmin;
    put_scales_k4(p, row, b.scales);
    for (uint32_t part = 0; part < 8; ++part) {
        put_nibbles_k4(p.q[part], row, b.qs, part);
    }
}
template <class P> void put(P& p, uint32_t, uint32_t row, const block_q5_K& b) {
    p.d[row] = b.d;
    p.dmin[row] = b.dmin;
    put_scales_k4(p, row, b.scales);
    for (uint32_t part = 0; part < 8; ++part) {
        put_nibbles_k4(p.part[part].q, row, b.qs, part);
        put_bit(p.part[part].high, row, b.qh, part);
    }
}
template <class P> void put(P& p, uint32_t, uint32_t row, const block_q6_K& b) {
    p.d[row] = b.d;
    for (uint32_t s = 0; s < 16; ++s) p.scale[s][row] = b.scales[s];
    for (uint32_t part = 0; part < 8; ++part) {
        const uint32_t half = part / 4, quarter = part % 4;
        uint8_t v[32];
        for (uint32_t j = 0; j < 32; ++j) v[j] = static_cast<uint8_t>(b.ql[64 * half + 32 * (quarter % 2) + j] >> 4 * (quarter / 2));
        put_nibbles(p.part[part].q, row, v);
        put_pairs(p.part[part].high2, row, b.qh + 32 * half, 2 * quarter);
    }
}
template <class P> void put(P& p, uint32_t, uint32_t row, const block_iq4_xs& b) {
    p.d[row] = b.d;
    for (int part = 0; part < 8; ++part) {
        p.scale[part][row] = static_cast<int8_t>(scale_iq4_xs(b, part) - 32);
        put_file_nibbles(p.q[part], row, b.qs + 16 * part);
    }
}

// ---- whole rows ------------------------------------------------------------------------------------------------------

// Blocks of the file in one panel block: K types fill it with one, the others with one for each part.
template <class Panel, class Block> constexpr uint32_t file_blocks = sizeof(Block) < 64 ? Panel::parts : 1;
template <class Panel, class Block> constexpr uint32_t block_columns = sizeof(Block) < 64 ? 32 : 256;

template <uint32_t R, class Panel>
size_t panel_bytes(uint32_t n_cols) { return (n_cols / 32 + Panel::parts - 1) / Panel::parts * sizeof(Panel); }

template <uint32_t R, class Panel, class Block>
void pack(const uint8_t* rows, size_t row_bytes, uint32_t n_rows, uint32_t n_cols, uint32_t first_panel, uint32_t n_panels, uint8_t* dst) {
    constexpr uint32_t per_panel = file_blocks<Panel, Block>;
    const uint32_t n_blocks = n_cols / block_columns<Panel, Block>;
    auto* panel = reinterpret_cast<Panel*>(dst);
    for (uint32_t i = 0; i < n_panels; ++i) {
        const uint32_t first_row = (first_panel + i) * R, n_lanes = std::min(R, n_rows - first_row);
        const uint8_t* const source = rows + first_row * row_bytes;
        // A row's blocks are read in runs: one by one, all rows would be as many streams as the prefetcher can not follow.
        constexpr uint32_t run = 16 * per_panel;
        for (uint32_t first = 0; first < n_blocks; first += run) {
            const uint32_t n = std::min(run, n_blocks - first), n_panel_blocks = (n + per_panel - 1) / per_panel;
            if (n_lanes < R || n % per_panel != 0) std::memset(static_cast<void*>(panel), 0, n_panel_blocks * sizeof *panel);
            for (uint32_t lane = 0; lane < n_lanes; ++lane)
                for (uint32_t k = 0; k < n; ++k) {
                    Block block;
                    std::memcpy(&block, source + lane * row_bytes + (first + k) * sizeof block, sizeof block);
                    put(panel[k / per_panel], k % per_panel, lane, block);
                }
            panel += n_panel_blocks;
        }
    }
}

template <uint32_t R, class Element>
size_t float_panel_bytes(uint32_t n_cols) { return size_t{n_cols} * R * sizeof(Element); }

template <uint32_t R, class Element>
void float_pack(const uint8_t* rows, size_t row_bytes, uint32_t n_rows, uint32_t n_cols, uint32_t first_panel, uint32_t n_panels, uint8_t* dst) {
    constexpr uint32_t columns_at_once = 64 / sizeof(Element);  // of a cache line of each row
    for (uint32_t i = 0; i < n_panels; ++i) {
        auto* const panel = reinterpret_cast<Element*>(dst + i * float_panel_bytes<R, Element>(n_cols));
        const uint32_t first_row = (first_panel + i) * R, n_lanes = std::min(R, n_rows - first_row);
        if (n_lanes < R) std::memset(panel, 0, float_panel_bytes<R, Element>(n_cols));
        for (uint32_t first = 0; first < n_cols; first += columns_at_once)
            for (uint32_t lane = 0; lane < n_lanes; ++lane) {
                const auto* const row = reinterpret_cast<const Element*>(rows + (first_row + lane) * row_bytes);
                for (uint32_t k = first; k < std::min(n_cols, first + columns_at_once); ++k) panel[size_t{k} * R + lane] = row[k];
            }
    }
}

template <uint32_t R, class Panel, class Block> constexpr PanelFormat quantized = {pack<R, Panel, Block>, panel_bytes<R, Panel>};
template <uint32_t R, class Element> constexpr PanelFormat floats = {float_pack<R, Element>, float_panel_bytes<R, Element>};

}  // namespace

template <uint32_t R>
const PanelFormat* panel_format(uint32_t type) {
    switch (static_cast<DType>(type)) {
        case DType::Q4_0: return &quantized<R, PanelNibbles<R>, block_q4_0>;
        case DType::Q4_1: return &quantized<R, PanelQ4_1<R>, block_q4_1>;
        case DType::Q5_0: return &quantized<R, PanelQ5_0<R>, block_q5_0>;
        case DType::Q5_1: return &quantized<R, PanelQ5_1<R>, block_q5_1>;
        case DType::Q8_0: return &quantized<R, PanelQ8_0<R>, block_q8_0>;
        case DType::Q2_K: return &quantized<R, PanelQ2_K<R>, block_q2_K>;
        case DType::Q3_K: return &quantized<R, PanelQ3_K<R>, block_q3_K>;
        case DType::Q4_K: return &quantized<R, PanelQ4_K<R>, block_q4_K>;
        case DType::Q5_K: return &quantized<R, PanelQ5_K<R>, block_q5_K>;
        case DType::Q6_K: return &quantized<R, PanelQ6_K<R>, block_q6_K>;
        case DType::IQ4_NL: return &quantized<R, PanelNibbles<R>, block_q4_0>;  // lies alike
        case DType::IQ4_XS: return &quantized<R, PanelIQ4_XS<R>, block_iq4_xs>;
        case DType::MXFP4: return &quantized<R, PanelNibbles<R>, block_mxfp4>;
        case DType::F32: return &floats<R, float>;
        case DType::F16: return &floats<R, uint16_t>;
        case DType::BF16: return &floats<R, uint16_t>;
        default: return nullptr;
    }
}

template const PanelFormat* panel_format<8>(uint32_t type);
template const PanelFormat* panel_format<16>(uint32_t type);

}  // namespace ng::cpu
