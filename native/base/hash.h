// A 64-bit hash for checking that two things are the same thing: model metadata, saved state. The same on every machine and build;
// saved files depend on it, so it never changes. Not against an adversary.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace ng {

class Hash {
public:
    // Takes eight bytes per step; the length goes in last, so add("ab") + add("c") differs from add("a") + add("bc").
    void add(const void* data, size_t n) {
        const auto* bytes = static_cast<const unsigned char*>(data);
        size_t i = 0;
        for (; i + 8 <= n; i += 8) {
            uint64_t word;
            std::memcpy(&word, bytes + i, 8);
            mix(word);
        }
        uint64_t tail = 0;
        if (i < n) std::memcpy(&tail, bytes + i, n - i);
        mix(tail);
        mix(n);
    }
    void add(std::string_view text) { add(text.data(), text.size()); }
    void add(uint64_t value) { mix(value); }

    uint64_t value() const { return finish(state_); }

private:
    void mix(uint64_t word) { state_ = finish((state_ ^ word) * 0x9e3779b97f4a7c15u); }
    static uint64_t finish(uint64_t x) { return x ^ (x >> 29) ^ (x >> 47); }

    uint64_t state_ = 0x6e61746976656765u;
};

} // namespace ng
