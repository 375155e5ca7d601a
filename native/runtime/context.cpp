// See context.h. decode: check the batch, reserve pages, run the forward pass, commit.
#include "runtime/context.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/hash.h"
#include "base/system.h"
#include "base/thread_pool.h"

namespace ng {

Context::Context(std::shared_ptr<const LoadedModel> model, const ContextOptions& options)
    : model_(std::move(model)),
      options_(resolve(options, model_->shape())),
      cache_(model_->shape().layers, options_.kv_type, kv_pages(options_)),
      limits_(step_limits(model_->model(), options_)),
      ops_([&]() -> cpu::CpuOps {
          // The cache fills page by page, but what is promised must exist.
          const uint64_t needed = cpu::CpuOps::scratch_bytes(limits_, options_.n_threads) + uint64_t{cache_.pages_total()} * cache_.layout().page_bytes;
          const uint64_t available = available_memory();
          if (needed > available)
              fail(Status::OutOfMemory, "a context of %u tokens needs %.1f MiB, and %.1f MiB are available; ask for fewer tokens", options_.n_kv,
                   static_cast<double>(needed) / (1 << 20), static_cast<double>(available) / (1 << 20));
          return cpu::CpuOps(model_->kernels(), limits_, options_.n_threads);
      }()) {
    Trace::active();  // a file that can not be written is told here
    appends_.reserve(options_.n_batch);
    rows_.reserve(options_.n_batch);
    outputs_.reserve(options_.n_batch);
    kv_sequences_.reserve(options_.n_batch);
    slot_of_row_.reserve(options_.n_batch);
}

ContextStats Context::stats() const { return {ops_.allocated_bytes(), steps_, n_rows_, ops_.counters()}; }

uint32_t Context::check(const Batch& batch) {
    const size_t n = batch.tokens.size();
    if (n == 0) fail(Status::InvalidArgument, "a batch needs at least one row");
    if (n > options_.n_batch) fail(Status::InvalidArgument, "a batch of %zu rows is larger than n_batch = %u", n, options_.n_batch);
    const ModelShape& shape = model_->shape();
    appends_.clear();
    slot_of_row_.clear();
    outputs_.clear();
    uint32_t last_slot = 0;
    for (size_t row = 0; row < n; ++row) {
        const int32_t token = batch.tokens[row], seq = batch.seqs[row], position = batch.positions[row];
        if (token < 0 || static_cast<uint32_t>(token) >= shape.n_vocab)
            fail(Status::InvalidArgument, "row %zu: token %d is not in the vocabulary of %u", row, token, shape.n_vocab);
        if (last_slot >= appends_.size() || appends_[last_slot].seq != seq) {
            last_slot = 0;
            while (last_slot < appends_.size() && appends_[last_slot].seq != seq) ++last_slot;
            if (last_slot == appends_.size()) appends_.push_back({seq, 0});
        }
        KvCache::Append& append = appends_[last_slot];
        const uint32_t expected = cache_.length(seq) + append.n_new;
        if (position < 0 || static_cast<uint32_t>(position) != expected)
            fail(Status::InvalidArgument, "row %zu: sequence %d continues at position %u, not %d", row, seq, expected, position);
        if (expected >= options_.n_ctx)
            fail(Status::ContextOverflow, "row %zu: position %u is beyond the context of %u tokens; open the context with a larger n_ctx or shorten the prompt", row, expected, options_.n_ctx);
        ++append.n_new;
        slot_of_row_.push_back(last_slot);
        if (!batch.outputs.empty() && batch.outputs[row]) outputs_.push_back(static_cast<uint32_t>(row));
    }
    return static_cast<uint32_t>(outputs_.size());
}

Status Context::decode(const Batch& batch, std::span<float> logits, const Task* task) {
    const uint32_t n_outputs = check(batch);
    const size_t n_logits = size_t{n_outputs} * model_->shape().n_vocab;
    if (logits.size() < n_logits) fail(Status::InvalidArgument, "logits has room for %zu values, the batch asks for %zu", logits.size(), n_logits);
    throw_if_cancelled(task);
    Trace* const trace = Trace::active();
    const uint64_t begin = trace ? Trace::now() : 0;
    if (!cache_.reserve(appends_)) return Status::NoRoom;
    const uint64_t reserved = trace ? Trace::now() : 0;
    try {
        // Rows grouped by sequence: a counting sort, stable, so each group is in order of position.
        rows_.resize(batch.tokens.size());
        kv_sequences_.clear();
        size_t first = 0;
        for (const KvCache::Append& append : appends_) {
            kv_sequences_.push_back({cache_.page_pointers(append.seq), {rows_.data() + first, 0}, cache_.length(append.seq)});
            first += append.n_new;
        }
        for (uint32_t row = 0; row < rows_.size(); ++row) {
            backend::KvSequence& sequence = kv_sequences_[slot_of_row_[row]];
            uint32_t* const group = const_cast<uint32_t*>(sequence.rows.data());
            group[sequence.rows.size()] = row;
            sequence.rows = {group, sequence.rows.size() + 1};
        }
        const backend::KvStep kv{kv_sequences_, batch.positions, cache_.layout().type, cache_.layout().k_offsets, cache_.layout().v_offsets};

        Team team(ThreadPool::shared(), options_.n_threads, task);
        ops_.begin_step(team);
        model_->model().forward(ops_, {batch.tokens, batch.positions, outputs_, &kv, logits.data()});
        throw_if_cancelled(task);
        if (trace) {
            trace->record(0, "reserve_pages", begin, reserved);
            trace->record(0, "step", begin, Trace::now(), static_cast<uint32_t>(batch.tokens.size()));
            trace->write();
        }
    } catch (...) {
        cache_.roll_back();
        throw;
    }
    cache_.commit();
    ++steps_;
    n_rows_ += batch.tokens.size();
    return Status::Ok;
}

namespace {

struct StateHeader {
    char magic[8];
    uint32_t version;
    uint32_t kv_type;
    uint64_t model_hash;
    uint64_t n_tokens;
    uint64_t page_bytes;
};

constexpr char state_magic[8] = {'N', 'G', 'S', 'E', 'Q', '\r', '\n', '\x1a'};
constexpr uint32_t state_version = 2;

uint64_t checksum(const std::byte* bytes, size_t n) {
    Hash hash;
    hash.add(bytes, n);
    return hash.value();
}

}  // namespace

size_t Context::state_bytes(int32_t seq) const { return sizeof(StateHeader) + cache_.state_bytes(cache_.length(seq)) + sizeof(uint64_t); }

void Context::save(int32_t seq, std::span<std::byte> out) const {
    StateHeader header{};
    std::memcpy(header.magic, state_magic, sizeof state_magic);
    header.version = state_version;
    header.kv_type = static_cast<uint32_t>(options_.kv_type);
    header.model_hash = model_->hash();
    header.n_tokens = cache_.length(seq);
    header.page_bytes = cache_.layout().page_bytes;
    std::memcpy(out.data(), &header, sizeof header);
    cache_.save(seq, out.data() + sizeof header);
    const size_t n = state_bytes(seq) - sizeof(uint64_t);
    const uint64_t sum = checksum(out.data(), n);
    std::memcpy(out.data() + n, &sum, sizeof sum);
}

int32_t Context::load(std::span<const std::byte> state) {
    const auto refuse = [](const char* why) { fail(Status::InvalidState, "the saved sequence %s", why); };
    StateHeader header;
    if (state.size() < sizeof header + sizeof(uint64_t)) refuse("is cut off: it is shorter than its header");
    std::memcpy(&header, state.data(), sizeof header);
    if (std::memcmp(header.magic, state_magic, sizeof state_magic) != 0) refuse("does not begin as one: this is some other data");
    if (header.version != state_version) fail(Status::InvalidState, "the saved sequence is of version %u, this build reads %u", header.version, state_version);
    if (header.model_hash != model_->hash()) refuse("was made by another model");
    if (header.kv_type != static_cast<uint32_t>(options_.kv_type)) refuse("has another KV cache type than this context");
    if (header.page_bytes != cache_.layout().page_bytes) refuse("has another layout than this context");
    if (header.n_tokens > options_.n_ctx) refuse("is longer than this context");
    const size_t n = sizeof header + cache_.state_bytes(static_cast<uint32_t>(header.n_tokens));
    if (state.size() != n + sizeof(uint64_t)) refuse("has the wrong size: it is cut off or has something behind it");
    uint64_t sum;
    std::memcpy(&sum, state.data() + n, sizeof sum);
    if (sum != checksum(state.data(), n)) refuse("is damaged: its checksum does not match");
    return cache_.load(state.data() + sizeof header, static_cast<uint32_t>(header.n_tokens));
}

}  // namespace ng
