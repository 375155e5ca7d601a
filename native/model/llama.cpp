// The Llama family (Llama 1-3, Mistral, SmolLM): RMSNorm before each half of a block, rotary positions, grouped-query attention, SwiGLU.
// Touvron et al. 2023, arXiv 2302.13971; grouped queries: arXiv 2305.13245.
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
    WeightPtr attn_norm;
    WeightPtr wq, wk, wv, wo;  // [n_head d_k, n_embd], [n_head_kv d_k, n_embd], [n_head_kv d_v, n_embd], [n_embd, n_head d_v]
    WeightPtr bq, bk, bv, bo;  // null in most models
    WeightPtr ffn_norm;
    WeightPtr w_gate, w_up, w_down;  // [n_ff, n_embd] twice, [n_embd, n_ff]
    WeightPtr b_gate, b_up, b_down;
    uint32_t n_head, n_head_kv, n_ff;
};

class Llama final : public Model {
public:
    Llama(WeightSource& source, const HParams& hparams) {
        if (hparams.integer_or("expert_count", 0) > 0)
            fail(Status::UnsupportedArchitecture, "architecture 'llama' with experts (Mixtral) is not supported by this build");
        shape_.arch = hparams.arch();
        shape_.n_vocab = hparams.n_vocab();
        shape_.n_layer = hparams.count("block_count", limits::n_layer);
        shape_.n_embd = hparams.count("embedding_length", limits::width);
        shape_.n_ctx_train = hparams.count("context_length", limits::n_ctx);
        epsilon_ = hparams.positive("attention.layer_norm_rms_epsilon");
        const auto n_head = hparams.counts("attention.head_count", shape_.n_layer, limits::n_head);
        const auto n_head_kv = source.file().find(hparams.full("attention.head_count_kv"))
                                   ? hparams.counts("attention.head_count_kv", shape_.n_layer, limits::n_head) : n_head;
        const auto n_ff = hparams.counts("feed_forward_length", shape_.n_layer, limits::width);
        shape_.n_head = n_head[0];
        const bool own_width = source.file().find(hparams.full("attention.key_length")) && source.file().find(hparams.full("attention.value_length"));
        if (!own_width && (shape_.n_embd % shape_.n_head != 0 || shape_.n_embd / shape_.n_head > limits::head_dim))
            hparams.refuse("attention.head_count", "does not cut embedding_length into heads");
        d_k_ = hparams.count("attention.key_length", limits::head_dim, shape_.n_embd / shape_.n_head);
        d_v_ = hparams.count("attention.value_length", limits::head_dim, shape_.n_embd / shape_.n_head);
        const uint32_t n_rot = hparams.count("rope.dimension_count", limits::head_dim, d_k_);
        if (n_rot % 2 != 0 || n_rot > d_k_) hparams.refuse("rope.dimension_count", "is larger than a head or odd (a head's size stands for it when it is absent)");

        // Llama 3.1 stretches its waves by a factor per pair.
        const bool has_factors = source.has("rope_freqs.weight");
        rope_ = read_rope(hparams, n_rot, has_factors ? source.values("rope_freqs.weight", n_rot / 2) : std::vector<float>{});

        const bool tied = !source.has("output.weight");
        embedding_ = source.matrix("token_embd.weight", shape_.n_embd, shape_.n_vocab, tied ? WeightUse::TiedOutput : WeightUse::Rows);
        for (uint32_t i = 0; i < shape_.n_layer; ++i) {
            if (n_head[i] % n_head_kv[i] != 0) hparams.refuse("attention.head_count_kv", "does not divide the number of heads");
            layers_.push_back(load_layer(source, i, n_head[i], n_head_kv[i], n_ff[i]));
            shape_.layers.push_back({n_head_kv[i], d_k_, d_v_});
            shape_.max_group = std::max(shape_.max_group, n_head[i] / n_head_kv[i]);
            widest_.cover(layers_.back(), d_k_, d_v_);
        }
        shape_.max_cols = std::max({shape_.n_embd, widest_.q, widest_.o, widest_.ff});
        shape_.max_head_dim = std::max(d_k_, d_v_);
        output_norm_ = source.vector("output_norm.weight", shape_.n_embd);
        if (!tied) output_ = source.matrix("output.weight", shape_.n_embd, shape_.n_vocab, WeightUse::Output);
    }

    void forward(backend::Ops& ops, const StepInput& step) const override {
        const auto n = static_cast<uint32_t>(step.tokens.size());
        const uint32_t n_embd = shape_.n_embd;
        Buffer x = ops.buffer(n, n_embd);
        ops.get_rows(*embedding_, step.tokens, x);
        const backend::RopeTable rope = ops.rope_table(step.positions, rope_.frequencies, rope_.magnitude, true);

        const Buffer normed = ops.buffer(n, n_embd);
        const Buffer q_all = ops.buffer(n, widest_.q), k_all = ops.buffer(n, widest_.k), v_all = ops.buffer(n, widest_.v);
        const Buffer o_all = ops.buffer(n, widest_.o), gate_all = ops.buffer(n, widest_.ff), up_all = ops.buffer(n, widest_.ff);
        for (uint32_t i = 0; i < shape_.n_layer; ++i) {
            const Layer& layer = layers_[i];
            const Buffer q{q_all.data, n, layer.n_head * d_k_}, k{k_all.data, n, layer.n_head_kv * d_k_}, v{v_all.data, n, layer.n_head_kv * d_v_};
            const Buffer o{o_all.data, n, layer.n_head * d_v_}, gate{gate_all.data, n, layer.n_ff}, up{up_all.data, n, layer.n_ff};

            // x += Wo attention(rope(Wq h), rope(Wk h), Wv h), h = norm(x)
            ops.rms_norm(x, *layer.attn_norm, epsilon_, normed);
            const Product qkv[] = {{layer.wq.get(), layer.bq.get(), q}, {layer.wk.get(), layer.bk.get(), k}, {layer.wv.get(), layer.bv.get(), v}};
            ops.matmul(normed, qkv);
            ops.rope(q, layer.n_head, rope);
            ops.rope(k, layer.n_head_kv, rope);
            ops.attention({i, layer.n_head, layer.n_head_kv, d_k_, d_v_, 1.0f / std::sqrt(static_cast<float>(d_k_))}, *step.kv, q, k, v, o);
            const Product out[] = {{layer.wo.get(), layer.bo.get(), x, true}};
            ops.matmul(o, out);

            // x += Wdown (silu(Wgate h) * Wup h), h = norm(x)
            ops.rms_norm(x, *layer.ffn_norm, epsilon_, normed);
            const Product gate_up[] = {{layer.w_gate.get(), layer.b_gate.get(), gate}, {layer.w_up.get(), layer.b_up.get(), up}};
            ops.matmul(normed, gate_up);
            ops.gated(backend::Activation::Silu, gate, up, gate);
            const Product down[] = {{layer.w_down.get(), layer.b_down.get(), x, true}};
            ops.matmul(gate, down);
        }

        if (step.outputs.empty()) return;
        const auto n_outputs = static_cast<uint32_t>(step.outputs.size());
        const Buffer last = ops.buffer(n_outputs, n_embd);
        ops.select_rows(x, step.outputs, last);
        ops.rms_norm(last, *output_norm_, epsilon_, last);
        const Weight& head = output_ ? *output_ : *embedding_;
        const Product logits[] = {{&head, nullptr, ops.host_buffer(step.logits, n_outputs, shape_.n_vocab)}};
        ops.matmul(last, logits);
    }

private:
    // Widest of all layers: buffers are shared by them.
    struct Widths {
        uint32_t q = 0, k = 0, v = 0, o = 0, ff = 0;
        void cover(const Layer& layer, uint32_t d_k, uint32_t d_v) {
            q = std::max(q, layer.n_head * d_k);
            k = std::max(k, layer.n_head_kv * d_k);
            v = std::max(v, layer.n_head_kv * d_v);
            o = std::max(o, layer.n_head * d_v);
            ff = std::max(ff, layer.n_ff);
        }
    };

    Layer load_layer(WeightSource& source, uint32_t i, uint32_t n_head, uint32_t n_head_kv, uint32_t n_ff) const {
        const std::string prefix = "blk." + std::to_string(i) + ".";
        const uint32_t n_embd = shape_.n_embd, n_q = n_head * d_k_, n_k = n_head_kv * d_k_, n_v = n_head_kv * d_v_;
        Layer layer;
        layer.n_head = n_head;
        layer.n_head_kv = n_head_kv;
        layer.n_ff = n_ff;
        layer.attn_norm = source.vector(prefix + "attn_norm.weight", n_embd);
        layer.wq = source.matrix(prefix + "attn_q.weight", n_embd, n_q);
        layer.bq = source.optional_vector(prefix + "attn_q.bias", n_q);
        layer.wk = source.matrix(prefix + "attn_k.weight", n_embd, n_k);
        layer.bk = source.optional_vector(prefix + "attn_k.bias", n_k);
        layer.wv = source.matrix(prefix + "attn_v.weight", n_embd, n_v);
        layer.bv = source.optional_vector(prefix + "attn_v.bias", n_v);
        layer.wo = source.matrix(prefix + "attn_output.weight", n_head * d_v_, n_embd);
        layer.bo = source.optional_vector(prefix + "attn_output.bias", n_embd);
        layer.ffn_norm = source.vector(prefix + "ffn_norm.weight", n_embd);
        layer.w_gate = source.matrix(prefix + "ffn_gate.weight", n_embd, n_ff);
        layer.b_gate = source.optional_vector(prefix + "ffn_gate.bias", n_ff);
        layer.w_up = source.matrix(prefix + "ffn_up.weight", n_embd, n_ff);
        layer.b_up = source.optional_vector(prefix + "ffn_up.bias", n_ff);
        layer.w_down = source.matrix(prefix + "ffn_down.weight", n_ff, n_embd);
        layer.b_down = source.optional_vector(prefix + "ffn_down.bias", n_embd);
        return layer;
    }

    float epsilon_;
    uint32_t d_k_, d_v_;
    Rope rope_;
    WeightPtr embedding_;    // [n_vocab, n_embd]; also the output matrix when that is absent
    std::vector<Layer> layers_;
    Widths widest_;
    WeightPtr output_norm_;
    WeightPtr output_;       // [n_vocab, n_embd] or null: tied
};

}  // namespace

std::unique_ptr<Model> make_llama(WeightSource& source, const HParams& hparams) { return std::make_unique<Llama>(source, hparams); }

}  // namespace ng
