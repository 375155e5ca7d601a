// Files that are sound GGUF and no model: one key or tensor of a tiny model is changed, and opening and estimating refuse it by its name.
#include "support.h"

#include "gguf/writer.h"
#include "runtime/context.h"

#include <cmath>
#include <functional>
#include <limits>
#include <set>

namespace ng {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();

// A tiny model's file, to be changed and written.
class Variant {
public:
    explicit Variant(const std::string& arch) : file_(GgufFile::open(std::string(NG_FIXTURES) + "/arch/" + arch + ".gguf", OpenMode::Read)) {}

    template <class T> Variant& set(const char* key, T value) {
        changes_.push_back([=](GgufWriter& writer) { writer.set(key, value); });
        return *this;
    }
    template <class T> Variant& set_array(const char* key, std::vector<T> values) {
        changes_.push_back([=](GgufWriter& writer) { writer.set_array(key, std::span<const T>(values)); });
        return *this;
    }
    Variant& without(const char* name) {
        left_out_.insert(name);
        return *this;
    }
    Variant& tensor(const std::string& name, DType type, std::vector<uint64_t> ne, float value = 0) {
        left_out_.insert(name);
        added_.push_back({name, type, std::move(ne), value});
        return *this;
    }
    const GgufFile& file() const { return *file_; }

    void write(const std::string& path) const {
        GgufWriter writer;
        for (const Kv& kv : file_->metadata())
            if (!left_out_.contains(std::string(kv.key))) writer.set(kv);
        for (const auto& change : changes_) change(writer);
        for (const TensorInfo& tensor : file_->tensors())
            if (!left_out_.contains(std::string(tensor.name))) writer.add_tensor(tensor.name, tensor.type, std::span(tensor.ne).first(tensor.n_dims), {tensor.data, tensor.bytes});
        std::vector<Bytes> data;
        for (const Added& added : added_) {
            uint64_t n = 1;
            for (const uint64_t dimension : added.ne) n *= dimension;
            data.emplace_back(dtype_bytes(added.type, n));
            if (added.type == DType::F32)
                for (uint64_t i = 0; i < n; ++i) std::memcpy(data.back().data() + 4 * i, &added.value, 4);
        }
        for (size_t i = 0; i < added_.size(); ++i) writer.add_tensor(added_[i].name, static_cast<uint32_t>(added_[i].type), added_[i].ne, data[i]);
        writer.write(path);
    }

private:
    using Bytes = test::Bytes;
    struct Added {
        std::string name;
        DType type;
        std::vector<uint64_t> ne;
        float value;
    };

    std::shared_ptr<GgufFile> file_;
    std::vector<std::function<void(GgufWriter&)>> changes_;
    std::set<std::string> left_out_;
    std::vector<Added> added_;
};

// Both ways into a file give the same refusal, unless it takes tensor data to see: an estimate reads none.
void expect_refused(const Variant& variant, const std::string& part, Status status = Status::InvalidModel, bool by_data = false) {
    const test::TempFolder folder;
    const std::string path = folder / "model.gguf";
    variant.write(path);
    SCOPED_TRACE(part);
    EXPECT_FAILS(LoadedModel::open(path, {}, nullptr), status, part);
    if (!by_data) EXPECT_FAILS(estimate_memory(path, {}, {}), status, part);
}

// One token through the model: its logits.
std::vector<float> run(const Variant& variant) {
    const test::TempFolder folder;
    const std::string path = folder / "model.gguf";
    variant.write(path);
    Context context(LoadedModel::open(path, {}, nullptr), {.n_threads = 1});
    std::vector<float> logits(3 * 320);
    const int32_t seq = context.cache().create();
    const int32_t tokens[] = {5, 6, 7}, seqs[] = {seq, seq, seq}, positions[] = {0, 1, 2};
    const uint8_t outputs[] = {1, 1, 1};
    EXPECT_EQ(context.decode({tokens, seqs, positions, outputs}, logits, nullptr), Status::Ok);
    return logits;
}

void expect_finite(const Variant& variant) {
    for (const float logit : run(variant)) ASSERT_TRUE(std::isfinite(logit));
}

struct Change {
    const char* name;
    const char* arch;
    std::function<void(Variant&)> make;
    const char* part;
    Status status = Status::InvalidModel;
    bool by_data = false;
};

#define KEY(type, key, value) [](Variant& v) { v.set<type>(key, value); }
#define GONE(key) [](Variant& v) { v.without(key); }

const Change changes[] = {
    // what the model is
    {"no_architecture", "llama", GONE("general.architecture"), "general.architecture"},
    {"architecture_empty", "llama", KEY(const char*, "general.architecture", ""), "general.architecture"},
    {"architecture_number", "llama", KEY(uint32_t, "general.architecture", 1), "general.architecture"},
    {"architecture_other", "llama", KEY(const char*, "general.architecture", "mamba\n\x1b[31m"), "architecture 'mamba??[31m'", Status::UnsupportedArchitecture},
    {"experts", "llama", KEY(uint32_t, "llama.expert_count", 8), "experts", Status::UnsupportedArchitecture},

    // counts
    {"no_layers", "llama", KEY(uint32_t, "llama.block_count", 0), "llama.block_count: 0"},
    {"layers_missing", "llama", GONE("llama.block_count"), "llama.block_count"},
    {"layers_beyond_the_tensors", "llama", KEY(uint32_t, "llama.block_count", 3), "blk.2.attn_norm.weight"},
    {"layers_huge", "llama", KEY(uint32_t, "llama.block_count", 0xffffffff), "llama.block_count: 4294967295"},
    {"layers_negative", "llama", KEY(int32_t, "llama.block_count", -2), "llama.block_count"},
    {"layers_text", "llama", KEY(const char*, "llama.block_count", "2"), "llama.block_count"},
    {"layers_half", "llama", KEY(float, "llama.block_count", 2.5f), "llama.block_count"},
    {"context_zero", "llama", KEY(uint32_t, "llama.context_length", 0), "llama.context_length: 0"},
    {"context_missing", "llama", GONE("llama.context_length"), "llama.context_length"},
    {"context_huge", "llama", KEY(uint64_t, "llama.context_length", 1ull << 40), "llama.context_length: 1099511627776"},
    {"width_zero", "llama", KEY(uint32_t, "llama.embedding_length", 0), "llama.embedding_length: 0"},
    {"width_huge", "llama", KEY(uint32_t, "llama.embedding_length", 1u << 31), "llama.embedding_length: 2147483648"},
    {"width_other", "llama", KEY(uint32_t, "llama.embedding_length", 128), "token_embd.weight"},
    {"ff_zero", "llama", KEY(uint32_t, "llama.feed_forward_length", 0), "llama.feed_forward_length: 0"},
    {"ff_missing", "llama", GONE("llama.feed_forward_length"), "llama.feed_forward_length"},
    {"ff_other", "llama", KEY(uint32_t, "llama.feed_forward_length", 65), "blk.0.ffn_gate.weight"},
    {"ff_of_two_layers", "llama", [](Variant& v) { v.set_array<uint32_t>("llama.feed_forward_length", {64, 65}); }, "blk.1.ffn_gate.weight"},
    {"ff_of_three_layers", "llama", [](Variant& v) { v.set_array<uint32_t>("llama.feed_forward_length", {64, 64, 64}); }, "llama.feed_forward_length"},
    {"ff_array_with_zero", "llama", [](Variant& v) { v.set_array<uint32_t>("llama.feed_forward_length", {64, 0}); }, "llama.feed_forward_length: 0"},
    {"ff_array_of_floats", "llama", [](Variant& v) { v.set_array<float>("llama.feed_forward_length", {64, 64}); }, "llama.feed_forward_length"},

    // heads
    {"heads_zero", "llama", KEY(uint32_t, "llama.attention.head_count", 0), "llama.attention.head_count: 0"},
    {"heads_missing", "llama", GONE("llama.attention.head_count"), "llama.attention.head_count"},
    {"heads_huge", "llama", KEY(uint32_t, "llama.attention.head_count", 1u << 30), "llama.attention.head_count: 1073741824"},
    {"heads_that_do_not_divide", "llama", [](Variant& v) { v.without("llama.attention.key_length").set<uint32_t>("llama.attention.head_count", 6); }, "llama.attention.head_count"},
    {"heads_above_the_width", "llama", [](Variant& v) { v.without("llama.attention.key_length").without("llama.attention.value_length").set<uint32_t>("llama.attention.head_count", 128); },
     "llama.attention.head_count"},
    {"heads_other", "llama", KEY(uint32_t, "llama.attention.head_count", 8), "blk.0.attn_q.weight"},
    {"kv_heads_zero", "llama", KEY(uint32_t, "llama.attention.head_count_kv", 0), "llama.attention.head_count_kv: 0"},
    {"kv_heads_that_do_not_divide", "llama", KEY(uint32_t, "llama.attention.head_count_kv", 3), "llama.attention.head_count_kv"},
    {"kv_heads_above_heads", "llama", KEY(uint32_t, "llama.attention.head_count_kv", 8), "llama.attention.head_count_kv"},
    {"kv_heads_of_one_layer", "llama", [](Variant& v) { v.set_array<uint32_t>("llama.attention.head_count_kv", {2}); }, "llama.attention.head_count_kv"},
    {"kv_heads_wrong_in_one_layer", "llama", [](Variant& v) { v.set_array<uint32_t>("llama.attention.head_count_kv", {2, 3}); }, "llama.attention.head_count_kv"},
    {"kv_heads_absent_are_heads", "llama", GONE("llama.attention.head_count_kv"), "blk.0.attn_k.weight"},
    {"key_length_zero", "llama", KEY(uint32_t, "llama.attention.key_length", 0), "llama.attention.key_length: 0"},
    {"key_length_huge", "llama", KEY(uint32_t, "llama.attention.key_length", 4096), "llama.attention.key_length: 4096"},
    {"key_length_odd", "llama", [](Variant& v) { v.without("llama.rope.dimension_count").set<uint32_t>("llama.attention.key_length", 17); }, "llama.rope.dimension_count"},
    {"value_length_zero", "llama", KEY(uint32_t, "llama.attention.value_length", 0), "llama.attention.value_length: 0"},
    {"value_length_other", "llama", KEY(uint32_t, "llama.attention.value_length", 8), "blk.0.attn_v.weight"},

    // numbers
    {"epsilon_missing", "llama", GONE("llama.attention.layer_norm_rms_epsilon"), "llama.attention.layer_norm_rms_epsilon"},
    {"epsilon_nan", "llama", KEY(double, "llama.attention.layer_norm_rms_epsilon", nan), "llama.attention.layer_norm_rms_epsilon: nan"},
    {"epsilon_infinite", "llama", KEY(float, "llama.attention.layer_norm_rms_epsilon", static_cast<float>(inf)), "llama.attention.layer_norm_rms_epsilon: inf"},
    {"epsilon_zero", "llama", KEY(float, "llama.attention.layer_norm_rms_epsilon", 0.0f), "llama.attention.layer_norm_rms_epsilon: 0"},
    {"epsilon_negative", "llama", KEY(float, "llama.attention.layer_norm_rms_epsilon", -1e-5f), "llama.attention.layer_norm_rms_epsilon: -1e-05"},
    {"epsilon_zero_as_float", "llama", KEY(double, "llama.attention.layer_norm_rms_epsilon", 1e-300), "llama.attention.layer_norm_rms_epsilon: 1e-300"},
    {"epsilon_infinite_as_float", "llama", KEY(double, "llama.attention.layer_norm_rms_epsilon", 1e300), "llama.attention.layer_norm_rms_epsilon: 1e+300"},
    {"epsilon_text", "llama", KEY(const char*, "llama.attention.layer_norm_rms_epsilon", "1e-5"), "llama.attention.layer_norm_rms_epsilon"},

    // rotary positions
    {"rope_odd", "llama", KEY(uint32_t, "llama.rope.dimension_count", 15), "llama.rope.dimension_count"},
    {"rope_zero", "llama", KEY(uint32_t, "llama.rope.dimension_count", 0), "llama.rope.dimension_count: 0"},
    {"rope_wider_than_a_head", "llama", KEY(uint32_t, "llama.rope.dimension_count", 18), "llama.rope.dimension_count"},
    {"rope_base_zero", "llama", KEY(float, "llama.rope.freq_base", 0.0f), "llama.rope.freq_base: 0"},
    {"rope_base_nan", "llama", KEY(double, "llama.rope.freq_base", nan), "llama.rope.freq_base: nan"},
    {"rope_base_infinite_as_float", "llama", KEY(double, "llama.rope.freq_base", 1e300), "llama.rope.freq_base: 1e+300"},
    {"rope_base_one", "llama", KEY(float, "llama.rope.freq_base", 1.0f), "llama.rope.freq_base"},
    {"rope_base_tiny", "llama", KEY(double, "llama.rope.freq_base", 1e-30), "llama.rope.freq_base"},
    {"rope_linear_zero", "llama", KEY(float, "llama.rope.scale_linear", 0.0f), "llama.rope.scale_linear: 0"},
    {"rope_linear_zero_as_float", "llama", KEY(double, "llama.rope.scale_linear", 1e-60), "llama.rope.scale_linear: 1e-60"},
    {"rope_linear_below_one", "llama", KEY(float, "llama.rope.scale_linear", 0.5f), "llama.rope.scale_linear"},
    {"rope_type", "llama", KEY(const char*, "llama.rope.scaling.type", "long\nrope"), "rope scaling 'long?rope'", Status::UnsupportedArchitecture},
    {"rope_type_number", "llama", KEY(uint32_t, "llama.rope.scaling.type", 2), "llama.rope.scaling.type"},
    {"rope_factor_nan", "llama", [](Variant& v) { v.set("llama.rope.scaling.type", "linear").set("llama.rope.scaling.factor", nan); }, "llama.rope.scaling.factor: nan"},
    {"rope_factor_below_one", "llama", [](Variant& v) { v.set("llama.rope.scaling.type", "linear").set("llama.rope.scaling.factor", 0.25f); }, "llama.rope.scaling.factor"},
    {"yarn_factor_infinite_as_float", "llama", [](Variant& v) { v.set("llama.rope.scaling.type", "yarn").set("llama.rope.scaling.factor", 1e40); }, "llama.rope.scaling.factor: 1e+40"},
    {"yarn_context_zero", "llama", [](Variant& v) { v.set("llama.rope.scaling.type", "yarn").set<uint32_t>("llama.rope.scaling.original_context_length", 0); },
     "llama.rope.scaling.original_context_length: 0"},
    {"yarn_context_fraction", "llama", [](Variant& v) { v.set("llama.rope.scaling.type", "yarn").set("llama.rope.scaling.original_context_length", 0.001f); },
     "llama.rope.scaling.original_context_length"},
    {"yarn_beta_fast_negative", "llama", [](Variant& v) { v.set("llama.rope.scaling.type", "yarn").set("llama.rope.scaling.yarn_beta_fast", -32.0f); },
     "llama.rope.scaling.yarn_beta_fast: -32"},
    {"yarn_betas_swapped", "llama", [](Variant& v) { v.set("llama.rope.scaling.type", "yarn").set("llama.rope.scaling.yarn_beta_fast", 1.0f).set("llama.rope.scaling.yarn_beta_slow", 32.0f); },
     "llama.rope.scaling.yarn_beta_fast"},
    {"yarn_beta_slow_nan", "llama", [](Variant& v) { v.set("llama.rope.scaling.type", "yarn").set("llama.rope.scaling.yarn_beta_slow", nan); }, "llama.rope.scaling.yarn_beta_slow: nan"},
    {"yarn_attention_zero", "llama", [](Variant& v) { v.set("llama.rope.scaling.type", "yarn").set("llama.rope.scaling.attn_factor", 0.0f); }, "llama.rope.scaling.attn_factor: 0"},
    {"yarn_attention_huge", "llama", [](Variant& v) { v.set("llama.rope.scaling.type", "yarn").set("llama.rope.scaling.attn_factor", 1e30f); }, "llama.rope.scaling.attn_factor"},
    {"rope_factors_too_few", "llama", [](Variant& v) { v.tensor("rope_freqs.weight", DType::F32, {4}, 1); }, "rope_freqs.weight"},
    {"rope_factors_zero", "llama", [](Variant& v) { v.tensor("rope_freqs.weight", DType::F32, {8}, 0); }, "rope_freqs.weight", Status::InvalidModel, true},
    {"rope_factors_nan", "llama", [](Variant& v) { v.tensor("rope_freqs.weight", DType::F32, {8}, static_cast<float>(nan)); }, "rope_freqs.weight", Status::InvalidModel, true},
    {"rope_factors_f16", "llama", [](Variant& v) { v.tensor("rope_freqs.weight", DType::F16, {8}); }, "rope_freqs.weight"},

    // the vocabulary
    {"vocabulary_smaller_than_the_tokens", "llama", [](Variant& v) { v.tensor("token_embd.weight", DType::F32, {64, 319}).tensor("output.weight", DType::F32, {64, 319}); }, "token_embd.weight"},
    {"vocabulary_of_two_sizes", "llama", [](Variant& v) { v.tensor("output.weight", DType::F32, {64, 321}); }, "output.weight"},
    {"bias_of_wrong_length", "llama", [](Variant& v) { v.tensor("blk.1.attn_q.bias", DType::F32, {63}); }, "blk.1.attn_q.bias"},
    {"type_not_computed", "llama", [](Variant& v) { v.tensor("blk.0.ffn_up.weight", DType{28}, {64, 64}); }, "blk.0.ffn_up.weight", Status::UnsupportedArchitecture},

    // gpt2: what is its own
    {"gpt2_heads_zero", "gpt2", KEY(uint32_t, "gpt2.attention.head_count", 0), "gpt2.attention.head_count: 0"},
    {"gpt2_heads_that_do_not_divide", "gpt2", KEY(uint32_t, "gpt2.attention.head_count", 5), "gpt2.attention.head_count"},
    {"gpt2_epsilon_zero_as_float", "gpt2", KEY(double, "gpt2.attention.layer_norm_epsilon", 1e-300), "gpt2.attention.layer_norm_epsilon: 1e-300"},
    {"gpt2_epsilon_nan", "gpt2", KEY(float, "gpt2.attention.layer_norm_epsilon", static_cast<float>(nan)), "gpt2.attention.layer_norm_epsilon: nan"},
    {"gpt2_context_zero", "gpt2", KEY(uint32_t, "gpt2.context_length", 0), "gpt2.context_length: 0"},
    {"gpt2_context_beyond_positions", "gpt2", KEY(uint32_t, "gpt2.context_length", 129), "position_embd.weight"},
    {"gpt2_ff_zero", "gpt2", KEY(uint32_t, "gpt2.feed_forward_length", 0), "gpt2.feed_forward_length: 0"},
    {"gpt2_ff_other", "gpt2", KEY(uint32_t, "gpt2.feed_forward_length", 255), "blk.0.ffn_up.weight"},
    {"gpt2_width_huge", "gpt2", KEY(uint32_t, "gpt2.embedding_length", 0xfffffff0), "gpt2.embedding_length: 4294967280"},
    {"gpt2_vocabulary_smaller_than_the_tokens", "gpt2", [](Variant& v) { v.tensor("token_embd.weight", DType::F32, {64, 300}); }, "token_embd.weight"},
};

TEST(Hyperparameters, AreRefusedByName) {
    for (const Change& change : changes) {
        SCOPED_TRACE(change.name);
        Variant variant(change.arch);
        change.make(variant);
        expect_refused(variant, change.part, change.status, change.by_data);
    }
}

class EveryTensor : public testing::TestWithParam<const char*> {};

TEST_P(EveryTensor, IsNeededInItsShape) {
    const Variant sound(GetParam());
    expect_finite(sound);
    for (const TensorInfo& tensor : sound.file().tensors()) {
        const std::string name(tensor.name);
        const bool optional = name == "output.weight";  // tied to the embedding then
        if (!optional) expect_refused(Variant(GetParam()).without(name.c_str()), name);
        const bool is_vector = tensor.n_dims == 1;
        expect_refused(Variant(GetParam()).tensor(name, DType::F32, is_vector ? std::vector<uint64_t>{tensor.ne[0] + 1} : std::vector<uint64_t>{tensor.ne[0] + 1, tensor.ne[1]}), name);
        if (is_vector) expect_refused(Variant(GetParam()).tensor(name, DType::F32, {tensor.ne[0], 2}), name);
        else {
            if (name != "token_embd.weight") expect_refused(Variant(GetParam()).tensor(name, DType::F32, {tensor.ne[0], tensor.ne[1] + 1}), name);
            expect_refused(Variant(GetParam()).tensor(name, DType::F32, {tensor.ne[0], tensor.ne[1], 2}), name);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Models, EveryTensor, testing::Values("llama", "gpt2"), [](const auto& test) { return std::string(test.param); });

// The far ends of what is taken give numbers.
TEST(Hyperparameters, OddOnesThatAreTaken) {
    expect_finite(Variant("llama").set("llama.attention.layer_norm_rms_epsilon", 1e-38));
    expect_finite(Variant("llama").set("llama.attention.layer_norm_rms_epsilon", 3e38));
    expect_finite(Variant("llama").set("llama.rope.freq_base", 3e38f));
    expect_finite(Variant("llama").set("llama.rope.freq_base", 1.0001f));
    expect_finite(Variant("llama").set<uint64_t>("llama.block_count", 1));
    expect_finite(Variant("llama").set<uint32_t>("llama.rope.dimension_count", 2));
    expect_finite(Variant("llama").without("output.weight").without("llama.attention.key_length").without("llama.rope.dimension_count"));
    expect_finite(Variant("llama").set("llama.rope.scaling.type", "linear").set("llama.rope.scaling.factor", 1e30f));
    expect_finite(Variant("llama").set("llama.rope.scaling.type", "none").set("llama.rope.scaling.factor", 4.0f));
    expect_finite(Variant("llama").set("llama.rope.scaling.type", "yarn").set("llama.rope.scaling.factor", 1e30f));
    expect_finite(Variant("llama").set("llama.rope.scaling.type", "yarn").set("llama.rope.freq_base", 1.0001f));
    expect_finite(Variant("llama").set("llama.rope.scaling.type", "yarn").set<uint32_t>("llama.rope.scaling.original_context_length", 1));
    expect_finite(Variant("llama").tensor("rope_freqs.weight", DType::F32, {8}, 3e38f));
    expect_finite(Variant("llama").set<uint32_t>("llama.context_length", 1u << 26));
    expect_finite(Variant("gpt2").set("gpt2.attention.layer_norm_epsilon", 1e-38));
    expect_finite(Variant("gpt2").set<uint32_t>("gpt2.attention.head_count", 64));
    expect_finite(Variant("gpt2").set<uint32_t>("gpt2.attention.head_count", 1));
}

}  // namespace
}  // namespace ng
