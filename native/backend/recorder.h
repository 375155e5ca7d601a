// A backend that computes nothing: it lists the operations of a forward pass and adds up its buffers. The memory of a step is planned with it.
#pragma once

#include <string>
#include <vector>

#include "backend/backend.h"

namespace ng::backend {

class Recorder final : public Ops {
public:
    const std::vector<std::string>& operations() const { return operations_; }
    size_t buffer_bytes() const { return buffer_bytes_; }

    Buffer buffer(uint32_t n_rows, uint32_t n_cols) override;
    Buffer host_buffer(float* memory, uint32_t n_rows, uint32_t n_cols) override { return {memory, n_rows, n_cols}; }
    void get_rows(const Weight& table, std::span<const int32_t> index, Buffer out) override;
    void add(Buffer x, Buffer y) override;
    void select_rows(Buffer x, std::span<const uint32_t> index, Buffer out) override;
    void select_columns(Buffer x, uint32_t first, Buffer out) override;
    void rms_norm(Buffer x, const Weight& weight, float epsilon, Buffer out) override;
    void layer_norm(Buffer x, const Weight& weight, const Weight* bias, float epsilon, Buffer out) override;
    void matmul(Buffer x, std::span<const Product> products) override;
    RopeTable rope_table(std::span<const int32_t> positions, std::span<const double> frequencies, double magnitude, bool interleaved) override;
    void rope(Buffer x, uint32_t n_head, const RopeTable& table) override;
    void attention(const Attention& attention, const KvStep& kv, Buffer q, Buffer k, Buffer v, Buffer out) override;
    void gated(Activation activation, Buffer gate, Buffer up, Buffer out) override;
    void activate(Activation activation, Buffer x) override;

private:
    std::vector<std::string> operations_;
    size_t buffer_bytes_ = 0;
};

}  // namespace ng::backend
