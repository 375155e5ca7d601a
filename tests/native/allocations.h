// The test program's own operator new: counts this thread's allocations, and makes one of them fail.
#pragma once
#include <cstddef>

namespace ng::test {

// While it lives: allocations of this thread are counted, and number `failing` (from 0) fails, once.
class Allocations {
public:
    Allocations();
    explicit Allocations(size_t failing);
    ~Allocations();
    Allocations(const Allocations&) = delete;
    Allocations& operator=(const Allocations&) = delete;

    size_t count() const;
    bool failed() const;  // the failing one was reached
};

} // namespace ng::test
