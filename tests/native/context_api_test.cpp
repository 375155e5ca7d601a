// ng_model_*, ng_memory_*, ng_context_*, ng_seq_* through the shared library, called as a hostile program would: every wrong value gets a status
// and a text, nothing has changed, and what follows works. Also run under the sanitizers.
#include "abi_support.h"
#include "support.h"

#include <array>
#include <atomic>
#include <climits>
#include <cmath>
#include <limits>
#include <thread>

using namespace ng::test;

namespace {

constexpr const char* llama = NG_FIXTURES "/arch/llama.gguf";
constexpr uint32_t n_vocab = 320;

// Sizes of a struct that is not this library's.
template <class T> std::array<uint32_t, 5> wrong_sizes() { return {0, 4, sizeof(T) - 4, sizeof(T) + 4, UINT32_MAX}; }

class ContextApi : public ::testing::Test {
protected:
    ContextApi() {
        ng_error error = sized<ng_error>();
        EXPECT_EQ(ng_model_open(llama, nullptr, nullptr, &model_, &error), NG_OK) << error.text;
        ng_context_options options = sized<ng_context_options>();
        options.n_ctx = 128;
        options.n_kv = 256;
        options.n_batch = 16;
        EXPECT_EQ(ng_context_create(model_, &options, &context_, &error), NG_OK) << error.text;
        EXPECT_EQ(ng_seq_create(context_, &seq_, &error), NG_OK) << error.text;
        EXPECT_EQ(decode(5), NG_OK);
    }
    ~ContextApi() override {
        ng_model_close(model_);
        ng_context_close(context_);
    }

    // n more tokens of the sequence.
    ng_status decode(int32_t n, ng_task* task = nullptr) {
        std::vector<int32_t> tokens, seqs, positions;
        const auto length = static_cast<int32_t>(this->length(seq_));
        for (int32_t i = 0; i < n; ++i) {
            tokens.push_back(i + 1);
            seqs.push_back(seq_);
            positions.push_back(length + i);
        }
        const ng_batch batch{sizeof batch, static_cast<uint32_t>(n), tokens.data(), seqs.data(), positions.data(), nullptr};
        return ng_context_decode(context_, &batch, nullptr, 0, task, nullptr);
    }
    uint32_t length(int32_t seq) const {
        uint32_t length = 0;
        EXPECT_EQ(ng_seq_get_length(context_, seq, &length, nullptr), NG_OK);
        return length;
    }
    ng_context_stats stats() const {
        auto stats = sized<ng_context_stats>();
        EXPECT_EQ(ng_context_get_stats(context_, &stats, nullptr), NG_OK);
        return stats;
    }

    ng_model* model_ = nullptr;
    ng_context* context_ = nullptr;
    int32_t seq_ = -1;
};

} // namespace

// ---- models

TEST(ModelApi, OpeningRefusesWhatIsWrong) {
    auto* model = reinterpret_cast<ng_model*>(8);
    auto options = sized<ng_model_options>();
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'path' is NULL", ng_model_open(nullptr, &options, nullptr, &model, &error));
    EXPECT_EQ(model, nullptr);
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'model' is NULL", ng_model_open(llama, &options, nullptr, nullptr, &error));
    EXPECT_STATUS(NG_ERR_NOT_FOUND, "no such file", ng_model_open("", nullptr, nullptr, &model, &error));
    EXPECT_STATUS(NG_ERR_NOT_FOUND, "is a folder", ng_model_open("/", nullptr, nullptr, &model, &error));
    EXPECT_STATUS(NG_ERR_NOT_FOUND, "xxx", ng_model_open(std::string(100'000, 'x').c_str(), nullptr, nullptr, &model, &error));
    EXPECT_STATUS(NG_ERR_NOT_FOUND, "????", ng_model_open("\xff\xfe\x80\xc0", nullptr, nullptr, &model, &error));
    EXPECT_STATUS(NG_ERR_NOT_FOUND, "%s%n%99999d", ng_model_open("%s%n%99999d", nullptr, nullptr, &model, &error));
    EXPECT_STATUS(NG_ERR_INVALID_MODEL, "header_is_c.c", ng_model_open(NG_SOURCE_DIR "/tests/native/header_is_c.c", nullptr, nullptr, &model, &error));
    for (const uint32_t size : wrong_sizes<ng_model_options>()) {
        options.struct_size = size;
        EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "struct_size", ng_model_open(llama, &options, nullptr, &model, &error));
    }
    for (const uint32_t flags : {8u, 9u, 1u << 31, UINT32_MAX}) {
        options = sized<ng_model_options>();
        options.flags = flags;
        EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "flags", ng_model_open(llama, &options, nullptr, &model, &error));
    }
    for (const uint32_t threads : {257u, UINT32_MAX}) {
        options = sized<ng_model_options>();
        options.n_threads = threads;
        EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "n_threads", ng_model_open(llama, &options, nullptr, &model, &error));
    }
    options = sized<ng_model_options>();
    options.reserved = 1;
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "reserved", ng_model_open(llama, &options, nullptr, &model, &error));
    EXPECT_EQ(model, nullptr);
    EXPECT_EQ(ng_model_open(llama, nullptr, nullptr, &model, nullptr), NG_OK); // no error wanted
    ng_model_close(model);
    ng_model_close(nullptr);
}

TEST(ModelApi, EverythingIsTakenByAWrongErrorStruct) {
    ng_error error = sized<ng_error>();
    for (const uint32_t size : wrong_sizes<ng_error>()) {
        error.struct_size = size;
        ng_model* model = nullptr;
        ng_task* task = nullptr;
        double speed = 0;
        EXPECT_EQ(ng_model_open(llama, nullptr, nullptr, &model, &error), NG_ERR_INVALID_ARGUMENT);
        EXPECT_EQ(ng_task_create(&task, &error), NG_ERR_INVALID_ARGUMENT);
        EXPECT_EQ(ng_bandwidth_measure(1, 1, &speed, &error), NG_ERR_INVALID_ARGUMENT);
        EXPECT_EQ(model, nullptr);
        EXPECT_EQ(task, nullptr);
    }
}

TEST(ModelApi, MachineCallsRefuseWhatIsWrong) {
    double speed = 7;
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'gb_per_s' is NULL", ng_bandwidth_measure(1, 1, nullptr, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "n_threads", ng_bandwidth_measure(UINT32_MAX, 1, &speed, &error));
    EXPECT_EQ(speed, 0);
    EXPECT_STATUS(NG_ERR_OUT_OF_MEMORY, "18446744073709551615 bytes", ng_bandwidth_measure(1, UINT64_MAX, &speed, &error));
    for (const uint64_t bytes : {1ull, 63ull, (256ull << 10) + 1}) {
        EXPECT_EQ(ng_bandwidth_measure(2, bytes, &speed, nullptr), NG_OK);
        EXPECT_GT(speed, 0);
    }
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'info' is NULL", ng_cpu_get_info(nullptr, &error));
    auto info = sized<ng_cpu_info>();
    for (const uint32_t size : wrong_sizes<ng_cpu_info>()) {
        info.struct_size = size;
        EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "struct_size", ng_cpu_get_info(&info, &error));
    }
}

TEST(ModelApi, EstimatesRefuseWhatOpeningAndCreatingRefuse) {
    auto estimate = sized<ng_memory_estimate>();
    const auto with = [&](auto&& change) {
        auto model = sized<ng_model_options>();
        auto context = sized<ng_context_options>();
        change(model, context);
        ng_error error = sized<ng_error>();
        const ng_status status = ng_memory_get_estimate(llama, &model, &context, &estimate, &error);
        EXPECT_NE(error.text[0], '\0');
        return status;
    };
    EXPECT_EQ(ng_memory_get_estimate(llama, nullptr, nullptr, &estimate, nullptr), NG_OK);
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'path' is NULL", ng_memory_get_estimate(nullptr, nullptr, nullptr, &estimate, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'estimate' is NULL", ng_memory_get_estimate(llama, nullptr, nullptr, nullptr, &error));
    EXPECT_STATUS(NG_ERR_NOT_FOUND, "no such file", ng_memory_get_estimate("", nullptr, nullptr, &estimate, &error));
    EXPECT_EQ(with([](auto& model, auto&) { model.flags = 64; }), NG_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(with([](auto& model, auto&) { model.struct_size = 1; }), NG_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(with([](auto&, auto& context) { context.struct_size = UINT32_MAX; }), NG_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(with([](auto&, auto& context) { context.kv_type = 3; }), NG_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(with([](auto&, auto& context) { context.n_ctx = UINT32_MAX; }), NG_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(with([](auto&, auto& context) { context.n_kv = UINT32_MAX; }), NG_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(with([](auto&, auto& context) { context.n_batch = UINT32_MAX; }), NG_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(with([](auto&, auto& context) { context.n_threads = 257; }), NG_ERR_INVALID_ARGUMENT);
    for (const uint32_t size : wrong_sizes<ng_memory_estimate>()) {
        estimate.struct_size = size;
        EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "struct_size", ng_memory_get_estimate(llama, nullptr, nullptr, &estimate, &error));
    }

    // The largest a context may be asked for is a number, not an overflow; creating it is refused for its memory.
    estimate = sized<ng_memory_estimate>();
    auto largest = sized<ng_context_options>();
    largest.n_ctx = largest.n_kv = 1u << 26;
    largest.n_batch = 1u << 16;
    largest.n_threads = 256;
    largest.kv_type = NG_KV_F32;
    ASSERT_EQ(ng_memory_get_estimate(llama, nullptr, &largest, &estimate, nullptr), NG_OK);
    EXPECT_EQ(estimate.kv_bytes, (uint64_t{1} << 26) * 2 * (32 + 32) * 4);
    EXPECT_EQ(estimate.total_bytes, estimate.weights_mapped + estimate.weights_owned + estimate.kv_bytes + estimate.scratch_bytes);
    EXPECT_GT(estimate.scratch_bytes, uint64_t{1} << 30);
}

TEST_F(ContextApi, InfoRefusesWhatIsWrong) {
    auto info = sized<ng_model_info>();
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'model' is NULL", ng_model_get_info(nullptr, &info, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'info' is NULL", ng_model_get_info(model_, nullptr, &error));
    for (const uint32_t size : wrong_sizes<ng_model_info>()) {
        info.struct_size = size;
        EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "struct_size", ng_model_get_info(model_, &info, &error));
    }
    auto* gguf = reinterpret_cast<ng_gguf*>(8);
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'gguf' is NULL", ng_model_get_gguf(model_, nullptr, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'model' is NULL", ng_model_get_gguf(nullptr, &gguf, &error));
    EXPECT_EQ(gguf, nullptr);
}

// ---- contexts and sequences

TEST_F(ContextApi, CreatingRefusesWhatIsWrong) {
    auto* context = reinterpret_cast<ng_context*>(8);
    auto options = sized<ng_context_options>();
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'model' is NULL", ng_context_create(nullptr, &options, &context, &error));
    EXPECT_EQ(context, nullptr);
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'context' is NULL", ng_context_create(model_, &options, nullptr, &error));
    for (const uint32_t size : wrong_sizes<ng_context_options>()) {
        options.struct_size = size;
        EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "struct_size", ng_context_create(model_, &options, &context, &error));
    }
    const auto with = [&](uint32_t ng_context_options::*field, uint32_t value) {
        auto wild = sized<ng_context_options>();
        wild.*field = value;
        return ng_context_create(model_, &wild, &context, nullptr);
    };
    for (const uint32_t value : {(1u << 26) + 1, 1u << 31, UINT32_MAX}) {
        EXPECT_EQ(with(&ng_context_options::n_ctx, value), NG_ERR_INVALID_ARGUMENT);
        EXPECT_EQ(with(&ng_context_options::n_kv, value), NG_ERR_INVALID_ARGUMENT);
        EXPECT_EQ(with(&ng_context_options::n_batch, value), NG_ERR_INVALID_ARGUMENT);
        EXPECT_EQ(with(&ng_context_options::n_threads, value), NG_ERR_INVALID_ARGUMENT);
        EXPECT_EQ(with(&ng_context_options::kv_type, value), NG_ERR_INVALID_ARGUMENT);
        EXPECT_EQ(context, nullptr);
    }
    // One position, one row, one thread is a context too.
    options = {sizeof options, 1, 1, 1, NG_KV_F32, 1};
    ASSERT_EQ(ng_context_create(model_, &options, &context, nullptr), NG_OK);
    ng_context_close(context);
    ng_context_close(nullptr);
}

TEST_F(ContextApi, EveryCallRefusesNull) {
    auto stats = sized<ng_context_stats>();
    const ng_batch batch = sized<ng_batch>();
    int32_t seq = 0;
    uint32_t number = 0;
    size_t needed = 0;
    char bytes[64] = {};
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'context' is NULL", ng_context_get_stats(nullptr, &stats, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'context' is NULL", ng_seq_create(nullptr, &seq, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'context' is NULL", ng_seq_drop(nullptr, 0, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'context' is NULL", ng_seq_fork(nullptr, 0, 0, &seq, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'context' is NULL", ng_seq_cut(nullptr, 0, 0, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'context' is NULL", ng_seq_get_length(nullptr, 0, &number, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'context' is NULL", ng_seq_get_pages_needed(nullptr, 0, 1, &number, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'context' is NULL", ng_context_decode(nullptr, &batch, nullptr, 0, nullptr, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'context' is NULL", ng_seq_save(nullptr, 0, bytes, sizeof bytes, &needed, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'context' is NULL", ng_seq_load(nullptr, bytes, sizeof bytes, &seq, &error));

    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'stats' is NULL", ng_context_get_stats(context_, nullptr, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'seq' is NULL", ng_seq_create(context_, nullptr, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'seq' is NULL", ng_seq_fork(context_, seq_, 0, nullptr, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'length' is NULL", ng_seq_get_length(context_, seq_, nullptr, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'pages' is NULL", ng_seq_get_pages_needed(context_, seq_, 1, nullptr, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'batch' is NULL", ng_context_decode(context_, nullptr, nullptr, 0, nullptr, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'needed' is NULL", ng_seq_save(context_, seq_, bytes, sizeof bytes, nullptr, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'seq' is NULL", ng_seq_load(context_, bytes, sizeof bytes, nullptr, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'buffer' is NULL", ng_seq_load(context_, nullptr, 1, &seq, &error));
    for (const uint32_t size : wrong_sizes<ng_context_stats>()) {
        stats.struct_size = size;
        EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "struct_size", ng_context_get_stats(context_, &stats, &error));
    }
    EXPECT_EQ(this->stats().n_sequences, 1u);
}

TEST_F(ContextApi, UnknownSequencesAndWildLengthsAreRefused) {
    int32_t gone = -1, seq = 7;
    uint32_t number = 0;
    size_t needed = 0;
    char bytes[64];
    ASSERT_EQ(ng_seq_create(context_, &gone, nullptr), NG_OK);
    ASSERT_EQ(ng_seq_drop(context_, gone, nullptr), NG_OK);
    for (const int32_t unknown : {gone, -1, 12345, INT_MIN, INT_MAX}) {
        EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "no sequence", ng_seq_drop(context_, unknown, &error));
        EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "no sequence", ng_seq_fork(context_, unknown, 0, &seq, &error));
        EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "no sequence", ng_seq_cut(context_, unknown, 0, &error));
        EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "no sequence", ng_seq_get_length(context_, unknown, &number, &error));
        EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "no sequence", ng_seq_get_pages_needed(context_, unknown, 1, &number, &error));
        EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "no sequence", ng_seq_save(context_, unknown, bytes, sizeof bytes, &needed, &error));
    }
    for (const uint32_t keep : {6u, 1u << 31, UINT32_MAX}) {
        EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "5 tokens", ng_seq_cut(context_, seq_, keep, &error));
        EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "5 tokens", ng_seq_fork(context_, seq_, keep, &seq, &error));
    }
    EXPECT_EQ(seq, 7);
    EXPECT_EQ(length(seq_), 5u);
    ASSERT_EQ(ng_seq_get_pages_needed(context_, seq_, UINT32_MAX, &number, nullptr), NG_OK);
    EXPECT_EQ(number, 1u << 26); // 2^32 + 4 positions, of which one page is there
    ASSERT_EQ(ng_seq_get_pages_needed(context_, seq_, 0, &number, nullptr), NG_OK);
    EXPECT_EQ(number, 0u);
    EXPECT_EQ(ng_seq_drop(context_, seq_, nullptr), NG_OK);
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "no sequence", ng_seq_drop(context_, seq_, &error));
}

// ---- decode

TEST_F(ContextApi, DecodeRefusesWhatIsWrongAndChangesNothing) {
    const int32_t token = 1, position = 5;
    const uint8_t wanted = 1;
    std::vector<float> logits(n_vocab, 7.0f);
    const ng_batch good{sizeof good, 1, &token, &seq_, &position, &wanted};
    const auto refused = [&](const char* part, ng_status status, auto&& change) {
        ng_batch batch = good;
        change(batch);
        EXPECT_STATUS(status, part, ng_context_decode(context_, &batch, logits.data(), logits.size(), nullptr, &error));
    };
    for (const uint32_t size : wrong_sizes<ng_batch>()) refused("struct_size", NG_ERR_INVALID_ARGUMENT, [&](ng_batch& b) { b.struct_size = size; });
    for (const uint32_t n : {0u, 17u, 1u << 31, UINT32_MAX}) refused("rows", NG_ERR_INVALID_ARGUMENT, [&](ng_batch& b) { b.n_rows = n; });
    refused("'tokens' is NULL", NG_ERR_INVALID_ARGUMENT, [](ng_batch& b) { b.tokens = nullptr; });
    refused("'seqs' is NULL", NG_ERR_INVALID_ARGUMENT, [](ng_batch& b) { b.seqs = nullptr; });
    refused("'positions' is NULL", NG_ERR_INVALID_ARGUMENT, [](ng_batch& b) { b.positions = nullptr; });
    for (const uint8_t output : {uint8_t{2}, uint8_t{255}}) refused("neither 0 nor 1", NG_ERR_INVALID_ARGUMENT, [&](ng_batch& b) { b.outputs = &output; });
    for (const int32_t wild : {-1, 320, INT_MIN, INT_MAX}) refused("vocabulary", NG_ERR_INVALID_ARGUMENT, [&](ng_batch& b) { b.tokens = &wild; });
    for (const int32_t wild : {-1, 1, INT_MIN, INT_MAX}) refused("no sequence", NG_ERR_INVALID_ARGUMENT, [&](ng_batch& b) { b.seqs = &wild; });
    for (const int32_t wild : {-1, 0, 4, 6, INT_MIN, INT_MAX}) refused("continues at position 5", NG_ERR_INVALID_ARGUMENT, [&](ng_batch& b) { b.positions = &wild; });

    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "room for 319", ng_context_decode(context_, &good, logits.data(), n_vocab - 1, nullptr, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "room for 0", ng_context_decode(context_, &good, logits.data(), 0, nullptr, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "room for 0", ng_context_decode(context_, &good, nullptr, 0, nullptr, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'logits' is NULL", ng_context_decode(context_, &good, nullptr, n_vocab, nullptr, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'logits' is NULL", ng_context_decode(context_, &good, nullptr, SIZE_MAX, nullptr, &error));
    EXPECT_EQ(length(seq_), 5u);
    EXPECT_EQ(logits, std::vector<float>(n_vocab, 7.0f));

    // A later row that is wrong takes the earlier ones with it.
    const int32_t tokens[] = {1, 2, 320}, seqs[] = {seq_, seq_, seq_}, positions[] = {5, 6, 7};
    const ng_batch late{sizeof late, 3, tokens, seqs, positions, nullptr};
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "row 2: token 320", ng_context_decode(context_, &late, nullptr, 0, nullptr, &error));
    EXPECT_EQ(length(seq_), 5u);
    // More room than needed is fine, and stays as it was beyond.
    logits.resize(n_vocab + 1, 7.0f);
    ASSERT_EQ(ng_context_decode(context_, &good, logits.data(), SIZE_MAX / 8, nullptr, nullptr), NG_OK);
    EXPECT_TRUE(std::isfinite(logits[0]));
    EXPECT_NE(logits[0], 7.0f);
    EXPECT_EQ(logits.back(), 7.0f);
    EXPECT_EQ(length(seq_), 6u);
    EXPECT_EQ(stats().rows, 6u);
}

TEST_F(ContextApi, EndsOfContextAndCacheAreStatuses) {
    for (int i = 0; i < 7; ++i) ASSERT_EQ(decode(16), NG_OK);
    EXPECT_EQ(decode(12), NG_ERR_CONTEXT_OVERFLOW); // 117 + 12
    EXPECT_EQ(length(seq_), 117u);
    ASSERT_EQ(decode(11), NG_OK);
    EXPECT_EQ(decode(1), NG_ERR_CONTEXT_OVERFLOW);

    int32_t fork = -1, other = -1;
    ASSERT_EQ(ng_seq_fork(context_, seq_, 100, &fork, nullptr), NG_OK);
    ASSERT_EQ(ng_seq_create(context_, &other, nullptr), NG_OK);
    std::swap(seq_, other);
    for (int i = 0; i < 8; ++i) ASSERT_EQ(decode(16), NG_OK);
    std::swap(seq_, fork);
    EXPECT_EQ(stats().pages_free, 0u);
    EXPECT_EQ(decode(1), NG_NO_ROOM); // the page it shares would have to be copied
    EXPECT_EQ(length(seq_), 100u);
    ASSERT_EQ(ng_seq_drop(context_, other, nullptr), NG_OK);
    EXPECT_EQ(decode(1), NG_OK); // alone with it now
}

TEST_F(ContextApi, ATaskIsReadWhereverItIsTaken) {
    ng_task* task = nullptr;
    ASSERT_EQ(ng_task_create(&task, nullptr), NG_OK);
    ng_task_cancel(task);
    EXPECT_EQ(decode(1, task), NG_CANCELLED);
    EXPECT_EQ(length(seq_), 5u);
    ng_model* model = nullptr;
    EXPECT_EQ(ng_model_open(llama, nullptr, task, &model, nullptr), NG_CANCELLED);
    EXPECT_EQ(model, nullptr);
    ng_task_reset(task);
    EXPECT_EQ(decode(1, task), NG_OK);
    EXPECT_EQ(ng_model_open(llama, nullptr, task, &model, nullptr), NG_OK);
    EXPECT_EQ(ng_task_progress(task), 1.0f);
    ng_model_close(model);
    ng_task_close(task);
}

// Two threads in one context, a third that cancels: statuses only, and whoever is inside is alone.
TEST_F(ContextApi, TwoCallersAndACanceller) {
    ng_task* task = nullptr;
    ASSERT_EQ(ng_task_create(&task, nullptr), NG_OK);
    std::atomic<int> left{2};
    std::atomic<int> done{0};
    const auto caller = [&] {
        for (int i = 0; i < 1'000'000 && (i < 300 || done.load() < 10); ++i) {
            int32_t seq = -1;
            const ng_status made = ng_seq_fork(context_, seq_, 5, &seq, nullptr);
            EXPECT_TRUE(made == NG_OK || made == NG_ERR_BUSY) << made;
            if (made != NG_OK) continue;
            const int32_t tokens[] = {3, 4}, seqs[] = {seq, seq}, positions[] = {5, 6};
            const ng_batch batch{sizeof batch, 2, tokens, seqs, positions, nullptr};
            const ng_status status = ng_context_decode(context_, &batch, nullptr, 0, task, nullptr);
            EXPECT_TRUE(status == NG_OK || status == NG_ERR_BUSY || status == NG_CANCELLED) << status;
            if (status == NG_OK) ++done;
            ng_status dropped = NG_ERR_BUSY;
            while ((dropped = ng_seq_drop(context_, seq, nullptr)) == NG_ERR_BUSY) std::this_thread::yield();
            EXPECT_EQ(dropped, NG_OK);
        }
        --left;
    };
    std::thread one(caller), two(caller), canceller([&] {
        while (left.load() > 0) {
            ng_task_cancel(task);
            std::this_thread::yield();
            ng_task_reset(task);
            std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
    });
    one.join();
    two.join();
    canceller.join();
    ng_task_close(task);
    EXPECT_GT(done.load(), 0);
    EXPECT_EQ(stats().n_sequences, 1u);
    EXPECT_EQ(stats().pages_free, 3u);
    EXPECT_EQ(length(seq_), 5u);
}

// ---- saved sequences

TEST_F(ContextApi, SavedSequencesGoThroughAnyBufferAndNoDamageDoes) {
    size_t needed = 0;
    EXPECT_EQ(ng_seq_save(context_, seq_, nullptr, 0, &needed, nullptr), NG_BUFFER_TOO_SMALL);
    EXPECT_EQ(ng_seq_save(context_, seq_, nullptr, SIZE_MAX, &needed, nullptr), NG_BUFFER_TOO_SMALL);
    std::vector<char> room(needed + 3, 'q');
    char* const odd = room.data() + 1; // no alignment is promised
    EXPECT_EQ(ng_seq_save(context_, seq_, odd, needed - 1, &needed, nullptr), NG_BUFFER_TOO_SMALL);
    EXPECT_EQ(odd[0], 'q');
    ASSERT_EQ(ng_seq_save(context_, seq_, odd, needed, &needed, nullptr), NG_OK);
    EXPECT_EQ(odd[needed], 'q');

    int32_t loaded = 7;
    for (size_t n = 0; n < needed; n += n < 60 ? 1 : 101)
        EXPECT_STATUS(NG_ERR_INVALID_STATE, "the saved sequence", ng_seq_load(context_, odd, n, &loaded, &error));
    EXPECT_STATUS(NG_ERR_INVALID_STATE, "something behind it", ng_seq_load(context_, odd, needed + 1, &loaded, &error));
    for (size_t at = 0; at < needed; at += at < 60 ? 1 : 13)
        for (const char bits : {'\x01', '\x80', '\xff'}) {
            odd[at] = static_cast<char>(odd[at] ^ bits);
            EXPECT_STATUS(NG_ERR_INVALID_STATE, "the saved sequence", ng_seq_load(context_, odd, needed, &loaded, &error));
            odd[at] = static_cast<char>(odd[at] ^ bits);
        }
    EXPECT_EQ(loaded, 7);
    EXPECT_EQ(stats().n_sequences, 1u);
    ASSERT_EQ(ng_seq_load(context_, odd, needed, &loaded, nullptr), NG_OK);
    EXPECT_EQ(length(loaded), 5u);

    // No room: the text says so, and no empty sequence stays behind.
    std::swap(seq_, loaded);
    for (int i = 0; i < 7; ++i) ASSERT_EQ(decode(16), NG_OK);
    std::vector<char> big(1 << 20);
    ASSERT_EQ(ng_seq_save(context_, seq_, big.data(), big.size(), &needed, nullptr), NG_OK);
    EXPECT_STATUS(NG_NO_ROOM, "2 pages, 1 are free", ng_seq_load(context_, big.data(), needed, &loaded, &error));
    EXPECT_EQ(stats().n_sequences, 2u);
    EXPECT_EQ(stats().pages_free, 1u);
}

TEST(TypeApi, BlocksMayLieAnywhere) {
    for (uint32_t type = 0; type < 64; ++type) {
        auto info = sized<ng_type_info>();
        if (ng_type_get_info(type, &info, nullptr) != NG_OK || !info.supported) continue;
        std::vector<unsigned char> room(info.block_bytes * 3 + 1);
        for (size_t i = 0; i < room.size(); ++i) room[i] = static_cast<unsigned char>(37 * i + type);
        std::vector<float> odd(info.block_elements * 3), even(odd.size());
        ASSERT_EQ(ng_type_dequantize(type, room.data() + 1, room.size() - 1, odd.data(), odd.size(), nullptr), NG_OK) << info.name;
        room.erase(room.begin());
        ASSERT_EQ(ng_type_dequantize(type, room.data(), room.size(), even.data(), even.size(), nullptr), NG_OK);
        EXPECT_EQ(std::memcmp(odd.data(), even.data(), odd.size() * sizeof(float)), 0) << info.name;
    }
    float value = 0;
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "do not hold", ng_type_dequantize(8, &value, SIZE_MAX, &value, SIZE_MAX, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "do not hold", ng_type_dequantize(0, &value, 4, &value, SIZE_MAX / 4 + 2, &error));
    EXPECT_STATUS(NG_ERR_UNSUPPORTED_ARCHITECTURE, "unknown", ng_type_dequantize(UINT32_MAX, &value, 4, &value, 1, &error));
}
