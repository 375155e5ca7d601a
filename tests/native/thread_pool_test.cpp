// The pool: every unit once, exceptions and cancels travel, floating-point mode is the caller's again afterwards.
#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#  include <immintrin.h>
#endif

namespace ng {
namespace {

TEST(ThreadPool, RunsEveryUnitOnce) {
    for (const uint32_t n_threads : {1u, 2u, 3u, 8u, 17u, 33u}) {
        Team team(ThreadPool::shared(), n_threads, nullptr);
        for (uint32_t n_units = 0; n_units < 300; n_units += 7) {
            std::vector<std::atomic<int>> seen(n_units);
            team.for_each(n_units, [&](uint32_t unit, uint32_t thread) {
                EXPECT_LT(thread, n_threads);
                seen[unit].fetch_add(1);
            });
            for (const auto& count : seen) EXPECT_EQ(count.load(), 1);
        }
    }
}

// Many more threads than processors: all may enter a loop, each is one of the team, and a smaller team after a large one uses only its own.
TEST(ThreadPool, TeamsLargerThanTheMachine) {
    ThreadPool pool;
    for (const uint32_t n_threads : {33u, 5u, 17u, ThreadPool::max_threads, 2u}) {
        Team team(pool, n_threads, nullptr);
        ASSERT_EQ(team.n_threads(), n_threads);
        for (int round = 0; round < 20; ++round) {
            // More units than threads, each slow enough that sleepers wake; counts are per thread, as scratch is.
            std::vector<uint32_t> per_thread(n_threads);
            team.for_each(3 * n_threads, [&](uint32_t, uint32_t thread) {
                ASSERT_LT(thread, n_threads);
                ++per_thread[thread];  // a race if two threads had one number
                std::this_thread::yield();
            });
            uint32_t sum = 0;
            for (const uint32_t count : per_thread) sum += count;
            ASSERT_EQ(sum, 3 * n_threads);
        }
        EXPECT_THROW(team.for_each(100, [&](uint32_t unit, uint32_t) { if (unit == 50) fail(Status::Internal, "unit %u", unit); }), Error);
    }
    // Every one of 33 threads is inside at once: a unit waits for all others, so the loop only ends if all 33 came.
    std::atomic<uint32_t> inside{0};
    Team team(pool, 33, nullptr);
    team.for_each(33, [&](uint32_t, uint32_t) {
        inside.fetch_add(1);
        while (inside.load() < 33) std::this_thread::yield();
    });
    EXPECT_EQ(inside.load(), 33u);
}

TEST(ThreadPool, ExceptionsReachTheCaller) {
    Team team(ThreadPool::shared(), 17, nullptr);
    for (int round = 0; round < 50; ++round) {
        EXPECT_THROW(team.for_each(100, [&](uint32_t unit, uint32_t) { if (unit == 37) fail(Status::Internal, "unit %u", unit); }), Error);
        int sum = 0;
        std::atomic<int> after{0};
        team.for_each(10, [&](uint32_t, uint32_t) { after.fetch_add(1); });
        sum += after.load();
        EXPECT_EQ(sum, 10);
    }
}

TEST(ThreadPool, CancelStopsALoop) {
    Task task;
    Team team(ThreadPool::shared(), 2, &task);
    std::atomic<int> done{0};
    try {
        team.for_each(1000000, [&](uint32_t unit, uint32_t) {
            done.fetch_add(1);
            if (unit == 100) task.cancelled = true;
        });
        FAIL() << "ran to the end";
    } catch (const Error& error) {
        EXPECT_EQ(error.status, Status::Cancelled);
    }
    EXPECT_LT(done.load(), 1000000);
}

TEST(ThreadPool, TeamsTakeTurns) {
    std::atomic<int> inside{0}, worst{0};
    const auto run = [&] {
        for (int i = 0; i < 200; ++i) {
            Team team(ThreadPool::shared(), 2, nullptr);
            worst = std::max(worst.load(), ++inside);
            team.for_each(8, [](uint32_t, uint32_t) {});
            --inside;
        }
    };
    std::thread a(run), b(run), c(run);
    a.join();
    b.join();
    c.join();
    EXPECT_EQ(worst.load(), 1);
}

#if defined(__x86_64__)
TEST(ThreadPool, FloatingPointModeIsOursInsideAndTheCallersAfter) {
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);  // flush to zero, denormals are zero
    {
        Team team(ThreadPool::shared(), 2, nullptr);
        team.for_each(16, [](uint32_t, uint32_t) { EXPECT_EQ(_mm_getcsr() & 0xe040u, 0u); });
    }
    EXPECT_EQ(_mm_getcsr() & 0x8040u, 0x8040u);
    _mm_setcsr(before);
}
#endif

}  // namespace
}  // namespace ng
