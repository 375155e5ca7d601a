// Progress and cancellation of one long call: polled or set from any thread, read wherever a unit of work is claimed.
#pragma once
#include "base/error.h"

#include <atomic>

namespace ng {

struct Task {
    std::atomic<bool> cancelled{false};
    std::atomic<float> progress{0.0f}; // 0 to 1
};

inline void throw_if_cancelled(const Task* task) {
    if (task && task->cancelled.load(std::memory_order_relaxed)) fail(Status::Cancelled, "cancelled");
}

} // namespace ng
