// See hparams.h.
#include "model/hparams.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/error.h"
#include "base/math.h"
#include "model/limits.h"

namespace ng {

HParams::HParams(const GgufFile& file) : file_(file) {
    const auto arch = file.get_string("general.architecture");
    if (!arch || arch->empty()) fail(Status::InvalidModel, "the key general.architecture is missing: this GGUF holds no model");
    arch_ = *arch;
}

std::string HParams::full(std::string_view key) const { return arch_ + "." + std::string(key); }

void HParams::refuse(std::string_view key, const char* what) const {
    fail(Status::InvalidModel, "key %s: %s; the file is damaged or of a newer kind", full(key).c_str(), what);
}

uint32_t HParams::count(std::string_view key, uint32_t max) const {
    const auto value = file_.get_u64(full(key));
    if (!value) refuse(key, "is missing");
    if (*value < 1 || *value > max) fail(Status::InvalidModel, "key %s: %llu is not between 1 and %u", full(key).c_str(), static_cast<unsigned long long>(*value), max);
    return static_cast<uint32_t>(*value);
}

uint32_t HParams::count(std::string_view key, uint32_t max, uint32_t otherwise) const { return file_.find(full(key)) ? count(key, max) : otherwise; }

double HParams::positive(std::string_view key, double otherwise) const {
    const auto value = file_.get_f64(full(key));
    if (!value) return otherwise;
    const bool fits = *value > 0 && *value <= std::numeric_limits<float>::max() && static_cast<float>(*value) > 0;  // false for a NaN
    if (!fits) fail(Status::InvalidModel, "key %s: %g is not a positive float", full(key).c_str(), *value);
    return *value;
}

float HParams::positive(std::string_view key) const {
    if (!file_.find(full(key))) refuse(key, "is missing");
    return static_cast<float>(positive(key, 0));
}

std::string HParams::text(std::string_view key, std::string_view otherwise) const { return std::string(file_.get_string(full(key)).value_or(otherwise)); }

uint64_t HParams::integer_or(std::string_view key, uint64_t otherwise) const { return file_.get_u64(full(key)).value_or(otherwise); }

std::vector<uint32_t> HParams::counts(std::string_view key, uint32_t n, uint32_t max) const {
    const Kv* kv = file_.find(full(key));
    if (!kv || kv->type != ValueType::Array) return std::vector<uint32_t>(n, count(key, max));
    const auto values = file_.get_u64_array(full(key));
    if (!values || values->size() != n) refuse(key, "does not have one number per layer");
    std::vector<uint32_t> result;
    for (const uint64_t value : *values) {
        if (value < 1 || value > max) fail(Status::InvalidModel, "key %s: %llu is not between 1 and %u", full(key).c_str(), static_cast<unsigned long long>(value), max);
        result.push_back(static_cast<uint32_t>(value));
    }
    return result;
}

uint32_t HParams::n_vocab() const {
    const TensorInfo* embedding = file_.tensor("token_embd.weight");
    if (!embedding) fail(Status::InvalidModel, "tensor token_embd.weight is missing");
    const uint64_t rows = embedding->ne[1];
    if (rows < 1 || rows > (1u << 24)) fail(Status::InvalidModel, "tensor token_embd.weight: %llu rows are no vocabulary", static_cast<unsigned long long>(rows));
    const Kv* tokens = file_.find("tokenizer.ggml.tokens");
    if (tokens && tokens->type == ValueType::Array && tokens->count > rows)
        fail(Status::InvalidModel, "tokenizer.ggml.tokens lists %llu tokens, but token_embd.weight has %llu rows",
             static_cast<unsigned long long>(tokens->count), static_cast<unsigned long long>(rows));
    return static_cast<uint32_t>(rows);
}

namespace {

// Dimension (of n_dims) whose wave turns n_rotations times over the original context.
double yarn_dimension(double n_rotations, uint32_t n_dims, double base, double n_ctx_original) {
    return n_dims * exact_log(n_ctx_original / (n_rotations * 2 * std::numbers::pi)) / (2 * exact_log(base));
}

}  // namespace

Rope read_rope(const HParams& hparams, uint32_t n_dims, const std::vector<float>& factors) {
    const double base = hparams.positive("rope.freq_base", 10000.0);
    if (base <= 1) hparams.refuse("rope.freq_base", "is not above 1");
    std::string type = hparams.text("rope.scaling.type", "");
    const char* factor_key = "rope.scaling.factor";
    double factor = hparams.positive(factor_key, 1.0);
    if (type.empty()) {
        factor_key = "rope.scale_linear";  // the key before scaling.type existed
        factor = hparams.positive(factor_key, 1.0);
        type = factor == 1.0 ? "none" : "linear";
    }
    if (type != "none" && type != "linear" && type != "yarn")
        fail(Status::UnsupportedArchitecture, "key %s: rope scaling '%s' is not supported; this build has none, linear and yarn",
             hparams.full("rope.scaling.type").c_str(), printable(type).c_str());
    if (type == "none") factor = 1.0;
    if (factor < 1) hparams.refuse(factor_key, "is below 1");

    Rope rope;
    rope.frequencies.resize(n_dims / 2);
    double low = 0, high = 0;
    if (type == "yarn") {
        const char* const original = "rope.scaling.original_context_length";
        const double n_ctx_original = hparams.count(original, limits::n_ctx, hparams.count("context_length", limits::n_ctx));
        const double fast = hparams.positive("rope.scaling.yarn_beta_fast", 32.0), slow = hparams.positive("rope.scaling.yarn_beta_slow", 1.0);
        if (fast <= slow) hparams.refuse("rope.scaling.yarn_beta_fast", "is not above yarn_beta_slow");
        low = std::max(0.0, std::floor(yarn_dimension(fast, n_dims, base, n_ctx_original)));
        high = std::min(n_dims - 1.0, std::ceil(yarn_dimension(slow, n_dims, base, n_ctx_original)));
        rope.magnitude = hparams.positive("rope.scaling.attn_factor", 1.0) * (factor > 1 ? 1.0 + 0.1 * exact_log(factor) : 1.0);
        // Keys and queries have it both, so their product has its square; known models stay under 2.
        constexpr double most = 1e3, least = 1e-3;
        if (rope.magnitude > most || rope.magnitude < least) hparams.refuse("rope.scaling.attn_factor", "makes attention far too sharp or too flat");
    }
    for (uint32_t i = 0; i < n_dims / 2; ++i) {
        double frequency = exact_pow(base, -2.0 * i / n_dims);
        if (!factors.empty()) frequency /= factors[i];
        double scaled = frequency / factor;
        if (type == "yarn") {
            // 1 where waves are short and stay as they are, 0 where they are stretched, a ramp between.
            const double keep = 1.0 - std::clamp((i - low) / std::max(0.001, high - low), 0.0, 1.0);
            scaled = scaled * (1.0 - keep) + frequency * keep;
        }
        constexpr double fastest = 1e3;  // radians per position; models have at most 1
        if (!(scaled <= fastest)) hparams.refuse("rope.freq_base", "makes angles that are no numbers, with its scaling and factors");
        rope.frequencies[i] = scaled;
    }
    return rope;
}

}  // namespace ng
