// GGUF bytes put together by hand, right or wrong on purpose: nothing here is shared with the reader or the writer under test.
#pragma once
#include "support.h"

#include <initializer_list>
#include <utility>

namespace ng::test {

class RawGguf {
public:
    explicit RawGguf(uint64_t n_tensors, uint64_t n_kv, uint32_t version = 3) {
        text_ = "GGUF";
        u32(version).u64(n_tensors).u64(n_kv);
    }
    RawGguf& u32(uint32_t value) { return add(value); }
    RawGguf& u64(uint64_t value) { return add(value); }
    RawGguf& u8(uint8_t value) { return add(value); }
    RawGguf& string(std::string_view value) {
        u64(value.size());
        text_ += value;
        return *this;
    }
    RawGguf& key(std::string_view name, uint32_t type) { return string(name).u32(type); }
    RawGguf& tensor(std::string_view name, std::initializer_list<uint64_t> ne, uint32_t type, uint64_t offset) {
        string(name).u32(static_cast<uint32_t>(ne.size()));
        for (const uint64_t n : ne)
            u64(n);
        return u32(type).u64(offset);
    }
    // Tensor data begins at the next multiple of the alignment.
    RawGguf& data(size_t n, size_t alignment = 32) {
        text_.resize((text_.size() + alignment - 1) / alignment * alignment + n, '\x5a');
        return *this;
    }
    const std::string& bytes() const { return text_; }
    void write(const std::string& path) const { write_file(path, text_.data(), text_.size()); }

private:
    template <class T> RawGguf& add(T value) {
        text_.append(reinterpret_cast<const char*>(&value), sizeof value);
        return *this;
    }
    std::string text_;
};

} // namespace ng::test
