#include "abi/guard.h"

namespace ng {

namespace {

// Bytes of the valid UTF-8 sequence that text begins with, 0 if it begins with none.
size_t utf8_sequence(std::string_view text) {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char lead = byte(0);
    const size_t n = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (n > text.size()) return 0;
    for (size_t i = 1; i < n; i++) {
        if ((byte(i) & 0xc0) != 0x80) return 0;
    }
    const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
    const bool outside = (lead == 0xed && byte(1) > 0x9f) || (lead == 0xf4 && byte(1) > 0x8f); // a surrogate, or above 10ffff
    return overlong || outside ? 0 : n;
}

} // namespace

void fill_error(ng_error* error, Status status, std::string_view text) noexcept {
    if (!error) return;
    error->code = static_cast<ng_status>(status);
    constexpr size_t room = sizeof error->text - 1;
    size_t at = 0;
    while (!text.empty()) {
        const size_t n = utf8_sequence(text);
        if (at + std::max<size_t>(n, 1) > room) break;
        if (n == 0) error->text[at++] = '?';
        else std::memcpy(error->text + at, text.data(), n), at += n;
        text.remove_prefix(std::max<size_t>(n, 1));
    }
    error->text[at] = '\0';
}

} // namespace ng
