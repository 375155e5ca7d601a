// Files and pages on Windows.
#include "base/mapped_file.h"
#include "base/mapped_file_system.h"

#include <algorithm>
#include <cwchar>

#define WIN32_LEAN_AND_MEAN
#ifndef NOMINMAX // libstdc++ defines it
#    define NOMINMAX
#endif
#include <windows.h>

namespace ng {

namespace {

HANDLE handle_of(intptr_t handle) { return reinterpret_cast<HANDLE>(handle); }

std::wstring wide(const std::string& utf8) {
    const int n = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, utf8.data(), static_cast<int>(utf8.size()), nullptr, 0);
    if (n <= 0) fail(Status::NotFound, "the path is empty or not valid UTF-8");
    std::wstring text(static_cast<size_t>(n), L'\0');
    MultiByteToWideChar(CP_UTF8, 0, utf8.data(), static_cast<int>(utf8.size()), text.data(), n);
    return text;
}

} // namespace

InputFile::InputFile(const std::string& path_utf8) : path_(path_utf8) {
    const std::wstring name = wide(path_);
    const DWORD attributes = GetFileAttributesW(name.c_str());
    if (attributes == INVALID_FILE_ATTRIBUTES) fail(Status::NotFound, "%s: no such file; check the path", path_.c_str());
    if (attributes & FILE_ATTRIBUTE_DIRECTORY) fail(Status::NotFound, "%s: is a folder; give the path of a file", path_.c_str());
    const HANDLE file =
        CreateFileW(name.c_str(), GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, nullptr, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr);
    if (file == INVALID_HANDLE_VALUE) fail(Status::NotFound, "%s: can not be opened: Windows error %lu", path_.c_str(), GetLastError());
    handle_ = reinterpret_cast<intptr_t>(file);
    LARGE_INTEGER size;
    if (GetFileType(file) != FILE_TYPE_DISK || !GetFileSizeEx(file, &size)) {
        CloseHandle(file);
        fail(Status::NotFound, "%s: is not a regular file; give the path of a file", path_.c_str());
    }
    size_ = static_cast<uint64_t>(size.QuadPart);
}

InputFile::~InputFile() {
    if (handle_ != -1) CloseHandle(handle_of(handle_));
}

void InputFile::read(uint64_t offset, void* to, size_t n) const {
    auto* at = static_cast<std::byte*>(to);
    while (n > 0) {
        OVERLAPPED position{};
        position.Offset = static_cast<DWORD>(offset);
        position.OffsetHigh = static_cast<DWORD>(offset >> 32);
        DWORD got = 0;
        const DWORD wanted = static_cast<DWORD>(std::min<size_t>(n, 1u << 30));
        if (!ReadFile(handle_of(handle_), at, wanted, &got, &position) || got == 0) {
            fail(Status::NotFound, "%s: reading at byte %llu failed: Windows error %lu", path_.c_str(), static_cast<unsigned long long>(offset),
                 GetLastError());
        }
        at += got;
        offset += got;
        n -= got;
    }
}

FilePages FilePages::map(const InputFile& file) {
    FilePages pages;
    if (file.size_ == 0) return pages;
    const HANDLE mapping = CreateFileMappingW(handle_of(file.handle_), nullptr, PAGE_READONLY, 0, 0, nullptr);
    void* at = mapping ? MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0) : nullptr;
    const DWORD reason = GetLastError();
    if (mapping) CloseHandle(mapping); // the view keeps it alive
    if (!at) fail(Status::OutOfMemory, "%s: can not be mapped: Windows error %lu; open it without memory mapping", file.path_.c_str(), reason);
    pages.data_ = static_cast<std::byte*>(at);
    pages.size_ = file.size_;
    pages.mapped_ = true;
    return pages;
}

FilePages::~FilePages() {
    if (!data_) return;
    if (mapped_) UnmapViewOfFile(data_);
    else VirtualFree(data_, 0, MEM_RELEASE);
}

uint64_t page_bytes() noexcept {
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwPageSize;
}

std::byte* allocate_pages(uint64_t bytes) noexcept {
    return static_cast<std::byte*>(VirtualAlloc(nullptr, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE));
}

void discard_pages(std::byte* first, uint64_t bytes, bool mapped) noexcept {
    if (mapped) VirtualUnlock(first, bytes); // on pages that are not locked: takes them out of the working set
    else VirtualAlloc(first, bytes, MEM_RESET, PAGE_READWRITE);
}

} // namespace ng
