#include "gguf/writer.h"

#include "tensor/dtype.h"

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace ng {

namespace {

// Bytes in front of the tensor data.
class Header {
public:
    void bytes(const void* data, size_t n) { text_.append(static_cast<const char*>(data), n); }
    template <class T> void number(T value) { bytes(&value, sizeof value); }
    void string(std::string_view text) {
        number<uint64_t>(text.size());
        bytes(text.data(), text.size());
    }
    const std::string& text() const { return text_; }

private:
    std::string text_;
};

uint64_t padding(uint64_t position, uint64_t alignment) { return (alignment - position % alignment) % alignment; }

} // namespace

void GgufWriter::put(std::string_view key, ValueType type, ValueType item_type, uint64_t count, const void* value, size_t bytes) {
    const auto* begin = static_cast<const std::byte*>(value);
    Pair pair{std::string(key), type, item_type, count, std::vector<std::byte>(begin, begin + bytes)};
    const auto same = std::find_if(pairs_.begin(), pairs_.end(), [&](const Pair& other) { return other.key == key; });
    if (same != pairs_.end()) *same = std::move(pair);
    else pairs_.push_back(std::move(pair));
}

void GgufWriter::set(std::string_view key, std::string_view text) { put(key, ValueType::String, ValueType::String, 1, text.data(), text.size()); }

void GgufWriter::set_array(std::string_view key, std::span<const std::string> texts) {
    Header row;
    for (const std::string& text : texts)
        row.string(text);
    put(key, ValueType::Array, ValueType::String, texts.size(), row.text().data(), row.text().size());
}

void GgufWriter::describe_tensor(std::string_view name, uint32_t type, std::span<const uint64_t> ne) {
    const std::string shown = printable(name);
    if (ne.empty() || ne.size() > 4) fail(Status::InvalidArgument, "tensor '%s' has %zu dimensions, 1 to 4 are allowed", shown.c_str(), ne.size());
    const DTypeTraits* traits = dtype_traits(type);
    if (!traits) fail(Status::InvalidArgument, "tensor '%s' has the unknown type %" PRIu32, shown.c_str(), type);
    if (ne[0] % traits->block_elements != 0) {
        fail(Status::InvalidArgument, "tensor '%s': rows of %" PRIu64 " elements are no whole blocks of type %s", shown.c_str(), ne[0], traits->name);
    }
    uint64_t elements = 1;
    for (const uint64_t n : ne)
        elements *= n;
    tensors_.push_back({std::string(name), type, {ne.begin(), ne.end()}, elements / traits->block_elements * traits->block_bytes, traits->block_bytes, {}, {}});
}

void GgufWriter::add_tensor(std::string_view name, uint32_t type, std::span<const uint64_t> ne, std::span<const std::byte> data) {
    describe_tensor(name, type, ne);
    if (const uint64_t bytes = tensors_.back().bytes; bytes != data.size()) {
        tensors_.pop_back();
        fail(Status::InvalidArgument, "tensor '%s': %zu bytes were given, its type and dimensions need %" PRIu64, printable(name).c_str(), data.size(), bytes);
    }
    tensors_.back().data = data;
}

void GgufWriter::add_tensor(std::string_view name, uint32_t type, std::span<const uint64_t> ne, Fill fill) {
    describe_tensor(name, type, ne);
    tensors_.back().fill = std::move(fill);
}

uint64_t GgufWriter::alignment() const {
    for (const Pair& pair : pairs_) {
        if (pair.key != "general.alignment") continue;
        uint32_t value = 0;
        if (pair.type == ValueType::UInt32) std::memcpy(&value, pair.value.data(), sizeof value);
        if (value < 8 || !std::has_single_bit(value)) fail(Status::InvalidArgument, "general.alignment is not a uint32 power of two of at least 8");
        return value;
    }
    return 32;
}

void GgufWriter::write(const std::string& path_utf8) const {
    const uint64_t align = alignment();
    Header header;
    header.bytes("GGUF", 4);
    header.number<uint32_t>(3);
    header.number<uint64_t>(tensors_.size());
    header.number<uint64_t>(pairs_.size());
    for (const Pair& pair : pairs_) {
        header.string(pair.key);
        header.number(static_cast<uint32_t>(pair.type));
        if (pair.type == ValueType::Array) {
            header.number(static_cast<uint32_t>(pair.item_type));
            header.number(pair.count);
        } else if (pair.type == ValueType::String) {
            header.number<uint64_t>(pair.value.size());
        }
        header.bytes(pair.value.data(), pair.value.size());
    }
    uint64_t offset = 0;
    for (const Tensor& tensor : tensors_) {
        header.string(tensor.name);
        header.number(static_cast<uint32_t>(tensor.ne.size()));
        for (const uint64_t n : tensor.ne)
            header.number(n);
        header.number(tensor.type);
        header.number(offset);
        offset += tensor.bytes + padding(tensor.bytes, align);
    }

    const auto path = std::filesystem::path(std::u8string(path_utf8.begin(), path_utf8.end()));
    auto unfinished = path;
    unfinished += ".unfinished";
    const std::string zeros(align, '\0');
    std::ofstream out(unfinished, std::ios::binary | std::ios::trunc);
    const auto put_bytes = [&](const void* bytes, uint64_t n) { out.write(static_cast<const char*>(bytes), static_cast<std::streamsize>(n)); };
    put_bytes(header.text().data(), header.text().size());
    put_bytes(zeros.data(), padding(header.text().size(), align));
    for (const Tensor& tensor : tensors_) {
        put_bytes(tensor.data.data(), tensor.data.size());
        if (tensor.fill) {
            constexpr uint64_t chunk_bytes = 1 << 20;
            std::vector<std::byte> chunk(std::min(tensor.bytes, chunk_bytes / tensor.block_bytes * tensor.block_bytes));
            for (uint64_t done = 0; done < tensor.bytes && out; done += chunk.size()) {
                chunk.resize(std::min<uint64_t>(chunk.size(), tensor.bytes - done));
                tensor.fill(chunk);
                put_bytes(chunk.data(), chunk.size());
            }
        }
        put_bytes(zeros.data(), padding(tensor.bytes, align));
    }
    out.close();
    std::error_code problem;
    if (out) std::filesystem::rename(unfinished, path, problem);
    if (!out || problem) {
        std::error_code ignored;
        std::filesystem::remove(unfinished, ignored);
        fail(Status::NotFound, "%s: can not be written; check that the folder exists, may be written and has room", path_utf8.c_str());
    }
}

} // namespace ng
