// What products of integers and of floats have in common: outputs that wait in memory, and weights that are fetched ahead. Included after the
// vocabulary of an instruction set; internal to the file that includes it.
#pragma once

#include "cpu/simd/simd.h"

namespace ng::cpu {
namespace {

// Outputs of P panels x T rows wait in `out` between chunks of columns.
template <int P, int T>
NG_INLINE void load_tile(bool first, const float* out, size_t stride, Floats (&acc)[P][T]) {
    NG_UNROLL for (int p = 0; p < P; ++p)
        NG_UNROLL for (int t = 0; t < T; ++t) acc[p][t] = first ? zero_floats() : load_floats(out + static_cast<size_t>(t) * stride + static_cast<size_t>(p) * lanes);
}
template <int P, int T>
NG_INLINE void store_tile(const Floats (&acc)[P][T], float* out, size_t stride) {
    NG_UNROLL for (int p = 0; p < P; ++p)
        NG_UNROLL for (int t = 0; t < T; ++t) store_floats(out + static_cast<size_t>(t) * stride + static_cast<size_t>(p) * lanes, acc[p][t]);
}

// While a chunk is multiplied the next one is fetched from memory, a part with every tile; past a panel's end the next panels begin.
template <int P>
struct Fetch {
    uintptr_t next, end;  // addresses: behind the last panel there may be nothing
    size_t panel_bytes, part;
    Fetch(uintptr_t from, size_t bytes, size_t panel, size_t n_tiles) : next(from), end(from + bytes), panel_bytes(panel), part((bytes / n_tiles + 64) / 64 * 64) {}
    void operator()() {
        for (const uintptr_t to = next + part; next < to && next < end; next += 64)
            for (uint32_t p = 0; p < P; ++p) prefetch(reinterpret_cast<const uint8_t*>(next + p * panel_bytes));
    }
};

}  // namespace
}  // namespace ng::cpu
