// Weights by name with their checks, and the table of architectures.
#include "model/model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "model/architectures.h"
#include "model/hparams.h"
#include "tensor/dequantize.h"

namespace ng {

WeightSource::WeightSource(const GgufFile& file, const backend::Device& sizes, backend::Device* load, Task* task)
    : file_(file), sizes_(sizes), load_(load), task_(task) {
    for (const TensorInfo& tensor : file.tensors()) all_bytes_ += tensor.bytes;
}

std::unique_ptr<backend::Weight> WeightSource::make(const std::string& name, uint64_t n_cols, uint64_t n_rows, backend::WeightUse use) {
    throw_if_cancelled(task_);
    const TensorInfo* tensor = file_.tensor(name);
    if (!tensor) fail(Status::InvalidModel, "tensor %s is missing; the file is incomplete", name.c_str());
    const DTypeTraits* traits = dtype_traits(tensor->type);
    if (!traits || !traits->supported)
        fail(Status::UnsupportedArchitecture, "tensor %s is of type %s, which this build can not compute with; requantize it to Q4_K, Q8_0 or another supported type",
             name.c_str(), traits ? traits->name : std::to_string(tensor->type).c_str());
    if (tensor->ne[0] != n_cols || tensor->ne[1] != n_rows || tensor->ne[2] != 1 || tensor->ne[3] != 1)
        fail(Status::InvalidModel, "tensor %s is [%llu, %llu, %llu, %llu], but the hyperparameters say [%llu, %llu]", name.c_str(),
             static_cast<unsigned long long>(tensor->ne[0]), static_cast<unsigned long long>(tensor->ne[1]), static_cast<unsigned long long>(tensor->ne[2]),
             static_cast<unsigned long long>(tensor->ne[3]), static_cast<unsigned long long>(n_cols), static_cast<unsigned long long>(n_rows));

    const backend::TensorView view{static_cast<DType>(tensor->type), static_cast<uint32_t>(n_rows), static_cast<uint32_t>(n_cols), tensor->data};
    const size_t owned = sizes_.owned_bytes(view, use);
    totals_.n_params += tensor->elements();
    totals_.owned_bytes += owned;
    if (owned == 0) totals_.mapped_bytes += tensor->bytes;
    else if (use == backend::WeightUse::TiedOutput) totals_.lookup_bytes += tensor->bytes;
    totals_.read_bytes += use == backend::WeightUse::Rows ? tensor->bytes / std::max<uint64_t>(n_rows, 1) : owned ? owned : tensor->bytes;
    seen_bytes_ += tensor->bytes;
    if (!load_) {
        auto counted = std::make_unique<backend::Weight>();
        counted->n_rows = view.n_rows;
        counted->n_cols = view.n_cols;
        return counted;
    }
    auto weight = load_->make_weight(view, use);
    if (owned != 0) file_.release(*tensor, use == backend::WeightUse::TiedOutput);
    if (task_ && all_bytes_) task_->progress.store(static_cast<float>(static_cast<double>(seen_bytes_) / static_cast<double>(all_bytes_)), std::memory_order_relaxed);
    return weight;
}

std::unique_ptr<backend::Weight> WeightSource::vector(const std::string& name, uint64_t n) { return make(name, n, 1, backend::WeightUse::Vector); }

std::unique_ptr<backend::Weight> WeightSource::optional_vector(const std::string& name, uint64_t n) { return has(name) ? vector(name, n) : nullptr; }

std::unique_ptr<backend::Weight> WeightSource::matrix(const std::string& name, uint64_t n_cols, uint64_t n_rows, backend::WeightUse use) {
    return make(name, n_cols, n_rows, use);
}

std::vector<float> WeightSource::values(const std::string& name, uint64_t n) {
    const TensorInfo* tensor = file_.tensor(name);
    if (!tensor || tensor->type != static_cast<uint32_t>(DType::F32) || tensor->ne[0] != n || tensor->elements() != n)
        fail(Status::InvalidModel, "tensor %s is missing or not %llu float32 values", name.c_str(), static_cast<unsigned long long>(n));
    totals_.n_params += n;
    totals_.mapped_bytes += tensor->bytes;
    std::vector<float> result(n, 1.0f);
    if (tensor->data) std::memcpy(result.data(), tensor->data, n * sizeof(float));
    for (const float value : result)
        if (!std::isfinite(value) || value <= 0) fail(Status::InvalidModel, "tensor %s holds a value that is not positive", name.c_str());
    return result;
}

namespace {

struct Architecture {
    const char* name;
    std::unique_ptr<Model> (*make)(WeightSource& source, const HParams& hparams);
};

constexpr Architecture architectures[] = {
    {"llama", make_llama},
    {"gpt2", make_gpt2},
};

constexpr auto names = [] {
    std::array<const char*, std::size(architectures)> result{};
    for (size_t i = 0; i < result.size(); ++i) result[i] = architectures[i].name;
    return result;
}();

}  // namespace

std::span<const char* const> supported_architectures() { return names; }

std::unique_ptr<Model> make_model(WeightSource& source) {
    const HParams hparams(source.file());
    for (const Architecture& architecture : architectures)
        if (hparams.arch() == architecture.name) return architecture.make(source, hparams);
    std::string known;
    for (const char* name : names) known += (known.empty() ? "" : ", ") + std::string(name);
    fail(Status::UnsupportedArchitecture, "architecture '%.40s' is not supported by this build; it runs %s", printable(hparams.arch()).c_str(), known.c_str());
}

}  // namespace ng
