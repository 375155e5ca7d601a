// The part of mapped_file.h that is the same everywhere; the system calls are in mapped_file_posix.cpp and mapped_file_windows.cpp.
#include "base/mapped_file.h"

#include <algorithm>
#include <utility>

#include "base/mapped_file_system.h"

namespace ng {

InputFile::InputFile(InputFile&& other) noexcept : path_(std::move(other.path_)), size_(other.size_), handle_(std::exchange(other.handle_, -1)) {}

FilePages::FilePages(FilePages&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)), mapped_(other.mapped_) {}

FilePages& FilePages::operator=(FilePages&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(mapped_, other.mapped_);
    return *this;
}

FilePages FilePages::read(const InputFile& file, Task* task) {
    constexpr uint64_t chunk = 4u << 20; // a few milliseconds between two looks at the task
    FilePages pages;
    if (file.size() == 0) return pages;
    pages.data_ = allocate_pages(file.size());
    if (!pages.data_)
        fail(Status::OutOfMemory, "can not allocate %llu bytes to read %s", static_cast<unsigned long long>(file.size()), file.path().c_str());
    pages.size_ = file.size();
    for (uint64_t at = 0; at < file.size(); at += chunk) {
        throw_if_cancelled(task);
        const uint64_t n = std::min(chunk, file.size() - at);
        file.read(at, pages.data_ + at, n);
        if (task) task->progress.store(static_cast<float>(static_cast<double>(at + n) / static_cast<double>(file.size())), std::memory_order_relaxed);
    }
    return pages;
}

void FilePages::release(uint64_t offset, uint64_t bytes) const noexcept {
    if (offset > size_ || bytes > size_ - offset) return;
    const uint64_t page = page_bytes();
    const uint64_t first = (offset + page - 1) / page * page;
    const uint64_t last = (offset + bytes) / page * page;
    if (first < last) discard_pages(data_ + first, last - first, mapped_);
}

} // namespace ng
