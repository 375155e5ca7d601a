// NATIVEGEN_TRACE=FILE: what every thread did when, operation by operation, in Chrome's trace format (chrome://tracing, ui.perfetto.dev).
#pragma once

#include <cstdint>
#include <cstdio>
#include <vector>

namespace ng {

class Trace {
public:
    // The process's trace; null if the variable is not set. Throws InvalidArgument if the file can not be written.
    static Trace* active();
    // Nanoseconds of a clock that never goes back.
    static uint64_t now();

    // `name` must live for ever. Only for the pool's thread of that number, while its team holds the pool. What memory has no room for is left out.
    void record(uint32_t thread, const char* name, uint64_t begin, uint64_t end, uint32_t n_rows = 0) noexcept;
    // Appends what was recorded to the file; for the team's caller, between loops.
    void write();

private:
    struct Event {
        const char* name;
        uint64_t begin, end;
        uint32_t n_rows;
    };
    explicit Trace(const char* path);

    std::FILE* file_;
    std::vector<std::vector<Event>> events_;  // by thread
};

// Records what the caller of a team does from here to the end of the block. `trace` may be null.
class TraceBlock {
public:
    TraceBlock(Trace* trace, const char* name, uint32_t n_rows = 0) : trace_(trace), name_(name), n_rows_(n_rows), begin_(trace ? Trace::now() : 0) {}
    ~TraceBlock() {
        if (trace_) trace_->record(0, name_, begin_, Trace::now(), n_rows_);
    }
    TraceBlock(const TraceBlock&) = delete;
    TraceBlock& operator=(const TraceBlock&) = delete;

private:
    Trace* trace_;
    const char* name_;
    uint32_t n_rows_;
    uint64_t begin_;
};

}  // namespace ng
