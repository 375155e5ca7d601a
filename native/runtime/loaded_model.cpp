// Opening a model, and knowing what it and a context will cost before anything is allocated.
#include "runtime/loaded_model.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "backend/recorder.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/system.h"
#include "base/thread_pool.h"
#include "cpu/features.h"
#include "runtime/kv_cache.h"

namespace ng {
namespace {

cpu::Options device_options(const ModelOptions& options) { return {options.repack, options.exact}; }

uint64_t sampled_hash(const GgufFile& file) {
    Hash hash;
    hash.add(file.metadata_hash());
    constexpr size_t sample = 64;
    for (const TensorInfo& tensor : file.tensors()) {
        if (!tensor.data || tensor.bytes == 0) continue;
        const size_t n = std::min<size_t>(sample, tensor.bytes);
        hash.add(tensor.data, n);
        hash.add(tensor.data + (tensor.bytes - n) / 2, n);
    }
    return hash.value();
}

[[noreturn]] void refuse_memory(const char* what, uint64_t needed, uint64_t available) {
    fail(Status::OutOfMemory, "%s needs %.1f MiB, and %.1f MiB are available; use a smaller model or context, or free memory", what,
         static_cast<double>(needed) / (1 << 20), static_cast<double>(available) / (1 << 20));
}

// What a file's weights will cost, without reading them.
WeightTotals count_weights(const GgufFile& file, const cpu::CpuDevice& device, std::unique_ptr<Model>* model = nullptr) {
    WeightSource source(file, device, nullptr, nullptr);
    auto counted = make_model(source);
    if (model) *model = std::move(counted);
    return source.totals();
}

}  // namespace

std::shared_ptr<const LoadedModel> LoadedModel::open(const std::string& path, const ModelOptions& options, Task* task) {
    const cpu::Kernels& kernels = cpu::select_kernels();
    auto device = std::make_unique<cpu::CpuDevice>(kernels, device_options(options));
    auto file = GgufFile::open(path, options.map ? OpenMode::Map : OpenMode::MetadataOnly);
    const uint64_t needed = count_weights(*file, *device).owned_bytes + (options.map ? 0 : file->file_bytes());
    const uint64_t available = available_memory();
    if (needed > available) refuse_memory("opening this model", needed, available);
    if (!options.map) file = GgufFile::open(path, OpenMode::Read, task);

    std::shared_ptr<LoadedModel> loaded(new LoadedModel());
    loaded->kernels_ = &kernels;
    loaded->file_ = std::move(file);
    loaded->hash_ = sampled_hash(*loaded->file_);
    device->set_loading(options.n_threads ? options.n_threads : cpu::default_threads(), task);
    WeightSource source(*loaded->file_, *device, device.get(), task);
    loaded->model_ = make_model(source);
    loaded->totals_ = source.totals();
    device->set_loading(1, nullptr);
    loaded->device_ = std::move(device);
    if (task) task->progress.store(1.0f, std::memory_order_relaxed);
    return loaded;
}

ContextOptions resolve(const ContextOptions& options, const ModelShape& shape) {
    ContextOptions r = options;
    if (r.n_ctx == 0) r.n_ctx = std::min(shape.n_ctx_train, 4096u);
    constexpr uint32_t most_positions = 1u << 26;
    if (r.n_ctx > most_positions || r.n_kv > most_positions)
        fail(Status::InvalidArgument, "a context of %u tokens is too long; at most %u", std::max(r.n_ctx, r.n_kv), most_positions);
    if (shape.positions_limited && r.n_ctx > shape.n_ctx_train)
        fail(Status::InvalidArgument, "n_ctx is %u, but this model has learned positions for %u tokens only", r.n_ctx, shape.n_ctx_train);
    if (r.n_kv == 0) r.n_kv = r.n_ctx;
    if (r.n_batch == 0) r.n_batch = 512;
    if (r.n_batch > (1u << 16)) fail(Status::InvalidArgument, "n_batch is %u; at most 65536", r.n_batch);
    if (r.n_threads == 0) r.n_threads = cpu::default_threads();
    if (r.n_threads > ThreadPool::max_threads) fail(Status::InvalidArgument, "n_threads is %u; at most %u", r.n_threads, ThreadPool::max_threads);
    return r;
}

uint32_t kv_pages(const ContextOptions& options) { return (options.n_kv + KvCache::page_tokens - 1) / KvCache::page_tokens; }

backend::StepLimits step_limits(const Model& model, const ContextOptions& options) {
    const ModelShape& shape = model.shape();
    // A step in which every row wants logits has the most buffers.
    const std::vector<int32_t> zeros(options.n_batch);
    std::vector<uint32_t> all(options.n_batch);
    for (uint32_t i = 0; i < options.n_batch; ++i) all[i] = i;
    backend::Recorder recorder;
    const backend::KvStep kv{};
    model.forward(recorder, {zeros, zeros, all, &kv, nullptr});
    const uint32_t max_pages = (std::min(options.n_ctx, options.n_kv) + KvCache::page_tokens - 1) / KvCache::page_tokens;
    return {options.n_batch, shape.max_cols, shape.max_head_dim, shape.max_group, max_pages, recorder.buffer_bytes()};
}

MemoryEstimate estimate_memory(const std::string& path, const ModelOptions& model_options, const ContextOptions& context_options) {
    const cpu::CpuDevice device(cpu::select_kernels(), device_options(model_options));
    const auto file = GgufFile::open(path, OpenMode::MetadataOnly);
    std::unique_ptr<Model> model;
    const WeightTotals totals = count_weights(*file, device, &model);
    const ContextOptions options = resolve(context_options, model->shape());
    const PageLayout layout(model->shape().layers, options.kv_type);

    MemoryEstimate estimate;
    estimate.weights_mapped = model_options.map ? totals.mapped_bytes : 0;
    estimate.weights_owned = totals.owned_bytes + (model_options.map ? 0 : totals.mapped_bytes + totals.lookup_bytes);
    estimate.kv_bytes = kv_pages(options) * uint64_t{layout.page_bytes};
    estimate.kv_bytes_per_token = layout.page_bytes / KvCache::page_tokens;
    estimate.scratch_bytes = cpu::CpuOps::scratch_bytes(step_limits(*model, options), options.n_threads);
    estimate.total_bytes = estimate.weights_mapped + estimate.weights_owned + estimate.kv_bytes + estimate.scratch_bytes;
    estimate.available_bytes = available_memory();
    return estimate;
}

}  // namespace ng
