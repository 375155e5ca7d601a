// Matrix kernels alone, one thread: GB/s of weights with few activation rows, 10^9 operations a second with many.
//   kernel_bench [ISA [TYPE]]
#include <chrono>
#include <cstdio>
#include <cstring>
#include <vector>

#include "base/buffer.h"
#include "cpu/cpu_device.h"
#include "cpu/features.h"
#include "tensor/dtype.h"

using namespace ng;
using namespace ng::cpu;

namespace {

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// The best of some repetitions: other load only ever makes it slower.
template <class Body> double best(Body&& body) {
    double least = 1e9;
    const double start = seconds();
    do {
        const double t = seconds();
        body();
        least = std::min(least, seconds() - t);
    } while (seconds() - start < 0.4);
    return least;
}

void measure(const Kernels& set, uint32_t type, ActFormat format) {
    const MatmulKernel* kernel = format == ActFormat::A16 ? set.matmul_a16[type] : set.matmul[type];
    if (!kernel) return;
    constexpr uint32_t n_cols = 2048, n_rows = 512;
    const size_t panel_bytes = kernel->panel_bytes(n_cols);
    const auto n_panels = static_cast<uint32_t>((size_t{256} << 20) / panel_bytes);
    AlignedBuffer weights(n_panels * panel_bytes);
    std::memset(weights.data(), 0x11, n_panels * panel_bytes);
    const WeightView view{weights.as<uint8_t>(), n_panels * kernel->panel_rows, n_cols, panel_bytes};
    const size_t planes = act_planes(format);
    std::vector<float> x(size_t{n_rows} * n_cols);
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 97) / 50 - 1;
    std::vector<int8_t> q(x.size() * planes);
    std::vector<ActBlock> blocks(x.size() / act_block * planes);
    ActView act{format, set.act_up, n_rows, n_cols, x.data(), nullptr};
    if (format != ActFormat::F32) {
        for (size_t row = 0; row < n_rows; ++row)
            (format == ActFormat::A8 ? set.quantize_a8 : set.quantize_a16)(x.data() + row * n_cols, n_cols, q.data() + row * planes * n_cols, blocks.data() + row * planes * (n_cols / act_block));
        act.values = q.data();
        act.blocks = blocks.data();
    }
    AlignedBuffer scratch(matmul_scratch_bytes);
    std::vector<float> out(size_t{n_panels} * kernel->panel_rows * 4);
    std::printf("%-10s %-7s %s", set.name, dtype_traits(type)->name, format == ActFormat::A16 ? "a16" : "   ");
    for (const uint32_t rows : {1u, 4u}) {
        const double s = best([&] { kernel->few(&view, 0, n_panels, &act, 0, rows, out.data(), size_t{n_panels} * kernel->panel_rows, scratch.data()); });
        std::printf("  few %u: %5.1f GB/s", rows, static_cast<double>(n_panels * panel_bytes) / s / 1e9);
    }
    for (const uint32_t rows : {8u, 16u, 32u, 64u, 128u}) {
        constexpr uint32_t panels = 16;
        std::vector<float> tile(size_t{panels} * kernel->panel_rows * rows);
        uint32_t at = 0;
        const double s = best([&] {
            for (int i = 0; i < 8; ++i, at = (at + panels) % (n_panels - panels))
                kernel->many(&view, at, panels, &act, 0, rows, tile.data(), size_t{panels} * kernel->panel_rows, scratch.data());
        }) / 8;
        std::printf("  many %u: %5.0f GOP/s", rows, 2.0 * panels * kernel->panel_rows * n_cols * rows / s / 1e9);
    }
    std::printf("\n");
}

}  // namespace

int main(int n, char** args) {
    const Features& f = features();
    std::vector<const Kernels*> sets;
    if (f.avx2_fma_f16c) sets.push_back(&avx2_kernels());
    if (f.avx_vnni) sets.push_back(&avxvnni_kernels());
    if (f.avx512) sets.push_back(&avx512_kernels());
    if (f.avx512_vnni) sets.push_back(&avx512vnni_kernels());
    for (const Kernels* set : sets) {
        if (n > 1 && std::strcmp(args[1], set->name) != 0) continue;
        for (uint32_t type = 0; type < n_types; ++type) {
            const DTypeTraits* traits = dtype_traits(type);
            if (!traits || (n > 2 && std::strcmp(args[2], traits->name) != 0)) continue;
            if (set->matmul_a16[type]) measure(*set, type, ActFormat::A8), measure(*set, type, ActFormat::A16);
            else measure(*set, type, ActFormat::F32);
        }
    }
}
