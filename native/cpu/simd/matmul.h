// Matrix products over panels, once for every instruction set: a file of an instruction set includes its vocabulary (vector256.h ...), then this.
// A lane is a row of weights, four activations are broadcast at a time, and every output adds its blocks in file order, as scalar/matmul.cpp
// says. Everything is internal to the file that includes it.
#pragma once

#include "cpu/simd/blocks.h"
#include "cpu/simd/float_matmul.h"
#include "cpu/simd/tile.h"

namespace ng::cpu {
namespace {

// ---- integer products ------------------------------------------------------------------------------------------------

// N planes of activations: of each row one (A8), or two (A16: 128 times the first plus the second).
struct Planes {
    const int8_t* q;     // of plane 0; the next one is n_cols further
    const ActBlock* a;
    size_t n_cols;
    // `k` blocks into plane `first`
    Planes(const ActView* x, size_t first, uint32_t k)
        : q(static_cast<const int8_t*>(x->values) + first * x->n_cols + k * act_block), a(x->blocks + first * (x->n_cols / act_block) + k), n_cols(x->n_cols) {}
    NG_INLINE Ints four(int n, int i) const {  // activations 4 i ... 4 i + 3, to all lanes
        int32_t word;
        memcpy(&word, q + static_cast<size_t>(n) * n_cols + 4 * i, 4);
        return all32(word);
    }
    NG_INLINE const ActBlock& block(int n) const { return a[static_cast<size_t>(n) * (n_cols / act_block)]; }
    NG_INLINE void advance() {
        q += act_block;
        ++a;
    }
};

// I of the specification for P panels and N planes.
template <class F, int P, int N>
NG_INLINE void dot(const Block* const (&b)[P], const Planes& x, Ints (&sum)[P][N]) {
    constexpr bool halves = F::traits.scales == Scales::Halves;
    constexpr int vectors = halves ? 4 : 8;  // that one scale covers
    NG_UNROLL for (int part = 0; part < 8; part += vectors) {
        Ints s[P][N];
        if constexpr (has_dots) {
            NG_UNROLL for (int p = 0; p < P; ++p)
                NG_UNROLL for (int n = 0; n < N; ++n) s[p][n] = b[p]->start[part / 4];
            NG_UNROLL for (int i = part; i < part + vectors; ++i)
                NG_UNROLL for (int n = 0; n < N; ++n) {
                    const Ints q = x.four(n, i);
                    NG_UNROLL for (int p = 0; p < P; ++p) s[p][n] = dot4(s[p][n], q, b[p]->v[i]);
                }
            if constexpr (halves)
                NG_UNROLL for (int p = 0; p < P; ++p)
                    NG_UNROLL for (int n = 0; n < N; ++n) s[p][n] = mul32(s[p][n], b[p]->scale[part / 4]);
        } else if constexpr (signed_bytes<F>) {
            NG_UNROLL for (int p = 0; p < P; ++p)
                NG_UNROLL for (int n = 0; n < N; ++n) s[p][n] = zero();
            NG_UNROLL for (int i = part; i < part + vectors; ++i)
                NG_UNROLL for (int p = 0; p < P; ++p) {
                    const Ints magnitude = abs8(b[p]->v[i]);
                    NG_UNROLL for (int n = 0; n < N; ++n) s[p][n] = dot2(s[p][n], pairs8(magnitude, sign8(x.four(n, i), b[p]->v[i])), all16(1));
                }
        } else {
            constexpr int group = group_of<F> < vectors ? group_of<F> : vectors;
            static_assert(group * 2 * F::traits.largest * 127 <= 32767);
            NG_UNROLL for (int first = part; first < part + vectors; first += group) {
                Ints sixteens[P][N];
                NG_UNROLL for (int i = first; i < first + group; ++i)
                    NG_UNROLL for (int n = 0; n < N; ++n) {
                        const Ints q = x.four(n, i);
                        NG_UNROLL for (int p = 0; p < P; ++p) {
                            const Ints products = pairs8(b[p]->v[i], q);
                            sixteens[p][n] = i == first ? products : add16(sixteens[p][n], products);
                        }
                    }
                NG_UNROLL for (int p = 0; p < P; ++p)
                    NG_UNROLL for (int n = 0; n < N; ++n) {
                        const Ints weights = halves ? b[p]->scale[part / 4] : all16(1);
                        s[p][n] = first == part ? pairs16(sixteens[p][n], weights) : dot2(s[p][n], sixteens[p][n], weights);
                    }
            }
        }
        NG_UNROLL for (int p = 0; p < P; ++p)
            NG_UNROLL for (int n = 0; n < N; ++n) sum[p][n] = part == 0 ? s[p][n] : add32(sum[p][n], s[p][n]);
    }
    if constexpr (!has_dots && F::traits.offset != 0)
        NG_UNROLL for (int n = 0; n < N; ++n) {
            const Ints sums = all32(x.block(n).sum);  // of both halves' activations
            NG_UNROLL for (int p = 0; p < P; ++p) sum[p][n] = dot2(sum[p][n], sums, halves ? b[p]->offset : all16(-F::traits.offset));
        }
}

template <int planes>
NG_INLINE Ints join(Ints first, Ints second) {
    if constexpr (planes == 1) return first;
    else return add32(up32<7>(first), second);
}

// Adds a block to the T x P outputs.
template <class F, int P, int T, int planes>
NG_INLINE void add_block(const Block* const (&b)[P], const Planes& x, Floats (&acc)[P][T]) {
    Ints sum[P][T * planes];
    dot<F, P, T * planes>(b, x, sum);
    NG_UNROLL for (int t = 0; t < T; ++t) {
        const ActBlock& a = x.block(t * planes);
        NG_UNROLL for (int p = 0; p < P; ++p) {
            const Floats products = mul(all(a.d), to_floats(join<planes>(sum[p][t * planes], sum[p][t * planes + planes - 1])));
            acc[p][t] = fma(b[p]->dw, fma(all(a.m), b[p]->p, products), acc[p][t]);
            if constexpr (F::traits.minimum == Minimum::One) acc[p][t] = fma(b[p]->mw, all(a.s), acc[p][t]);
            if constexpr (F::traits.minimum == Minimum::Halves) {
                const Ints first = pairs16(b[p]->minima, all32(a.sum)), second = pairs16(b[p]->minima, all32(x.block(t * planes + planes - 1).sum));
                acc[p][t] = fma(b[p]->mw, fma(all(a.m), b[p]->mp, mul(all(a.d), to_floats(join<planes>(first, second)))), acc[p][t]);
            }
        }
    }
}

template <class F>
NG_INLINE void read_block(const uint8_t* panel, uint32_t k, Block& b) {
    F::read(reinterpret_cast<const typename F::Panel*>(panel)[k / F::Panel::parts], k % F::Panel::parts, b);
}

// ---- few rows: the weights stream by once ----------------------------------------------------------------------------

template <class F, int T, int planes>
void few_rows_of(const uint8_t* panel, uint32_t n_blocks, const ActView* x, uint32_t row, float* out, size_t stride) {
    Planes activations(x, size_t{row} * planes, 0);
    Floats acc[1][T];
    load_tile(true, out, stride, acc);
    for (uint32_t k = 0; k < n_blocks; ++k) {
        Block b;
        read_block<F>(panel, k, b);
        const Block* const blocks[1] = {&b};
        add_block<F, 1, T, planes>(blocks, activations, acc);
        activations.advance();
    }
    store_tile(acc, out, stride);
}

template <class F, int planes>
void few(const WeightView* w, uint32_t first_panel, uint32_t n_panels, const ActView* x, uint32_t first_row, uint32_t n_rows, float* out,
         size_t stride, void*) {
    const uint32_t n_blocks = w->n_cols / act_block;
    for (uint32_t i = 0; i < n_panels; ++i, out += lanes) {
        const uint8_t* const panel = w->data + (first_panel + i) * w->panel_bytes;
        // More than 4 planes are more accumulators than registers.
        uint32_t t = 0;
        if constexpr (planes == 1) {
            for (; t + 4 <= n_rows; t += 4) few_rows_of<F, 4, planes>(panel, n_blocks, x, first_row + t, out + t * stride, stride);
            if (t + 3 <= n_rows) few_rows_of<F, 3, planes>(panel, n_blocks, x, first_row + t, out + t * stride, stride), t += 3;
        }
        for (; t + 2 <= n_rows; t += 2) few_rows_of<F, 2, planes>(panel, n_blocks, x, first_row + t, out + t * stride, stride);
        if (t < n_rows) few_rows_of<F, 1, planes>(panel, n_blocks, x, first_row + t, out + t * stride, stride);
    }
}

// ---- many rows: a chunk of columns is unpacked to the cache, then meets all rows -----------------------------------------

constexpr int tile_panels = lanes == 16 ? 2 : 1;  // together, so that a broadcast activation is used twice where there are registers for it
constexpr int tile_planes = 4;
constexpr uint32_t chunk_blocks = 8;

template <class F, int P, int T, int planes>
void add_chunk(const Block* chunk, uint32_t first_block, uint32_t n_blocks, const ActView* x, uint32_t row, float* out, size_t stride) {
    Planes activations(x, size_t{row} * planes, first_block);
    Floats acc[P][T];
    load_tile(first_block == 0, out, stride, acc);
    for (uint32_t k = 0; k < n_blocks; ++k) {
        const Block* blocks[P];
        NG_UNROLL for (int p = 0; p < P; ++p) blocks[p] = chunk + static_cast<uint32_t>(p) * chunk_blocks + k;
        add_block<F, P, T, planes>(blocks, activations, acc);
        activations.advance();
    }
    store_tile(acc, out, stride);
}

template <class F, int P, int planes>
void many_panels(const uint8_t* panel, size_t panel_bytes, uint32_t n_blocks, const ActView* x, uint32_t first_row, uint32_t n_rows, float* out,
                 size_t stride, Block* chunk) {
    constexpr int T = tile_planes / planes;
    constexpr size_t chunk_bytes = chunk_blocks / F::Panel::parts * sizeof(typename F::Panel);
    const uint8_t* at = panel;
    for (uint32_t first = 0; first < n_blocks; first += chunk_blocks, at += chunk_bytes) {
        const uint32_t n = n_blocks - first < chunk_blocks ? n_blocks - first : chunk_blocks;
        for (uint32_t p = 0; p < P; ++p)
            for (uint32_t k = 0; k < n; ++k) read_block<F>(panel + p * panel_bytes, first + k, chunk[p * chunk_blocks + k]);
        const auto next = first + chunk_blocks < n_blocks ? reinterpret_cast<uintptr_t>(at + chunk_bytes) : reinterpret_cast<uintptr_t>(panel) + P * panel_bytes;
        Fetch<P> fetch(next, chunk_bytes, panel_bytes, n_rows / T + n_rows % T);
        uint32_t t = 0;
        for (; t + T <= n_rows; t += T) {
            fetch();
            add_chunk<F, P, T, planes>(chunk, first, n, x, first_row + t, out + t * stride, stride);
        }
        for (; t < n_rows; ++t) {
            fetch();
            add_chunk<F, P, 1, planes>(chunk, first, n, x, first_row + t, out + t * stride, stride);
        }
    }
}

template <class F, int planes>
void many(const WeightView* w, uint32_t first_panel, uint32_t n_panels, const ActView* x, uint32_t first_row, uint32_t n_rows, float* out,
          size_t stride, void* scratch) {
    static_assert(sizeof(Block) * tile_panels * chunk_blocks <= matmul_scratch_bytes);
    const uint32_t n_blocks = w->n_cols / act_block;
    auto* const chunk = static_cast<Block*>(scratch);
    const uint8_t* panel = w->data + first_panel * w->panel_bytes;
    uint32_t i = 0;
    for (; i + tile_panels <= n_panels; i += tile_panels, panel += tile_panels * w->panel_bytes)
        many_panels<F, tile_panels, planes>(panel, w->panel_bytes, n_blocks, x, first_row, n_rows, out + i * lanes, stride, chunk);
    for (; i < n_panels; ++i, panel += w->panel_bytes)
        many_panels<F, 1, planes>(panel, w->panel_bytes, n_blocks, x, first_row, n_rows, out + i * lanes, stride, chunk);
}

// ---- what the table gets -------------------------------------------------------------------------------------------------

template <class F> constexpr SimdMatmul quantized(uint32_t type) { return {type, few<F, 1>, many<F, 1>, few<F, 2>, many<F, 2>}; }
template <class F> constexpr SimdMatmul floats(uint32_t type) { return {type, float_few<F>, float_many<F>, nullptr, nullptr}; }

// By ggml's numbers.
constexpr SimdMatmul matmuls[] = {
    floats<F32>(0),     floats<F16>(1),      quantized<Q4_0>(2),  quantized<Q4_1>(3),  quantized<Q5_0>(6),  quantized<Q5_1>(7),
    quantized<Q8_0>(8), quantized<Q2_K>(10), quantized<Q3_K>(11), quantized<Q4_K>(12), quantized<Q5_K>(13), quantized<Q6_K>(14),
    quantized<IQ4_NL>(20), quantized<IQ4_XS>(23), floats<BF16>(30), quantized<MXFP4>(39),
};
static_assert(sizeof matmuls / sizeof matmuls[0] == n_simd_matmuls);

}  // namespace
}  // namespace ng::cpu
