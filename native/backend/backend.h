// What a forward pass is written in. A Device makes weight handles of a file's tensors; its Ops execute operations over buffers that only the
// device reads. Model code sees no pointer into tensor data, so the same forward pass can run on a CPU, be recorded, or be uploaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "tensor/dtype.h"

namespace ng::backend {

// A matrix in the file: n_rows outputs of n_cols inputs each, rows contiguous. A vector has one row.
struct TensorView {
    DType type;
    uint32_t n_rows;
    uint32_t n_cols;
    const std::byte* data;

    const std::byte* row(uint32_t index) const { return data + size_t{index} * dtype_bytes(type, n_cols); }
};

// How a weight is used decides its layout and the precision of the activations it meets.
enum class WeightUse : uint8_t {
    Matrix,      // matrix products
    Output,      // the product that makes logits: 14-bit activations
    TiedOutput,  // the same, and looked up by row in the file as well
    Rows,        // looked up by row (embeddings)
    Vector,      // norm weights, biases: read as float
};

// A device's own form of a tensor.
struct Weight {
    virtual ~Weight() = default;
    uint32_t n_rows = 0;
    uint32_t n_cols = 0;
};

// A row-major float matrix [n_rows, n_cols] in the device's step memory.
struct Buffer {
    void* data = nullptr;
    uint32_t n_rows = 0;
    uint32_t n_cols = 0;
};

// out = x W^T (+ bias) (+ out)
struct Product {
    const Weight* weight;
    const Weight* bias = nullptr;
    Buffer out;
    bool add = false;
};

constexpr size_t most_products = 4;  // of one call

// Cosine and sine of every (row of the batch, pair of dimensions); made once per step.
struct RopeTable {
    Buffer cos_sin;           // [n_rows, n_dims]: cos of pair i at 2i, sin at 2i + 1
    uint32_t n_dims = 0;      // leading dimensions of a head that turn
    bool interleaved = true;  // pairs are (2i, 2i+1), else (i, i + n_dims/2)
};

// How a layer's attention looks. Rows, pages and positions come from the step (KvStep).
struct Attention {
    uint32_t layer;
    uint32_t n_head;
    uint32_t n_head_kv;
    uint32_t d_k;  // per head
    uint32_t d_v;
    float scale;
};

enum class Activation : uint8_t { Silu, GeluTanh };

// The KV pages of one step: backend/kv_step.h.
struct KvStep;

// One context's executor. Calls run in order; the host waits only for what it gave as host_buffer. Buffers of one call do not overlap unless they are the same.
class Ops {
public:
    virtual ~Ops() = default;

    // Step memory: valid until `begin_step` is called again.
    virtual Buffer buffer(uint32_t n_rows, uint32_t n_cols) = 0;
    // Host memory as the output of an operation; filled when the step has ended.
    virtual Buffer host_buffer(float* memory, uint32_t n_rows, uint32_t n_cols) = 0;

    // out[i] = table[index[i]]
    virtual void get_rows(const Weight& table, std::span<const int32_t> index, Buffer out) = 0;
    // x += y
    virtual void add(Buffer x, Buffer y) = 0;
    // out[i] = x[index[i]]
    virtual void select_rows(Buffer x, std::span<const uint32_t> index, Buffer out) = 0;
    // out = columns [first, first + out.n_cols) of x
    virtual void select_columns(Buffer x, uint32_t first, Buffer out) = 0;
    virtual void rms_norm(Buffer x, const Weight& weight, float epsilon, Buffer out) = 0;
    virtual void layer_norm(Buffer x, const Weight& weight, const Weight* bias, float epsilon, Buffer out) = 0;
    // Up to most_products products of the same input: its quantization is shared.
    virtual void matmul(Buffer x, std::span<const Product> products) = 0;
    // angle of (row, pair) = positions[row] * frequencies[pair]; both factors of the table are multiplied by `magnitude`.
    virtual RopeTable rope_table(std::span<const int32_t> positions, std::span<const double> frequencies, double magnitude, bool interleaved) = 0;
    // Turns the heads of x [n_rows, n_head * d_head] in place.
    virtual void rope(Buffer x, uint32_t n_head, const RopeTable& table) = 0;
    // Writes k and v of all rows to the cache, then lets every row's q look at all positions up to its own.
    virtual void attention(const Attention& attention, const KvStep& kv, Buffer q, Buffer k, Buffer v, Buffer out) = 0;
    // out = activation(gate) * up; out may be gate.
    virtual void gated(Activation activation, Buffer gate, Buffer up, Buffer out) = 0;
    // In place.
    virtual void activate(Activation activation, Buffer x) = 0;
};

// The largest step a context will run; a device sizes its own scratch by it.
struct StepLimits {
    uint32_t n_rows;
    uint32_t max_cols;       // widest input of a matrix product
    uint32_t max_head_dim;   // of keys and values
    uint32_t max_group;      // query heads per KV head
    uint32_t max_pages;      // KV pages of a sequence
    size_t buffer_bytes;     // sum of the buffers of a forward pass
};

class Device {
public:
    virtual ~Device() = default;
    // May repack; then the view's bytes are read again only by row. `owned_bytes` says what a weight costs beyond the file.
    virtual std::unique_ptr<Weight> make_weight(const TensorView& view, WeightUse use) = 0;
    virtual size_t owned_bytes(const TensorView& view, WeightUse use) const = 0;
};

}  // namespace ng::backend
