// See trace.h. The file is an array of events without its end, as the format allows: it can be read however the process ends.
#include "base/trace.h"

#include <chrono>
#include <cstdlib>
#include <new>

#include "base/error.h"
#include "base/thread_pool.h"

namespace ng {

Trace* Trace::active() {
    static Trace* const trace = [] {
        const char* const path = std::getenv("NATIVEGEN_TRACE");
        return path && *path ? new Trace(path) : nullptr;  // never destroyed: threads may still use it when the process ends
    }();
    return trace;
}

uint64_t Trace::now() {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count());
}

Trace::Trace(const char* path) : file_(std::fopen(path, "w")), events_(ThreadPool::max_threads) {
    if (!file_) fail(Status::InvalidArgument, "NATIVEGEN_TRACE=%s: this file can not be written; name another one, or unset the variable", printable(path).c_str());
    std::fputs("[\n", file_);
}

void Trace::record(uint32_t thread, const char* name, uint64_t begin, uint64_t end, uint32_t n_rows) noexcept {
    try {
        events_[thread].push_back({name, begin, end, n_rows});
    } catch (const std::bad_alloc&) {
    }
}

void Trace::write() {
    for (uint32_t thread = 0; thread < events_.size(); ++thread) {
        for (const Event& e : events_[thread]) {
            std::fprintf(file_, "{\"name\":\"%s\",\"ph\":\"X\",\"pid\":1,\"tid\":%u,\"ts\":%.3f,\"dur\":%.3f", e.name, thread, static_cast<double>(e.begin) / 1e3,
                         static_cast<double>(e.end - e.begin) / 1e3);
            if (e.n_rows) std::fprintf(file_, ",\"args\":{\"rows\":%u}", e.n_rows);
            std::fputs("},\n", file_);
        }
        events_[thread].clear();
    }
    std::fflush(file_);
}

}  // namespace ng
