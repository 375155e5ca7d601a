// The paged cache against a simple model of it, under random operations: lengths, page counts and contents.
#include "runtime/kv_cache.h"

#include "allocations.h"
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
        KvCache cache({&layer, 1}, backend::KvType::F32, 24);
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
    KvCache cache({&layer, 1}, backend::KvType::F32, 2);
    EXPECT_THROW(cache.length(5), Error);
    const int32_t seq = cache.create();
    EXPECT_THROW(cache.cut(seq, 1), Error);
    EXPECT_THROW(cache.fork(seq, 1), Error);
}

// Sequences that share a last page and are all appended to in one step: each gets a page of its own, or the step has no room.
TEST(KvCache, ManySharersOfALastPageAppendInOneStep) {
    for (const bool source_too : {false, true})
        for (const uint32_t n_pages : {6u, 7u, 8u, 20u}) {
            SCOPED_TRACE(testing::Message() << n_pages << " pages, source " << (source_too ? "goes on" : "waits"));
            KvCache cache({&layer, 1}, backend::KvType::F32, n_pages);
            const int32_t source = cache.create();
            const KvCache::Append first{source, 100};  // two pages, the second one half full
            ASSERT_TRUE(cache.reserve({&first, 1}));
            for (uint32_t i = 0; i < 100; ++i) mark(cache, source, i) = static_cast<float>(i);
            cache.commit();
            std::vector<KvCache::Append> appends;
            std::vector<int32_t> all = {source};
            if (source_too) appends.push_back({source, 1});
            for (uint32_t keep : {100u, 90u, 65u}) {
                all.push_back(cache.fork(source, keep));
                appends.push_back({all.back(), 1});
            }
            const int32_t at_the_border = cache.fork(source, 64);  // its last page is full: it is shared for good
            all.push_back(at_the_border);
            appends.push_back({at_the_border, 1});
            ASSERT_EQ(cache.pages_free(), n_pages - 2);
            uint32_t needed = 0;
            for (const auto& append : appends) needed += cache.pages_needed(append.seq, append.n_new);
            EXPECT_EQ(needed, source_too ? 5u : 4u);

            std::vector<std::vector<void*>> before;
            for (const int32_t seq : all) before.emplace_back(cache.page_pointers(seq).begin(), cache.page_pointers(seq).end());
            const auto expect_as_before = [&] {
                EXPECT_EQ(cache.pages_free(), n_pages - 2);
                for (size_t i = 0; i < all.size(); ++i) {
                    const auto now = cache.page_pointers(all[i]);
                    EXPECT_TRUE(std::equal(before[i].begin(), before[i].end(), now.begin(), now.end())) << "sequence " << all[i];
                }
            };
            if (needed > n_pages - 2) {
                EXPECT_FALSE(cache.reserve(appends));
                expect_as_before();
                continue;
            }
            ASSERT_TRUE(cache.reserve(appends));
            cache.roll_back();
            expect_as_before();

            ASSERT_TRUE(cache.reserve(appends));
            for (const auto& append : appends) mark(cache, append.seq, cache.length(append.seq)) = 1000 + static_cast<float>(append.seq);
            cache.commit();
            for (const auto& append : appends) {
                const uint32_t kept = cache.length(append.seq) - 1;
                EXPECT_EQ(mark(cache, append.seq, kept), 1000 + static_cast<float>(append.seq));
                for (uint32_t i = 0; i < kept; ++i) ASSERT_EQ(mark(cache, append.seq, i), static_cast<float>(i)) << "sequence " << append.seq << " position " << i;
            }
            if (!source_too) EXPECT_EQ(mark(cache, source, 99), 99.0f);
            for (const int32_t seq : all) cache.drop(seq);
            EXPECT_EQ(cache.pages_free(), n_pages);
        }
}

TEST(KvCache, AppendingNothingTakesNothing) {
    KvCache cache({&layer, 1}, backend::KvType::F32, 3);
    const int32_t source = cache.create();
    const KvCache::Append first{source, 10};
    ASSERT_TRUE(cache.reserve({&first, 1}));
    cache.commit();
    const int32_t fork = cache.fork(source, 10);
    const KvCache::Append nothing{fork, 0};
    ASSERT_TRUE(cache.reserve({&nothing, 1}));
    EXPECT_EQ(cache.page_pointers(fork)[0], cache.page_pointers(source)[0]);
    cache.commit();
    EXPECT_EQ(cache.pages_free(), 2u);
}

// Fails every allocation of an operation in turn: it throws, everything is as it was, and the next attempt succeeds.
template <class Operation>
void expect_all_or_nothing(KvCache& cache, const std::vector<int32_t>& seqs, Operation&& operation) {
    for (size_t failing = 0;; ++failing) {
        const uint32_t free = cache.pages_free(), n_sequences = cache.n_sequences();
        std::vector<uint32_t> lengths;
        std::vector<std::vector<void*>> pages;
        for (const int32_t seq : seqs) {
            lengths.push_back(cache.length(seq));
            pages.emplace_back(cache.page_pointers(seq).begin(), cache.page_pointers(seq).end());
        }
        bool threw = false, failed = false;
        {
            const test::Allocations allocations(failing);
            try {
                operation();
            } catch (const std::bad_alloc&) {
                threw = true;
            } catch (const Error& error) {
                threw = error.status == Status::OutOfMemory;
            }
            failed = allocations.failed();
        }
        ASSERT_EQ(threw, failed) << "allocation " << failing;
        if (!failed) {
            EXPECT_GT(failing, 0u) << "nothing to fail";
            return;
        }
        ASSERT_EQ(cache.pages_free(), free) << "allocation " << failing;
        ASSERT_EQ(cache.n_sequences(), n_sequences) << "allocation " << failing;
        for (size_t i = 0; i < seqs.size(); ++i) {
            ASSERT_EQ(cache.length(seqs[i]), lengths[i]) << "allocation " << failing;
            const auto now = cache.page_pointers(seqs[i]);
            ASSERT_TRUE(std::equal(pages[i].begin(), pages[i].end(), now.begin(), now.end())) << "allocation " << failing << " sequence " << seqs[i];
        }
    }
}

TEST(KvCache, IsAsItWasWhenMemoryRunsOut) {
    KvCache cache({&layer, 1}, backend::KvType::F32, 40);
    std::vector<int32_t> seqs;
    seqs.reserve(2);
    const auto known = [&] { return std::vector<int32_t>(seqs); };
    expect_all_or_nothing(cache, known(), [&] { seqs.push_back(cache.create()); });
    const auto append = [&](std::vector<KvCache::Append> appends) {
        expect_all_or_nothing(cache, known(), [&] {
            if (!cache.reserve(appends)) fail(Status::NoRoom, "no room");
        });
        cache.commit();
    };
    append({{seqs[0], 300}});
    for (uint32_t i = 0; i < 300; ++i) mark(cache, seqs[0], i) = static_cast<float>(i);
    expect_all_or_nothing(cache, known(), [&] { seqs.push_back(cache.fork(seqs[0], 290)); });
    append({{seqs[0], 200}, {seqs[1], 300}});  // a copy of the shared page, and new ones

    std::vector<std::byte> state(cache.state_bytes(cache.length(seqs[0])));
    cache.save(seqs[0], state.data());
    int32_t loaded = -1;
    expect_all_or_nothing(cache, known(), [&] { loaded = cache.load(state.data(), cache.length(seqs[0])); });
    for (uint32_t i = 0; i < 300; ++i) ASSERT_EQ(mark(cache, loaded, i), static_cast<float>(i));

    for (const int32_t seq : {seqs[0], seqs[1], loaded}) cache.drop(seq);
    EXPECT_EQ(cache.pages_free(), cache.pages_total());
    EXPECT_EQ(cache.n_sequences(), 0u);
}

// The tables grow by factors, not page by page: a long sequence's steps allocate its pages and little else.
TEST(KvCache, TablesGrowSeldom) {
    constexpr uint32_t n_pages = 1000;
    KvCache cache({&layer, 1}, backend::KvType::F32, n_pages);
    const int32_t seq = cache.create();
    const test::Allocations allocations;
    for (uint32_t page = 0; page < n_pages; ++page) {
        const KvCache::Append append{seq, KvCache::page_tokens};
        ASSERT_TRUE(cache.reserve({&append, 1}));
        cache.commit();
    }
    EXPECT_LE(allocations.count(), n_pages + 30);
}

TEST(KvCache, ALoadWithoutRoomLeavesNoSequence) {
    KvCache cache({&layer, 1}, backend::KvType::F32, 2);
    const std::vector<std::byte> state(cache.state_bytes(129));
    try {
        cache.load(state.data(), 129);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.status, Status::NoRoom);
    }
    EXPECT_EQ(cache.n_sequences(), 0u);
    EXPECT_EQ(cache.pages_free(), 2u);
}

}  // namespace
}  // namespace ng
