// How failures travel inside the engine: fail() throws an Error, abi/guard.h turns it into an ng_status and text.
#pragma once
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

#if defined(__MINGW_PRINTF_FORMAT)
#    define NG_PRINTF(text, rest) __attribute__((format(__MINGW_PRINTF_FORMAT, text, rest)))
#elif defined(__GNUC__)
#    define NG_PRINTF(text, rest) __attribute__((format(printf, text, rest)))
#else
#    define NG_PRINTF(text, rest)
#endif

namespace ng {

// The numbers of ng_status in nativegen.h (abi/guard.h asserts that they agree).
enum class Status : int32_t {
    Ok = 0,
    InvalidArgument = 1,
    NotFound = 2,
    InvalidModel = 3,
    UnsupportedArchitecture = 4,
    OutOfMemory = 5,
    DeviceUnavailable = 6,
    ContextOverflow = 7,
    Busy = 8,
    Internal = 9,
    InvalidState = 10,
    NoRoom = 100,
    Cancelled = 101,
    BufferTooSmall = 102,
};

class Error : public std::exception {
public:
    Error(Status code, std::string message) : status(code), text(std::move(message)) {}
    const char* what() const noexcept override { return text.c_str(); }

    Status status;
    std::string text; // one line: what is wrong, where, what to do
};

[[noreturn]] void fail(Status status, const char* format, ...) NG_PRINTF(2, 3);

// Bytes from a file made safe for an error's text: at most 80 of them, everything but printable ASCII shown as '?'.
std::string printable(std::string_view bytes);

} // namespace ng
