// The process's one pool of worker threads. A step of a context takes the pool for its whole length (a Team), then runs many short
// parallel loops on it; steps of different contexts take turns. Workers spin for a short while between loops, then sleep.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "base/task.h"
#include "base/trace.h"

namespace ng {

class ThreadPool {
public:
    static ThreadPool& shared();

    ThreadPool();
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    // Most threads a team may have, the caller included.
    static constexpr uint32_t max_threads = 256;

    struct Impl;

private:
    friend class Team;
    std::unique_ptr<Impl> impl_;
};

// A caller's hold on the pool, with n_threads threads of which the caller is number 0. Not to be nested.
// All threads of a team run with round-to-nearest and denormals kept, whatever the caller's floating-point mode; the caller's comes back at the end.
class Team {
public:
    // `task` may be null; once it is cancelled, loops stop claiming units and throw Error{Status::Cancelled}.
    Team(ThreadPool& pool, uint32_t n_threads, const Task* task);
    ~Team();
    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    uint32_t n_threads() const { return n_threads_; }

    // Null when nobody traces. What workers do is recorded under the last name given here, which must live for ever.
    Trace* trace() const { return trace_; }
    void name(const char* what);

    // Calls body(unit, thread) for every unit in [0, n_units), each once, on any thread in no particular order. Returns when all are done.
    // The first exception of any thread is thrown here; remaining units are then skipped.
    template <class Body>
    void for_each(uint32_t n_units, Body&& body) {
        using Plain = std::remove_reference_t<Body>;
        run(n_units, [](void* context, uint32_t unit, uint32_t thread) { (*static_cast<Plain*>(context))(unit, thread); },
            const_cast<void*>(static_cast<const void*>(&body)));
    }

    using Call = void (*)(void* context, uint32_t unit, uint32_t thread);

private:
    void run(uint32_t n_units, Call call, void* context);

    ThreadPool::Impl& impl_;
    uint32_t n_threads_;
    const Task* task_;
    Trace* trace_;
    uint32_t saved_fp_mode_;
};

}  // namespace ng
