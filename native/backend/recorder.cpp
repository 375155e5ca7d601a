// See recorder.h. A line is the operation's name and the shapes it works on, "rms_norm 4x64".
#include "backend/recorder.h"

#include "base/error.h"

namespace ng::backend {
namespace {

std::string shape(const Buffer& x) { return " " + std::to_string(x.n_rows) + "x" + std::to_string(x.n_cols); }

}  // namespace

Buffer Recorder::buffer(uint32_t n_rows, uint32_t n_cols) {
    buffer_bytes_ += (size_t{n_rows} * n_cols * sizeof(float) + 63) / 64 * 64;
    return {nullptr, n_rows, n_cols};
}

void Recorder::get_rows(const Weight&, std::span<const int32_t>, Buffer out) { operations_.push_back("get_rows" + shape(out)); }
void Recorder::add(Buffer x, Buffer) { operations_.push_back("add" + shape(x)); }
void Recorder::select_rows(Buffer, std::span<const uint32_t>, Buffer out) { operations_.push_back("select_rows" + shape(out)); }
void Recorder::select_columns(Buffer, uint32_t first, Buffer out) { operations_.push_back("select_columns" + shape(out) + " from " + std::to_string(first)); }
void Recorder::rms_norm(Buffer x, const Weight&, float, Buffer) { operations_.push_back("rms_norm" + shape(x)); }
void Recorder::layer_norm(Buffer x, const Weight&, const Weight*, float, Buffer) { operations_.push_back("layer_norm" + shape(x)); }

void Recorder::matmul(Buffer x, std::span<const Product> products) {
    // Every context plans its memory with a recorder, so a forward pass that asks too much is found before its first step.
    if (products.size() > most_products) fail(Status::Internal, "%zu products in one group; at most %zu", products.size(), most_products);
    std::string line = "matmul" + shape(x) + " ->";
    for (const Product& product : products)
        line += " " + std::to_string(product.out.n_cols) + (product.bias ? "+bias" : "") + (product.add ? "+add" : "");
    operations_.push_back(line);
}

RopeTable Recorder::rope_table(std::span<const int32_t> positions, std::span<const double> frequencies, double, bool interleaved) {
    operations_.push_back("rope_table " + std::to_string(frequencies.size()));
    const auto n_dims = static_cast<uint32_t>(2 * frequencies.size());
    return {buffer(static_cast<uint32_t>(positions.size()), n_dims), n_dims, interleaved};
}

void Recorder::rope(Buffer x, uint32_t n_head, const RopeTable&) { operations_.push_back("rope" + shape(x) + " heads " + std::to_string(n_head)); }

void Recorder::attention(const Attention& a, const KvStep&, Buffer q, Buffer k, Buffer, Buffer) {
    operations_.push_back("attention layer " + std::to_string(a.layer) + shape(q) + shape(k));
}

void Recorder::gated(Activation activation, Buffer gate, Buffer, Buffer) {
    operations_.push_back(std::string(activation == Activation::Silu ? "silu_mul" : "gelu_mul") + shape(gate));
}

void Recorder::activate(Activation, Buffer x) { operations_.push_back("gelu" + shape(x)); }

}  // namespace ng::backend
