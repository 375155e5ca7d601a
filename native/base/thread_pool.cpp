// Fork and join of the pool. One 64-bit word holds the loop's number and how many workers are inside it; a worker enters by adding itself,
// and the caller closes the loop when it finds no more units. A worker that the system has not scheduled never entered, so nobody waits for it.
#include "base/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__x86_64__) || defined(_M_X64)
#  include <immintrin.h>
#endif

#include "base/error.h"

namespace ng {
namespace {

#if defined(__x86_64__) || defined(_M_X64)
void pause_cpu() { _mm_pause(); }
uint32_t read_fp_mode() { return _mm_getcsr(); }
void write_fp_mode(uint32_t mode) { _mm_setcsr(mode); }
constexpr uint32_t our_fp_mode = 0x1f80;  // all exceptions masked, round to nearest, no flush to zero
#elif defined(__aarch64__)
void pause_cpu() { __asm__ __volatile__("yield"); }
uint32_t read_fp_mode() {
    uint64_t mode;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(mode));
    return static_cast<uint32_t>(mode);
}
void write_fp_mode(uint32_t mode) { __asm__ __volatile__("msr fpcr, %0" : : "r"(static_cast<uint64_t>(mode))); }
constexpr uint32_t our_fp_mode = 0;
#else
#  error "name this processor's floating-point mode"
#endif

// About 100 microseconds of spinning: longer than the serial work between two loops of a step, shorter than anybody's idle time.
constexpr int spins_before_sleep = 4000;

constexpr uint64_t closed_bit = 1ull << 31;
constexpr uint64_t inside_mask = closed_bit - 1;

}  // namespace

struct ThreadPool::Impl {
    std::mutex turn;  // held by the team that has the pool

    // loop number << 32 | closed bit | workers inside
    alignas(64) std::atomic<uint64_t> state{closed_bit};
    alignas(64) std::atomic<uint32_t> wake{0};  // changes with every loop; sleepers wait on it
    std::atomic<uint32_t> n_sleeping{0};
    std::atomic<bool> stop{false};

    // the current loop; written before `state` opens it
    alignas(64) std::atomic<uint32_t> next_unit{0};
    alignas(64) Team::Call call = nullptr;
    void* context = nullptr;
    uint32_t n_units = 0;
    std::atomic<uint32_t> allowed_workers{0};  // read also by workers that do not enter
    const Task* task = nullptr;
    Trace* trace = nullptr;
    const char* name = "";
    std::atomic<bool> failed{false};
    std::mutex failure_mutex;
    std::exception_ptr failure;

    std::vector<std::thread> workers;

    void work(uint32_t thread) {
        try {
            for (;;) {
                const uint32_t unit = next_unit.fetch_add(1, std::memory_order_relaxed);
                if (unit >= n_units || failed.load(std::memory_order_relaxed)) return;
                throw_if_cancelled(task);
                call(context, unit, thread);
            }
        } catch (...) {
            const std::lock_guard lock(failure_mutex);
            if (!failure) failure = std::current_exception();
            failed.store(true, std::memory_order_relaxed);
        }
    }

    void traced_work(uint32_t thread) {
        if (!trace) return work(thread);
        const uint64_t begin = Trace::now();
        work(thread);
        trace->record(thread, name, begin, Trace::now());
    }

    void worker_main(uint32_t index) {
        write_fp_mode(our_fp_mode);
        uint64_t last = 0;
        for (int idle = 0;;) {
            const uint32_t ticket = wake.load(std::memory_order_acquire);
            uint64_t seen = state.load(std::memory_order_acquire);
            bool entered = false;
            while (seen >> 32 != last && !(seen & closed_bit)) {
                if (index > allowed_workers.load(std::memory_order_relaxed)) break;
                if (state.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel, std::memory_order_acquire)) {
                    entered = true;
                    break;
                }
            }
            if (entered) {
                last = seen >> 32;
                traced_work(index);
                state.fetch_sub(1, std::memory_order_release);
                idle = 0;
                continue;
            }
            if (stop.load(std::memory_order_relaxed)) return;
            if (++idle < spins_before_sleep) {
                pause_cpu();
                continue;
            }
            n_sleeping.fetch_add(1, std::memory_order_seq_cst);
            wake.wait(ticket, std::memory_order_seq_cst);
            n_sleeping.fetch_sub(1, std::memory_order_relaxed);
            idle = 0;
        }
    }

    void grow(uint32_t n) {
        while (workers.size() < n) {
            const auto index = static_cast<uint32_t>(workers.size() + 1);
            workers.emplace_back([this, index] { worker_main(index); });
        }
    }
};

// Never destroyed: workers may be asleep in it when the process ends, and a library must not join threads while it is unloaded.
ThreadPool& ThreadPool::shared() {
    static ThreadPool* pool = new ThreadPool();
    return *pool;
}

ThreadPool::ThreadPool() : impl_(std::make_unique<Impl>()) {}

ThreadPool::~ThreadPool() {
    impl_->stop.store(true);
    impl_->wake.fetch_add(1);
    impl_->wake.notify_all();
    for (auto& worker : impl_->workers) worker.join();
}

Team::Team(ThreadPool& pool, uint32_t n_threads, const Task* task)
    : impl_(*pool.impl_), n_threads_(std::clamp(n_threads, 1u, ThreadPool::max_threads)), task_(task), trace_(Trace::active()) {
    impl_.turn.lock();
    impl_.name = "work";
    try {
        impl_.grow(n_threads_ - 1);
    } catch (...) {
        // The system gives no more threads: go on with those there are.
        n_threads_ = static_cast<uint32_t>(impl_.workers.size()) + 1;
    }
    saved_fp_mode_ = read_fp_mode();
    write_fp_mode(our_fp_mode);
}

void Team::name(const char* what) { impl_.name = what; }

Team::~Team() {
    write_fp_mode(saved_fp_mode_);
    impl_.turn.unlock();
}

void Team::run(uint32_t n_units, Call call, void* context) {
    if (n_units == 0) return;
    if (n_threads_ == 1 || n_units == 1) {
        for (uint32_t unit = 0; unit < n_units; ++unit) {
            throw_if_cancelled(task_);
            call(context, unit, 0);
        }
        return;
    }
    ThreadPool::Impl& p = impl_;
    p.call = call;
    p.context = context;
    p.n_units = n_units;
    p.task = task_;
    p.trace = trace_;
    p.failed.store(false, std::memory_order_relaxed);
    p.next_unit.store(0, std::memory_order_relaxed);
    p.allowed_workers.store(std::min(n_threads_, n_units) - 1, std::memory_order_relaxed);
    const uint64_t loop = (p.state.load(std::memory_order_relaxed) >> 32) + 1;
    p.state.store((loop & 0xffffffffu) << 32, std::memory_order_release);
    p.wake.fetch_add(1, std::memory_order_seq_cst);
    if (p.n_sleeping.load(std::memory_order_seq_cst) != 0) p.wake.notify_all();

    p.work(0);

    p.state.fetch_or(closed_bit, std::memory_order_acq_rel);
    for (int spins = 0; p.state.load(std::memory_order_acquire) & inside_mask;) {
        if (++spins < spins_before_sleep) pause_cpu();
        else std::this_thread::yield();
    }
    if (p.failed.load(std::memory_order_relaxed)) {
        std::exception_ptr failure = std::exchange(p.failure, nullptr);
        std::rethrow_exception(failure);
    }
}

}  // namespace ng
