// Writes GGUF v3 files: metadata and tensors in the order they were set.
#pragma once
#include "gguf/file.h"

#include <functional>
#include <type_traits>

namespace ng {

class GgufWriter {
public:
    // Numbers and bools; T is one of the fixed-width types, float, double or bool. Setting a key again replaces its value.
    template <class T> void set(std::string_view key, T value) { put(key, type_of<T>(), type_of<T>(), 1, &value, sizeof value); }
    void set(std::string_view key, std::string_view text);
    void set(std::string_view key, const char* text) { set(key, std::string_view(text)); }
    template <class T> void set_array(std::string_view key, std::span<const T> values) {
        put(key, ValueType::Array, type_of<T>(), values.size(), values.data(), values.size_bytes());
    }
    void set_array(std::string_view key, std::span<const std::string> texts);
    // As it stands in another file.
    void set(const Kv& kv) { put(kv.key, kv.type, kv.item_type, kv.count, kv.value.data(), kv.value.size()); }

    // The data is borrowed until write() is done. `type` is one that dtype_traits knows, ne is 1 to 4 dimensions.
    void add_tensor(std::string_view name, uint32_t type, std::span<const uint64_t> ne, std::span<const std::byte> data);
    // The same for a tensor that need not be in memory at once: write() lets `fill` write its bytes, whole blocks at a time, front to back.
    using Fill = std::function<void(std::span<std::byte> blocks)>;
    void add_tensor(std::string_view name, uint32_t type, std::span<const uint64_t> ne, Fill fill);

    // Writes a file beside the path and renames it over, so that a process which has the old one mapped lives on. Tensors start at multiples of
    // general.alignment, 32 if it was not set.
    void write(const std::string& path_utf8) const;

private:
    struct Pair {
        std::string key;
        ValueType type, item_type;
        uint64_t count;
        std::vector<std::byte> value; // as in Kv
    };
    struct Tensor {
        std::string name;
        uint32_t type;
        std::vector<uint64_t> ne;
        uint64_t bytes, block_bytes;
        std::span<const std::byte> data; // or, if there is one:
        Fill fill;
    };

    template <class T> static constexpr ValueType type_of() {
        if constexpr (std::is_same_v<T, uint8_t>) return ValueType::UInt8;
        else if constexpr (std::is_same_v<T, int8_t>) return ValueType::Int8;
        else if constexpr (std::is_same_v<T, uint16_t>) return ValueType::UInt16;
        else if constexpr (std::is_same_v<T, int16_t>) return ValueType::Int16;
        else if constexpr (std::is_same_v<T, uint32_t>) return ValueType::UInt32;
        else if constexpr (std::is_same_v<T, int32_t>) return ValueType::Int32;
        else if constexpr (std::is_same_v<T, uint64_t>) return ValueType::UInt64;
        else if constexpr (std::is_same_v<T, int64_t>) return ValueType::Int64;
        else if constexpr (std::is_same_v<T, float>) return ValueType::Float32;
        else if constexpr (std::is_same_v<T, double>) return ValueType::Float64;
        else {
            static_assert(std::is_same_v<T, bool>, "not a type of the format");
            return ValueType::Bool;
        }
    }

    void put(std::string_view key, ValueType type, ValueType item_type, uint64_t count, const void* value, size_t bytes);
    void describe_tensor(std::string_view name, uint32_t type, std::span<const uint64_t> ne);
    uint64_t alignment() const;

    std::vector<Pair> pairs_;
    std::vector<Tensor> tensors_;
};

} // namespace ng
