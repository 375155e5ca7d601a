// Hyperparameters read by key, with the checks every architecture needs: a wrong number is refused here, with the key's name, before it
// becomes a size.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/file.h"

namespace ng {

// Keys are relative to the architecture: "block_count" reads "llama.block_count".
class HParams {
public:
    explicit HParams(const GgufFile& file);

    const std::string& arch() const { return arch_; }
    uint32_t count(std::string_view key, uint32_t max) const;                      // required, 1 to max
    uint32_t count(std::string_view key, uint32_t max, uint32_t otherwise) const;  // 1 to max, or the default when absent
    // > 0 and finite as the float it ends as, whatever type the file gives it.
    float positive(std::string_view key) const;  // required
    double positive(std::string_view key, double otherwise) const;
    std::string text(std::string_view key, std::string_view otherwise) const;
    uint64_t integer_or(std::string_view key, uint64_t otherwise) const;
    // n numbers: a single one stands for all.
    std::vector<uint32_t> counts(std::string_view key, uint32_t n, uint32_t max) const;
    uint32_t n_vocab() const;  // rows of token_embd.weight, which must agree with the tokenizer's list when there is one

    [[noreturn]] void refuse(std::string_view key, const char* what) const;
    std::string full(std::string_view key) const;

private:
    const GgufFile& file_;
    std::string arch_;
};

// Angles per position of each pair of dimensions, with the file's scaling (none, linear, yarn, llama3 factors).
// YaRN: arXiv 2309.00071.
struct Rope {
    std::vector<double> frequencies;  // [n_dims / 2], radians per position
    double magnitude = 1;             // of the rotated values
};
Rope read_rope(const HParams& hparams, uint32_t n_dims, const std::vector<float>& factors);

}  // namespace ng
