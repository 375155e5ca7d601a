// The CPU as a backend: weights in a kernel table's layout, and ops that split their outputs over the thread pool.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/buffer.h"
#include "backend/kv_step.h"
#include "base/thread_pool.h"
#include "cpu/kernels.h"

namespace ng::cpu {

// What this machine can run, best first. Throws DeviceUnavailable if NATIVEGEN_ISA names a set that is not among it.
const Kernels& select_kernels();
std::string available_isas();

struct Options {
    bool repack = true;   // false: rows stay as they are in the file; same bits, slower
    bool exact = false;   // weights as float32, so that activations are never rounded
};

struct CpuWeight final : backend::Weight {
    backend::TensorView source;            // the file's: rows are looked up there
    WeightView view{};
    const MatmulKernel* kernel = nullptr;  // with the activations its use calls for
    ActFormat act = ActFormat::F32;
    AlignedBuffer storage;                 // of a repacked or converted weight; empty when the view is the file's
};

class CpuDevice final : public backend::Device {
public:
    CpuDevice(const Kernels& kernels, Options options);

    std::unique_ptr<backend::Weight> make_weight(const backend::TensorView& view, backend::WeightUse use) override;
    size_t owned_bytes(const backend::TensorView& view, backend::WeightUse use) const override;

    // How weights are packed while a model opens: the pool is taken for one weight at a time, so that other models' steps go on between.
    void set_loading(uint32_t n_threads, const Task* task) {
        n_threads_ = n_threads;
        task_ = task;
    }
    const Kernels& kernels() const { return kernels_; }

private:
    struct Plan;
    Plan plan(const backend::TensorView& view, backend::WeightUse use) const;

    const Kernels& kernels_;
    Options options_;
    uint32_t n_threads_ = 1;
    const Task* task_ = nullptr;
};

// Names what the team does from here to the end of the block, for a trace.
class Operation {
public:
    Operation(Team& team, const char* name, uint32_t n_rows) : block_(team.trace(), name, n_rows) { team.name(name); }

private:
    TraceBlock block_;
};

inline float* row_of(backend::Buffer buffer, size_t row) { return static_cast<float*>(buffer.data) + row * buffer.n_cols; }

struct Counters {
    uint64_t vector_runs = 0;  // matrix products by the few-rows kernel
    uint64_t matrix_runs = 0;
};

// One context's executor. begin_step gives it the threads of the step.
class CpuOps final : public backend::Ops {
public:
    CpuOps(const Kernels& kernels, const backend::StepLimits& limits, uint32_t n_threads);
    static size_t scratch_bytes(const backend::StepLimits& limits, uint32_t n_threads);

    void begin_step(Team& team);
    const Counters& counters() const { return counters_; }
    size_t allocated_bytes() const { return memory_.size(); }

    backend::Buffer buffer(uint32_t n_rows, uint32_t n_cols) override;
    void get_rows(const backend::Weight& table, std::span<const int32_t> index, backend::Buffer out) override;
    void add(backend::Buffer x, backend::Buffer y) override;
    void select_rows(backend::Buffer x, std::span<const uint32_t> index, backend::Buffer out) override;
    void select_columns(backend::Buffer x, uint32_t first, backend::Buffer out) override;
    void rms_norm(backend::Buffer x, const backend::Weight& weight, float epsilon, backend::Buffer out) override;
    void layer_norm(backend::Buffer x, const backend::Weight& weight, const backend::Weight* bias, float epsilon, backend::Buffer out) override;
    void matmul(backend::Buffer x, std::span<const backend::Product> products) override;
    backend::RopeTable rope_table(std::span<const int32_t> positions, std::span<const double> frequencies, double magnitude, bool interleaved) override;
    void rope(backend::Buffer x, uint32_t n_head, const backend::RopeTable& table) override;
    void attention(const backend::Attention& attention, const backend::KvStep& kv, backend::Buffer q, backend::Buffer k, backend::Buffer v,
                   backend::Buffer out) override;
    void gated(backend::Activation activation, backend::Buffer gate, backend::Buffer up, backend::Buffer out) override;
    void activate(backend::Activation activation, backend::Buffer x) override;
    backend::Buffer host_buffer(float* memory, uint32_t n_rows, uint32_t n_cols) override;

private:
    // Integer activations of the current input, made when the first product asks for them.
    struct Quantized {
        int8_t* values;
        ActBlock* blocks;
    };

    static constexpr size_t attention_sequences = 64;
    static size_t page_pointers_bytes(const backend::StepLimits& limits);

    template <class Body> void for_rows(uint32_t n_rows, size_t floats_per_row, Body&& body);
    ActView activations(backend::Buffer x, ActFormat format);
    void write_kv(const backend::Attention& attention, const backend::KvStep& kv, backend::Buffer k, backend::Buffer v);

    const Kernels& kernels_;
    backend::StepLimits limits_;
    AlignedBuffer memory_;  // the buffers of a step, then quantized activations, attention's tables, each thread's scratch
    size_t used_ = 0;       // bytes of buffers handed out
    Quantized a8_{}, a16_{};
    uint8_t* scratch_;      // [n_threads][scratch_stride_]
    size_t scratch_stride_;
    Team* team_ = nullptr;
    Counters counters_;
    // Attention's tables, of up to attention_sequences sequences at a time.
    const void** page_pointers_;  // one layer's K pages of a sequence, then its V pages, then the next sequence's
    AttentionRow* rows_;          // [n_rows]
};

}  // namespace ng::cpu
