// From a tensor of the file to a weight the kernels read: as it is, repacked into panels, or as float32 (exact mode, norms and biases).
#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "cpu/cpu_device.h"
#include "tensor/dequantize.h"

namespace ng::cpu {
namespace {

bool is_float(DType type) { return type == DType::F32 || type == DType::F16 || type == DType::BF16; }

}  // namespace

// What make_weight will do, known without doing it.
struct CpuDevice::Plan {
    const MatmulKernel* kernel;
    ActFormat act;
    bool to_float;       // dequantize first
    size_t panel_bytes;
    size_t owned;
};

CpuDevice::CpuDevice(const Kernels& kernels, Options options) : kernels_(kernels), options_(options) {}

CpuDevice::Plan CpuDevice::plan(const backend::TensorView& view, backend::WeightUse use) const {
    using backend::WeightUse;
    const bool exact = options_.exact && !is_float(view.type);
    Plan plan{};
    const bool output = use == WeightUse::Output || use == WeightUse::TiedOutput;
    plan.to_float = use == WeightUse::Vector ? view.type != DType::F32 : exact && use != WeightUse::Rows;
    const auto type = static_cast<uint32_t>(plan.to_float ? DType::F32 : view.type);
    plan.act = is_float(static_cast<DType>(type)) ? ActFormat::F32 : output ? ActFormat::A16 : ActFormat::A8;

    const auto pick = [&](const Kernels& set) { return plan.act == ActFormat::A16 ? set.matmul_a16[type] : set.matmul[type]; };
    const bool product = use == WeightUse::Matrix || output;
    plan.kernel = product && options_.repack ? pick(kernels_) : nullptr;
    if (!plan.kernel) plan.kernel = pick(scalar_kernels());
    plan.panel_bytes = plan.kernel->panel_bytes(view.n_cols);
    const size_t n_panels = (size_t{view.n_rows} + plan.kernel->panel_rows - 1) / plan.kernel->panel_rows;
    if (plan.kernel->pack || plan.to_float) plan.owned = n_panels * plan.panel_bytes;
    return plan;
}

size_t CpuDevice::owned_bytes(const backend::TensorView& view, backend::WeightUse use) const { return plan(view, use).owned; }

std::unique_ptr<backend::Weight> CpuDevice::make_weight(const backend::TensorView& view, backend::WeightUse use) {
    const Plan plan = this->plan(view, use);
    auto weight = std::make_unique<CpuWeight>();
    weight->n_rows = view.n_rows;
    weight->n_cols = view.n_cols;
    weight->source = view;
    weight->kernel = plan.kernel;
    weight->act = plan.act;
    weight->view = {reinterpret_cast<const uint8_t*>(view.data), view.n_rows, view.n_cols, plan.panel_bytes};
    if (plan.owned == 0) return weight;

    weight->storage = AlignedBuffer(plan.owned);
    uint8_t* const storage = weight->storage.as<uint8_t>();
    const uint8_t* const source = weight->view.data;
    weight->view.data = storage;

    const size_t row_bytes = dtype_bytes(view.type, view.n_cols);
    const uint32_t panel_rows = plan.kernel->panel_rows;
    const uint32_t n_panels = (view.n_rows + panel_rows - 1) / panel_rows;
    // Units of about 256 KiB of source, so that a cancel is answered at once.
    const auto unit_panels = static_cast<uint32_t>(std::clamp<size_t>((256u << 10) / (row_bytes * panel_rows), 1, n_panels));
    const auto pack_unit = [&](uint32_t unit, uint32_t) {
        const uint32_t first = unit * unit_panels, count = std::min(unit_panels, n_panels - first);
        uint8_t* const panels = storage + first * plan.panel_bytes;
        if (!plan.to_float) {
            plan.kernel->pack(source, row_bytes, view.n_rows, view.n_cols, first, count, panels);
            return;
        }
        const uint32_t first_row = first * panel_rows, n_rows = std::min(count * panel_rows, view.n_rows - first_row);
        std::vector<float> rows(size_t{n_rows} * view.n_cols);
        dequantize(view.type, source + first_row * row_bytes, rows.data(), rows.size());
        const auto* bytes = reinterpret_cast<const uint8_t*>(rows.data());
        if (plan.kernel->pack) plan.kernel->pack(bytes, size_t{view.n_cols} * 4, n_rows, view.n_cols, 0, count, panels);
        else std::memcpy(panels, bytes, rows.size() * 4);
    };
    const uint32_t n_units = (n_panels + unit_panels - 1) / unit_panels;
    Team(ThreadPool::shared(), n_threads_, task_).for_each(n_units, pack_unit);
    return weight;
}

}  // namespace ng::cpu
