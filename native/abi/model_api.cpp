// ng_model_* and ng_memory_*: opening a model, and what it would cost.
#include "abi/guard.h"
#include "abi/handles.h"
#include "abi/options.h"
#include "base/thread_pool.h"
#include "cpu/kernels.h"

#include <cinttypes>

using namespace ng;

namespace {

// Engines clamp; a caller who asks for ten thousand threads has a bug that should be seen.
uint32_t checked_threads(uint32_t n_threads) {
    if (n_threads > ThreadPool::max_threads) fail(Status::InvalidArgument, "n_threads is %" PRIu32 "; at most %" PRIu32, n_threads, ThreadPool::max_threads);
    return n_threads;
}

// What is wrong with a model is said with its path; the reader of files does so itself, also of the other files of a split set.
template <class Body> auto naming_file(const char* path, Body&& body) {
    try {
        return body();
    } catch (Error& e) {
        const std::string_view whole(path), set = whole.substr(0, whole.rfind("-00001-of-"));
        const bool of_the_file = e.status == Status::InvalidModel || e.status == Status::UnsupportedArchitecture;
        if (of_the_file && !e.text.starts_with(set)) e.text.insert(0, std::string(whole) + ": ");
        throw;
    }
}

} // namespace

namespace ng {

ModelOptions model_options(const ng_model_options* options) {
    if (!options) return {};
    require_struct(options, "options");
    constexpr uint32_t known = NG_MODEL_NO_MMAP | NG_MODEL_NO_REPACK | NG_MODEL_EXACT;
    if (options->flags & ~known) fail(Status::InvalidArgument, "flags has bits that this build does not know: 0x%" PRIx32, options->flags & ~known);
    if (options->reserved != 0) fail(Status::InvalidArgument, "reserved is %" PRIu32 ", it must be 0", options->reserved);
    return {
        .map = !(options->flags & NG_MODEL_NO_MMAP),
        .repack = !(options->flags & NG_MODEL_NO_REPACK),
        .exact = (options->flags & NG_MODEL_EXACT) != 0,
        .n_threads = checked_threads(options->n_threads),
    };
}

ContextOptions context_options(const ng_context_options* options) {
    if (!options) return {};
    require_struct(options, "options");
    if (options->kv_type > NG_KV_Q8_0) fail(Status::InvalidArgument, "kv_type is %" PRIu32 ", none of NG_KV_*", options->kv_type);
    return {
        .n_ctx = options->n_ctx,
        .n_kv = options->n_kv,
        .n_batch = options->n_batch,
        .kv_type = static_cast<backend::KvType>(options->kv_type),
        .n_threads = checked_threads(options->n_threads),
    };
}

} // namespace ng

ng_status ng_model_open(const char* path, const ng_model_options* options, ng_task* task, ng_model** model, ng_error* error) {
    return guard(error, [&] {
        require(model, "model");
        *model = nullptr;
        require(path, "path");
        *model = new ng_model{naming_file(path, [&] { return LoadedModel::open(path, model_options(options), task ? &task->task : nullptr); })};
    });
}

void ng_model_close(ng_model* model) { delete model; }

ng_status ng_model_get_info(const ng_model* model, ng_model_info* info, ng_error* error) {
    return guard(error, [&] {
        require(model, "model");
        require_struct(info, "info");
        const LoadedModel& loaded = *model->model;
        const ModelShape& shape = loaded.shape();
        const WeightTotals& totals = loaded.totals();
        info->n_vocab = shape.n_vocab;
        info->n_ctx_train = shape.n_ctx_train;
        info->n_embd = shape.n_embd;
        info->n_layer = shape.n_layer;
        info->n_head = shape.n_head;
        info->n_params = totals.n_params;
        info->file_bytes = loaded.file().file_bytes();
        info->weight_bytes = totals.read_bytes;
        info->repacked_bytes = totals.owned_bytes;
        info->mapped_bytes = totals.mapped_bytes;
        info->hash = loaded.hash();
        copy_out(shape.arch, info->arch);
        copy_out(loaded.kernels().name, info->isa);
    });
}

ng_status ng_model_get_gguf(const ng_model* model, ng_gguf** gguf, ng_error* error) {
    return guard(error, [&] {
        require(gguf, "gguf");
        *gguf = nullptr;
        require(model, "model");
        *gguf = new ng_gguf{model->model->shared_file()};
    });
}

ng_status ng_memory_get_estimate(const char* path, const ng_model_options* model, const ng_context_options* context, ng_memory_estimate* estimate, ng_error* error) {
    return guard(error, [&] {
        require(path, "path");
        require_struct(estimate, "estimate");
        const MemoryEstimate found = naming_file(path, [&] { return estimate_memory(path, model_options(model), context_options(context)); });
        estimate->page_tokens = KvCache::page_tokens;
        estimate->weights_mapped = found.weights_mapped;
        estimate->weights_owned = found.weights_owned;
        estimate->kv_bytes = found.kv_bytes;
        estimate->kv_bytes_per_token = found.kv_bytes_per_token;
        estimate->scratch_bytes = found.scratch_bytes;
        estimate->total_bytes = found.total_bytes;
        estimate->available_bytes = found.available_bytes;
    });
}
