// See allocations.h. All forms of operator new and delete are replaced together, so that sanitizers see matching pairs (of malloc and free).
#include "allocations.h"

#include <cstdlib>
#include <new>

namespace {

thread_local bool watching = false;
thread_local size_t n_allocations = 0, failing_one = 0;

bool may_allocate() { return !watching || n_allocations++ != failing_one; }

void* plain(size_t bytes) noexcept { return may_allocate() ? std::malloc(bytes ? bytes : 1) : nullptr; }

void* aligned(size_t bytes, std::align_val_t alignment) noexcept {
    const auto unit = static_cast<size_t>(alignment);
    return may_allocate() ? std::aligned_alloc(unit, (bytes + unit - 1) / unit * unit) : nullptr;
}

void* or_throw(void* memory) {
    if (!memory) throw std::bad_alloc();
    return memory;
}

} // namespace

void* operator new(size_t bytes) { return or_throw(plain(bytes)); }
void* operator new[](size_t bytes) { return or_throw(plain(bytes)); }
void* operator new(size_t bytes, const std::nothrow_t&) noexcept { return plain(bytes); }
void* operator new[](size_t bytes, const std::nothrow_t&) noexcept { return plain(bytes); }
void* operator new(size_t bytes, std::align_val_t alignment) { return or_throw(aligned(bytes, alignment)); }
void* operator new[](size_t bytes, std::align_val_t alignment) { return or_throw(aligned(bytes, alignment)); }
void* operator new(size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept { return aligned(bytes, alignment); }
void* operator new[](size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept { return aligned(bytes, alignment); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }

namespace ng::test {

Allocations::Allocations() : Allocations(static_cast<size_t>(-1)) {}

Allocations::Allocations(size_t failing) {
    n_allocations = 0;
    failing_one = failing;
    watching = true;
}

Allocations::~Allocations() { watching = false; }

size_t Allocations::count() const { return n_allocations; }

bool Allocations::failed() const { return n_allocations > failing_one; }

} // namespace ng::test
