// The library as a C program sees it: the shared library through its header alone. Also run on emulated processors, where
// NATIVEGEN_EXPECTED_ISA says which kernels it must choose.
#include "include/nativegen.h"

#include <algorithm>
#include <cstdlib>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace {

ng_error new_error() {
    ng_error error{};
    error.struct_size = sizeof error;
    return error;
}

// A model with a context of its own, closed in the order that is harder on the library.
class Story {
public:
    explicit Story(uint32_t flags) {
        ng_model_options options{};
        options.struct_size = sizeof options;
        options.flags = flags;
        EXPECT_EQ(NG_OK, ng_model_open(NG_SOURCE_DIR "/models/stories.q8_0.gguf", &options, nullptr, &model_, &error_)) << error_.text;
        EXPECT_EQ(NG_OK, ng_context_create(model_, nullptr, &context_, &error_)) << error_.text;
        info_.struct_size = sizeof info_;
        EXPECT_EQ(NG_OK, ng_model_get_info(model_, &info_, &error_)) << error_.text;
        ng_model_close(model_);
    }
    ~Story() { ng_context_close(context_); }
    Story(const Story&) = delete;
    Story& operator=(const Story&) = delete;

    const ng_model_info& info() const { return info_; }

    // The n most likely tokens, one after another.
    std::vector<int32_t> greedy(std::vector<int32_t> tokens, size_t n) {
        int32_t seq = -1;
        EXPECT_EQ(NG_OK, ng_seq_create(context_, &seq, &error_)) << error_.text;
        std::vector<int32_t> written;
        std::vector<float> logits(info_.n_vocab);
        for (int32_t position = 0; written.size() < n;) {
            std::vector<int32_t> seqs, positions;
            std::vector<uint8_t> outputs(tokens.size());
            outputs.back() = 1;
            for (size_t i = 0; i < tokens.size(); ++i) {
                seqs.push_back(seq);
                positions.push_back(position++);
            }
            const ng_batch batch{sizeof batch, static_cast<uint32_t>(tokens.size()), tokens.data(), seqs.data(), positions.data(), outputs.data()};
            const ng_status status = ng_context_decode(context_, &batch, logits.data(), logits.size(), nullptr, &error_);
            EXPECT_EQ(NG_OK, status) << error_.text;
            if (status != NG_OK) return written;
            tokens = {static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin())};
            written.push_back(tokens[0]);
        }
        return written;
    }

private:
    ng_error error_ = new_error();
    ng_model* model_ = nullptr;
    ng_context* context_ = nullptr;
    ng_model_info info_{};
};

TEST(Abi, VersionIsTheHeaders) { EXPECT_EQ(static_cast<uint32_t>(NG_ABI_VERSION), ng_abi_version()); }

TEST(Abi, ChosenKernelsAreTheProcessors) {
    ng_error error = new_error();
    ng_cpu_info info{};
    info.struct_size = sizeof info;
    ASSERT_EQ(NG_OK, ng_cpu_get_info(&info, &error)) << error.text;
    const char* const named = std::getenv("NATIVEGEN_EXPECTED_ISA");
    const std::string available = info.isa_available;
    const std::string expected = named ? named : available.substr(0, available.find(',')); // best first
    EXPECT_EQ(expected, info.isa) << "features: " << info.features;
    EXPECT_EQ(expected, Story(0).info().isa);
}

// PyTorch's greedy tokens on the same weights after BOS and the prompt (models/README.md).
TEST(Abi, StoryModelWritesTheReferencesTokens) {
    const std::vector<int32_t> prompt = {0, 447, 451, 259, 394}; // "Once upon a time"
    const std::vector<int32_t> expected = {12,  376, 278, 259, 366,  562, 429, 1581, 14, 333, 474, 329, 259, 569, 328,  259, 864, 364, 360,  541,
                                           14, 1581, 354, 259, 743, 599, 718, 14,   295, 599, 469, 1354, 278, 1317, 14, 271, 1433, 431, 350, 444};
    EXPECT_EQ(expected, Story(NG_MODEL_EXACT).greedy(prompt, expected.size()));
    EXPECT_EQ(expected, Story(0).greedy(prompt, expected.size()));
}

} // namespace
