// A context: sequences in a KV cache, and the step that moves a batch of their rows through the model.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cpu/cpu_device.h"
#include "runtime/kv_cache.h"
#include "runtime/loaded_model.h"

namespace ng {

struct Batch {
    std::span<const int32_t> tokens, seqs, positions;
    std::span<const uint8_t> outputs;  // empty: none
};

struct ContextStats {
    uint64_t scratch_bytes = 0;
    uint64_t steps = 0;
    uint64_t rows = 0;
    cpu::Counters counters;
};

// One caller at a time.
class Context {
public:
    Context(std::shared_ptr<const LoadedModel> model, const ContextOptions& options);

    const LoadedModel& model() const { return *model_; }
    const ContextOptions& options() const { return options_; }  // resolved
    ContextStats stats() const;
    KvCache& cache() { return cache_; }

    // logits: [outputs wanted][n_vocab]. Ok, NoRoom or Cancelled; on anything but Ok, and when it throws, every sequence is as it was.
    Status decode(const Batch& batch, std::span<float> logits, const Task* task);

    // A sequence as bytes: header (magic, version, model hash, cache type, length), keys and values, checksum.
    size_t state_bytes(int32_t seq) const;
    void save(int32_t seq, std::span<std::byte> out) const;
    int32_t load(std::span<const std::byte> state);

private:
    uint32_t check(const Batch& batch);  // returns the outputs wanted; fills the plan of the step

    std::shared_ptr<const LoadedModel> model_;
    ContextOptions options_;
    KvCache cache_;
    backend::StepLimits limits_;
    cpu::CpuOps ops_;
    uint64_t steps_ = 0, n_rows_ = 0;

    // The plan of a step; members so that a step allocates nothing once they have grown.
    std::vector<KvCache::Append> appends_;
    std::vector<uint32_t> rows_;           // batch rows grouped by sequence, in order of position
    std::vector<uint32_t> outputs_;
    std::vector<backend::KvSequence> kv_sequences_;
    std::vector<uint32_t> slot_of_row_;    // index in appends_
};

}  // namespace ng
