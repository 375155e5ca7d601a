// Files and pages on Linux and macOS.
#include "base/mapped_file.h"
#include "base/mapped_file_system.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ng {

InputFile::InputFile(const std::string& path_utf8) : path_(path_utf8) {
    // O_NONBLOCK: a pipe without a writer would block here instead of being refused below. Regular files do not care.
    const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        if (errno == ENOENT) fail(Status::NotFound, "%s: no such file; check the path", path_.c_str());
        fail(Status::NotFound, "%s: can not be opened: %s", path_.c_str(), std::strerror(errno));
    }
    handle_ = fd;
    struct stat info;
    const bool known = ::fstat(fd, &info) == 0;
    if (!known || !S_ISREG(info.st_mode)) {
        const char* kind = !known ? "not readable" : S_ISDIR(info.st_mode) ? "a folder" : "not a regular file";
        ::close(fd);
        fail(Status::NotFound, "%s: is %s; give the path of a file", path_.c_str(), kind);
    }
    size_ = static_cast<uint64_t>(info.st_size);
}

InputFile::~InputFile() {
    if (handle_ >= 0) ::close(static_cast<int>(handle_));
}

void InputFile::read(uint64_t offset, void* to, size_t n) const {
    auto* at = static_cast<std::byte*>(to);
    while (n > 0) {
        const ssize_t got = ::pread(static_cast<int>(handle_), at, n, static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            fail(Status::NotFound, "%s: reading at byte %llu failed: %s", path_.c_str(), static_cast<unsigned long long>(offset),
                 std::strerror(errno));
        if (got == 0)
            fail(Status::InvalidModel, "%s: ended at byte %llu while it was being read; is another program writing it?", path_.c_str(),
                 static_cast<unsigned long long>(offset));
        at += got;
        offset += static_cast<uint64_t>(got);
        n -= static_cast<size_t>(got);
    }
}

FilePages FilePages::map(const InputFile& file) {
    FilePages pages;
    if (file.size_ == 0) return pages;
    void* at = ::mmap(nullptr, file.size_, PROT_READ, MAP_PRIVATE, static_cast<int>(file.handle_), 0);
    if (at == MAP_FAILED) {
        const Status status = errno == ENOMEM ? Status::OutOfMemory : Status::NotFound;
        fail(status, "%s: can not be mapped: %s; open it without memory mapping", file.path_.c_str(), std::strerror(errno));
    }
    pages.data_ = static_cast<std::byte*>(at);
    pages.size_ = file.size_;
    pages.mapped_ = true;
    return pages;
}

FilePages::~FilePages() {
    if (data_) ::munmap(data_, size_);
}

uint64_t page_bytes() noexcept { return static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)); }

std::byte* allocate_pages(uint64_t bytes) noexcept {
    void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? nullptr : static_cast<std::byte*>(at);
}

void discard_pages(std::byte* first, uint64_t bytes, bool mapped) noexcept {
#if defined(__APPLE__)
    // MADV_DONTNEED keeps anonymous memory there.
    ::madvise(first, bytes, mapped ? MADV_DONTNEED : MADV_FREE);
#else
    (void)mapped;
    ::madvise(first, bytes, MADV_DONTNEED);
#endif
}

} // namespace ng
