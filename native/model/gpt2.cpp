// GPT-2: learned positions, LayerNorm before each half of a block, one matrix for q, k and v, GELU (tanh form).
// Radford et al. 2019, "Language Models are Unsupervised Multitask Learners".
#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"
#include "model/architectures.h"
#include "model/hparams.h"
#include "model/limits.h"

namespace ng {
namespace {

using backend::Buffer;
using backend::Product;
using backend::Weight;
using backend::WeightUse;
using WeightPtr = std::unique_ptr<Weight>;

struct Layer {
    WeightPtr attn_norm, attn_norm_b;
    WeightPtr w_qkv, b_qkv;  // [3 n_embd, n_embd]
    WeightPtr wo, bo;        // [n_embd, n_embd]
    WeightPtr ffn_norm, ffn_norm_b;
    WeightPtr w_up, b_up;      // [n_ff, n_embd]
    WeightPtr w_down, b_down;  // [n_embd, n_ff]
};

class Gpt2 final : public Model {
public:
    Gpt2(WeightSource& source, const HParams& hparams) {
        shape_.arch = hparams.arch();
        shape_.n_vocab = hparams.n_vocab();
        shape_.n_layer = hparams.count("block_count", limits::n_layer);
        shape_.n_embd = hparams.count("embedding_length", limits::width);
        shape_.n_ctx_train = hparams.count("context_length", limits::n_ctx);
        shape_.n_head = hparams.count("attention.head_count", limits::n_head);
        shape_.positions_limited = true;
        n_ff_ = hparams.count("feed_forward_length", limits::width);
        epsilon_ = hparams.positive("attention.layer_norm_epsilon");
        if (shape_.n_embd % shape_.n_head != 0) hparams.refuse("attention.head_count", "does not divide embedding_length");
        d_head_ = shape_.n_embd / shape_.n_head;
        if (d_head_ > limits::head_dim) hparams.refuse("attention.head_count", "leaves heads that are too wide");
        shape_.layers.assign(shape_.n_layer, {shape_.n_head, d_head_, d_head_});
        shape_.max_cols = std::max(shape_.n_embd, n_ff_);
        shape_.max_head_dim = d_head_;
        shape_.max_group = 1;

        const bool tied = !source.has("output.weight");
        embedding_ = source.matrix("token_embd.weight", shape_.n_embd, shape_.n_vocab, tied ? WeightUse::TiedOutput : WeightUse::Rows);
        positions_ = source.matrix("position_embd.weight", shape_.n_embd, shape_.n_ctx_train, WeightUse::Rows);
        for (uint32_t i = 0; i < shape_.n_layer; ++i) layers_.push_back(load_layer(source, "blk." + std::to_string(i) + "."));
        output_norm_ = source.vector("output_norm.weight", shape_.n_embd);
        output_norm_b_ = source.vector("output_norm.bias", shape_.n_embd);
        if (!tied) output_ = source.matrix("output.weight", shape_.n_embd, shape_.n_vocab, WeightUse::Output);
    }

    void forward(backend::Ops& ops, const StepInput& step) const override {
        const auto n = static_cast<uint32_t>(step.tokens.size());
        const uint32_t n_embd = shape_.n_embd;
        const Buffer x = ops.buffer(n, n_embd), normed = ops.buffer(n, n_embd);
        ops.get_rows(*embedding_, step.tokens, x);
        ops.get_rows(*positions_, step.positions, normed);
        ops.add(x, normed);

        const Buffer q = ops.buffer(n, n_embd), k = ops.buffer(n, n_embd), v = ops.buffer(n, n_embd), o = ops.buffer(n, n_embd);
        const Buffer qkv = ops.buffer(n, 3 * n_embd), hidden = ops.buffer(n, n_ff_);
        for (uint32_t i = 0; i < shape_.n_layer; ++i) {
            const Layer& layer = layers_[i];
            // x += Wo attention(q, k, v), (q, k, v) = Wqkv norm(x)
            ops.layer_norm(x, *layer.attn_norm, layer.attn_norm_b.get(), epsilon_, normed);
            const Product project[] = {{layer.w_qkv.get(), layer.b_qkv.get(), qkv}};
            ops.matmul(normed, project);
            ops.select_columns(qkv, 0, q);
            ops.select_columns(qkv, n_embd, k);
            ops.select_columns(qkv, 2 * n_embd, v);
            ops.attention({i, shape_.n_head, shape_.n_head, d_head_, d_head_, 1.0f / std::sqrt(static_cast<float>(d_head_))}, *step.kv, q, k, v, o);
            const Product out[] = {{layer.wo.get(), layer.bo.get(), x, true}};
            ops.matmul(o, out);

            // x += Wdown gelu(Wup norm(x))
            ops.layer_norm(x, *layer.ffn_norm, layer.ffn_norm_b.get(), epsilon_, normed);
            const Product up[] = {{layer.w_up.get(), layer.b_up.get(), hidden}};
            ops.matmul(normed, up);
            ops.activate(backend::Activation::GeluTanh, hidden);
            const Product down[] = {{layer.w_down.get(), layer.b_down.get(), x, true}};
            ops.matmul(hidden, down);
        }

        if (step.outputs.empty()) return;
        const auto n_outputs = static_cast<uint32_t>(step.outputs.size());
        const Buffer last = ops.buffer(n_outputs, n_embd);
        ops.select_rows(x, step.outputs, last);
        ops.layer_norm(last, *output_norm_, output_norm_b_.get(), epsilon_, last);
        const Weight& head = output_ ? *output_ : *embedding_;
        const Product logits[] = {{&head, nullptr, ops.host_buffer(step.logits, n_outputs, shape_.n_vocab)}};
        ops.matmul(last, logits);
    }

private:
    Layer load_layer(WeightSource& source, const std::string& prefix) const {
        const uint32_t n_embd = shape_.n_embd;
        Layer layer;
        layer.attn_norm = source.vector(prefix + "attn_norm.weight", n_embd);
        layer.attn_norm_b = source.vector(prefix + "attn_norm.bias", n_embd);
        layer.w_qkv = source.matrix(prefix + "attn_qkv.weight", n_embd, 3 * n_embd);
        layer.b_qkv = source.vector(prefix + "attn_qkv.bias", 3 * n_embd);
        layer.wo = source.matrix(prefix + "attn_output.weight", n_embd, n_embd);
        layer.bo = source.vector(prefix + "attn_output.bias", n_embd);
        layer.ffn_norm = source.vector(prefix + "ffn_norm.weight", n_embd);
        layer.ffn_norm_b = source.vector(prefix + "ffn_norm.bias", n_embd);
        layer.w_up = source.matrix(prefix + "ffn_up.weight", n_embd, n_ff_);
        layer.b_up = source.vector(prefix + "ffn_up.bias", n_ff_);
        layer.w_down = source.matrix(prefix + "ffn_down.weight", n_ff_, n_embd);
        layer.b_down = source.vector(prefix + "ffn_down.bias", n_embd);
        return layer;
    }

    float epsilon_;
    uint32_t d_head_, n_ff_;
    WeightPtr embedding_;  // [n_vocab, n_embd]; also the output matrix when that is absent
    WeightPtr positions_;  // [n_ctx_train, n_embd]
    std::vector<Layer> layers_;
    WeightPtr output_norm_, output_norm_b_;
    WeightPtr output_;     // null: tied
};

}  // namespace

std::unique_ptr<Model> make_gpt2(WeightSource& source, const HParams& hparams) { return std::make_unique<Gpt2>(source, hparams); }

}  // namespace ng
