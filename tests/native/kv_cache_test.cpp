// The paged cache against a simple model of it, under random operations: lengths, page counts and contents.
#include "runtime/kv_cache.h"

#include "base/error.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

namespace ng {
namespace {

constexpr LayerMemory layer{1, 1, 1};

// Positions are marked through the value page: one float per position.
float& mark(KvCache& cache, int32_t seq, uint32_t position) {
    auto* page = static_cast<std::byte*>(cache.page_pointers(seq)[position / KvCache::page_tokens]);
    return reinterpret_cast<float*>(page + cache.layout().v_offsets[0])[position % KvCache::page_tokens];
}

TEST(KvCache, BehavesAsListsOfTokensDo) {
    std::mt19937 random(7);
    for (int game = 0; game < 30; ++game) {
        KvCache cache({&layer, 1}, false, 24);
        std::map<int32_t, std::vector<float>> expected;
        float next = 1;
        for (int move = 0; move < 300; ++move) {
            const auto any = [&] { return std::next(expected.begin(), static_cast<ptrdiff_t>(random() % expected.size())); };
            switch (expected.empty() ? 0 : random() % 6) {
                case 0: expected[cache.create()] = {}; break;
                case 1: {
                    const auto source = any();
                    const auto keep = static_cast<uint32_t>(random() % (source->second.size() + 1));
                    const std::vector<float> kept(source->second.begin(), source->second.begin() + keep);
                    expected[cache.fork(source->first, keep)] = kept;
                    break;
                }
                case 2: {
                    const auto seq = any();
                    seq->second.resize(random() % (seq->second.size() + 1));
                    cache.cut(seq->first, static_cast<uint32_t>(seq->second.size()));
                    break;
                }
                case 3: {
                    const auto seq = any();
                    cache.drop(seq->first);
                    expected.erase(seq);
                    break;
                }
                default: {
                    const auto seq = any();
                    const KvCache::Append append{seq->first, 1 + static_cast<uint32_t>(random() % 100)};
                    const uint32_t free = cache.pages_free(), needed = cache.pages_needed(append.seq, append.n_new);
                    const std::vector<void*> before(cache.page_pointers(seq->first).begin(), cache.page_pointers(seq->first).end());
                    if (!cache.reserve({&append, 1})) {
                        ASSERT_GT(needed, free);
                        ASSERT_EQ(cache.pages_free(), free);
                        break;
                    }
                    ASSERT_LE(needed, free);
                    ASSERT_EQ(cache.pages_free(), free - needed);
                    if (random() % 3 == 0) {
                        cache.roll_back();
                        ASSERT_EQ(cache.pages_free(), free);
                        ASSERT_TRUE(std::equal(before.begin(), before.end(), cache.page_pointers(seq->first).begin(), cache.page_pointers(seq->first).end()));
                        break;
                    }
                    for (uint32_t i = 0; i < append.n_new; ++i) {
                        mark(cache, seq->first, static_cast<uint32_t>(seq->second.size())) = next;
                        seq->second.push_back(next++);
                    }
                    cache.commit();
                }
            }
            for (const auto& [seq, values] : expected) {
                ASSERT_EQ(cache.length(seq), values.size());
                for (uint32_t i = 0; i < values.size(); ++i) ASSERT_EQ(mark(cache, seq, i), values[i]) << "sequence " << seq << " position " << i;
            }
        }
        while (!expected.empty()) {
            cache.drop(expected.begin()->first);
            expected.erase(expected.begin());
        }
        EXPECT_EQ(cache.pages_free(), cache.pages_total());
    }
}

TEST(KvCache, RefusesWhatIsNotThere) {
    KvCache cache({&layer, 1}, false, 2);
    EXPECT_THROW(cache.length(5), Error);
    const int32_t seq = cache.create();
    EXPECT_THROW(cache.cut(seq, 1), Error);
    EXPECT_THROW(cache.fork(seq, 1), Error);
}

}  // namespace
}  // namespace ng
