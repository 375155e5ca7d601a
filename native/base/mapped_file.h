// Model files on disk: InputFile reads pieces of one, FilePages holds all of its bytes, mapped or read into pages of our own.
#pragma once
#include "base/task.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace ng {

static_assert(sizeof(size_t) == 8, "models need a 64-bit address space");

// A regular file opened for reading. Throws NotFound, with the system's reason, for anything else.
class InputFile {
public:
    explicit InputFile(const std::string& path_utf8);
    InputFile(InputFile&& other) noexcept;
    InputFile& operator=(InputFile&&) = delete;
    ~InputFile();

    const std::string& path() const { return path_; }
    uint64_t size() const { return size_; }
    // All n bytes, or an error. Safe from several threads.
    void read(uint64_t offset, void* to, size_t n) const;

private:
    friend class FilePages;
    std::string path_;
    uint64_t size_ = 0;
    intptr_t handle_ = -1;
};

// All bytes of a file, at an address that is page aligned. Immutable. A mapping stays valid after the InputFile is gone.
class FilePages {
public:
    FilePages() = default;
    // Shares the page cache and reads lazily. If someone overwrites or truncates the file in place, the process dies of SIGBUS.
    static FilePages map(const InputFile& file);
    // A private copy; checks the task and reports progress from 0 to 1 while it reads.
    static FilePages read(const InputFile& file, Task* task);

    FilePages(FilePages&& other) noexcept;
    FilePages& operator=(FilePages&& other) noexcept;
    ~FilePages();

    const std::byte* data() const { return data_; }
    uint64_t size() const { return size_; }

    // Gives the memory of the whole pages inside [offset, offset + bytes) back to the system. Mapped bytes come back from the file when
    // they are touched again; bytes of a private copy are gone and must not be read any more.
    void release(uint64_t offset, uint64_t bytes) const noexcept;
    bool mapped() const { return mapped_; } // else read: discarded pages do not come back

private:
    std::byte* data_ = nullptr;
    uint64_t size_ = 0;
    bool mapped_ = false;
};

} // namespace ng
