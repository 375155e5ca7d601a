// Panels: 8 rows of a weight matrix interleaved, so that a vector lane is a row and activations are broadcast. Within a block of 32 columns a
// 32-byte vector holds 4 columns of 8 rows. Sizes are those of the file's blocks (Q4_K 3 % more: its scales are unpacked to bytes).
// Plain structs only: ISA files include this header.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cpu/kernels.h"

namespace ng::cpu {

constexpr uint32_t panel_rows = 8;

struct PanelQ4_0 {
    uint16_t d[8];
    uint8_t q[4][8][4];  // [i][row][j]: column 4 i + j in the low nibble, 16 + 4 i + j in the high one
};

struct PanelQ4_1 {
    uint16_t d[8];
    uint16_t m[8];
    uint8_t q[4][8][4];
};

struct PanelQ8_0 {
    uint16_t d[8];
    int8_t q[8][8][4];   // [i][row][j]: column 4 i + j
};

struct PanelQ4_K {
    uint16_t d[8];
    uint16_t dmin[8];
    uint8_t scale[8][8];  // [part][row], a part is 32 columns
    uint8_t min[8][8];
    uint8_t q[8][4][8][4];
};

struct PanelQ6_K {
    uint16_t d[8];
    int8_t scale[16][8];  // [16 columns][row]
    struct {
        uint8_t low[4][8][4];   // as in Q4_0
        uint8_t high[2][8][4];  // bits 2 (i % 4) of [i / 4]: the high bits of columns 4 i + j
    } part[8];
};

// Float types: [column][8 rows].

// How a type is packed and read back; null for a type without panels.
struct PanelFormat {
    PackFn pack;
    UnpackRowFn unpack_row;
    size_t (*panel_bytes)(uint32_t n_cols);
};
const PanelFormat* panel_format(uint32_t type);

}  // namespace ng::cpu
