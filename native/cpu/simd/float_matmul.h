// Matrix products with F32, F16 and BF16 weights over panels of [column][rows]. Included by matmul.h, after the vocabulary of an instruction set;
// internal to the file that includes it.
#pragma once

#include "cpu/panels.h"
#include "cpu/simd/simd.h"
#include "cpu/simd/tile.h"

namespace ng::cpu {
namespace {

struct F32 {
    using Element = float;
    static Floats read(const float* p) { return load_floats(p); }
};
struct F16 {
    using Element = uint16_t;
    static Floats read(const uint16_t* p) { return load_f16(p); }
};
struct BF16 {
    using Element = uint16_t;
    static Floats read(const uint16_t* p) { return load_bf16(p); }
};

// P panels and T rows together, so that enough independent sums are under way. Columns [first, last); outputs wait in `out` between calls.
template <class F, int P, int T>
NG_INLINE void float_tile(const typename F::Element* weights, size_t panel_elements, uint32_t first, uint32_t last, const ActView* x, uint32_t row, float* out,
                size_t stride) {
    const float* values[T];
    NG_UNROLL for (int t = 0; t < T; ++t) values[t] = static_cast<const float*>(x->values) + size_t{row + static_cast<uint32_t>(t)} * x->n_cols;
    Floats acc[P][T];
    load_tile(first == 0, out, stride, acc);
    for (uint32_t k = first; k < last; ++k, weights += lanes) {
        Floats column[P];
        NG_UNROLL for (int p = 0; p < P; ++p) column[p] = F::read(weights + static_cast<size_t>(p) * panel_elements);
        NG_UNROLL for (int t = 0; t < T; ++t) {
            const Floats value = all(values[t][k]);
            NG_UNROLL for (int p = 0; p < P; ++p) acc[p][t] = fma(column[p], value, acc[p][t]);
        }
    }
    store_tile(acc, out, stride);
}

template <class F, int P>
void float_few_panels(const WeightView* w, const typename F::Element* panel, const ActView* x, uint32_t row, uint32_t n_rows, float* out, size_t stride) {
    const size_t elements = w->panel_bytes / sizeof(typename F::Element);
    uint32_t t = 0;
    for (; t + 2 <= n_rows; t += 2) float_tile<F, P, 2>(panel, elements, 0, w->n_cols, x, row + t, out + t * stride, stride);
    if (t < n_rows) float_tile<F, P, 1>(panel, elements, 0, w->n_cols, x, row + t, out + t * stride, stride);
}

template <class F>
void float_few(const WeightView* w, uint32_t first_panel, uint32_t n_panels, const ActView* x, uint32_t first_row, uint32_t n_rows, float* out,
               size_t stride, void*) {
    const auto panel = [&](uint32_t i) { return reinterpret_cast<const typename F::Element*>(w->data + (first_panel + i) * w->panel_bytes); };
    uint32_t i = 0;
    for (; i + 4 <= n_panels; i += 4) float_few_panels<F, 4>(w, panel(i), x, first_row, n_rows, out + i * lanes, stride);
    for (; i < n_panels; ++i) float_few_panels<F, 1>(w, panel(i), x, first_row, n_rows, out + i * lanes, stride);
}

constexpr int float_rows = lanes == 16 ? 12 : 6;
constexpr uint32_t float_chunk = 128;  // columns that are made float32 once for all rows

template <class F, int P>
void float_many_panels(const WeightView* w, const typename F::Element* panel, const ActView* x, uint32_t first_row, uint32_t n_rows, float* out,
                       size_t stride, float* room) {
    const size_t elements = w->panel_bytes / sizeof(typename F::Element);
    for (uint32_t first = 0; first < w->n_cols; first += float_chunk) {
        const uint32_t last = w->n_cols - first < float_chunk ? w->n_cols : first + float_chunk;
        const size_t room_elements = size_t{float_chunk} * lanes;
        for (size_t p = 0; p < P; ++p)
            for (uint32_t k = first; k < last; ++k) store_floats(room + p * room_elements + (k - first) * lanes, F::read(panel + p * elements + size_t{k} * lanes));
        const auto* const weights = reinterpret_cast<const uint8_t*>(panel);
        const size_t column_bytes = lanes * sizeof(typename F::Element);
        const auto here = reinterpret_cast<uintptr_t>(weights);
        Fetch<P> fetch(here + (last < w->n_cols ? last * column_bytes : P * w->panel_bytes), float_chunk * column_bytes, w->panel_bytes,
                       n_rows / float_rows + n_rows % float_rows / 4 + n_rows % 4);
        uint32_t t = 0;
        for (; t + float_rows <= n_rows; t += float_rows) {
            fetch();
            float_tile<F32, P, float_rows>(room, room_elements, first, last, x, first_row + t, out + t * stride, stride);
        }
        for (; t + 4 <= n_rows; t += 4) {
            fetch();
            float_tile<F32, P, 4>(room, room_elements, first, last, x, first_row + t, out + t * stride, stride);
        }
        for (; t < n_rows; ++t) {
            fetch();
            float_tile<F32, P, 1>(room, room_elements, first, last, x, first_row + t, out + t * stride, stride);
        }
    }
}

template <class F>
void float_many(const WeightView* w, uint32_t first_panel, uint32_t n_panels, const ActView* x, uint32_t first_row, uint32_t n_rows, float* out,
                size_t stride, void* scratch) {
    static_assert(2 * float_chunk * lanes * sizeof(float) <= matmul_scratch_bytes);
    const auto panel = [&](uint32_t i) { return reinterpret_cast<const typename F::Element*>(w->data + (first_panel + i) * w->panel_bytes); };
    auto* const room = static_cast<float*>(scratch);
    uint32_t i = 0;
    for (; i + 2 <= n_panels; i += 2) float_many_panels<F, 2>(w, panel(i), x, first_row, n_rows, out + i * lanes, stride, room);
    for (; i < n_panels; ++i) float_many_panels<F, 1>(w, panel(i), x, first_row, n_rows, out + i * lanes, stride, room);
}

}  // namespace
}  // namespace ng::cpu
