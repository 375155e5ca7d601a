// A GGUF model file (or split set): metadata and tensor table, checked before anything trusts them. Format: ggml's docs/gguf.md, v2 and v3.
#pragma once
#include "base/mapped_file.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ng {

enum class ValueType : uint32_t {
    UInt8 = 0,
    Int8 = 1,
    UInt16 = 2,
    Int16 = 3,
    UInt32 = 4,
    Int32 = 5,
    Float32 = 6,
    Bool = 7,
    String = 8,
    Array = 9,
    UInt64 = 10,
    Int64 = 11,
    Float64 = 12,
};

// Bytes of a number or bool; 0 for strings, arrays and unknown types.
size_t value_type_bytes(ValueType type);
const char* value_type_name(ValueType type);

// One metadata pair. Views live as long as the GgufFile.
struct Kv {
    std::string_view key;
    ValueType type;
    ValueType item_type; // of an array's elements, else equal to type
    uint64_t count;      // elements of an array, else 1
    // Little endian, not aligned: a number; a bool as one byte 0 or 1; a string's bytes without length; an array's elements in a row,
    // where each string is a uint64 length and its bytes.
    std::span<const std::byte> value;

    std::string_view text() const { return {reinterpret_cast<const char*>(value.data()), value.size()}; }
};

struct TensorInfo {
    std::string name;
    uint32_t type = 0; // ggml's number: dtype_traits(type) may be null
    uint32_t n_dims = 0;
    std::array<uint64_t, 4> ne{1, 1, 1, 1}; // ne[0] contiguous; 1 beyond n_dims
    uint64_t offset = 0;                    // of the data, from the start of its file
    uint64_t bytes = 0;                     // 0 if the type is unknown
    uint32_t file = 0;                      // index in a split set
    const std::byte* data = nullptr;        // aligned to at least 8 bytes; nullptr in MetadataOnly

    uint64_t elements() const { return ne[0] * ne[1] * ne[2] * ne[3]; }
};

enum class OpenMode {
    Map,          // tensor data is a read-only mapping of the file
    Read,         // tensor data is a private copy: safe against writers that change the file in place
    MetadataOnly, // no tensor data; the ranges are checked all the same
};

// Immutable and safe to share between threads.
class GgufFile {
public:
    // The file, or the first file of a split set (NAME-00001-of-00003.gguf), which opens all of it. Only Read uses the task.
    static std::shared_ptr<GgufFile> open(const std::string& path_utf8, OpenMode mode, Task* task = nullptr);

    const std::string& path() const { return path_; }
    uint32_t version() const { return version_; }
    uint64_t alignment() const { return alignment_; }
    uint64_t n_files() const { return n_files_; }
    uint64_t file_bytes() const { return file_bytes_; } // of all files

    std::span<const Kv> metadata() const { return kvs_; }
    const Kv* find(std::string_view key) const; // nullptr if absent

    // Absent: nullopt. Present with another type, or out of the result's range: InvalidModel that names the key.
    std::optional<uint64_t> get_u64(std::string_view key) const; // any integer type
    std::optional<int64_t> get_i64(std::string_view key) const;  // any integer type
    std::optional<double> get_f64(std::string_view key) const;   // any number type
    std::optional<bool> get_bool(std::string_view key) const;
    std::optional<std::string_view> get_string(std::string_view key) const;
    std::optional<std::vector<uint64_t>> get_u64_array(std::string_view key) const;
    std::optional<std::vector<int64_t>> get_i64_array(std::string_view key) const;
    std::optional<std::vector<double>> get_f64_array(std::string_view key) const;
    std::optional<std::vector<bool>> get_bool_array(std::string_view key) const;
    std::optional<std::vector<std::string_view>> get_string_array(std::string_view key) const;

    std::span<const TensorInfo> tensors() const { return tensors_; } // in file order
    const TensorInfo* tensor(std::string_view name) const;           // nullptr if absent

    // A tensor of this file whose data is not needed for now (it was repacked): returns the memory of the pages that are its alone.
    // After Map they come back from the file when touched; after Read the data is gone, so one that is `needed_again` stays.
    void release(const TensorInfo& tensor, bool needed_again = false) const noexcept;

    // Of metadata and tensor table (names, types, shapes): the same for a file, its copy, and its split or merged form.
    uint64_t metadata_hash() const { return hash_; }

private:
    GgufFile() = default;
    void open_first(OpenMode mode, Task* task);
    void open_rest_of_split(OpenMode mode, Task* task);
    void add_tensors(const InputFile& file, std::vector<TensorInfo>&& tensors, OpenMode mode, Task* task);
    void index_tensors();
    void compute_hash();
    template <class T> T element(const Kv& kv, size_t index) const;
    template <class T> std::optional<T> scalar(std::string_view key) const;
    template <class T> std::optional<std::vector<T>> array(std::string_view key) const;

    std::string path_;
    uint32_t version_ = 0;
    uint64_t alignment_ = 0;
    uint64_t n_files_ = 0;
    uint64_t file_bytes_ = 0;
    uint64_t hash_ = 0;
    std::vector<std::byte> metadata_; // of the first file; kvs_ views it
    std::vector<Kv> kvs_;
    std::vector<TensorInfo> tensors_;
    std::vector<FilePages> pages_; // one per file, none in MetadataOnly
    std::unordered_map<std::string_view, size_t> kv_index_;
    std::unordered_map<std::string_view, size_t> tensor_index_;
};

} // namespace ng
