// What mapped_file.cpp asks of the operating system.
#pragma once
#include <cstddef>
#include <cstdint>

namespace ng {

uint64_t page_bytes() noexcept;
std::byte* allocate_pages(uint64_t bytes) noexcept; // nullptr if there is no memory
void discard_pages(std::byte* first, uint64_t bytes, bool mapped) noexcept;

} // namespace ng
