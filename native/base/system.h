// What the operating system and the container leave us. One small file per system implements it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ng {

// Bytes that can still be allocated: the least of free machine memory, the container's limit and the process's limits.
uint64_t available_memory();

// Size of the huge pages that this system gives without rights or setup; 0: none.
extern const size_t huge_page;
// Asks that memory not touched yet comes in them.
void prefer_huge_pages(void* data, size_t bytes) noexcept;

struct Processors {
    uint32_t n_logical;   // this process may run on: affinity mask and container quota honoured
    uint32_t n_physical;  // cores behind them, SMT siblings counted once
};
Processors count_processors();

}  // namespace ng
