// Linux (and, with fewer sources, other POSIX systems): /proc, cgroup v2 and v1 files, rlimits, affinity masks, /sys topology.
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <limits>
#include <set>
#include <string>
#include <thread>

#include "base/system.h"

#if defined(__linux__)
#  include <sched.h>
#endif

namespace ng {
namespace {

constexpr uint64_t unlimited = std::numeric_limits<uint64_t>::max();

std::string read_file(const std::string& path) {
    std::string text;
    if (FILE* file = std::fopen(path.c_str(), "r")) {
        char buffer[4096];
        for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) text.append(buffer, n);
        std::fclose(file);
    }
    return text;
}

// The number behind a word in a text of "word number" lines.
uint64_t number_after(const std::string& text, const char* word, uint64_t otherwise) {
    const size_t at = text.find(word);
    unsigned long long value;
    if (at == std::string::npos || std::sscanf(text.c_str() + at + std::strlen(word), " %llu", &value) != 1) return otherwise;
    return value;
}

uint64_t number(const std::string& text, uint64_t otherwise) { return number_after(text, "", otherwise); }

// Limit minus use, where page cache counts as free; the nearest ancestor that has a limit counts too.
uint64_t cgroup_memory() {
    const std::string membership = read_file("/proc/self/cgroup");
    uint64_t available = unlimited;
    const auto consider = [&](const std::string& directory, const char* limit_name, const char* use_name, const char* cache_word) {
        const uint64_t limit = number(read_file(directory + limit_name), unlimited);
        if (limit == unlimited || limit > (1ull << 60)) return;
        const uint64_t use = number(read_file(directory + use_name), 0);
        const uint64_t cache = number_after(read_file(directory + "/memory.stat"), cache_word, 0);
        const uint64_t held = use > cache ? use - cache : 0;
        available = std::min(available, limit > held ? limit - held : 0);
    };
    std::string path = "/";
    if (const size_t at = membership.find("0::"); at != std::string::npos) path = membership.substr(at + 3, membership.find('\n', at) - at - 3);
    for (std::string p = path;; p = p.substr(0, p.rfind('/'))) {
        consider("/sys/fs/cgroup" + (p == "/" ? "" : p), "/memory.max", "/memory.current", "inactive_file");
        if (p.empty() || p == "/") break;
    }
    consider("/sys/fs/cgroup/memory", "/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_inactive_file");
    return available;
}

uint64_t limit_left(int resource, uint64_t used) {
    rlimit limit{};
    if (getrlimit(static_cast<decltype(RLIMIT_AS)>(resource), &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return unlimited;
    return limit.rlim_cur > used ? limit.rlim_cur - used : 0;
}

uint32_t quota_processors(uint32_t n) {
    unsigned long long quota, period;
    if (std::sscanf(read_file("/sys/fs/cgroup/cpu.max").c_str(), "%llu %llu", &quota, &period) != 2 || period == 0) return n;
    return static_cast<uint32_t>(std::clamp<unsigned long long>((quota + period - 1) / period, 1, n));
}

}  // namespace

uint64_t available_memory() {
    uint64_t available = unlimited;
    const std::string meminfo = read_file("/proc/meminfo");
    if (const uint64_t kib = number_after(meminfo, "MemAvailable:", unlimited); kib != unlimited) available = kib * 1024;
    else if (const long pages = sysconf(_SC_PHYS_PAGES); pages > 0) available = static_cast<uint64_t>(pages) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) / 2;
    available = std::min(available, cgroup_memory());

    const std::string status = read_file("/proc/self/status");
    available = std::min(available, limit_left(RLIMIT_AS, number_after(status, "VmSize:", 0) * 1024));
    available = std::min(available, limit_left(RLIMIT_DATA, number_after(status, "VmData:", 0) * 1024));
    return available;
}

#if defined(MADV_HUGEPAGE)
const size_t huge_page = 2 << 20;
#else
const size_t huge_page = 0;
#endif

void prefer_huge_pages([[maybe_unused]] void* data, [[maybe_unused]] size_t bytes) noexcept {
#if defined(MADV_HUGEPAGE)
    ::madvise(data, bytes & ~size_t{4095}, MADV_HUGEPAGE);
#endif
}

Processors count_processors() {
    const uint32_t all = std::max(1u, std::thread::hardware_concurrency());
#if defined(__linux__)
    cpu_set_t mask;
    CPU_ZERO(&mask);
    if (sched_getaffinity(0, sizeof mask, &mask) == 0) {
        uint32_t n_logical = 0;
        std::set<std::string> cores;
        for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
            if (!CPU_ISSET(cpu, &mask)) continue;
            ++n_logical;
            const std::string siblings = read_file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list");
            cores.insert(siblings.empty() ? std::to_string(cpu) : siblings);
        }
        const uint32_t logical = quota_processors(std::max(n_logical, 1u));
        return {logical, std::clamp(static_cast<uint32_t>(cores.size()), 1u, logical)};
    }
#endif
    return {all, all};
}

}  // namespace ng
