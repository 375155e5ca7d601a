// ng_context_* and ng_seq_*: one caller at a time, checked here, so that everything behind is single-threaded.
#include "abi/guard.h"
#include "abi/handles.h"
#include "abi/options.h"

#include <cinttypes>

using namespace ng;

namespace {

// The right to be inside a context, until the call returns.
class Visit {
public:
    explicit Visit(ng_context* handle) : handle_(handle) {
        require(handle, "context");
        if (handle->busy.test_and_set(std::memory_order_acquire)) fail(Status::Busy, "the context is in another call; it takes one caller at a time");
    }
    ~Visit() { handle_->busy.clear(std::memory_order_release); }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

    Context* operator->() const { return &handle_->context; }
    KvCache& cache() const { return handle_->context.cache(); }

private:
    ng_context* handle_;
};

template <class T> std::span<const T> rows(const T* items, uint32_t n, const char* name) {
    require(items, name);
    return {items, n};
}

} // namespace

ng_status ng_context_create(ng_model* model, const ng_context_options* options, ng_context** context, ng_error* error) {
    return guard(error, [&] {
        require(context, "context");
        *context = nullptr;
        require(model, "model");
        *context = new ng_context(model->model, context_options(options));
    });
}

void ng_context_close(ng_context* context) { delete context; }

ng_status ng_context_get_stats(ng_context* context, ng_context_stats* stats, ng_error* error) {
    return guard(error, [&] {
        const Visit visit(context);
        require_struct(stats, "stats");
        const KvCache& cache = visit.cache();
        const ContextStats counted = visit->stats();
        stats->n_ctx = visit->options().n_ctx;
        stats->n_batch = visit->options().n_batch;
        stats->n_threads = visit->options().n_threads;
        stats->page_tokens = KvCache::page_tokens;
        stats->pages_total = cache.pages_total();
        stats->pages_free = cache.pages_free();
        stats->n_sequences = cache.n_sequences();
        stats->kv_bytes = cache.allocated_bytes();
        stats->kv_bytes_per_token = cache.layout().page_bytes / KvCache::page_tokens;
        stats->scratch_bytes = counted.scratch_bytes;
        stats->steps = counted.steps;
        stats->rows = counted.rows;
        stats->matmul_vector_runs = counted.counters.vector_runs;
        stats->matmul_matrix_runs = counted.counters.matrix_runs;
    });
}

ng_status ng_seq_create(ng_context* context, int32_t* seq, ng_error* error) {
    return guard(error, [&] {
        const Visit visit(context);
        require(seq, "seq");
        *seq = visit.cache().create();
    });
}

ng_status ng_seq_drop(ng_context* context, int32_t seq, ng_error* error) {
    return guard(error, [&] { Visit(context).cache().drop(seq); });
}

ng_status ng_seq_fork(ng_context* context, int32_t source, uint32_t n_keep, int32_t* seq, ng_error* error) {
    return guard(error, [&] {
        const Visit visit(context);
        require(seq, "seq");
        *seq = visit.cache().fork(source, n_keep);
    });
}

ng_status ng_seq_cut(ng_context* context, int32_t seq, uint32_t n_keep, ng_error* error) {
    return guard(error, [&] { Visit(context).cache().cut(seq, n_keep); });
}

ng_status ng_seq_get_length(ng_context* context, int32_t seq, uint32_t* length, ng_error* error) {
    return guard(error, [&] {
        const Visit visit(context);
        require(length, "length");
        *length = visit.cache().length(seq);
    });
}

ng_status ng_seq_get_pages_needed(ng_context* context, int32_t seq, uint32_t n_new, uint32_t* pages, ng_error* error) {
    return guard(error, [&] {
        const Visit visit(context);
        require(pages, "pages");
        *pages = visit.cache().pages_needed(seq, n_new);
    });
}

ng_status ng_context_decode(ng_context* context, const ng_batch* batch, float* logits, size_t n_logits, ng_task* task, ng_error* error) {
    return guard(error, [&] {
        const Visit visit(context);
        require_struct(batch, "batch");
        const uint32_t n = batch->n_rows, most = visit->options().n_batch;
        // Before an array is looked at: a wild count must not be read.
        if (n == 0 || n > most) fail(Status::InvalidArgument, "a batch of %" PRIu32 " rows; this context takes 1 to %" PRIu32, n, most);
        Batch step{rows(batch->tokens, n, "tokens"), rows(batch->seqs, n, "seqs"), rows(batch->positions, n, "positions"), {}};
        if (batch->outputs) step.outputs = {batch->outputs, n};
        for (const uint8_t output : step.outputs) {
            if (output > 1) fail(Status::InvalidArgument, "an output is %d, neither 0 nor 1", output);
        }
        if (n_logits > 0) require(logits, "logits");
        return visit->decode(step, {logits, n_logits}, task ? &task->task : nullptr);
    });
}

ng_status ng_seq_save(ng_context* context, int32_t seq, void* buffer, size_t cap, size_t* needed, ng_error* error) {
    return guard(error, [&] {
        const Visit visit(context);
        require(needed, "needed");
        *needed = visit->state_bytes(seq);
        if (!buffer || cap < *needed) return Status::BufferTooSmall;
        visit->save(seq, {static_cast<std::byte*>(buffer), *needed});
        return Status::Ok;
    });
}

ng_status ng_seq_load(ng_context* context, const void* buffer, size_t bytes, int32_t* seq, ng_error* error) {
    return guard(error, [&] {
        const Visit visit(context);
        require(seq, "seq");
        if (bytes > 0) require(buffer, "buffer");
        *seq = visit->load({static_cast<const std::byte*>(buffer), bytes});
    });
}
