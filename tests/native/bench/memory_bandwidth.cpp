// memory_bandwidth THREADS [MiB]: for each line on stdin, how fast so many threads read memory in sequence, GB/s (10^9 bytes), best of a
// few passes. Each thread has a share of its own, pinned to a processor of its own, in huge pages where the system grants them.
#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <thread>
#include <vector>
#if defined(__x86_64__)
#    include <immintrin.h>
#endif

namespace {

constexpr int n_passes = 5;

// Eight independent sums keep loads in flight. n is a multiple of 64 words.
uint64_t read_plain(const uint64_t* words, size_t n) {
    uint64_t sums[8] = {};
    for (size_t i = 0; i < n; i += 8)
        for (size_t lane = 0; lane < 8; ++lane) sums[lane] |= words[i + lane];
    return sums[0] | sums[1] | sums[2] | sums[3] | sums[4] | sums[5] | sums[6] | sums[7];
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) uint64_t read_avx2(const uint64_t* words, size_t n) {
    __m256i sums[4] = {};
    for (size_t i = 0; i < n; i += 16)
        for (size_t lane = 0; lane < 4; ++lane)
            sums[lane] = _mm256_or_si256(sums[lane], _mm256_load_si256(reinterpret_cast<const __m256i*>(words + i + 4 * lane)));
    const __m256i all = _mm256_or_si256(_mm256_or_si256(sums[0], sums[1]), _mm256_or_si256(sums[2], sums[3]));
    return static_cast<uint64_t>(_mm256_extract_epi64(all, 0) | _mm256_extract_epi64(all, 1) | _mm256_extract_epi64(all, 2) | _mm256_extract_epi64(all, 3));
}

__attribute__((target("avx512f"))) uint64_t read_avx512(const uint64_t* words, size_t n) {
    __m512i sums[4] = {};
    for (size_t i = 0; i < n; i += 32)
        for (size_t lane = 0; lane < 4; ++lane) sums[lane] = _mm512_or_si512(sums[lane], _mm512_load_si512(words + i + 8 * lane));
    alignas(64) uint64_t last[8];
    _mm512_store_si512(last, _mm512_or_si512(_mm512_or_si512(sums[0], sums[1]), _mm512_or_si512(sums[2], sums[3])));
    return last[0] | last[1] | last[2] | last[3] | last[4] | last[5] | last[6] | last[7];
}
#endif

auto best_reader() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return read_avx512;
    if (__builtin_cpu_supports("avx2")) return read_avx2;
#endif
    return read_plain;
}

void pin(size_t thread) {
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(cpu, &allowed) || thread-- != 0) continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        pthread_setaffinity_np(pthread_self(), sizeof one, &one);
    }
}

} // namespace

int main(int argc, char** argv) {
    const int n_threads = argc > 1 ? std::atoi(argv[1]) : 0, mebibytes = argc > 2 ? std::atoi(argv[2]) : 1024;
    if (n_threads < 1 || mebibytes < 1) {
        std::fprintf(stderr, "usage: %s THREADS [MiB], then a line on stdin for each measurement\n", argv[0]);
        return 2;
    }
    constexpr size_t huge_page = size_t{2} << 20;
    const size_t share = (static_cast<size_t>(mebibytes) << 20) / static_cast<size_t>(n_threads) / huge_page * huge_page + huge_page;
    const size_t bytes = share * static_cast<size_t>(n_threads);
    auto* const memory = static_cast<uint64_t*>(std::aligned_alloc(huge_page, bytes));
    if (memory == nullptr) return 1;
    madvise(memory, bytes, MADV_HUGEPAGE);

    const auto read = best_reader();
    std::atomic<uint64_t> used{0};
    bool over = false;
    std::barrier gate(n_threads + 1);
    std::vector<std::thread> threads;
    for (size_t t = 0; t < static_cast<size_t>(n_threads); ++t) {
        threads.emplace_back([&, t] {
            pin(t);
            uint64_t* const own = memory + t * share / 8;
            for (size_t i = 0; i < share / 8; ++i) own[i] = i;
            for (;;) {
                gate.arrive_and_wait();
                if (over) return;
                used |= read(own, share / 8);
                gate.arrive_and_wait();
            }
        });
    }
    while (std::getchar() == '\n') {
        double best = 0;
        for (int pass = 0; pass < n_passes; ++pass) {
            const auto start = std::chrono::steady_clock::now();
            gate.arrive_and_wait();
            gate.arrive_and_wait();
            const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
            best = std::max(best, static_cast<double>(bytes) / seconds.count() / 1e9);
        }
        std::printf("gb_per_s=%.2f\n", best);
        std::fflush(stdout);
    }
    over = true;
    gate.arrive_and_wait();
    for (std::thread& thread : threads) thread.join();
}
