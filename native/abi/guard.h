// The wall between C++ and C: guard() runs an export's body and turns whatever it throws into an ng_status and the caller's ng_error.
#pragma once
#include "base/error.h"
#include "include/nativegen.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string_view>
#include <type_traits>

namespace ng {

static_assert(static_cast<int32_t>(Status::InvalidState) == NG_ERR_INVALID_STATE && static_cast<int32_t>(Status::Internal) == NG_ERR_INTERNAL &&
              static_cast<int32_t>(Status::BufferTooSmall) == NG_BUFFER_TOO_SMALL && static_cast<int32_t>(Status::Cancelled) == NG_CANCELLED);

// Copies text into the error, cut between characters; a byte that is not UTF-8 (a path may hold one) becomes '?'.
void fill_error(ng_error* error, Status status, std::string_view text) noexcept;

// Runs body(), which returns nothing or a Status for an expected outcome.
template <class Body> ng_status guard(ng_error* error, Body&& body) noexcept {
    if (error && error->struct_size != sizeof(ng_error)) return NG_ERR_INVALID_ARGUMENT; // nowhere to say more
    Status status = Status::Ok;
    try {
        if constexpr (std::is_void_v<std::invoke_result_t<Body>>) body();
        else status = body();
        fill_error(error, status, "");
    } catch (const Error& e) {
        status = e.status;
        fill_error(error, status, e.text);
    } catch (const std::bad_alloc&) {
        status = Status::OutOfMemory;
        fill_error(error, status, "out of memory");
    } catch (const std::exception& e) {
        status = Status::Internal;
        fill_error(error, status, e.what());
    } catch (...) {
        status = Status::Internal;
        fill_error(error, status, "unknown exception");
    }
    return static_cast<ng_status>(status);
}

// Checks an argument by name: require(path, "path").
inline void require(const void* pointer, const char* name) {
    if (!pointer) fail(Status::InvalidArgument, "argument '%s' is NULL", name);
}

// Checks an option or info struct by name: not NULL, and of the size this build knows.
template <class T> void require_struct(const T* value, const char* name) {
    require(value, name);
    if (value->struct_size != sizeof(T)) {
        fail(Status::InvalidArgument, "argument '%s' has struct_size %u, this build knows %zu; header and library do not match", name,
             static_cast<unsigned>(value->struct_size), sizeof(T));
    }
}

// A string that goes out: `cap` bytes, always terminated when cap > 0; *len is the full length. Pointers may be NULL (text only if cap is 0).
inline void copy_out(std::string_view value, char* text, size_t cap, size_t* len) {
    if (cap > 0) {
        require(text, "text buffer");
        const size_t n = std::min(value.size(), cap - 1);
        std::memcpy(text, value.data(), n);
        text[n] = '\0';
    }
    if (len) *len = value.size();
}

// The same for a char array inside a struct.
template <size_t N> void copy_out(std::string_view value, char (&text)[N]) { copy_out(value, text, N, nullptr); }

} // namespace ng
