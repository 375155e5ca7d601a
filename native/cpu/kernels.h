// The table of functions an instruction set provides, and the plain structs they take. Every entry has a scalar version, which is the
// specification: all others give the same bits. Files of an instruction set include it: nothing here may become a function
// with external linkage, which the linker could then keep for everybody.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "backend/kv_type.h"

namespace ng::cpu {

// Activations of a matrix product. Weights of 8 bits or fewer meet integers; F32, F16 and BF16 weights meet floats.
enum class ActFormat : uint8_t {
    F32,
    A8,   // per block of 32: x = d q + m, q in [-127, 127], m the middle between smallest and largest
    A16,  // per block of 32: x = d q, q in [-8191, 8191] (14 bits, so that any block of any weight type sums exactly in 32 bits)
          // as two planes of bytes: q = 128 q0 + q1, q0 in [-64, 63], q1 in [0, 127], so that both meet the kernels of A8
};

constexpr uint32_t act_planes(ActFormat format) { return format == ActFormat::A16 ? 2 : 1; }

constexpr uint32_t act_block = 32;

struct ActBlock {
    float d;
    float m;      // 0 in A16
    float s;      // sum of the block's dequantized values: fma(m, 32, d * (sum of q))
    int32_t sum;  // of the plane's bytes: over the first 16 in the low half, over the last 16 in the high half (two int16)
};

// Below this a scale has no finite inverse; such a block is its middle (or zero).
constexpr float smallest_scale = 0x1p-126f;

struct ActView {
    ActFormat format;
    uint8_t up;              // Kernels::act_up of the set that made the bytes
    uint32_t n_rows;
    uint32_t n_cols;
    const void* values;      // float [n_rows][n_cols], or int8_t [n_rows][planes][n_cols] (`up` higher)
    const ActBlock* blocks;  // [n_rows][planes][n_cols / 32] (planes differ in `sum` only), not in F32
};

// A weight matrix as the kernels read it. Raw: rows as in the file. Panels: groups of `panel_rows` rows interleaved, n_rows rounded up, zeros behind.
struct WeightView {
    const uint8_t* data;
    uint32_t n_rows;
    uint32_t n_cols;
    size_t panel_bytes;  // a row's in Raw (one row is a panel)
};

// out[t * stride + panel_row] for activation rows [first_row, first_row + n_rows) and one or more whole panels. `scratch` holds
// matmul_scratch_bytes, 64-byte aligned, one per thread.
using MatmulFn = void (*)(const WeightView* weight, uint32_t first_panel, uint32_t n_panels, const ActView* x, uint32_t first_row,
                          uint32_t n_rows, float* out, size_t stride, void* scratch);
// Packs rows [first_panel * panel_rows, ...) of the file into dst, which points at panel first_panel.
using PackFn = void (*)(const uint8_t* rows, size_t row_bytes, uint32_t n_rows, uint32_t n_cols, uint32_t first_panel, uint32_t n_panels, uint8_t* dst);

struct MatmulKernel {
    MatmulFn few;             // streams the weights once, for few activation rows
    MatmulFn many;            // unpacks a panel, then uses it for many rows
    PackFn pack;              // null: Raw
    uint32_t panel_rows;      // 1 in Raw
    size_t (*panel_bytes)(uint32_t n_cols);
};

constexpr uint32_t few_rows = 4;          // `few` takes at most this many activation rows
constexpr uint32_t n_types = 48;          // size of tables indexed by ggml's type number
constexpr uint32_t page_tokens = 64;      // positions of a KV page, and of an attention tile
constexpr uint32_t split_pages = 16;      // pages of a split: softmax runs within a split, then splits are combined in order
constexpr size_t matmul_scratch_bytes = 32 << 10;  // a chunk of columns of two panels, unpacked

// One query row of attention. A page holds the heads' K and V as backend/kv_type.h says.
struct AttentionRow {
    const float* q;              // [n_head][d_k]
    float* out;                  // [n_head][d_v]
    uint32_t position;           // sees 0 ... position
};

struct AttentionJob {
    const void* const* k_pages;  // of the sequence, this layer
    const void* const* v_pages;
    backend::KvType type;        // of the cache
    uint32_t n_head;
    uint32_t n_head_kv;
    uint32_t d_k;
    uint32_t d_v;
    float scale;
    uint32_t head_kv;            // this job's KV head: its n_head / n_head_kv query heads
    const AttentionRow* rows;    // of one sequence
    uint32_t n_rows;             // at most attention_rows
    void* scratch;               // attention_scratch_bytes
};

constexpr uint32_t attention_rows = 16;
// K and V tile as float, and for each (row, query head of the group) the sums of a split and some state.
constexpr size_t attention_scratch_bytes(size_t group, size_t d_k, size_t d_v) {
    return 4 * page_tokens * (d_k + d_v) + attention_rows * group * (4 * d_v + 64) + 256;
}

struct Kernels {
    const char* name;
    uint8_t act_up;  // bytes of activations are stored this much higher: 128 where the products want them unsigned, else 0
    const MatmulKernel* matmul[n_types];         // by weight type, activations A8 (quantized types) or F32; null: take scalar's
    const MatmulKernel* matmul_a16[n_types];     // quantized types with A16 activations
    void (*quantize_a8)(const float* x, uint32_t n_cols, int8_t* q, ActBlock* blocks);    // one row
    void (*quantize_a16)(const float* x, uint32_t n_cols, int8_t* q, ActBlock* blocks);   // two planes of the row
    void (*to_f16)(const float* x, uint16_t* out, size_t n);  // round to nearest even
    void (*attention)(const AttentionJob* job);
    void (*silu_mul)(const float* gate, const float* up, float* out, size_t n);
    void (*gelu_tanh)(float* x, size_t n);
    void (*gelu_tanh_mul)(const float* gate, const float* up, float* out, size_t n);
};

const Kernels& scalar_kernels();
#if defined(__x86_64__) || defined(_M_X64)
const Kernels& avx2_kernels();
const Kernels& avxvnni_kernels();     // AVX2 with VNNI's dot products in its encoding
const Kernels& avx512_kernels();      // F, BW, DQ, VL
const Kernels& avx512vnni_kernels();
#elif defined(__aarch64__) || defined(_M_ARM64)
const Kernels& neon_kernels();        // with the dot products of ARMv8.2
#endif

}  // namespace ng::cpu
