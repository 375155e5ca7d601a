// Matrix products over panels, once for every instruction set: a file of an instruction set includes its vocabulary (vector256.h ...), then this.
// A lane is a row of weights, four activations are broadcast at a time, and every output adds its blocks in file order, as scalar/matmul.cpp
// says. Everything is internal to the file that includes it.
#pragma once

#include "cpu/panels.h"
#include "cpu/simd/simd.h"

namespace ng::cpu {
namespace {

// ---- blocks of 32 columns as integers --------------------------------------------------------------------------------

// One block of a panel, unpacked. Each type uses a part of it.
struct Block {
    Ints v[8];     // [i]: columns 4 i ... 4 i + 3 of every row. With dots the signed integers, else unsigned bytes (signed where signed_bytes<F>)
    Floats dw;
    Floats p;      // sum of the block's integers, with offset and inner scales
    Floats mw;     // types with a minimum
    Floats mp;     // Q2_K: 16 times the sum of both halves' minima
    Ints minima;   // Q2_K: minimum of each half, one in each 16 bits
    Ints scale[2]; // a scale for each half: as 32 bits with dots, else in both 16 bits of a lane
    Ints offset;   // without dots, a scale for each half: -offset * scale, one half in each 16 bits
    Ints start[2]; // with dots: -128 times the sum of the integers (of each half), since activations are 128 higher
};

enum class Scales : uint8_t { One, Halves };
enum class Minimum : uint8_t { None, One, Halves };

struct Traits {
    int largest;          // of the unsigned bytes; 0: bytes are signed
    int offset;           // integer = byte - offset
    Scales scales = Scales::One;
    Minimum minimum = Minimum::None;
};

template <class F> constexpr bool signed_bytes = F::traits.largest == 0;
// Vectors of products whose sum in 16 bits can not overflow.
template <class F> constexpr int group_of = F::traits.largest > 31 ? 2 : F::traits.largest > 15 || F::traits.scales == Scales::Halves ? 4 : 8;

template <uint32_t R>
NG_INLINE void read_nibbles(const uint8_t (&q)[4][R][4], Ints (&v)[8]) {
    NG_UNROLL for (int i = 0; i < 4; ++i) {
        const Ints bytes = load(q[i]);
        v[i] = both(bytes, all8(15));
        v[i + 4] = both(down16<4>(bytes), all8(15));
    }
}

template <int bit> NG_INLINE void add_bits(Ints bits, Ints (&v)[8]) {
    const Ints mask = all8(1 << bit);
    v[0] = either(v[0], both(up16<bit>(bits), mask));
    v[1] = either(v[1], both(up16<bit - 1>(bits), mask));
    v[2] = either(v[2], both(up16<bit - 2>(bits), mask));
    v[3] = either(v[3], both(bit >= 3 ? up16<bit >= 3 ? bit - 3 : 0>(bits) : down16<bit >= 3 ? 0 : 3 - bit>(bits), mask));
    v[4] = either(v[4], both(bit >= 4 ? bits : down16<4 - bit>(bits), mask));
    v[5] = either(v[5], both(down16<5 - bit>(bits), mask));
    v[6] = either(v[6], both(down16<6 - bit>(bits), mask));
    v[7] = either(v[7], both(down16<7 - bit>(bits), mask));
}

template <uint32_t R>
NG_INLINE void read_pairs(const uint8_t (&low2)[2][R][4], Ints (&v)[8]) {
    NG_UNROLL for (int half = 0; half < 2; ++half) {
        const Ints bytes = load(low2[half]);
        v[4 * half] = both(bytes, all8(3));
        v[4 * half + 1] = both(down16<2>(bytes), all8(3));
        v[4 * half + 2] = both(down16<4>(bytes), all8(3));
        v[4 * half + 3] = both(down16<6>(bytes), all8(3));
    }
}

NG_INLINE Ints add_pairs(Ints sixteens) { return pairs16(sixteens, all16(1)); }

// Sums over n vectors of bytes, for each row.
template <class F>
NG_INLINE Ints byte_sums(const Ints* v, int n) {
    if constexpr (signed_bytes<F> && has_dots) {
        Ints sum = zero();
        NG_UNROLL for (int i = 0; i < n; ++i) sum = dot4(sum, all8(1), v[i]);
        return sum;
    } else if constexpr (signed_bytes<F>) {
        Ints sum = zero();
        NG_UNROLL for (int i = 0; i < n; ++i) sum = add16(sum, pairs8(all8(1), v[i]));
        return add_pairs(sum);
    } else {
        Ints sum = v[0];  // at most 8 x 31 or 4 x 63 in a byte
        NG_UNROLL for (int i = 1; i < n; ++i) sum = add8(sum, v[i]);
        if constexpr (has_dots) return dot4(zero(), sum, all8(1));
        else return add_pairs(pairs8(sum, all8(1)));
    }
}

template <class F> NG_INLINE Ints integer_sums(const Ints* v, int n) {
    return F::traits.offset == 0 ? byte_sums<F>(v, n) : sub32(byte_sums<F>(v, n), all32(4 * n * F::traits.offset));
}

// With dots, bytes become the signed integers.
template <class F> NG_INLINE void subtract_offset(Block& b) {
    if constexpr (has_dots && F::traits.offset != 0)
        NG_UNROLL for (int i = 0; i < 8; ++i) b.v[i] = sub8(b.v[i], all8(F::traits.offset));
}

NG_INLINE Ints start_of(Ints sum) { return sub32(zero(), up32<7>(sum)); }

// Ends a block with one scale.
template <class F> NG_INLINE void finish(Block& b) {
    const Ints sum = integer_sums<F>(b.v, 8);
    if constexpr (has_dots) b.start[0] = start_of(sum);
    b.p = to_floats(sum);
    subtract_offset<F>(b);
}

// Ends a block with a scale for each half, given as 32 bits.
template <class F>
NG_INLINE void finish(Ints first, Ints second, Block& b) {
    const Ints sums[2] = {integer_sums<F>(b.v, 4), integer_sums<F>(b.v + 4, 4)};
    b.p = to_floats(add32(mul32(first, sums[0]), mul32(second, sums[1])));
    if constexpr (has_dots) {
        b.scale[0] = first;
        b.scale[1] = second;
        b.start[0] = start_of(sums[0]);
        b.start[1] = start_of(sums[1]);
    } else {
        const Ints low = all32(0xffff);
        b.scale[0] = either(both(first, low), up32<16>(first));
        b.scale[1] = either(both(second, low), up32<16>(second));
        if constexpr (F::traits.offset != 0) b.offset = mul16(either(both(first, low), up32<16>(second)), all16(-F::traits.offset));
    }
    subtract_offset<F>(b);
}

// Values of a code book, or the same some steps up.
struct CodeBook {
    uint8_t values[16];
    constexpr CodeBook(const int8_t (&signed_values)[16], int up) : values() {
        NG_UNROLL for (int i = 0; i < 16; ++i) values[i] = static_cast<uint8_t>(signed_values[i] + up);
    }
};
constexpr int8_t iq4_nl_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};  // as in tensor/blocks.h
constexpr int8_t mxfp4_values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
constexpr CodeBook iq4_nl_book(iq4_nl_values, 0);
constexpr CodeBook mxfp4_book(mxfp4_values, has_dots ? 0 : 12);

struct Q4_0 {
    static constexpr Traits traits{15, 8};
    using Panel = PanelNibbles<lanes>;
    NG_INLINE static void read(const Panel& panel, uint32_t part, Block& b) {
        read_nibbles(panel.q[part], b.v);
        b.dw = load_f16(panel.d[part]);
        finish<Q4_0>(b);
    }
};

struct Q4_1 {
    static constexpr Traits traits{15, 0, Scales::One, Minimum::One};
    using Panel = PanelQ4_1<lanes>;
    NG_INLINE static void read(const Panel& panel, uint32_t part, Block& b) {
        read_nibbles(panel.q[part], b.v);
        b.dw = load_f16(panel.d[part]);
        b.mw = load_f16(panel.m[part]);
        finish<Q4_1>(b);
    }
};

struct Q5_0 {
    static constexpr Traits traits{31, 16};
    using Panel = PanelQ5_0<lanes>;
    NG_INLINE static void read(const Panel& panel, uint32_t part, Block& b) {
        read_nibbles(panel.q[part], b.v);
        add_bits<4>(load(panel.high[part]), b.v);
        b.dw = load_f16(panel.d[part]);
        finish<Q5_0>(b);
    }
};

struct Q5_1 {
    static constexpr Traits traits{31, 0, Scales::One, Minimum::One};
    using Panel = PanelQ5_1<lanes>;
    NG_INLINE static void read(const Panel& panel, uint32_t part, Block& b) {
        read_nibbles(panel.q[part], b.v);
        add_bits<4>(load(panel.high[part]), b.v);
        b.dw = load_f16(panel.d[part]);
        b.mw = load_f16(panel.m[part]);
        finish<Q5_1>(b);
    }
};

struct Q8_0 {
    static constexpr Traits traits{0, 0};
    using Panel = PanelQ8_0<lanes>;
    NG_INLINE static void read(const Panel& panel, uint32_t part, Block& b) {
        NG_UNROLL for (int i = 0; i < 8; ++i) b.v[i] = load(panel.q[part][i]);
        b.dw = load_f16(panel.d[part]);
        finish<Q8_0>(b);
    }
};

struct Q2_K {
    static constexpr Traits traits{3, 0, Scales::Halves, Minimum::Halves};
    using Panel = PanelQ2_K<lanes>;
    NG_INLINE static void read(const Panel& panel, uint32_t part, Block& b) {
        read_pairs(panel.low2[part], b.v);
        const Ints first = load_u8(panel.scale[2 * part]), second = load_u8(panel.scale[2 * part + 1]), nibble = all32(15);
        finish<Q2_K>(both(first, nibble), both(second, nibble), b);
        b.minima = either(down16<4>(first), up32<16>(down16<4>(second)));
        b.mp = to_floats(pairs16(b.minima, all16(16)));
        b.dw = load_f16(panel.d);
        b.mw = negate(load_f16(panel.dmin));
    }
};

struct Q3_K {
    static constexpr Traits traits{7, 4, Scales::Halves};
    using Panel = PanelQ3_K<lanes>;
    NG_INLINE static void read(const Panel& panel, uint32_t part, Block& b) {
        read_pairs(panel.low2[part], b.v);
        add_bits<2>(load(panel.high[part]), b.v);
        finish<Q3_K>(load_i8(panel.scale[2 * part]), load_i8(panel.scale[2 * part + 1]), b);
        b.dw = load_f16(panel.d);
    }
};

template <class Panel>
NG_INLINE void read_scales_k4(const Panel& panel, uint32_t part, Block& b) {
    b.dw = mul(load_f16(panel.d), to_floats(load_u8(panel.scale[part])));
    b.mw = negate(mul(load_f16(panel.dmin), to_floats(load_u8(panel.min[part]))));
}

struct Q4_K {
    static constexpr Traits traits{15, 0, Scales::One, Minimum::One};
    using Panel = PanelQ4_K<lanes>;
    NG_INLINE static void read(const Panel& panel, uint32_t part, Block& b) {
        read_nibbles(panel.q[part], b.v);
        read_scales_k4(panel, part, b);
        finish<Q4_K>(b);
    }
};

struct Q5_K {
    static constexpr Traits traits{31, 0, Scales::One, Minimum::One};
    using Panel = PanelQ5_K<lanes>;
    NG_INLINE static void read(const Panel& panel, uint32_t part, Block& b) {
        read_nibbles(panel.part[part].q, b.v);
        add_bits<4>(load(panel.part[part].high), b.v);
        read_scales_k4(panel, part, b);
        finish<Q5_K>(b);
    }
};

struct Q6_K {
    static constexpr Traits traits{63, 32, Scales::Halves};
    using Panel = PanelQ6_K<lanes>;
    NG_INLINE static void read(const Panel& panel, uint32_t part, Block& b) {
        read_nibbles(panel.part[part].q, b.v);
        NG_UNROLL for (int half = 0; half < 2; ++half) {
            const Ints bits = load(panel.part[part].high2[half]), mask = all8(0x30);
            Ints* const v = b.v + 4 * half;
            v[0] = either(v[0], both(up16<4>(bits), mask));
            v[1] = either(v[1], both(up16<2>(bits), mask));
            v[2] = either(v[2], both(bits, mask));
            v[3] = either(v[3], both(down16<2>(bits), mask));
        }
        finish<Q6_K>(load_i8(panel.scale[2 * part]), load_i8(panel.scale[2 * part + 1]), b);
        b.dw = load_f16(panel.d);
    }
};

template <uint32_t R>
NG_INLINE void read_code_book(const uint8_t (&q)[4][R][4], const CodeBook& book, Ints (&v)[8]) {
    read_nibbles(q, v);
    for (Ints& bytes : v) bytes = look_up(book.values, bytes);
}

struct IQ4_NL {
    static constexpr Traits traits{0, 0};
    using Panel = PanelNibbles<lanes>;
    NG_INLINE static void read(const Panel& panel, uint32_t part, Block& b) {
        read_code_book(panel.q[part], iq4_nl_book, b.v);
        b.dw = load_f16(panel.d[part]);
        finish<IQ4_NL>(b);
    }
};

struct IQ4_XS {
    static constexpr Traits traits{0, 0};
    using Panel = PanelIQ4_XS<lanes>;
    NG_INLINE static void read(const Panel& panel, uint32_t part, Block& b) {
        read_code_book(panel.q[part], iq4_nl_book, b.v);
        b.dw = mul(load_f16(panel.d), to_floats(load_i8(panel.scale[part])));
        finish<IQ4_XS>(b);
    }
};

struct MXFP4 {
    static constexpr Traits traits = has_dots ? Traits{0, 0} : Traits{24, 12};
    using Panel = PanelNibbles<lanes>;
    NG_INLINE static void read(const Panel& panel, uint32_t part, Block& b) {
        read_code_book(panel.q[part], mxfp4_book, b.v);
        b.dw = load_bf16(panel.d[part]);
        finish<MXFP4>(b);
    }
};

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
        __builtin_memcpy(&word, q + static_cast<size_t>(n) * n_cols + 4 * i, 4);
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
    NG_UNROLL for (int t = 0; t < T; ++t) acc[0][t] = zero_floats();
    for (uint32_t k = 0; k < n_blocks; ++k) {
        Block b;
        read_block<F>(panel, k, b);
        const Block* const blocks[1] = {&b};
        add_block<F, 1, T, planes>(blocks, activations, acc);
        activations.advance();
    }
    NG_UNROLL for (int t = 0; t < T; ++t) store_floats(out + static_cast<size_t>(t) * stride, acc[0][t]);
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

// While a chunk is multiplied the next one is fetched from memory, a part with every tile; past a panel's end the next panels begin.
template <int P>
struct Fetch {
    const uint8_t *next, *end;
    size_t panel_bytes, part;
    Fetch(const uint8_t* from, size_t bytes, size_t panel, size_t n_tiles) : next(from), end(from + bytes), panel_bytes(panel), part((bytes / n_tiles + 64) / 64 * 64) {}
    void operator()() {
        for (const uint8_t* const to = next + part; next < to && next < end; next += 64)
            for (uint32_t p = 0; p < P; ++p) prefetch(next + p * panel_bytes);
    }
};

// A tile's outputs stay in `out` between chunks.
template <class F, int P, int T, int planes>
void add_chunk(const Block* chunk, uint32_t first_block, uint32_t n_blocks, const ActView* x, uint32_t row, float* out, size_t stride) {
    Planes activations(x, size_t{row} * planes, first_block);
    Floats acc[P][T];
    NG_UNROLL for (int p = 0; p < P; ++p)
        NG_UNROLL for (int t = 0; t < T; ++t) acc[p][t] = first_block == 0 ? zero_floats() : load_floats(out + static_cast<size_t>(t) * stride + static_cast<size_t>(p) * lanes);
    for (uint32_t k = 0; k < n_blocks; ++k) {
        const Block* blocks[P];
        NG_UNROLL for (int p = 0; p < P; ++p) blocks[p] = chunk + static_cast<uint32_t>(p) * chunk_blocks + k;
        add_block<F, P, T, planes>(blocks, activations, acc);
        activations.advance();
    }
    NG_UNROLL for (int p = 0; p < P; ++p)
        NG_UNROLL for (int t = 0; t < T; ++t) store_floats(out + static_cast<size_t>(t) * stride + static_cast<size_t>(p) * lanes, acc[p][t]);
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
        Fetch<P> fetch(first + chunk_blocks < n_blocks ? at + chunk_bytes : panel + P * panel_bytes, chunk_bytes, panel_bytes, n_rows / T + n_rows % T);
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

// ---- float weights -----------------------------------------------------------------------------------------------------

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
    NG_UNROLL for (int p = 0; p < P; ++p)
        NG_UNROLL for (int t = 0; t < T; ++t) acc[p][t] = first == 0 ? zero_floats() : load_floats(out + static_cast<size_t>(t) * stride + static_cast<size_t>(p) * lanes);
    for (uint32_t k = first; k < last; ++k, weights += lanes) {
        Floats column[P];
        NG_UNROLL for (int p = 0; p < P; ++p) column[p] = F::read(weights + static_cast<size_t>(p) * panel_elements);
        NG_UNROLL for (int t = 0; t < T; ++t) {
            const Floats value = all(values[t][k]);
            NG_UNROLL for (int p = 0; p < P; ++p) acc[p][t] = fma(column[p], value, acc[p][t]);
        }
    }
    NG_UNROLL for (int p = 0; p < P; ++p)
        NG_UNROLL for (int t = 0; t < T; ++t) store_floats(out + static_cast<size_t>(t) * stride + static_cast<size_t>(p) * lanes, acc[p][t]);
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
        Fetch<P> fetch(last < w->n_cols ? weights + last * column_bytes : weights + P * w->panel_bytes, float_chunk * column_bytes, w->panel_bytes,
                       n_rows / float_rows + n_rows % float_rows);
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
