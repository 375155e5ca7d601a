// random_model 135m|1b|3b TYPE OUT.gguf: a Llama with random weights in a real model's shape and type mix, for measuring speed without
// downloading one. No quantizer runs: blocks are random bits, and their scales are set so that weights have a trained model's spread.
#include "gguf/writer.h"
#include "tensor/blocks.h"
#include "tensor/dequantize.h"
#include "tensor/half.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <numbers>
#include <optional>

using namespace ng;

namespace {

struct Shape {
    const char* name;
    uint32_t n_layer, n_embd, n_head, n_head_kv, head_dim, n_ff, n_vocab, n_ctx;
    float rope_base;
};

constexpr Shape shapes[] = {
    {"135m", 30, 576, 9, 3, 64, 1536, 49152, 8192, 100000},      // SmolLM2-135M
    {"1b", 16, 2048, 32, 8, 64, 8192, 128256, 131072, 500000},   // Llama-3.2-1B
    {"3b", 28, 3072, 24, 8, 128, 8192, 128256, 131072, 500000},  // Llama-3.2-3B
};

// ---- random numbers: xorshift64*, Vigna 2016, arXiv 1402.6246 ----

class Random {
public:
    explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ull + 1) {}

    uint64_t next() {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return state_ * 0x2545f4914f6cdd1dull;
    }
    double uniform() { return (static_cast<double>(next() >> 11) + 0.5) * 0x1p-53; } // 0 to 1, never either
    double normal() { return std::sqrt(-2 * std::log(uniform())) * std::cos(2 * std::numbers::pi * uniform()); }

    void bits(std::span<std::byte> out) {
        for (size_t i = 0; i < out.size(); i += 8) {
            const uint64_t word = next();
            std::memcpy(out.data() + i, &word, std::min<size_t>(8, out.size() - i));
        }
    }

private:
    uint64_t state_;
};

// ---- weights of one type, mean 0 ----

class Weights {
public:
    Weights(DType type, double deviation, uint64_t seed) : type_(type), random_(seed), block_bytes_(dtype_traits(type).block_bytes) {
        if (plain()) {
            for (uint16_t& value : normals_) {
                const auto weight = static_cast<float>(deviation * random_.normal());
                value = type == DType::F16 ? f32_to_f16(weight) : f32_to_bf16(weight);
            }
            return;
        }
        // What spread the random bits have at a scale of 1 decides on the scale.
        const size_t n = 256 * dtype_traits(type).block_elements;
        std::vector<std::byte> sample(dtype_bytes(type, n));
        std::vector<float> values(n);
        fill(sample);
        dequantize(type, sample.data(), values.data(), n);
        double squares = 0;
        for (const float value : values) squares += static_cast<double>(value) * static_cast<double>(value);
        scale_ = deviation / std::sqrt(squares / static_cast<double>(n));
    }

    void fill(std::span<std::byte> blocks) {
        random_.bits(blocks);
        if (plain()) {
            for (size_t i = 0; i < blocks.size(); i += 2) {
                uint16_t index;
                std::memcpy(&index, blocks.data() + i, 2);
                std::memcpy(blocks.data() + i, &normals_[index], 2);
            }
        } else {
            for (size_t i = 0; i < blocks.size(); i += block_bytes_) set_scales(blocks.data() + i);
        }
    }

private:
    bool plain() const { return type_ == DType::F16 || type_ == DType::BF16; }

    // Blocks differ by up to a factor of 2 and, where codes lie unevenly around 0, in sign. A minimum is set to the mean of what it is taken from.
    void set_scales(std::byte* bytes) {
        const uint64_t random = random_.next();
        const double d = scale_ * (0.75 + static_cast<double>(random & 255) / 512);
        const double either = random & 256 ? d : -d;
        const auto set = [bytes](auto block, auto change) {
            std::memcpy(&block, bytes, sizeof block);
            change(block);
            std::memcpy(bytes, &block, sizeof block);
        };
        const auto half = [](double value) { return f32_to_f16(static_cast<float>(value)); };
        const auto with = [&](auto block, double value) { set(block, [&](auto& b) { b.d = half(value); }); };
        const auto with_min = [&](auto block, double min) { set(block, [&](auto& b) { b.d = half(d), b.dmin = half(d * min); }); };
        const auto with_offset = [&](auto block, double offset) { set(block, [&](auto& b) { b.d = half(d), b.m = half(d * offset); }); };
        switch (type_) {
        case DType::Q4_0: return with(block_q4_0{}, either);
        case DType::Q5_0: return with(block_q5_0{}, either);
        case DType::Q3_K: return with(block_q3_K{}, either);
        case DType::Q6_K: return with(block_q6_K{}, either);
        case DType::IQ4_NL: return with(block_iq4_nl{}, either);
        case DType::IQ4_XS: return with(block_iq4_xs{}, either);
        case DType::Q4_1: return with_offset(block_q4_1{}, -7.5);
        case DType::Q5_1: return with_offset(block_q5_1{}, -15.5);
        case DType::Q2_K: return with_min(block_q2_K{}, 1.5);
        case DType::Q4_K: return with_min(block_q4_K{}, 7.5);
        case DType::Q5_K: return with_min(block_q5_K{}, 15.5);
        case DType::Q8_0:
            return set(block_q8_0{}, [&](block_q8_0& b) {
                b.d = half(d);
                for (int8_t& q : b.qs) q = std::max<int8_t>(q, -127); // no quantizer writes -128
            });
        case DType::MXFP4: // the exponent's rounding is undone over the blocks: log2 d is met on average
            return set(block_mxfp4{}, [&](block_mxfp4& b) { b.e = static_cast<uint8_t>(std::floor(std::log2(d) + static_cast<double>(random >> 32) * 0x1p-32) + 128); });
        default: fail(Status::InvalidArgument, "%s: no random weights of this type", dtype_traits(type_).name);
        }
    }

    DType type_;
    Random random_;
    size_t block_bytes_;
    double scale_ = 1;
    std::vector<uint16_t> normals_ = std::vector<uint16_t>(plain() ? 65536 : 0);
};

// ---- which tensor gets which type: what llama.cpp's quantizer does for models with tied embeddings ----

struct Mix {
    DType type;     // of the matrices
    bool more_bits; // Q4_K_M: Q6_K for attn_v and ffn_down of the first and last eighth of the layers, and every third between
};

std::optional<Mix> parse_mix(const std::string& text) {
    if (text == "Q4_K_M") return Mix{DType::Q4_K, true};
    for (const DType type : {DType::F16, DType::BF16, DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1, DType::Q8_0, DType::Q2_K, DType::Q3_K,
                             DType::Q4_K, DType::Q5_K, DType::Q6_K, DType::IQ4_NL, DType::IQ4_XS, DType::MXFP4})
        if (text == dtype_traits(type).name) return Mix{type, false};
    return std::nullopt;
}

// The type that stands in where rows are no whole blocks of 256.
DType fitting(DType type, uint32_t columns) {
    if (columns % dtype_traits(type).block_elements == 0) return type;
    switch (type) {
    case DType::Q4_K: return DType::Q5_0;
    case DType::Q5_K: return DType::Q5_1;
    case DType::Q6_K: return DType::Q8_0;
    default: return DType::IQ4_NL; // Q2_K, Q3_K, IQ4_XS
    }
}

DType embedding_type(DType type) {
    if (type == DType::F16 || type == DType::BF16) return type;
    return type == DType::Q8_0 || type == DType::MXFP4 ? DType::Q8_0 : DType::Q6_K;
}

bool gets_more_bits(uint32_t layer, uint32_t n_layer) {
    return layer < n_layer / 8 || layer >= 7 * n_layer / 8 || (layer - n_layer / 8) % 3 == 2;
}

// ---- the file ----

// The 256 bytes as GPT-2's alphabet spells them, the pairs of small letters, and fillers.
void set_vocabulary(GgufWriter& writer, uint32_t n_vocab) {
    std::vector<std::string> tokens, merges;
    for (uint32_t byte = 0, shifted = 256; byte < 256; byte++) {
        const bool shown = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
        const uint32_t letter = shown ? byte : shifted++;
        std::string text;
        if (letter >= 0x80) text += static_cast<char>(0xc0 | letter >> 6);
        text += static_cast<char>(letter >= 0x80 ? 0x80 | (letter & 63) : letter);
        tokens.push_back(text);
    }
    for (char first = 'a'; first <= 'z'; first++)
        for (char second = 'a'; second <= 'z'; second++) {
            tokens.push_back({first, second});
            merges.push_back({first, ' ', second});
        }
    while (tokens.size() < n_vocab - 2) tokens.push_back("<filler " + std::to_string(tokens.size()) + ">");
    tokens.push_back("<begin>");
    tokens.push_back("<end>");
    std::vector<int32_t> kinds(n_vocab, 1); // normal
    kinds[n_vocab - 2] = kinds[n_vocab - 1] = 3; // control
    writer.set("tokenizer.ggml.model", "gpt2");
    writer.set("tokenizer.ggml.pre", "llama-bpe");
    writer.set_array("tokenizer.ggml.tokens", std::span<const std::string>(tokens));
    writer.set_array<int32_t>("tokenizer.ggml.token_type", kinds);
    writer.set_array("tokenizer.ggml.merges", std::span<const std::string>(merges));
    writer.set("tokenizer.ggml.bos_token_id", n_vocab - 2);
    writer.set("tokenizer.ggml.eos_token_id", n_vocab - 1);
    writer.set("tokenizer.ggml.add_bos_token", false);
}

void write_model(const Shape& shape, const Mix& mix, const std::string& type_name, const std::string& path) {
    GgufWriter writer;
    writer.set("general.architecture", "llama");
    writer.set("general.name", std::string_view("random " + std::string(shape.name) + " " + type_name));
    writer.set("general.quantization_version", uint32_t{2});
    writer.set("llama.block_count", shape.n_layer);
    writer.set("llama.context_length", shape.n_ctx);
    writer.set("llama.embedding_length", shape.n_embd);
    writer.set("llama.feed_forward_length", shape.n_ff);
    writer.set("llama.attention.head_count", shape.n_head);
    writer.set("llama.attention.head_count_kv", shape.n_head_kv);
    writer.set("llama.attention.key_length", shape.head_dim);
    writer.set("llama.attention.value_length", shape.head_dim);
    writer.set("llama.attention.layer_norm_rms_epsilon", 1e-5f);
    writer.set("llama.rope.dimension_count", shape.head_dim);
    writer.set("llama.rope.freq_base", shape.rope_base);
    writer.set("llama.vocab_size", shape.n_vocab);
    set_vocabulary(writer, shape.n_vocab);

    uint64_t seed = 0;
    const auto matrix = [&](const std::string& name, DType type, uint32_t rows, uint32_t columns, double deviation) {
        type = fitting(type, columns);
        const uint64_t ne[] = {columns, rows};
        auto weights = std::make_shared<Weights>(type, deviation, ++seed);
        writer.add_tensor(name, static_cast<uint32_t>(type), ne, [weights](std::span<std::byte> blocks) { weights->fill(blocks); });
    };
    const std::vector<float> ones(shape.n_embd, 1.0f);
    const auto norm = [&](const std::string& name) {
        const uint64_t ne[] = {shape.n_embd};
        writer.add_tensor(name, static_cast<uint32_t>(DType::F32), ne, std::as_bytes(std::span(ones)));
    };

    matrix("token_embd.weight", embedding_type(mix.type), shape.n_vocab, shape.n_embd, 0.02);
    const auto spread = [](uint32_t columns) { return 0.7 / std::sqrt(columns); }; // products keep their inputs' size, nearly
    for (uint32_t i = 0; i < shape.n_layer; i++) {
        const std::string blk = "blk." + std::to_string(i) + ".";
        const uint32_t n_q = shape.n_head * shape.head_dim, n_kv = shape.n_head_kv * shape.head_dim;
        const DType special = mix.more_bits && gets_more_bits(i, shape.n_layer) ? DType::Q6_K : mix.type;
        norm(blk + "attn_norm.weight");
        matrix(blk + "attn_q.weight", mix.type, n_q, shape.n_embd, spread(shape.n_embd));
        matrix(blk + "attn_k.weight", mix.type, n_kv, shape.n_embd, spread(shape.n_embd));
        matrix(blk + "attn_v.weight", special, n_kv, shape.n_embd, spread(shape.n_embd));
        matrix(blk + "attn_output.weight", mix.type, shape.n_embd, n_q, spread(n_q));
        norm(blk + "ffn_norm.weight");
        matrix(blk + "ffn_gate.weight", mix.type, shape.n_ff, shape.n_embd, spread(shape.n_embd));
        matrix(blk + "ffn_up.weight", mix.type, shape.n_ff, shape.n_embd, spread(shape.n_embd));
        matrix(blk + "ffn_down.weight", special, shape.n_embd, shape.n_ff, spread(shape.n_ff));
    }
    norm("output_norm.weight");
    writer.write(path);
}

} // namespace

int main(int argc, char** argv) {
    const Shape* shape = nullptr;
    for (const Shape& known : shapes)
        if (argc == 4 && std::strcmp(known.name, argv[1]) == 0) shape = &known;
    const auto mix = argc == 4 ? parse_mix(argv[2]) : std::nullopt;
    if (!shape || !mix) {
        std::fprintf(stderr, "usage: %s 135m|1b|3b TYPE OUT.gguf\nTYPE: F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K, Q4_K_M, IQ4_NL, IQ4_XS or MXFP4\n", argv[0]);
        return 2;
    }
    try {
        write_model(*shape, *mix, argv[2], argv[3]);
    } catch (const Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
