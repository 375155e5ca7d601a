// ng_cpu_get_info and ng_bandwidth_measure: what this machine is and how fast its memory can be read.
#include "abi/guard.h"
#include "base/buffer.h"
#include "base/system.h"
#include "base/thread_pool.h"
#include "cpu/cpu_device.h"
#include "cpu/features.h"

#include <algorithm>
#include <chrono>
#include <cinttypes>

using namespace ng;

namespace {

constexpr uint64_t default_bytes = 256ull << 20;
constexpr uint64_t piece_bytes = 256ull << 10; // what a thread claims at a time, as a step's units are claimed

// Reads every byte of a piece. Eight independent sums keep loads in flight; the result has to be used, or the loop goes.
uint64_t read_piece(const uint64_t* words, size_t n) {
    uint64_t sums[8] = {};
    for (size_t i = 0; i < n; i += 8) {
        for (size_t lane = 0; lane < 8; lane++) sums[lane] += words[i + lane];
    }
    uint64_t sum = 0;
    for (const uint64_t lane : sums) sum += lane;
    return sum;
}

double measure_bandwidth(uint32_t n_threads, uint64_t bytes) {
    const uint32_t n_pieces = static_cast<uint32_t>((bytes + piece_bytes - 1) / piece_bytes);
    AlignedBuffer buffer(n_pieces * piece_bytes);
    constexpr size_t words = piece_bytes / sizeof(uint64_t);
    uint64_t* const data = buffer.as<uint64_t>();

    Team team(ThreadPool::shared(), n_threads, nullptr);
    team.for_each(n_pieces, [&](uint32_t piece, uint32_t) { std::fill_n(data + piece * words, words, piece * 0x9e3779b97f4a7c15ull); });

    constexpr int n_passes = 5;
    double best = 0;
    for (int pass = 0; pass < n_passes; pass++) {
        std::atomic<uint64_t> sum{0};
        const auto start = std::chrono::steady_clock::now();
        team.for_each(n_pieces, [&](uint32_t piece, uint32_t) { sum.fetch_add(read_piece(data + piece * words, words), std::memory_order_relaxed); });
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        if (sum.load() == 1) data[0]++; // never; keeps the reads
        best = std::max(best, static_cast<double>(buffer.size()) / std::max(seconds.count(), 1e-9) / 1e9);
    }
    return best;
}

} // namespace

ng_status ng_cpu_get_info(ng_cpu_info* info, ng_error* error) {
    return guard(error, [&] {
        require_struct(info, "info");
        const Processors processors = count_processors();
        const cpu::Features& features = cpu::features();
        info->n_logical = processors.n_logical;
        info->n_physical = processors.n_physical;
        info->n_threads = cpu::default_threads();
        copy_out(features.brand, info->brand);
        copy_out(cpu::available_isas(), info->isa_available);
        copy_out(features.names, info->features);
        copy_out(cpu::select_kernels().name, info->isa); // last: throws if NATIVEGEN_ISA names what is not there
    });
}

ng_status ng_bandwidth_measure(uint32_t n_threads, uint64_t bytes, double* gb_per_s, ng_error* error) {
    return guard(error, [&] {
        require(gb_per_s, "gb_per_s");
        *gb_per_s = 0;
        if (n_threads > ThreadPool::max_threads) fail(Status::InvalidArgument, "n_threads is %" PRIu32 "; at most %" PRIu32, n_threads, ThreadPool::max_threads);
        if (bytes == 0) bytes = default_bytes;
        if (const uint64_t available = available_memory(); bytes > available) {
            fail(Status::OutOfMemory, "%" PRIu64 " bytes to read, and %" PRIu64 " are available; measure with fewer", bytes, available);
        }
        *gb_per_s = measure_bandwidth(n_threads ? n_threads : cpu::default_threads(), bytes);
    });
}
