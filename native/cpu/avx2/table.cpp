// The AVX2 kernel table.
#include "cpu/avx2/avx2.h"
#include "cpu/panels.h"

namespace ng::cpu {
namespace {

MatmulKernel kernels[2][n_types];

Kernels make_table() {
    Kernels table{};
    table.name = "avx2";
    for (uint32_t i = 0; i < avx2_matmul_count; ++i) {
        const Avx2Matmul& from = avx2_matmul_list[i];
        const PanelFormat& format = *panel_format(from.type);
        kernels[0][from.type] = {from.few, from.many, format.pack, format.unpack_row, panel_rows, format.panel_bytes};
        kernels[1][from.type] = {from.a16, from.a16, format.pack, format.unpack_row, panel_rows, format.panel_bytes};
        table.matmul[from.type] = &kernels[0][from.type];
        if (from.a16) table.matmul_a16[from.type] = &kernels[1][from.type];
    }
    table.quantize_a8 = avx2_quantize_a8;
    table.quantize_a16 = avx2_quantize_a16;
    table.to_f16 = avx2_to_f16;
    table.attention = avx2_attention;
    table.silu_mul = avx2_silu_mul;
    table.gelu_tanh = avx2_gelu_tanh;
    table.gelu_tanh_mul = avx2_gelu_tanh_mul;
    return table;
}

}  // namespace

const Kernels& avx2_kernels() {
    static const Kernels table = make_table();
    return table;
}

}  // namespace ng::cpu
