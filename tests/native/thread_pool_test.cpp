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
    for (const uint32_t n_threads : {1u, 2u, 3u, 8u}) {
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

TEST(ThreadPool, ExceptionsReachTheCaller) {
    Team team(ThreadPool::shared(), 4, nullptr);
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
