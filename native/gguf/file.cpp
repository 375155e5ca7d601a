// Opening a GGUF file or split set, and looking things up in it. The bytes are parsed and checked in parse.cpp.
#include "gguf/file.h"

#include "base/hash.h"
#include "gguf/parse.h"

#include <algorithm>
#include <charconv>
#include <cinttypes>
#include <cstring>
#include <type_traits>
#include <utility>

namespace ng {

namespace {

// NAME-00001-of-00003.gguf
struct SplitName {
    std::string prefix;
    uint32_t number; // from 1
    uint32_t count;
};

std::string split_path(const SplitName& name, uint32_t number) {
    char suffix[32];
    std::snprintf(suffix, sizeof suffix, "-%05u-of-%05u.gguf", number, name.count);
    return name.prefix + suffix;
}

std::optional<SplitName> parse_split_name(const std::string& path) {
    constexpr size_t suffix_bytes = std::string_view("-00001-of-00003.gguf").size();
    if (path.size() < suffix_bytes) return std::nullopt;
    SplitName name{path.substr(0, path.size() - suffix_bytes), 0, 0};
    const char* suffix = path.c_str() + name.prefix.size();
    std::from_chars(suffix + 1, suffix + 6, name.number);
    std::from_chars(suffix + 10, suffix + 15, name.count);
    if (split_path(name, name.number) != path) return std::nullopt;
    return name;
}

// A split file states its place in the set; 0 of 1 where it says nothing.
uint64_t split_value(const InputFile& file, std::span<const Kv> kvs, std::string_view key, uint64_t absent) {
    for (const Kv& kv : kvs) {
        if (kv.key != key) continue;
        if (kv.type != ValueType::UInt16 && kv.type != ValueType::Int32) {
            fail(Status::InvalidModel, "%s: key '%s' is a %s; expected a uint16 or int32", file.path().c_str(), printable(key).c_str(),
                 value_type_name(kv.type));
        }
        uint32_t value = 0;
        std::memcpy(&value, kv.value.data(), kv.value.size());
        return value;
    }
    return absent;
}

} // namespace

std::shared_ptr<GgufFile> GgufFile::open(const std::string& path_utf8, OpenMode mode, Task* task) {
    std::shared_ptr<GgufFile> gguf(new GgufFile);
    gguf->path_ = path_utf8;
    gguf->open_first(mode, task);
    if (gguf->n_files_ > 1) gguf->open_rest_of_split(mode, task);
    gguf->index_tensors();
    gguf->compute_hash();
    return gguf;
}

void GgufFile::open_first(OpenMode mode, Task* task) {
    const InputFile file(path_);
    GgufPart part = parse_gguf(file);
    version_ = part.version;
    alignment_ = part.alignment;
    n_files_ = std::max<uint64_t>(split_value(file, part.kvs, "split.count", 1), 1);
    const uint64_t number = split_value(file, part.kvs, "split.no", 0);
    if (n_files_ > 1) { // before any data is read
        const std::optional<SplitName> name = parse_split_name(path_);
        if (!name || name->count != n_files_ || name->number != number + 1) {
            fail(Status::InvalidModel,
                 "%s: is file %" PRIu64 " of a model in %" PRIu64 " files, so its name must end in -%05" PRIu64 "-of-%05" PRIu64
                 ".gguf; name it as it was when it was downloaded",
                 path_.c_str(), number + 1, n_files_, number + 1, n_files_);
        }
        if (number != 0)
            fail(Status::InvalidModel, "%s: is file %" PRIu64 " of a model in %" PRIu64 " files; open the first one, %s", path_.c_str(), number + 1,
                 n_files_, split_path(*name, 1).c_str());
    }
    metadata_ = std::move(part.metadata);
    kvs_ = std::move(part.kvs);
    for (size_t i = 0; i < kvs_.size(); i++)
        kv_index_.emplace(kvs_[i].key, i);
    add_tensors(file, std::move(part.tensors), mode, task);
}

void GgufFile::open_rest_of_split(OpenMode mode, Task* task) {
    const SplitName name = *parse_split_name(path_);
    for (uint32_t number = 2; number <= n_files_; number++) {
        throw_if_cancelled(task);
        const InputFile file(split_path(name, number));
        GgufPart part = parse_gguf(file);
        const uint64_t stated_number = split_value(file, part.kvs, "split.no", 0) + 1;
        const uint64_t stated_count = split_value(file, part.kvs, "split.count", 1);
        if (stated_number != number || stated_count != n_files_) {
            fail(Status::InvalidModel,
                 "%s: says it is file %" PRIu64 " of %" PRIu64 ", expected %" PRIu32 " of %" PRIu64
                 "; it does not belong to this set: fetch the set again",
                 file.path().c_str(), stated_number, stated_count, number, n_files_);
        }
        add_tensors(file, std::move(part.tensors), mode, task);
    }
    const uint64_t expected = get_u64("split.tensors.count").value_or(tensors_.size());
    if (expected != tensors_.size()) {
        fail(Status::InvalidModel, "%s: key 'split.tensors.count' says %" PRIu64 " tensors, the %" PRIu64 " files hold %zu; fetch the set again",
             path_.c_str(), expected, n_files_, tensors_.size());
    }
}

void GgufFile::add_tensors(const InputFile& file, std::vector<TensorInfo>&& tensors, OpenMode mode, Task* task) {
    const auto index = static_cast<uint32_t>(pages_.size());
    pages_.push_back(mode == OpenMode::Map ? FilePages::map(file) : mode == OpenMode::Read ? FilePages::read(file, task) : FilePages());
    file_bytes_ += file.size();
    for (TensorInfo& tensor : tensors) {
        tensor.file = index;
        if (mode != OpenMode::MetadataOnly) tensor.data = pages_.back().data() + tensor.offset;
        tensors_.push_back(std::move(tensor));
    }
}

void GgufFile::index_tensors() {
    tensor_index_.reserve(tensors_.size());
    for (size_t i = 0; i < tensors_.size(); i++) {
        if (!tensor_index_.emplace(tensors_[i].name, i).second) {
            fail(Status::InvalidModel, "%s: tensor '%s' is there twice; fetch or convert the model again", path_.c_str(),
                 printable(tensors_[i].name).c_str());
        }
    }
}

// Where tensors lie is left out, and so is what splitting adds: the hash is of the model, not of its packaging.
void GgufFile::compute_hash() {
    Hash hash;
    for (const Kv& kv : kvs_) {
        if (kv.key.starts_with("split.")) continue;
        hash.add(kv.key);
        hash.add(static_cast<uint64_t>(kv.type));
        hash.add(static_cast<uint64_t>(kv.item_type));
        hash.add(kv.count);
        hash.add(kv.value.data(), kv.value.size());
    }
    for (const TensorInfo& tensor : tensors_) {
        hash.add(tensor.name);
        hash.add(uint64_t{tensor.type});
        for (const uint64_t n : tensor.ne)
            hash.add(n);
    }
    hash_ = hash.value();
}

const Kv* GgufFile::find(std::string_view key) const {
    const auto found = kv_index_.find(key);
    return found == kv_index_.end() ? nullptr : &kvs_[found->second];
}

const TensorInfo* GgufFile::tensor(std::string_view name) const {
    const auto found = tensor_index_.find(name);
    return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

void GgufFile::release(const TensorInfo& tensor, bool needed_again) const noexcept {
    if (tensor.file < pages_.size() && (pages_[tensor.file].mapped() || !needed_again)) pages_[tensor.file].release(tensor.offset, tensor.bytes);
}

// ---- typed values ----

namespace {

template <class T> constexpr const char* wanted() {
    if constexpr (std::is_same_v<T, std::string_view>) return "a string";
    else if constexpr (std::is_same_v<T, bool>) return "a bool";
    else if constexpr (std::is_integral_v<T>) return "a whole number";
    else return "a number";
}

// A stored number as T, or nothing if T can not hold it: out of range, or a float where a whole number is wanted.
template <class T, class Stored> std::optional<T> convert(const std::byte* at) {
    Stored value;
    std::memcpy(&value, at, sizeof value);
    if constexpr (std::is_floating_point_v<T>) return static_cast<T>(value);
    else if constexpr (std::is_floating_point_v<Stored>) return std::nullopt;
    else if (!std::in_range<T>(value)) return std::nullopt;
    else return static_cast<T>(value);
}

template <class T> std::optional<T> number(ValueType type, const std::byte* at) {
    switch (type) {
    case ValueType::UInt8: return convert<T, uint8_t>(at);
    case ValueType::Int8: return convert<T, int8_t>(at);
    case ValueType::UInt16: return convert<T, uint16_t>(at);
    case ValueType::Int16: return convert<T, int16_t>(at);
    case ValueType::UInt32: return convert<T, uint32_t>(at);
    case ValueType::Int32: return convert<T, int32_t>(at);
    case ValueType::UInt64: return convert<T, uint64_t>(at);
    case ValueType::Int64: return convert<T, int64_t>(at);
    case ValueType::Float32: return convert<T, float>(at);
    case ValueType::Float64: return convert<T, double>(at);
    case ValueType::Bool:
    case ValueType::String:
    case ValueType::Array: break;
    }
    return std::nullopt;
}

} // namespace

// A number or bool at an index of the value's row of elements.
template <class T> T GgufFile::element(const Kv& kv, size_t index) const {
    const std::byte* at = kv.value.data() + index * value_type_bytes(kv.item_type);
    if constexpr (std::is_same_v<T, bool>) {
        if (kv.item_type == ValueType::Bool) return *at != std::byte{0};
    } else {
        if (const std::optional<T> value = number<T>(kv.item_type, at)) return *value;
    }
    fail(Status::InvalidModel, "%s: key '%s' holds a %s that is not %s in range; convert the model again", path_.c_str(), printable(kv.key).c_str(),
         value_type_name(kv.item_type), wanted<T>());
}

template <class T> std::optional<T> GgufFile::scalar(std::string_view key) const {
    const Kv* kv = find(key);
    if (!kv) return std::nullopt;
    const bool fits = kv->type != ValueType::Array && (kv->type == ValueType::String) == std::is_same_v<T, std::string_view>;
    if (!fits)
        fail(Status::InvalidModel, "%s: key '%s' is %s %s, expected %s; convert the model again", path_.c_str(), printable(key).c_str(),
             kv->type == ValueType::Array ? "an" : "a", value_type_name(kv->type), wanted<T>());
    if constexpr (std::is_same_v<T, std::string_view>) return kv->text();
    else return element<T>(*kv, 0);
}

template <class T> std::optional<std::vector<T>> GgufFile::array(std::string_view key) const {
    const Kv* kv = find(key);
    if (!kv) return std::nullopt;
    const bool fits = kv->type == ValueType::Array && (kv->item_type == ValueType::String) == std::is_same_v<T, std::string_view>;
    if (!fits)
        fail(Status::InvalidModel, "%s: key '%s' is not an array whose elements are each %s; convert the model again", path_.c_str(),
             printable(key).c_str(), wanted<T>());
    std::vector<T> values;
    values.reserve(kv->count);
    if constexpr (std::is_same_v<T, std::string_view>) {
        const std::byte* at = kv->value.data(); // lengths were checked when the file was parsed
        for (uint64_t i = 0; i < kv->count; i++) {
            uint64_t length;
            std::memcpy(&length, at, sizeof length);
            values.emplace_back(reinterpret_cast<const char*>(at + sizeof length), length);
            at += sizeof length + length;
        }
    } else {
        for (uint64_t i = 0; i < kv->count; i++)
            values.push_back(element<T>(*kv, i));
    }
    return values;
}

std::optional<uint64_t> GgufFile::get_u64(std::string_view key) const { return scalar<uint64_t>(key); }
std::optional<int64_t> GgufFile::get_i64(std::string_view key) const { return scalar<int64_t>(key); }
std::optional<double> GgufFile::get_f64(std::string_view key) const { return scalar<double>(key); }
std::optional<bool> GgufFile::get_bool(std::string_view key) const { return scalar<bool>(key); }
std::optional<std::string_view> GgufFile::get_string(std::string_view key) const { return scalar<std::string_view>(key); }
std::optional<std::vector<uint64_t>> GgufFile::get_u64_array(std::string_view key) const { return array<uint64_t>(key); }
std::optional<std::vector<int64_t>> GgufFile::get_i64_array(std::string_view key) const { return array<int64_t>(key); }
std::optional<std::vector<double>> GgufFile::get_f64_array(std::string_view key) const { return array<double>(key); }
std::optional<std::vector<bool>> GgufFile::get_bool_array(std::string_view key) const { return array<bool>(key); }
std::optional<std::vector<std::string_view>> GgufFile::get_string_array(std::string_view key) const { return array<std::string_view>(key); }

} // namespace ng
