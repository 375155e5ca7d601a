// How each quantized type's panels become blocks of 32 columns that matmul.h multiplies: unpacked bytes, scales, and sums. Included by matmul.h, after
// the vocabulary of an instruction set; internal to the file that includes it.
#pragma once

#include "cpu/panels.h"
#include "cpu/simd/simd.h"
#include "tensor/blocks.h"

namespace ng::cpu {
namespace {

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
    Ints start[2]; // with dots: -128 times the sum of the integers (of each half), since activations are 128 higher; 0 where dots take signed ones
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
        if constexpr (has_dots && !signed_dots) return dot4(zero(), sum, all8(1));
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

NG_INLINE Ints start_of(Ints sum) { return signed_dots ? zero() : sub32(zero(), up32<7>(sum)); }

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
constexpr CodeBook iq4_nl_book(kvalues_iq4nl, 0);
constexpr CodeBook mxfp4_book(kvalues_mxfp4, has_dots ? 0 : 12);

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

}  // namespace
}  // namespace ng::cpu
