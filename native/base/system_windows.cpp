// Windows: memory status, process affinity, processor topology.
#ifndef NOMINMAX // libstdc++ defines it
#define NOMINMAX
#endif
#include <windows.h>

#include <algorithm>
#include <bitset>
#include <vector>

#include "base/system.h"

namespace ng {

uint64_t available_memory() {
    MEMORYSTATUSEX status{};
    status.dwLength = sizeof status;
    if (!GlobalMemoryStatusEx(&status)) return ~0ull;
    return std::min(status.ullAvailPhys, status.ullAvailPageFile);
}

const size_t huge_page = 0;  // large pages need a privilege here
void prefer_huge_pages(void*, size_t) noexcept {}

Processors count_processors() {
    DWORD_PTR process = 0, system = 0;
    GetProcessAffinityMask(GetCurrentProcess(), &process, &system);
    const auto logical = static_cast<uint32_t>(std::max<size_t>(1, std::bitset<64>(process).count()));
    DWORD bytes = 0;
    GetLogicalProcessorInformation(nullptr, &bytes);
    std::vector<SYSTEM_LOGICAL_PROCESSOR_INFORMATION> entries(bytes / sizeof(SYSTEM_LOGICAL_PROCESSOR_INFORMATION) + 1);
    bytes = static_cast<DWORD>(entries.size() * sizeof entries[0]);
    if (!GetLogicalProcessorInformation(entries.data(), &bytes)) return {logical, logical};
    uint32_t cores = 0;
    for (size_t i = 0; i < bytes / sizeof entries[0]; ++i)
        if (entries[i].Relationship == RelationProcessorCore && (entries[i].ProcessorMask & process)) ++cores;
    return {logical, std::clamp(cores, 1u, logical)};
}

}  // namespace ng
