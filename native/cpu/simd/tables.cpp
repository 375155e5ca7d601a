// The kernel tables of instruction sets.
#include "cpu/panels.h"
#include "cpu/simd/simd.h"

namespace ng::cpu {
namespace {

struct Table {
    MatmulKernel matmul[2][n_simd_matmuls];  // A8 or float activations; A16
    Kernels kernels = scalar_kernels();      // for what a set has none of its own
};

template <uint32_t R>
Kernels& fill(Table& table, const char* name, const SimdMatmul* matmuls) {
    Kernels& k = table.kernels;
    k.name = name;
    for (uint32_t i = 0; i < n_simd_matmuls; ++i) {
        const SimdMatmul& from = matmuls[i];
        const PanelFormat& format = *panel_format<R>(from.type);
        table.matmul[0][i] = {from.few, from.many, format.pack, R, format.panel_bytes};
        table.matmul[1][i] = {from.few_a16, from.many_a16, format.pack, R, format.panel_bytes};
        k.matmul[from.type] = &table.matmul[0][i];
        if (from.few_a16) k.matmul_a16[from.type] = &table.matmul[1][i];
    }
    return k;
}

#if defined(__x86_64__) || defined(_M_X64)

template <uint32_t R>
Kernels& fill_x86(Table& table, const char* name, bool dots, const SimdMatmul* matmuls) {
    Kernels& k = fill<R>(table, name, matmuls);
    k.act_up = dots ? 128 : 0;
    k.quantize_a8 = dots ? avx2_quantize_a8_up : avx2_quantize_a8;
    k.quantize_a16 = dots ? avx2_quantize_a16_up : avx2_quantize_a16;
    k.to_f16 = avx2_to_f16;
    k.attention = R == 16 ? avx512_attention : avx2_attention;
    k.silu_mul = avx2_silu_mul;
    k.gelu_tanh = avx2_gelu_tanh;
    k.gelu_tanh_mul = avx2_gelu_tanh_mul;
    return k;
}

#endif

}  // namespace

#if defined(__x86_64__) || defined(_M_X64)

const Kernels& avx2_kernels() {
    static Table table;
    static const Kernels& kernels = fill_x86<8>(table, "avx2", false, avx2_matmuls);
    return kernels;
}

const Kernels& avxvnni_kernels() {
    static Table table;
    static const Kernels& kernels = fill_x86<8>(table, "avxvnni", true, avxvnni_matmuls);
    return kernels;
}

const Kernels& avx512_kernels() {
    static Table table;
    static const Kernels& kernels = fill_x86<16>(table, "avx512", false, avx512_matmuls);
    return kernels;
}

const Kernels& avx512vnni_kernels() {
    static Table table;
    static const Kernels& kernels = fill_x86<16>(table, "avx512vnni", true, avx512vnni_matmuls);
    return kernels;
}

#elif defined(__aarch64__) || defined(_M_ARM64)

const Kernels& neon_kernels() {
    static Table table;
    static const Kernels& kernels = [] () -> const Kernels& {
        Kernels& k = fill<8>(table, "neon", neon_matmuls);
        k.to_f16 = neon_to_f16;
        k.attention = neon_attention;
        k.silu_mul = neon_silu_mul;
        k.gelu_tanh = neon_gelu_tanh;
        k.gelu_tanh_mul = neon_gelu_tanh_mul;
        return k;
    }();
    return kernels;
}

#endif

}  // namespace ng::cpu
