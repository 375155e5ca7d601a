// A model that is open: the file, the device its weights live on, and the forward pass. Immutable once made; contexts share it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backend/backend.h"
#include "backend/kv_type.h"
#include "cpu/cpu_device.h"
#include "gguf/file.h"
#include "model/model.h"

namespace ng {

struct ModelOptions {
    bool map = true;
    bool repack = true;
    bool exact = false;      // float32 weights, float activations
    uint32_t n_threads = 0;  // for opening; 0 = default
};

struct ContextOptions {
    uint32_t n_ctx = 0;      // longest sequence; 0 = the smaller of the model's and 4096
    uint32_t n_kv = 0;       // positions over all sequences; 0 = n_ctx
    uint32_t n_batch = 0;    // rows of a step; 0 = 512
    backend::KvType kv_type = backend::KvType::F16;
    uint32_t n_threads = 0;
};

class LoadedModel {
public:
    // Checks the memory estimate before allocating. Cancelled by the task.
    static std::shared_ptr<const LoadedModel> open(const std::string& path, const ModelOptions& options, Task* task);

    const Model& model() const { return *model_; }
    const ModelShape& shape() const { return model_->shape(); }
    const GgufFile& file() const { return *file_; }
    std::shared_ptr<const GgufFile> shared_file() const { return file_; }
    const WeightTotals& totals() const { return totals_; }
    const cpu::Kernels& kernels() const { return *kernels_; }
    // Of metadata, tensor table and a sample of every tensor's bytes: what a saved sequence is bound to.
    uint64_t hash() const { return hash_; }

private:
    LoadedModel() = default;
    std::shared_ptr<GgufFile> file_;
    const cpu::Kernels* kernels_ = nullptr;
    std::unique_ptr<cpu::CpuDevice> device_;
    std::unique_ptr<Model> model_;
    WeightTotals totals_;
    uint64_t hash_ = 0;
};

struct MemoryEstimate {
    uint64_t weights_mapped = 0;
    uint64_t weights_owned = 0;
    uint64_t kv_bytes = 0;
    uint64_t kv_bytes_per_token = 0;
    uint64_t scratch_bytes = 0;
    uint64_t total_bytes = 0;
    uint64_t available_bytes = 0;
};

// Equal to what an open model and a context with a full cache count. Reads metadata only.
MemoryEstimate estimate_memory(const std::string& path, const ModelOptions& model_options, const ContextOptions& context_options);

// Options with their zeros replaced; refuses what a model can not do.
ContextOptions resolve(const ContextOptions& options, const ModelShape& shape);
// A context's step memory and cache, for resolved options.
backend::StepLimits step_limits(const Model& model, const ContextOptions& options);
uint32_t kv_pages(const ContextOptions& options);

}  // namespace ng
