// Steps over real (tiny and story) models: the same bits in any company, transactions, saved sequences, the planned operations and memory.
#include "backend/recorder.h"
#include "runtime/context.h"

#include "allocations.h"
#include "base/error.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <thread>

namespace ng {
namespace {

std::string tiny(const char* name) { return std::string(NG_FIXTURES) + "/arch/" + name + ".gguf"; }
std::string story() { return std::string(NG_SOURCE_DIR) + "/models/stories.q8_0.gguf"; }

std::shared_ptr<const LoadedModel> open(const std::string& path, ModelOptions options = {}) { return LoadedModel::open(path, options, nullptr); }

std::vector<int32_t> some_tokens(uint32_t n, uint32_t n_vocab, uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<int32_t> tokens(n);
    for (int32_t& token : tokens) token = static_cast<int32_t>(random() % n_vocab);
    return tokens;
}

// Logits of all positions from `first` on, fed in chunks.
std::vector<float> run(Context& context, int32_t seq, const std::vector<int32_t>& tokens, uint32_t first, uint32_t chunk) {
    const size_t n_vocab = context.model().shape().n_vocab;
    std::vector<float> logits;
    for (uint32_t at = first; at < tokens.size(); at += chunk) {
        const uint32_t n = std::min<uint32_t>(chunk, static_cast<uint32_t>(tokens.size()) - at);
        const std::vector<int32_t> seqs(n, seq);
        std::vector<int32_t> positions(n);
        for (uint32_t i = 0; i < n; ++i) positions[i] = static_cast<int32_t>(at + i);
        const std::vector<uint8_t> outputs(n, 1);
        const size_t before = logits.size();
        logits.resize(before + n * n_vocab);
        EXPECT_EQ(context.decode({{tokens.data() + at, n}, seqs, positions, outputs}, {logits.data() + before, n * n_vocab}, nullptr), Status::Ok);
    }
    return logits;
}

bool same(const std::vector<float>& a, const std::vector<float>& b) { return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0; }

class AnyModel : public testing::TestWithParam<std::string> {};

TEST_P(AnyModel, BitsDoNotDependOnThreadsChunksOrLayout) {
    const auto model = open(GetParam());
    const auto tokens = some_tokens(100, model->shape().n_vocab, 1);
    Context reference(model, {.n_ctx = 128, .n_threads = 1});
    const auto expected = run(reference, reference.cache().create(), tokens, 0, 512);
    for (const uint32_t n_threads : {1u, 2u, 4u})
        for (const uint32_t chunk : {1u, 7u, 64u, 512u}) {
            Context context(model, {.n_ctx = 128, .n_threads = n_threads});
            EXPECT_TRUE(same(expected, run(context, context.cache().create(), tokens, 0, chunk))) << n_threads << " threads, chunks of " << chunk;
        }
    ModelOptions raw;
    raw.repack = false;  // scalar kernels over the file's rows
    const auto unpacked = open(GetParam(), raw);
    Context context(unpacked, {.n_ctx = 128});
    EXPECT_TRUE(same(expected, run(context, context.cache().create(), tokens, 0, 512))) << "not repacked";
    ModelOptions read;
    read.map = false;  // tied embeddings are packed, and looked up in the file's memory too
    const auto whole = open(GetParam(), read);
    Context in_memory(whole, {.n_ctx = 128});
    EXPECT_TRUE(same(expected, run(in_memory, in_memory.cache().create(), tokens, 0, 512))) << "read, not mapped";
}

TEST_P(AnyModel, BitsDoNotDependOnCompany) {
    const auto model = open(GetParam());
    const uint32_t n_vocab = model->shape().n_vocab;
    constexpr uint32_t n_prompt = 70, n_steps = 4;
    for (const uint32_t n_seqs : {1u, 2u, 3u, 5u, 8u, 17u, 33u}) {
        Context crowd(model, {.n_ctx = 128, .n_kv = 128 * 120});
        Context alone(model, {.n_ctx = 128});
        // One neighbour's cache holds NaN.
        const int32_t poisoned = crowd.cache().create();
        run(crowd, poisoned, some_tokens(20, n_vocab, 99), 0, 20);
        for (void* page : crowd.cache().page_pointers(poisoned)) std::memset(page, 0xff, crowd.cache().layout().page_bytes);

        std::vector<std::vector<int32_t>> tokens;
        std::vector<int32_t> seqs;
        std::vector<std::vector<float>> expected;
        for (uint32_t s = 0; s < n_seqs; ++s) {
            tokens.push_back(some_tokens(n_prompt + n_steps, n_vocab, s));
            const int32_t own = alone.cache().create();
            const auto all = run(alone, own, tokens[s], 0, 512);
            expected.emplace_back(all.end() - static_cast<ptrdiff_t>(size_t{n_steps} * n_vocab), all.end());
            alone.cache().drop(own);
            // every other sequence is a fork in mid-page of a longer one
            const int32_t seq = crowd.cache().create();
            if (s % 2 == 0) run(crowd, seq, {tokens[s].begin(), tokens[s].begin() + n_prompt}, 0, 13);
            else {
                run(crowd, seq, tokens[s], 0, 29);
            }
            seqs.push_back(s % 2 == 0 ? seq : crowd.cache().fork(seq, n_prompt));
        }
        for (uint32_t step = 0; step < n_steps; ++step) {
            std::vector<uint32_t> order(n_seqs + 1);
            for (uint32_t i = 0; i <= n_seqs; ++i) order[i] = i;
            std::shuffle(order.begin(), order.end(), std::mt19937(step));
            std::vector<int32_t> t, q, p;
            for (const uint32_t s : order) {
                t.push_back(s == n_seqs ? 1 : tokens[s][n_prompt + step]);
                q.push_back(s == n_seqs ? poisoned : seqs[s]);
                p.push_back(static_cast<int32_t>(s == n_seqs ? 20 + step : n_prompt + step));
            }
            const std::vector<uint8_t> outputs(order.size(), 1);
            std::vector<float> logits(order.size() * n_vocab);
            ASSERT_EQ(crowd.decode({t, q, p, outputs}, logits, nullptr), Status::Ok);
            for (size_t i = 0; i < order.size(); ++i) {
                if (order[i] == n_seqs) {
                    EXPECT_TRUE(std::isnan(logits[i * n_vocab]));
                    continue;
                }
                EXPECT_EQ(std::memcmp(logits.data() + i * n_vocab, expected[order[i]].data() + size_t{step} * n_vocab, n_vocab * sizeof(float)), 0)
                    << n_seqs << " sequences, sequence " << order[i] << ", step " << step;
            }
        }
    }
}

TEST_P(AnyModel, StateContinuesWithTheSameBits) {
    const auto model = open(GetParam());
    const auto tokens = some_tokens(90, model->shape().n_vocab, 3);
    for (const backend::KvType type : {backend::KvType::F16, backend::KvType::F32, backend::KvType::Q8_0}) {
        Context whole(model, {.n_ctx = 128, .kv_type = type}), first(model, {.n_ctx = 128, .kv_type = type}), second(model, {.n_ctx = 128, .kv_type = type});
        const auto expected = run(whole, whole.cache().create(), tokens, 0, 512);
        const int32_t seq = first.cache().create();
        run(first, seq, {tokens.begin(), tokens.begin() + 70}, 0, 70);
        std::vector<std::byte> state(first.state_bytes(seq));
        first.save(seq, state);
        const auto rest = run(second, second.load(state), tokens, 70, 20);
        EXPECT_TRUE(same(rest, {expected.end() - static_cast<ptrdiff_t>(rest.size()), expected.end()}));

        for (const size_t at : {size_t{0}, size_t{9}, size_t{17}, size_t{25}, state.size() / 2, state.size() - 1}) {
            auto damaged = state;
            damaged[at] ^= std::byte{1};
            EXPECT_THROW(second.load(damaged), Error) << "byte " << at;
        }
        EXPECT_THROW(second.load({state.data(), state.size() - 1}), Error);
        EXPECT_EQ(second.cache().n_sequences(), 1u);
    }
}

// Bytes with a scale for every 32 values: half a step is at most 1/254 of the block's largest.
TEST_P(AnyModel, QuantizedCacheIsCloseAndTheSameInChunks) {
    const auto model = open(GetParam());
    const auto tokens = some_tokens(120, model->shape().n_vocab, 9);
    Context exact(model, {.n_ctx = 128, .kv_type = backend::KvType::F32}), whole(model, {.n_ctx = 128, .kv_type = backend::KvType::Q8_0}),
        pieces(model, {.n_ctx = 128, .kv_type = backend::KvType::Q8_0});
    const auto expected = run(exact, exact.cache().create(), tokens, 0, 512), found = run(whole, whole.cache().create(), tokens, 0, 512);
    EXPECT_TRUE(same(found, run(pieces, pieces.cache().create(), tokens, 0, 7)));
    ASSERT_EQ(expected.size(), found.size());
    double error = 0, size = 0;
    for (size_t i = 0; i < found.size(); ++i) {
        error += (double{found[i]} - expected[i]) * (double{found[i]} - expected[i]);
        size += double{expected[i]} * expected[i];
    }
    EXPECT_LT(error, 0.05 * 0.05 * size);  // activations round differently, too
    EXPECT_GT(error, 0);
    EXPECT_LT(whole.cache().layout().page_bytes, exact.cache().layout().page_bytes * 3 / 10);
}

TEST_P(AnyModel, EstimateIsWhatIsCounted) {
    const ContextOptions options{.n_ctx = 128, .n_kv = 256, .n_batch = 64, .n_threads = 2};
    const MemoryEstimate estimate = estimate_memory(GetParam(), {}, options);
    const auto model = open(GetParam());
    Context context(model, options);
    EXPECT_EQ(estimate.weights_owned, model->totals().owned_bytes);
    EXPECT_EQ(estimate.weights_mapped, model->totals().mapped_bytes);
    EXPECT_EQ(estimate.scratch_bytes, context.stats().scratch_bytes);
    for (int i = 0; i < 2; ++i) run(context, context.cache().create(), some_tokens(128, model->shape().n_vocab, 4), 0, 64);
    EXPECT_EQ(context.cache().pages_free(), 0u);
    EXPECT_EQ(estimate.kv_bytes, context.cache().allocated_bytes());
}

// What a context has planned is all its steps use: while a cache fills to its end, only pages and their tables come from the allocator.
TEST_P(AnyModel, AStepAllocatesNothingButPages) {
    const auto model = open(GetParam());
    const uint32_t n_vocab = model->shape().n_vocab;
    Context context(model, {.n_ctx = 128, .n_kv = 1024, .n_batch = 64, .n_threads = 2});
    std::vector<int32_t> seqs;
    for (int i = 0; i < 8; ++i) seqs.push_back(context.cache().create());
    const auto tokens = some_tokens(128, n_vocab, 9);
    std::vector<float> logits(8 * n_vocab);
    const std::vector<uint8_t> outputs(8, 1);
    for (int32_t position = 0; position < 128; ++position) {
        const std::vector<int32_t> t(8, tokens[static_cast<size_t>(position)]), p(8, position);
        const uint32_t free = context.cache().pages_free();
        const test::Allocations allocations;
        ASSERT_EQ(context.decode({t, seqs, p, outputs}, logits, nullptr), Status::Ok);
        const uint32_t new_pages = free - context.cache().pages_free();
        // a page, and two tables of its sequence that may grow; the first step also meets the pool's threads and the list of changes
        ASSERT_LE(allocations.count(), 3 * new_pages + (position == 0 ? 20 : 0)) << "position " << position;
    }
    EXPECT_EQ(context.cache().pages_free(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Models, AnyModel, testing::Values(tiny("llama"), tiny("gpt2"), story()),
                         [](const auto& model) { return model.index == 0 ? "llama" : model.index == 1 ? "gpt2" : "story"; });

TEST(Context, TakesTheMatrixPathForPromptsAndTheVectorPathForTokens) {
    Context context(open(story()), {.n_kv = 1024});
    const auto tokens = some_tokens(512, 2048, 5);
    run(context, context.cache().create(), tokens, 0, 512);
    EXPECT_GT(context.stats().counters.matrix_runs, 0u);
    const auto before = context.stats().counters;
    run(context, context.cache().create(), {tokens.begin(), tokens.begin() + 3}, 0, 1);
    EXPECT_EQ(context.stats().counters.matrix_runs, before.matrix_runs);
    EXPECT_GT(context.stats().counters.vector_runs, before.vector_runs);
}

TEST(Context, AStepThatIsCancelledOrDoesNotFitLeavesEverythingAsItWas) {
    const auto model = open(story());
    Context context(model, {.n_ctx = 512, .n_kv = 640}), other(model, {.n_ctx = 512});
    const auto tokens = some_tokens(500, 2048, 6);
    const auto expected = run(other, other.cache().create(), tokens, 0, 512);
    const int32_t seq = context.cache().create();
    run(context, seq, {tokens.begin(), tokens.begin() + 30}, 0, 30);
    const int32_t fork = context.cache().fork(seq, 30);  // the next step has to copy a shared page
    const uint32_t free = context.cache().pages_free();

    std::vector<int32_t> seqs(470, seq), positions(470);
    for (int i = 0; i < 470; ++i) positions[static_cast<size_t>(i)] = 30 + i;
    Task task;
    std::thread canceller([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        task.cancelled = true;
    });
    try {
        const Status status = context.decode({{tokens.data() + 30, 470}, seqs, positions, {}}, {}, &task);
        EXPECT_EQ(status, Status::Ok) << "only if it was done before the cancel came";
        context.cache().cut(seq, 30);
    } catch (const Error& error) {
        EXPECT_EQ(error.status, Status::Cancelled);
        EXPECT_EQ(context.cache().length(seq), 30u);
        EXPECT_EQ(context.cache().pages_free(), free);
    }
    canceller.join();

    const int32_t big = context.cache().create();
    run(context, big, some_tokens(256, 2048, 8), 0, 256);
    EXPECT_EQ(context.decode({{tokens.data() + 30, 470}, seqs, positions, {}}, {}, nullptr), Status::NoRoom);
    EXPECT_EQ(context.cache().length(seq), 30u);
    context.cache().drop(big);
    context.cache().drop(fork);
    const auto rest = run(context, seq, tokens, 30, 100);
    EXPECT_TRUE(same(rest, {expected.end() - static_cast<ptrdiff_t>(rest.size()), expected.end()}));
}

// Opening and prefill are cancelled by another thread while they run, again and again until each was caught halfway. Under ThreadSanitizer this
// also says that nothing of a task is shared without care.
TEST(Context, OpeningIsCancelledByAnotherThread) {
    const auto caught_halfway = [](const ModelOptions& options) {
        for (int attempt = 0; attempt < 1000; ++attempt) {
            Task task;
            std::thread canceller([&] {
                while (task.progress.load() == 0) std::this_thread::yield();
                task.cancelled = true;
            });
            bool cancelled = false;
            try {
                const auto model = LoadedModel::open(story(), options, &task);
                EXPECT_EQ(task.progress.load(), 1.0f);
            } catch (const Error& error) {
                EXPECT_EQ(error.status, Status::Cancelled) << error.text;
                cancelled = true;
            }
            const float reached = task.progress.exchange(1.0f);  // lets the canceller go, whatever happened
            canceller.join();
            if (!cancelled) continue;
            if (options.map) EXPECT_LT(reached, 1.0f);
            return true;
        }
        return false;
    };
    EXPECT_TRUE(caught_halfway({.n_threads = 2}));
    EXPECT_TRUE(caught_halfway({.map = false, .n_threads = 2}));
    EXPECT_TRUE(caught_halfway({.exact = true, .n_threads = 2}));
}

TEST(Context, PrefillIsCancelledByAnotherThread) {
    const auto model = open(story());
    Context context(model, {.n_ctx = 512, .n_threads = 2});
    const int32_t seq = context.cache().create();
    const auto tokens = some_tokens(512, 2048, 11);
    const std::vector<int32_t> seqs(512, seq);
    std::vector<int32_t> positions(512);
    for (int32_t i = 0; i < 512; ++i) positions[static_cast<size_t>(i)] = i;
    bool caught = false;
    for (int attempt = 0; attempt < 1000 && !caught; ++attempt) {
        Task task;
        std::atomic<bool> started{false};
        const uint64_t products = context.stats().counters.matrix_runs;
        std::thread canceller([&] {
            while (!started.load()) std::this_thread::yield();
            std::this_thread::sleep_for(std::chrono::microseconds(100 << attempt % 12));  // sanitizers are slow
            task.cancelled = true;
        });
        started = true;
        try {
            EXPECT_EQ(context.decode({tokens, seqs, positions, {}}, {}, &task), Status::Ok);
            EXPECT_EQ(context.cache().length(seq), 512u);
            context.cache().cut(seq, 0);
        } catch (const Error& error) {
            EXPECT_EQ(error.status, Status::Cancelled) << error.text;
            caught = context.stats().counters.matrix_runs > products;  // not before its first product
        }
        canceller.join();
        EXPECT_EQ(context.cache().length(seq), 0u);
        EXPECT_EQ(context.cache().pages_free(), context.cache().pages_total());
    }
    EXPECT_TRUE(caught);
}

TEST(Context, RefusesBatchesThatMakeNoSense) {
    Context context(open(tiny("llama")), {.n_ctx = 16, .n_kv = 64, .n_batch = 8});
    const int32_t seq = context.cache().create();
    std::vector<float> logits(320);
    const auto decode = [&](int32_t token, int32_t in, int32_t position) { return context.decode({{&token, 1}, {&in, 1}, {&position, 1}, {}}, logits, nullptr); };
    EXPECT_THROW(decode(-1, seq, 0), Error);
    EXPECT_THROW(decode(320, seq, 0), Error);
    EXPECT_THROW(decode(1, seq + 1, 0), Error);
    EXPECT_THROW(decode(1, seq, 1), Error);
    EXPECT_THROW(decode(1, seq, -1), Error);
    for (int32_t i = 0; i < 16; ++i) EXPECT_EQ(decode(1, seq, i), Status::Ok);
    try {
        decode(1, seq, 16);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.status, Status::ContextOverflow);
    }
}

TEST(Model, ForwardPassIsThePapers) {
    const auto model = open(tiny("llama"));
    backend::Recorder recorder;
    const int32_t tokens[] = {1, 2}, positions[] = {0, 1};
    const uint32_t outputs[] = {1};
    const backend::KvStep kv{};
    model->model().forward(recorder, {tokens, positions, outputs, &kv, nullptr});
    const std::vector<std::string> layer = {"rms_norm 2x64", "matmul 2x64 -> 64 32 32", "rope 2x64 heads 4", "rope 2x32 heads 2"};
    const auto& all = recorder.operations();
    ASSERT_EQ(all.size(), 2u + 2 * 10 + 3);
    EXPECT_EQ(all[0], "get_rows 2x64");
    EXPECT_EQ(all[1], "rope_table 8");
    for (size_t i = 0; i < layer.size(); ++i) EXPECT_EQ(all[2 + i], layer[i]);
    EXPECT_EQ(all[6], "attention layer 0 2x64 2x32");
    EXPECT_EQ(all[7], "matmul 2x64 -> 64+add");
    EXPECT_EQ(all[9], "matmul 2x64 -> 64 64");
    EXPECT_EQ(all[10], "silu_mul 2x64");
    EXPECT_EQ(all.back(), "matmul 1x64 -> 320");
}

TEST(Model, ForwardPassOfGpt2IsThePapers) {
    const auto model = open(tiny("gpt2"));
    backend::Recorder recorder;
    const int32_t tokens[] = {1, 2, 3}, positions[] = {0, 1, 2};
    const uint32_t outputs[] = {0, 2};
    const backend::KvStep kv{};
    model->model().forward(recorder, {tokens, positions, outputs, &kv, nullptr});
    std::vector<std::string> expected = {"get_rows 3x64", "get_rows 3x64", "add 3x64"};  // tokens, positions
    for (const char* layer : {"0", "1"})
        for (const std::string& operation : {
                 std::string("layer_norm 3x64"), std::string("matmul 3x64 -> 192+bias"), std::string("select_columns 3x64 from 0"), std::string("select_columns 3x64 from 64"),
                 std::string("select_columns 3x64 from 128"), std::string("attention layer ") + layer + " 3x64 3x64", std::string("matmul 3x64 -> 64+bias+add"),
                 std::string("layer_norm 3x64"), std::string("matmul 3x64 -> 256+bias"), std::string("gelu 3x256"), std::string("matmul 3x256 -> 64+bias+add")})
            expected.push_back(operation);
    for (const char* operation : {"select_rows 2x64", "layer_norm 2x64", "matmul 2x64 -> 320"}) expected.push_back(operation);
    EXPECT_EQ(recorder.operations(), expected);

    backend::Recorder without_outputs;
    model->model().forward(without_outputs, {tokens, positions, {}, &kv, nullptr});
    expected.resize(expected.size() - 3);
    EXPECT_EQ(without_outputs.operations(), expected);
}

// A fused group has a limit, which the plan of a context's memory finds before any step does.
TEST(Model, AGroupOfTooManyProductsIsADefect) {
    const backend::Product products[backend::most_products + 1] = {};
    backend::Recorder recorder;
    recorder.matmul({}, std::span(products).first(backend::most_products));
    const auto refused = [](backend::Ops& ops, std::span<const backend::Product> group) {
        try {
            ops.matmul({}, group);
            FAIL() << "taken";
        } catch (const Error& error) {
            EXPECT_EQ(error.status, Status::Internal) << error.text;
        }
    };
    refused(recorder, products);
    cpu::CpuOps ops(cpu::scalar_kernels(), {1, 32, 8, 1, 1, 64}, 1);
    refused(ops, products);
}

}  // namespace
}  // namespace ng
