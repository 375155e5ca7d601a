#include "base/error.h"

#include <cstdarg>

namespace ng {

void fail(Status status, const char* format, ...) {
    char text[1000];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    throw Error(status, text);
}

std::string printable(std::string_view bytes) {
    constexpr size_t limit = 80;
    std::string text(bytes.substr(0, limit));
    for (char& c : text) {
        if (c < 0x20 || c > 0x7e) c = '?';
    }
    if (bytes.size() > limit) text += "...";
    return text;
}

} // namespace ng
