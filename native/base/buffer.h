// Uninitialized memory of our own that starts on a cache line (a large one on a huge page): weights, KV pages, scratch.
#pragma once
#include "base/error.h"
#include "base/system.h"

#include <cstddef>
#include <new>
#include <utility>

namespace ng {

class AlignedBuffer {
public:
    static constexpr size_t alignment = 64;

    AlignedBuffer() = default;
    explicit AlignedBuffer(size_t bytes) : bytes_(bytes) {
        if (bytes == 0) return;
        data_ = static_cast<std::byte*>(::operator new (bytes, alignment_of(bytes), std::nothrow));
        if (!data_) fail(Status::OutOfMemory, "can not allocate %zu bytes", bytes);
        if (is_large(bytes)) prefer_huge_pages(data_, bytes);
    }
    AlignedBuffer(AlignedBuffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    AlignedBuffer(const AlignedBuffer&) = delete;
    AlignedBuffer& operator=(const AlignedBuffer&) = delete;
    ~AlignedBuffer() { ::operator delete (data_, alignment_of(bytes_)); }

    std::byte* data() { return data_; }
    const std::byte* data() const { return data_; }
    size_t size() const { return bytes_; }
    template <class T> T* as() { return reinterpret_cast<T*>(data_); }
    template <class T> const T* as() const { return reinterpret_cast<const T*>(data_); }

private:
    // A large one begins on a huge page: a fault for every 4 KiB costs more than filling them.
    static bool is_large(size_t bytes) { return huge_page != 0 && bytes >= 2 * huge_page; }
    static std::align_val_t alignment_of(size_t bytes) { return std::align_val_t{is_large(bytes) ? huge_page : alignment}; }

    std::byte* data_ = nullptr;
    size_t bytes_ = 0;
};

} // namespace ng
