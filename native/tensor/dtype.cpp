// Type numbers, names and sizes: data of the format, from ggml.h and ggml-common.h (ggml authors, MIT).
#include "tensor/dtype.h"

#include "tensor/blocks.h"

namespace ng {

namespace {

constexpr DTypeTraits traits_table[] = {
    /*  0 */ {"F32", 1, 4, true},
    /*  1 */ {"F16", 1, 2, true},
    /*  2 */ {"Q4_0", 32, sizeof(block_q4_0), true},
    /*  3 */ {"Q4_1", 32, sizeof(block_q4_1), true},
    /*  4 */ {}, // Q4_2 and Q4_3: gone before GGUF
    /*  5 */ {},
    /*  6 */ {"Q5_0", 32, sizeof(block_q5_0), true},
    /*  7 */ {"Q5_1", 32, sizeof(block_q5_1), true},
    /*  8 */ {"Q8_0", 32, sizeof(block_q8_0), true},
    /*  9 */ {"Q8_1", 32, 36, false},
    /* 10 */ {"Q2_K", 256, sizeof(block_q2_K), true},
    /* 11 */ {"Q3_K", 256, sizeof(block_q3_K), true},
    /* 12 */ {"Q4_K", 256, sizeof(block_q4_K), true},
    /* 13 */ {"Q5_K", 256, sizeof(block_q5_K), true},
    /* 14 */ {"Q6_K", 256, sizeof(block_q6_K), true},
    /* 15 */ {"Q8_K", 256, 292, false},
    /* 16 */ {"IQ2_XXS", 256, 66, false},
    /* 17 */ {"IQ2_XS", 256, 74, false},
    /* 18 */ {"IQ3_XXS", 256, 98, false},
    /* 19 */ {"IQ1_S", 256, 50, false},
    /* 20 */ {"IQ4_NL", 32, sizeof(block_iq4_nl), true},
    /* 21 */ {"IQ3_S", 256, 110, false},
    /* 22 */ {"IQ2_S", 256, 82, false},
    /* 23 */ {"IQ4_XS", 256, sizeof(block_iq4_xs), true},
    /* 24 */ {"I8", 1, 1, false},
    /* 25 */ {"I16", 1, 2, false},
    /* 26 */ {"I32", 1, 4, false},
    /* 27 */ {"I64", 1, 8, false},
    /* 28 */ {"F64", 1, 8, false},
    /* 29 */ {"IQ1_M", 256, 56, false},
    /* 30 */ {"BF16", 1, 2, true},
    /* 31 */ {"Q4_0_4_4", 32, 18, false}, // rows interleaved in the file: 2024 only
    /* 32 */ {"Q4_0_4_8", 32, 18, false},
    /* 33 */ {"Q4_0_8_8", 32, 18, false},
    /* 34 */ {"TQ1_0", 256, 54, false},
    /* 35 */ {"TQ2_0", 256, 66, false},
    /* 36 */ {"IQ4_NL_4_4", 32, 18, false},
    /* 37 */ {"IQ4_NL_4_8", 32, 18, false},
    /* 38 */ {"IQ4_NL_8_8", 32, 18, false},
    /* 39 */ {"MXFP4", 32, sizeof(block_mxfp4), true},
    /* 40 */ {"NVFP4", 64, 36, false},
    /* 41 */ {"Q1_0", 128, 18, false},
    /* 42 */ {"Q2_0", 64, 18, false},
};

} // namespace

const DTypeTraits* dtype_traits(uint32_t raw) {
    if (raw >= sizeof traits_table / sizeof *traits_table || !traits_table[raw].name) return nullptr;
    return &traits_table[raw];
}

} // namespace ng
