// The operations of a step on the CPU: memory of the step, matrix products, and the plain float work around them. Work is split over outputs
// (rows, panels of outputs), never over a summed dimension, so the number of threads can not change a bit. Attention: attention.cpp.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/math.h"
#include "cpu/cpu_device.h"
#include "tensor/dequantize.h"

namespace ng::cpu {
namespace {

constexpr size_t tile_floats = 16 << 10;      // per thread: outputs that wait for a bias, a sum, or the cut of a padded panel
constexpr size_t floats_worth_a_thread = 16 << 10;
constexpr size_t few_unit_bytes = 96 << 10;   // of weights, in decode: long runs for the prefetcher, short enough to balance
constexpr uint32_t many_unit_rows = 128;      // activation rows of a unit in prefill: their bytes stay in the cache over the unit's panels
constexpr size_t max_unit_macs = 64 << 20;    // under 5 ms on the slowest vector kernels
constexpr size_t max_unit_macs_scalar = 1 << 20;

const CpuWeight& of(const backend::Weight& weight) { return static_cast<const CpuWeight&>(weight); }
const float* vector_of(const backend::Weight& weight) { return reinterpret_cast<const float*>(of(weight).view.data); }

size_t align64(size_t bytes) { return (bytes + 63) / 64 * 64; }
size_t blocks_bytes(const backend::StepLimits& limits) { return align64(size_t{limits.n_rows} * (limits.max_cols / act_block) * sizeof(ActBlock)); }

size_t scratch_stride(const backend::StepLimits& limits) {
    return align64(std::max(matmul_scratch_bytes, attention_scratch_bytes(limits.max_group, limits.max_head_dim, limits.max_head_dim))) +
           tile_floats * sizeof(float);
}

// Sum over a row: lane j takes columns j, j + 16, ...; then a tree of halves. One order on every machine.
template <class Term>
float sum_row(uint32_t n, Term&& term) {
    float lanes[16] = {};
    uint32_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (uint32_t j = 0; j < 16; ++j) lanes[j] += term(i + j);
    for (uint32_t j = 0; i + j < n; ++j) lanes[j] += term(i + j);
    for (uint32_t width = 8; width; width /= 2)
        for (uint32_t j = 0; j < width; ++j) lanes[j] += lanes[j + width];
    return lanes[0];
}

}  // namespace

CpuOps::CpuOps(const Kernels& kernels, const backend::StepLimits& limits, uint32_t n_threads)
    : kernels_(kernels), limits_(limits), memory_(scratch_bytes(limits, n_threads)), scratch_stride_(scratch_stride(limits)) {
    const size_t values = size_t{limits.n_rows} * limits.max_cols;
    uint8_t* at = memory_.as<uint8_t>() + align64(limits.buffer_bytes);
    const auto take = [&](size_t bytes) { return std::exchange(at, at + bytes); };
    a8_.values = reinterpret_cast<int8_t*>(take(align64(values)));
    a8_.blocks = reinterpret_cast<ActBlock*>(take(blocks_bytes(limits)));
    a16_.values = reinterpret_cast<int8_t*>(take(align64(2 * values)));
    a16_.blocks = reinterpret_cast<ActBlock*>(take(2 * blocks_bytes(limits)));
    page_pointers_ = reinterpret_cast<const void**>(take(page_pointers_bytes(limits)));
    rows_ = reinterpret_cast<AttentionRow*>(take(align64(limits.n_rows * sizeof(AttentionRow))));
    scratch_ = at;
}

size_t CpuOps::page_pointers_bytes(const backend::StepLimits& limits) {
    return align64(std::min<size_t>(attention_sequences, limits.n_rows) * limits.max_pages * 2 * sizeof(void*));
}

size_t CpuOps::scratch_bytes(const backend::StepLimits& limits, uint32_t n_threads) {
    const size_t values = size_t{limits.n_rows} * limits.max_cols;
    return align64(limits.buffer_bytes) + align64(values) + align64(2 * values) + 3 * blocks_bytes(limits) + page_pointers_bytes(limits) +
           align64(limits.n_rows * sizeof(AttentionRow)) + n_threads * scratch_stride(limits);
}

void CpuOps::begin_step(Team& team) {
    team_ = &team;
    used_ = 0;
}

backend::Buffer CpuOps::buffer(uint32_t n_rows, uint32_t n_cols) {
    const size_t bytes = align64(size_t{n_rows} * n_cols * sizeof(float));
    if (used_ + bytes > limits_.buffer_bytes) fail(Status::Internal, "a step needs more memory than was planned: %zu of %zu bytes", used_ + bytes, limits_.buffer_bytes);
    void* const data = memory_.data() + used_;
    used_ += bytes;
    return {data, n_rows, n_cols};
}

backend::Buffer CpuOps::host_buffer(float* memory, uint32_t n_rows, uint32_t n_cols) { return {memory, n_rows, n_cols}; }

// Rows are independent; a few of them are cheaper done here than handed out.
template <class Body>
void CpuOps::for_rows(uint32_t n_rows, size_t floats_per_row, Body&& body) {
    const size_t per_unit = std::max<size_t>(1, floats_worth_a_thread / std::max<size_t>(floats_per_row, 1));
    if (n_rows <= per_unit) {
        for (uint32_t row = 0; row < n_rows; ++row) body(row);
        return;
    }
    const auto rows = static_cast<uint32_t>(per_unit);
    team_->for_each((n_rows + rows - 1) / rows, [&](uint32_t unit, uint32_t) {
        for (uint32_t row = unit * rows; row < std::min(n_rows, (unit + 1) * rows); ++row) body(row);
    });
}

void CpuOps::get_rows(const backend::Weight& table, std::span<const int32_t> index, backend::Buffer out) {
    const Operation operation(*team_, "get_rows", out.n_rows);
    const CpuWeight& weight = of(table);
    for_rows(out.n_rows, out.n_cols * size_t{4},
             [&](uint32_t row) { dequantize(weight.source.type, weight.source.row(static_cast<uint32_t>(index[row])), row_of(out, row), out.n_cols); });
}

void CpuOps::add(backend::Buffer x, backend::Buffer y) {
    const Operation operation(*team_, "add", x.n_rows);
    for_rows(x.n_rows, x.n_cols, [&](uint32_t row) {
        float* const to = row_of(x, row);
        const float* const from = row_of(y, row);
        for (uint32_t i = 0; i < x.n_cols; ++i) to[i] += from[i];
    });
}

void CpuOps::select_rows(backend::Buffer x, std::span<const uint32_t> index, backend::Buffer out) {
    const Operation operation(*team_, "select_rows", out.n_rows);
    for (uint32_t row = 0; row < out.n_rows; ++row) std::memcpy(row_of(out, row), row_of(x, index[row]), out.n_cols * sizeof(float));
}

void CpuOps::select_columns(backend::Buffer x, uint32_t first, backend::Buffer out) {
    const Operation operation(*team_, "select_columns", out.n_rows);
    for_rows(out.n_rows, out.n_cols, [&](uint32_t row) { std::memcpy(row_of(out, row), row_of(x, row) + first, out.n_cols * sizeof(float)); });
}

void CpuOps::rms_norm(backend::Buffer x, const backend::Weight& weight, float epsilon, backend::Buffer out) {
    const Operation operation(*team_, "rms_norm", x.n_rows);
    const float* const w = vector_of(weight);
    const uint32_t n = x.n_cols;
    for_rows(x.n_rows, n, [&](uint32_t row) {
        const float* const from = row_of(x, row);
        float* const to = row_of(out, row);
        const float squares = sum_row(n, [&](uint32_t i) { return from[i] * from[i]; });
        const float inverse = 1.0f / std::sqrt(squares / static_cast<float>(n) + epsilon);
        for (uint32_t i = 0; i < n; ++i) to[i] = from[i] * inverse * w[i];
    });
}

void CpuOps::layer_norm(backend::Buffer x, const backend::Weight& weight, const backend::Weight* bias, float epsilon, backend::Buffer out) {
    const Operation operation(*team_, "layer_norm", x.n_rows);
    const float* const w = vector_of(weight);
    const float* const b = bias ? vector_of(*bias) : nullptr;
    const uint32_t n = x.n_cols;
    for_rows(x.n_rows, n, [&](uint32_t row) {
        const float* const from = row_of(x, row);
        float* const to = row_of(out, row);
        const float mean = sum_row(n, [&](uint32_t i) { return from[i]; }) / static_cast<float>(n);
        const float variance = sum_row(n, [&](uint32_t i) { return (from[i] - mean) * (from[i] - mean); }) / static_cast<float>(n);
        const float inverse = 1.0f / std::sqrt(variance + epsilon);
        for (uint32_t i = 0; i < n; ++i) to[i] = (from[i] - mean) * inverse * w[i];
        if (b)
            for (uint32_t i = 0; i < n; ++i) to[i] += b[i];
    });
}

ActView CpuOps::activations(backend::Buffer x, ActFormat format) {
    if (format == ActFormat::F32) return {format, 0, x.n_rows, x.n_cols, x.data, nullptr};
    const Operation operation(*team_, "quantize", x.n_rows);
    const uint32_t n = x.n_cols, n_blocks = n / act_block, planes = act_planes(format);
    const Quantized& to = format == ActFormat::A8 ? a8_ : a16_;
    const auto quantize = format == ActFormat::A8 ? kernels_.quantize_a8 : kernels_.quantize_a16;
    for_rows(x.n_rows, n, [&](uint32_t row) {
        quantize(row_of(x, row), n, to.values + size_t{row} * planes * n, to.blocks + size_t{row} * planes * n_blocks);
    });
    return {format, kernels_.act_up, x.n_rows, n, to.values, to.blocks};
}

void CpuOps::matmul(backend::Buffer x, std::span<const backend::Product> products) {
    // How a product is cut into units: panels x activation rows.
    struct Work {
        const backend::Product* product;
        const ActView* x;
        bool few;
        uint32_t n_panels, unit_panels, unit_rows;
        uint32_t n_units, row_units;
    };
    if (products.size() > backend::most_products) fail(Status::Internal, "%zu products in one group; at most %zu", products.size(), backend::most_products);
    Work works[backend::most_products];
    ActView views[3];
    bool made[3] = {};
    uint32_t n_units = 0;
    for (size_t i = 0; i < products.size(); ++i) {
        const CpuWeight& weight = of(*products[i].weight);
        const auto format = static_cast<size_t>(weight.act);
        if (!made[format]) views[format] = activations(x, weight.act);
        made[format] = true;

        const uint32_t panel_rows = weight.kernel->panel_rows;
        Work& w = works[i] = {};
        w.product = &products[i];
        w.x = &views[format];
        w.few = x.n_rows <= few_rows;
        w.n_panels = (weight.n_rows + panel_rows - 1) / panel_rows;
        const size_t max_macs = panel_rows == 1 ? max_unit_macs_scalar : max_unit_macs;
        const size_t row_macs = size_t{panel_rows} * weight.n_cols;  // of one panel
        w.unit_rows = w.few ? x.n_rows : std::min(x.n_rows, std::clamp(static_cast<uint32_t>(max_macs / row_macs), few_rows, many_unit_rows));
        const size_t by_macs = max_macs / (row_macs * w.unit_rows);
        const size_t by_bytes = w.few ? few_unit_bytes / weight.view.panel_bytes : 16;
        const size_t by_threads = w.n_panels / (2 * team_->n_threads());
        const size_t by_tile = tile_floats / (size_t{panel_rows} * w.unit_rows);
        w.unit_panels = static_cast<uint32_t>(std::max<size_t>(1, std::min({by_macs, by_bytes, by_threads, by_tile})));
        w.row_units = (x.n_rows + w.unit_rows - 1) / w.unit_rows;
        w.n_units = (w.n_panels + w.unit_panels - 1) / w.unit_panels * w.row_units;
        n_units += w.n_units;
        ++(w.few ? counters_.vector_runs : counters_.matrix_runs);
    }

    const Operation operation(*team_, "matmul", x.n_rows);
    team_->for_each(n_units, [&](uint32_t unit, uint32_t thread) {
        const Work* w = works;
        while (unit >= w->n_units) unit -= w++->n_units;
        const backend::Product& product = *w->product;
        const CpuWeight& weight = of(*product.weight);
        const uint32_t panel_rows = weight.kernel->panel_rows;
        // Neighbouring units share panels: what one thread brings into a shared cache, the next one finds.
        const uint32_t first_panel = unit / w->row_units * w->unit_panels;
        const uint32_t n_panels = std::min(w->unit_panels, w->n_panels - first_panel);
        const uint32_t first_row = unit % w->row_units * w->unit_rows;
        const uint32_t n_rows = std::min(w->unit_rows, x.n_rows - first_row);

        uint8_t* const scratch = scratch_ + thread * scratch_stride_;
        const auto run = w->few ? weight.kernel->few : weight.kernel->many;
        const uint32_t first_col = first_panel * panel_rows;
        const uint32_t n_cols = std::min(n_panels * panel_rows, weight.n_rows - first_col);
        float* const out = row_of(product.out, first_row) + first_col;
        if (!product.add && !product.bias && n_cols == n_panels * panel_rows) {
            run(&weight.view, first_panel, n_panels, w->x, first_row, n_rows, out, product.out.n_cols, scratch);
            return;
        }
        auto* const tile = reinterpret_cast<float*>(scratch + scratch_stride_ - tile_floats * sizeof(float));
        const size_t stride = size_t{n_panels} * panel_rows;
        run(&weight.view, first_panel, n_panels, w->x, first_row, n_rows, tile, stride, scratch);
        const float* const bias = product.bias ? vector_of(*product.bias) + first_col : nullptr;
        for (uint32_t t = 0; t < n_rows; ++t) {
            float* const from = tile + t * stride;
            float* const to = out + size_t{t} * product.out.n_cols;
            if (bias)
                for (uint32_t i = 0; i < n_cols; ++i) from[i] += bias[i];
            if (product.add)
                for (uint32_t i = 0; i < n_cols; ++i) to[i] += from[i];
            else std::memcpy(to, from, n_cols * sizeof(float));
        }
    });
}

backend::RopeTable CpuOps::rope_table(std::span<const int32_t> positions, std::span<const double> frequencies, double magnitude, bool interleaved) {
    const Operation operation(*team_, "rope_table", static_cast<uint32_t>(positions.size()));
    const auto n_pairs = static_cast<uint32_t>(frequencies.size());
    backend::RopeTable table{buffer(static_cast<uint32_t>(positions.size()), 2 * n_pairs), 2 * n_pairs, interleaved};
    for_rows(table.cos_sin.n_rows, n_pairs * size_t{32}, [&](uint32_t row) {
        float* const to = row_of(table.cos_sin, row);
        for (uint32_t i = 0; i < n_pairs; ++i) {
            double sine, cosine;
            exact_sincos(positions[row] * frequencies[i], sine, cosine);
            to[2 * i] = static_cast<float>(cosine * magnitude);
            to[2 * i + 1] = static_cast<float>(sine * magnitude);
        }
    });
    return table;
}

void CpuOps::rope(backend::Buffer x, uint32_t n_head, const backend::RopeTable& table) {
    const Operation operation(*team_, "rope", x.n_rows);
    const uint32_t d_head = x.n_cols / n_head, n_pairs = table.n_dims / 2;
    for_rows(x.n_rows, x.n_cols, [&](uint32_t row) {
        const float* const cs = row_of(table.cos_sin, row);
        for (uint32_t head = 0; head < n_head; ++head) {
            float* const h = row_of(x, row) + size_t{head} * d_head;
            const uint32_t step = table.interleaved ? 2 : 1, other = table.interleaved ? 1 : n_pairs;
            for (uint32_t i = 0; i < n_pairs; ++i) {
                float &a = h[i * step], &b = h[i * step + other];
                const float c = cs[2 * i], s = cs[2 * i + 1], x0 = a, x1 = b;
                a = x0 * c - x1 * s;
                b = x0 * s + x1 * c;
            }
        }
    });
}

void CpuOps::gated(backend::Activation activation, backend::Buffer gate, backend::Buffer up, backend::Buffer out) {
    const Operation operation(*team_, "gated", out.n_rows);
    const auto run = activation == backend::Activation::Silu ? kernels_.silu_mul : kernels_.gelu_tanh_mul;
    for_rows(out.n_rows, out.n_cols * size_t{2}, [&](uint32_t row) { run(row_of(gate, row), row_of(up, row), row_of(out, row), out.n_cols); });
}

void CpuOps::activate(backend::Activation activation, backend::Buffer x) {
    const Operation operation(*team_, "activate", x.n_rows);
    if (activation != backend::Activation::GeluTanh) fail(Status::Internal, "no such activation in place");
    for_rows(x.n_rows, x.n_cols * size_t{2}, [&](uint32_t row) { kernels_.gelu_tanh(row_of(x, row), x.n_cols); });
}

}  // namespace ng::cpu
