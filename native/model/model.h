// A model: hyperparameters and weights of one GGUF file, and its forward pass. One file per architecture; this is what they share.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/kv_step.h"
#include "base/task.h"
#include "gguf/file.h"

namespace ng {

// What a layer keeps of the past for each position. (Windows and recurrent state join here.)
struct LayerMemory {
    uint32_t n_head_kv;
    uint32_t d_k;
    uint32_t d_v;
};

struct ModelShape {
    std::string arch;
    uint32_t n_vocab = 0;
    uint32_t n_ctx_train = 0;
    uint32_t n_embd = 0;
    uint32_t n_layer = 0;
    uint32_t n_head = 0;            // query heads of the first layer
    std::vector<LayerMemory> layers;
    uint32_t max_cols = 0;          // widest input of a matrix product
    uint32_t max_head_dim = 0;
    uint32_t max_group = 0;         // query heads per KV head
    bool positions_limited = false; // true: there is nothing beyond n_ctx_train (learned positions)
};

// One step's rows as a forward pass sees them.
struct StepInput {
    std::span<const int32_t> tokens;
    std::span<const int32_t> positions;
    std::span<const uint32_t> outputs;  // rows whose logits are wanted, ascending
    const backend::KvStep* kv;
    float* logits;                      // host, [outputs][n_vocab]
};

class Model {
public:
    virtual ~Model() = default;
    const ModelShape& shape() const { return shape_; }

    // All rows through all layers; logits of the rows asked for.
    virtual void forward(backend::Ops& ops, const StepInput& step) const = 0;

protected:
    ModelShape shape_;
};

struct WeightTotals {
    uint64_t n_params = 0;
    uint64_t mapped_bytes = 0;  // used in place
    uint64_t owned_bytes = 0;   // repacked or converted
    uint64_t lookup_bytes = 0;  // repacked, and their rows still looked up in the file
    uint64_t read_bytes = 0;    // per decoded token
};

// Sees every tensor of a model once. With a device to load on it loads; without, it checks and counts, and weights are shapes only.
class WeightSource {
public:
    WeightSource(const GgufFile& file, const backend::Device& sizes, backend::Device* load, Task* task);

    // Null if the file has no such tensor, else as `matrix` or `vector`.
    std::unique_ptr<backend::Weight> optional_vector(const std::string& name, uint64_t n);
    std::unique_ptr<backend::Weight> vector(const std::string& name, uint64_t n);
    std::unique_ptr<backend::Weight> matrix(const std::string& name, uint64_t n_cols, uint64_t n_rows, backend::WeightUse use = backend::WeightUse::Matrix);
    // A small vector's values on the host (rope factors).
    std::vector<float> values(const std::string& name, uint64_t n);
    bool has(const std::string& name) const { return file_.tensor(name) != nullptr; }
    const GgufFile& file() const { return file_; }
    const WeightTotals& totals() const { return totals_; }

private:
    std::unique_ptr<backend::Weight> make(const std::string& name, uint64_t n_cols, uint64_t n_rows, backend::WeightUse use);

    const GgufFile& file_;
    const backend::Device& sizes_;
    backend::Device* load_;
    Task* task_;
    WeightTotals totals_;
    uint64_t seen_bytes_ = 0, all_bytes_ = 0;
};

// The architecture's name in the file decides; refuses in one line that names it when this build does not run it.
std::unique_ptr<Model> make_model(WeightSource& source);
// Names make_model takes, for messages and reports.
std::span<const char* const> supported_architectures();

}  // namespace ng
