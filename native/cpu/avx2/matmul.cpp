// Matrix products with AVX2, FMA and F16C over panels of 8 rows: a lane is a row, four activations are broadcast at a time, and every output adds
// its blocks in file order, as scalar/matmul.cpp says. Compiled with the instruction set's flags: nothing here has external linkage but the table.
#include "cpu/avx2/avx2.h"

#include <immintrin.h>

#include "cpu/panels.h"

namespace ng::cpu {
namespace {

// One block of 32 columns of a panel as integers, and its scales as floats.
struct Block {
    __m256i v[8];    // [i]: columns 4 i ... 4 i + 3 of 8 rows; unsigned bytes except in Q8_0
    __m256 dw;
    __m256 p;        // sum of the block's integers (with offset and inner scales)
    __m256 mw;       // types with a minimum
    __m256i sc[2];   // Q6_K: the scale of each half, in both 16-bit halves of a lane
    __m256i sc01;    // Q6_K: both scales of a lane
};

enum class Kind {
    Nibble,   // 0 to 15: eight products of pairs fit in 16 bits
    Signed,   // -128 to 127
    Scaled,   // 0 to 63 less 32, with a scale for each half of the block
};

__m256i load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
__m256 load_halves(const uint16_t* p) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
__m256 load_bytes(const uint8_t* p) { return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)))); }

void load_nibbles(const uint8_t (*q)[8][4], Block& b) {
    const __m256i mask = _mm256_set1_epi8(15);
    for (int i = 0; i < 4; ++i) {
        const __m256i bytes = load(q[i]);
        b.v[i] = _mm256_and_si256(bytes, mask);
        b.v[i + 4] = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), mask);
    }
}

// Row sums of unsigned bytes whose vector sums fit in a byte: n vectors from v.
__m256i byte_sums(const __m256i* v, int n) {
    __m256i sum = v[0];
    for (int i = 1; i < n; ++i) sum = _mm256_add_epi8(sum, v[i]);
    return _mm256_maddubs_epi16(sum, _mm256_set1_epi8(1));
}

__m256i add_pairs(__m256i sixteens) { return _mm256_madd_epi16(sixteens, _mm256_set1_epi16(1)); }

struct Q4_0 {
    static constexpr Kind kind = Kind::Nibble;
    static constexpr bool has_min = false;
    static constexpr int offset = 8;
    static constexpr uint32_t parts = 1;
    using Panel = PanelQ4_0;
    static void read(const Panel& panel, uint32_t, Block& b) {
        load_nibbles(panel.q, b);
        b.dw = load_halves(panel.d);
        b.p = _mm256_cvtepi32_ps(_mm256_sub_epi32(add_pairs(byte_sums(b.v, 8)), _mm256_set1_epi32(256)));
    }
};

struct Q4_1 {
    static constexpr Kind kind = Kind::Nibble;
    static constexpr bool has_min = true;
    static constexpr int offset = 0;
    static constexpr uint32_t parts = 1;
    using Panel = PanelQ4_1;
    static void read(const Panel& panel, uint32_t, Block& b) {
        load_nibbles(panel.q, b);
        b.dw = load_halves(panel.d);
        b.mw = load_halves(panel.m);
        b.p = _mm256_cvtepi32_ps(add_pairs(byte_sums(b.v, 8)));
    }
};

struct Q4_K {
    static constexpr Kind kind = Kind::Nibble;
    static constexpr bool has_min = true;
    static constexpr int offset = 0;
    static constexpr uint32_t parts = 8;
    using Panel = PanelQ4_K;
    static void read(const Panel& panel, uint32_t part, Block& b) {
        load_nibbles(panel.q[part], b);
        b.dw = _mm256_mul_ps(load_halves(panel.d), load_bytes(panel.scale[part]));
        b.mw = _mm256_xor_ps(_mm256_mul_ps(load_halves(panel.dmin), load_bytes(panel.min[part])), _mm256_set1_ps(-0.0f));
        b.p = _mm256_cvtepi32_ps(add_pairs(byte_sums(b.v, 8)));
    }
};

struct Q8_0 {
    static constexpr Kind kind = Kind::Signed;
    static constexpr bool has_min = false;
    static constexpr int offset = 0;
    static constexpr uint32_t parts = 1;
    using Panel = PanelQ8_0;
    static void read(const Panel& panel, uint32_t, Block& b) {
        __m256i sums = _mm256_setzero_si256();
        for (int i = 0; i < 8; ++i) {
            b.v[i] = load(panel.q[i]);
            sums = _mm256_add_epi16(sums, _mm256_maddubs_epi16(_mm256_set1_epi8(1), b.v[i]));
        }
        b.dw = load_halves(panel.d);
        b.p = _mm256_cvtepi32_ps(add_pairs(sums));
    }
};

struct Q6_K {
    static constexpr Kind kind = Kind::Scaled;
    static constexpr bool has_min = false;
    static constexpr int offset = 32;
    static constexpr uint32_t parts = 8;
    using Panel = PanelQ6_K;
    static void read(const Panel& panel, uint32_t part, Block& b) {
        load_nibbles(panel.part[part].low, b);
        const __m256i mask = _mm256_set1_epi8(0x30);
        for (int i = 0; i < 8; ++i) {
            const __m256i high = load(panel.part[part].high[i / 4]);
            const __m256i moved = i % 4 == 0 ? _mm256_slli_epi16(high, 4) : i % 4 == 1 ? _mm256_slli_epi16(high, 2)
                                : i % 4 == 2 ? high : _mm256_srli_epi16(high, 2);
            b.v[i] = _mm256_or_si256(b.v[i], _mm256_and_si256(moved, mask));
        }
        __m256i p = _mm256_setzero_si256();
        for (int half = 0; half < 2; ++half) {
            const __m256i scale = _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(panel.scale[2 * part + half])));
            const __m256i low = _mm256_and_si256(scale, _mm256_set1_epi32(0xffff));
            b.sc[half] = _mm256_or_si256(low, _mm256_slli_epi32(scale, 16));
            b.sc01 = half == 0 ? low : _mm256_or_si256(b.sc01, _mm256_slli_epi32(scale, 16));
            p = _mm256_add_epi32(p, _mm256_madd_epi16(byte_sums(b.v + 4 * half, 4), b.sc[half]));
        }
        // 16 columns less 32 each: 512 per half
        b.p = _mm256_cvtepi32_ps(_mm256_sub_epi32(p, _mm256_madd_epi16(b.sc01, _mm256_set1_epi16(512))));
        b.dw = load_halves(panel.d);
    }
};

// Four activations at column 4 i, to all lanes.
__m256i broadcast4(const int8_t* q, int i) {
    int32_t four;
    __builtin_memcpy(&four, q + 4 * i, 4);
    return _mm256_set1_epi32(four);
}

// The block's integer products with T rows of activations: I of the specification.
template <class F, int T>
void dot(const Block& b, const int8_t* const (&q)[T], const ActBlock* const (&a)[T], __m256i (&sum)[T]) {
    if constexpr (F::kind == Kind::Nibble) {
        for (int t = 0; t < T; ++t) sum[t] = _mm256_maddubs_epi16(b.v[0], broadcast4(q[t], 0));
        for (int i = 1; i < 8; ++i)
            for (int t = 0; t < T; ++t) sum[t] = _mm256_add_epi16(sum[t], _mm256_maddubs_epi16(b.v[i], broadcast4(q[t], i)));
        for (int t = 0; t < T; ++t) {
            sum[t] = add_pairs(sum[t]);
            // less `offset` times the sum of q: the two halves of a.sum, multiplied and added
            if constexpr (F::offset != 0) sum[t] = _mm256_sub_epi32(sum[t], _mm256_madd_epi16(_mm256_set1_epi32(a[t]->sum), _mm256_set1_epi16(F::offset)));
        }
    } else if constexpr (F::kind == Kind::Signed) {
        for (int t = 0; t < T; ++t) sum[t] = _mm256_setzero_si256();
        for (int i = 0; i < 8; ++i) {
            const __m256i magnitude = _mm256_abs_epi8(b.v[i]);
            for (int t = 0; t < T; ++t) {
                const __m256i products = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(broadcast4(q[t], i), b.v[i]));
                sum[t] = _mm256_add_epi32(sum[t], add_pairs(products));
            }
        }
    } else {
        for (int t = 0; t < T; ++t) sum[t] = _mm256_setzero_si256();
        for (int i = 0; i < 8; i += 2)
            for (int t = 0; t < T; ++t) {
                const __m256i products = _mm256_add_epi16(_mm256_maddubs_epi16(b.v[i], broadcast4(q[t], i)), _mm256_maddubs_epi16(b.v[i + 1], broadcast4(q[t], i + 1)));
                sum[t] = _mm256_add_epi32(sum[t], _mm256_madd_epi16(products, b.sc[i / 4]));
            }
        for (int t = 0; t < T; ++t)
            sum[t] = _mm256_sub_epi32(sum[t], _mm256_slli_epi32(_mm256_madd_epi16(b.sc01, _mm256_set1_epi32(a[t]->sum)), 5));
    }
}

template <class F>
__m256 add_block(const Block& b, __m256i sum, const ActBlock& a, __m256 acc) {
    const __m256 products = _mm256_mul_ps(_mm256_set1_ps(a.d), _mm256_cvtepi32_ps(sum));
    acc = _mm256_fmadd_ps(b.dw, _mm256_fmadd_ps(_mm256_set1_ps(a.m), b.p, products), acc);
    if constexpr (F::has_min) acc = _mm256_fmadd_ps(b.mw, _mm256_set1_ps(a.s), acc);
    return acc;
}

template <int T>
struct Rows {
    const int8_t* q[T];
    const ActBlock* a[T];
    Rows(const ActView* x, uint32_t first) {
        for (int t = 0; t < T; ++t) {
            q[t] = static_cast<const int8_t*>(x->values) + size_t{first + static_cast<uint32_t>(t)} * x->n_cols;
            a[t] = x->blocks + size_t{first + static_cast<uint32_t>(t)} * (x->n_cols / act_block);
        }
    }
    void advance() {
        for (int t = 0; t < T; ++t) {
            q[t] += act_block;
            ++a[t];
        }
    }
};

template <class F, int T>
void few_t(const WeightView* w, uint32_t first_panel, uint32_t n_panels, const ActView* x, uint32_t first_row, float* out, size_t stride) {
    for (uint32_t i = 0; i < n_panels; ++i) {
        const auto* panel = reinterpret_cast<const typename F::Panel*>(w->data + (first_panel + i) * w->panel_bytes);
        Rows<T> rows(x, first_row);
        __m256 acc[T];
        for (int t = 0; t < T; ++t) acc[t] = _mm256_setzero_ps();
        for (uint32_t k = 0; k < w->n_cols / (act_block * F::parts); ++k)
            for (uint32_t part = 0; part < F::parts; ++part) {
                Block b;
                F::read(panel[k], part, b);
                __m256i sum[T];
                dot<F, T>(b, rows.q, rows.a, sum);
                for (int t = 0; t < T; ++t) acc[t] = add_block<F>(b, sum[t], *rows.a[t], acc[t]);
                rows.advance();
            }
        for (int t = 0; t < T; ++t) _mm256_storeu_ps(out + static_cast<size_t>(t) * stride + i * panel_rows, acc[t]);
    }
}

template <class F>
void few(const WeightView* w, uint32_t first_panel, uint32_t n_panels, const ActView* x, uint32_t first_row, uint32_t n_rows, float* out,
         size_t stride, void*) {
    switch (n_rows) {
        case 1: return few_t<F, 1>(w, first_panel, n_panels, x, first_row, out, stride);
        case 2: return few_t<F, 2>(w, first_panel, n_panels, x, first_row, out, stride);
        case 3: return few_t<F, 3>(w, first_panel, n_panels, x, first_row, out, stride);
        default: return few_t<F, 4>(w, first_panel, n_panels, x, first_row, out, stride);
    }
}

template <class F, int T>
void tile(const Block* blocks, uint32_t n_blocks, const ActView* x, uint32_t row, float* out, size_t stride) {
    Rows<T> rows(x, row);
    __m256 acc[T];
    for (int t = 0; t < T; ++t) acc[t] = _mm256_setzero_ps();
    for (uint32_t k = 0; k < n_blocks; ++k) {
        __m256i sum[T];
        dot<F, T>(blocks[k], rows.q, rows.a, sum);
        for (int t = 0; t < T; ++t) acc[t] = add_block<F>(blocks[k], sum[t], *rows.a[t], acc[t]);
        rows.advance();
    }
    for (int t = 0; t < T; ++t) _mm256_storeu_ps(out + static_cast<size_t>(t) * stride, acc[t]);
}

template <class F>
void many(const WeightView* w, uint32_t first_panel, uint32_t n_panels, const ActView* x, uint32_t first_row, uint32_t n_rows, float* out,
          size_t stride, void* scratch) {
    const uint32_t n_blocks = w->n_cols / act_block;
    auto* blocks = static_cast<Block*>(scratch);
    for (uint32_t i = 0; i < n_panels; ++i) {
        const auto* panel = reinterpret_cast<const typename F::Panel*>(w->data + (first_panel + i) * w->panel_bytes);
        for (uint32_t k = 0; k < n_blocks; ++k) F::read(panel[k / F::parts], k % F::parts, blocks[k]);
        float* to = out + i * panel_rows;
        uint32_t t = 0;
        for (; t + 4 <= n_rows; t += 4) tile<F, 4>(blocks, n_blocks, x, first_row + t, to + t * stride, stride);
        for (; t < n_rows; ++t) tile<F, 1>(blocks, n_blocks, x, first_row + t, to + t * stride, stride);
    }
}

// 16-bit activations: bytes widen to 16 bits, rows 0-3 and 4-7 apart; a lane of the products is a pair of columns.
template <class F, int T>
void a16_t(const WeightView* w, uint32_t first_panel, uint32_t n_panels, const ActView* x, uint32_t first_row, float* out, size_t stride) {
    const uint32_t n_blocks = w->n_cols / act_block;
    const __m256i offset = _mm256_set1_epi16(F::offset);
    for (uint32_t i = 0; i < n_panels; ++i) {
        const auto* panel = reinterpret_cast<const typename F::Panel*>(w->data + (first_panel + i) * w->panel_bytes);
        const int16_t* q = static_cast<const int16_t*>(x->values) + size_t{first_row} * w->n_cols;
        const ActBlock* a = x->blocks + size_t{first_row} * n_blocks;
        __m256 acc[T];
        for (int t = 0; t < T; ++t) acc[t] = _mm256_setzero_ps();
        for (uint32_t k = 0; k < n_blocks; ++k, q += act_block, ++a) {
            Block b;
            F::read(panel[k / F::parts], k % F::parts, b);
            __m256i sum[T];
            for (int t = 0; t < T; ++t) sum[t] = _mm256_setzero_si256();
            for (int half = 0; half < 2; ++half) {
                __m256i low[T], high[T];
                for (int t = 0; t < T; ++t) low[t] = high[t] = _mm256_setzero_si256();
                for (int v = 4 * half; v < 4 * half + 4; ++v) {
                    const __m128i rows03 = _mm256_castsi256_si128(b.v[v]), rows47 = _mm256_extracti128_si256(b.v[v], 1);
                    const __m256i w03 = _mm256_sub_epi16(F::kind == Kind::Signed ? _mm256_cvtepi8_epi16(rows03) : _mm256_cvtepu8_epi16(rows03), offset);
                    const __m256i w47 = _mm256_sub_epi16(F::kind == Kind::Signed ? _mm256_cvtepi8_epi16(rows47) : _mm256_cvtepu8_epi16(rows47), offset);
                    for (int t = 0; t < T; ++t) {
                        long long four;
                        __builtin_memcpy(&four, q + static_cast<size_t>(t) * w->n_cols + 4 * v, 8);
                        const __m256i columns = _mm256_set1_epi64x(four);
                        low[t] = _mm256_add_epi32(low[t], _mm256_madd_epi16(w03, columns));
                        high[t] = _mm256_add_epi32(high[t], _mm256_madd_epi16(w47, columns));
                    }
                }
                for (int t = 0; t < T; ++t) {
                    __m256i rows = _mm256_permute4x64_epi64(_mm256_hadd_epi32(low[t], high[t]), 0xd8);
                    if constexpr (F::kind == Kind::Scaled) rows = _mm256_mullo_epi32(rows, _mm256_srai_epi32(b.sc[half], 16));
                    sum[t] = _mm256_add_epi32(sum[t], rows);
                }
            }
            for (int t = 0; t < T; ++t) acc[t] = add_block<F>(b, sum[t], a[static_cast<size_t>(t) * n_blocks], acc[t]);
        }
        for (int t = 0; t < T; ++t) _mm256_storeu_ps(out + static_cast<size_t>(t) * stride + i * panel_rows, acc[t]);
    }
}

template <class F>
void a16(const WeightView* w, uint32_t first_panel, uint32_t n_panels, const ActView* x, uint32_t first_row, uint32_t n_rows, float* out,
         size_t stride, void*) {
    uint32_t t = 0;
    for (; t + 4 <= n_rows; t += 4) a16_t<F, 4>(w, first_panel, n_panels, x, first_row + t, out + t * stride, stride);
    for (; t < n_rows; ++t) a16_t<F, 1>(w, first_panel, n_panels, x, first_row + t, out + t * stride, stride);
}

struct F32 {
    using Element = float;
    static __m256 read(const float* p) { return _mm256_loadu_ps(p); }
};
struct F16 {
    using Element = uint16_t;
    static __m256 read(const uint16_t* p) { return load_halves(p); }
};
struct BF16 {
    using Element = uint16_t;
    static __m256 read(const uint16_t* p) {
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))), 16));
    }
};

// Float weights: P panels and T rows together, so that enough independent sums are under way.
template <class F, int P, int T>
void float_tile(const WeightView* w, uint32_t panel, const ActView* x, uint32_t row, float* out, size_t stride) {
    const typename F::Element* weights[P];
    for (int p = 0; p < P; ++p) weights[p] = reinterpret_cast<const typename F::Element*>(w->data + (panel + static_cast<uint32_t>(p)) * w->panel_bytes);
    const float* values = static_cast<const float*>(x->values) + size_t{row} * x->n_cols;
    __m256 acc[P][T];
    for (int p = 0; p < P; ++p)
        for (int t = 0; t < T; ++t) acc[p][t] = _mm256_setzero_ps();
    for (uint32_t k = 0; k < w->n_cols; ++k) {
        __m256 column[P];
        for (int p = 0; p < P; ++p) column[p] = F::read(weights[p] + k * panel_rows);
        for (int t = 0; t < T; ++t) {
            const __m256 value = _mm256_set1_ps(values[static_cast<size_t>(t) * x->n_cols + k]);
            for (int p = 0; p < P; ++p) acc[p][t] = _mm256_fmadd_ps(column[p], value, acc[p][t]);
        }
    }
    for (int p = 0; p < P; ++p)
        for (int t = 0; t < T; ++t) _mm256_storeu_ps(out + static_cast<size_t>(t) * stride + static_cast<size_t>(p) * panel_rows, acc[p][t]);
}

template <class F>
void floats(const WeightView* w, uint32_t first_panel, uint32_t n_panels, const ActView* x, uint32_t first_row, uint32_t n_rows, float* out,
            size_t stride, void*) {
    uint32_t i = 0;
    const auto rows = [&](auto&& four, auto&& one) {
        uint32_t t = 0;
        for (; t + 4 <= n_rows; t += 4) four(t);
        for (; t < n_rows; ++t) one(t);
    };
    for (; i + 2 <= n_panels; i += 2)
        if (n_rows >= 4 || i + 4 > n_panels)
            rows([&](uint32_t t) { float_tile<F, 2, 4>(w, first_panel + i, x, first_row + t, out + t * stride + i * panel_rows, stride); },
                 [&](uint32_t t) { float_tile<F, 2, 1>(w, first_panel + i, x, first_row + t, out + t * stride + i * panel_rows, stride); });
        else {
            for (uint32_t t = 0; t < n_rows; ++t) float_tile<F, 4, 1>(w, first_panel + i, x, first_row + t, out + t * stride + i * panel_rows, stride);
            i += 2;
        }
    for (; i < n_panels; ++i)
        rows([&](uint32_t t) { float_tile<F, 1, 4>(w, first_panel + i, x, first_row + t, out + t * stride + i * panel_rows, stride); },
             [&](uint32_t t) { float_tile<F, 1, 1>(w, first_panel + i, x, first_row + t, out + t * stride + i * panel_rows, stride); });
}

}  // namespace

constexpr Avx2Matmul avx2_matmuls[] = {
    {0, floats<F32>, floats<F32>, nullptr},
    {1, floats<F16>, floats<F16>, nullptr},
    {2, few<Q4_0>, many<Q4_0>, a16<Q4_0>},
    {3, few<Q4_1>, many<Q4_1>, a16<Q4_1>},
    {8, few<Q8_0>, many<Q8_0>, a16<Q8_0>},
    {12, few<Q4_K>, many<Q4_K>, a16<Q4_K>},
    {14, few<Q6_K>, many<Q6_K>, a16<Q6_K>},
    {30, floats<BF16>, floats<BF16>, nullptr},
};
extern const Avx2Matmul* const avx2_matmul_list = avx2_matmuls;
extern const uint32_t avx2_matmul_count = sizeof avx2_matmuls / sizeof avx2_matmuls[0];

}  // namespace ng::cpu
