// Panels: R rows of a weight matrix interleaved (R = 8 or 16, the 32-bit lanes of a vector), so that a lane is a row and activations are
// broadcast. A vector holds 4 columns of R rows; a block of 32 columns is 8 of them: v[i] has columns 4 i ... 4 i + 3.
// Bits are stored in planes: `q` the low four of v[i] and v[i + 4], `high` one bit, `low2` and `high2` two bits of every v[i].
// Plain structs only: ISA files include this header. Sizes are those of the file's blocks, or up to 6 % more (scales as bytes or 16 bits, padding).
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cpu/kernels.h"

namespace ng::cpu {

template <uint32_t R> using Nibbles = uint8_t[4][R][4];  // [i][row][j]: column 4 i + j in the low nibble, 16 + 4 i + j in the high one
template <uint32_t R> using Bits = uint8_t[R][4];        // bit i of [row][j]: column 4 i + j
template <uint32_t R> using Pairs = uint8_t[2][R][4];    // bits 2 (i % 4) of [i / 4][row][j]: column 4 i + j

// Types with blocks of 32: two blocks to a panel block, so that vectors stay aligned. d and m are float16 (MXFP4: bfloat16).
template <uint32_t R> struct PanelNibbles {  // Q4_0, IQ4_NL, MXFP4
    static constexpr uint32_t parts = 2;
    uint16_t d[2][R];
    Nibbles<R> q[2];
};

template <uint32_t R> struct PanelQ4_1 {
    static constexpr uint32_t parts = 2;
    uint16_t d[2][R];
    uint16_t m[2][R];
    Nibbles<R> q[2];
};

template <uint32_t R> struct PanelQ5_0 {
    static constexpr uint32_t parts = 2;
    uint16_t d[2][R];
    Nibbles<R> q[2];
    Bits<R> high[2];
};

template <uint32_t R> struct PanelQ5_1 {
    static constexpr uint32_t parts = 2;
    uint16_t d[2][R];
    uint16_t m[2][R];
    Nibbles<R> q[2];
    Bits<R> high[2];
};

template <uint32_t R> struct PanelQ8_0 {
    static constexpr uint32_t parts = 2;
    uint16_t d[2][R];
    uint8_t q[2][8][R][4];  // signed bytes as they are
};

// Types with blocks of 256: 8 parts of 32 columns, some with a scale for each half of a part.
template <uint32_t R> struct PanelQ2_K {
    static constexpr uint32_t parts = 8;
    uint16_t d[R];
    uint16_t dmin[R];
    uint8_t scale[16][R];  // low nibble scale, high nibble minimum
    Pairs<R> low2[8];
};

template <uint32_t R> struct PanelQ3_K {
    static constexpr uint32_t parts = 8;
    alignas(4 * R) uint16_t d[R];
    alignas(4 * R) int8_t scale[16][R];
    Pairs<R> low2[8];
    Bits<R> high[8];
};

template <uint32_t R> struct PanelQ4_K {
    static constexpr uint32_t parts = 8;
    uint16_t d[R];
    uint16_t dmin[R];
    uint8_t scale[8][R];
    uint8_t min[8][R];
    Nibbles<R> q[8];
};

template <uint32_t R> struct PanelQ5_K {
    static constexpr uint32_t parts = 8;
    uint16_t d[R];
    uint16_t dmin[R];
    uint8_t scale[8][R];
    uint8_t min[8][R];
    struct {
        Nibbles<R> q;
        Bits<R> high;
    } part[8];
};

template <uint32_t R> struct PanelQ6_K {
    static constexpr uint32_t parts = 8;
    alignas(4 * R) uint16_t d[R];
    alignas(4 * R) int8_t scale[16][R];
    struct {
        Nibbles<R> q;
        Pairs<R> high2;
    } part[8];
};

template <uint32_t R> struct PanelIQ4_XS {
    static constexpr uint32_t parts = 8;
    alignas(4 * R) uint16_t d[R];
    alignas(4 * R) int8_t scale[8][R];
    Nibbles<R> q[8];
};

// Float types: [column][R rows].

// How a type is packed; null for a type without panels.
struct PanelFormat {
    PackFn pack;
    size_t (*panel_bytes)(uint32_t n_cols);
};
template <uint32_t R> const PanelFormat* panel_format(uint32_t type);  // R: 8, 16

}  // namespace ng::cpu
