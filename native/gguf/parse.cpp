// GGUF bytes -> GgufPart. Nothing read here is believed before it is checked against the bytes that are left. The metadata is copied out of
// the file, so what was checked can not change afterwards; the tensor data is not touched.
#include "gguf/parse.h"

#include "tensor/dtype.h"

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cstdarg>
#include <cstring>
#include <unordered_set>

namespace ng {

static_assert(std::endian::native == std::endian::little, "GGUF values are used in place");

size_t value_type_bytes(ValueType type) {
    switch (type) {
    case ValueType::UInt8:
    case ValueType::Int8:
    case ValueType::Bool: return 1;
    case ValueType::UInt16:
    case ValueType::Int16: return 2;
    case ValueType::UInt32:
    case ValueType::Int32:
    case ValueType::Float32: return 4;
    case ValueType::UInt64:
    case ValueType::Int64:
    case ValueType::Float64: return 8;
    case ValueType::String:
    case ValueType::Array: break;
    }
    return 0;
}

const char* value_type_name(ValueType type) {
    static constexpr const char* names[] = {"uint8", "int8",   "uint16", "int16",  "uint32", "int32",  "float32",
                                            "bool",  "string", "array",  "uint64", "int64",  "float64"};
    const auto number = static_cast<uint32_t>(type);
    return number < std::size(names) ? names[number] : "unknown";
}

namespace {

constexpr uint64_t max_name_bytes = 65535; // the format's limit for keys; tensor names are shorter still
constexpr uint64_t max_alignment = 1u << 20;
constexpr const char* advice = "the file is damaged or incomplete: fetch or convert it again";

// Walks the start of a file, reading more of it as needed. Positions are file offsets and stay valid when the buffer grows.
class Cursor {
public:
    explicit Cursor(const InputFile& file) : file_(file) {}

    const InputFile& file() const { return file_; }
    uint64_t at() const { return at_; }
    uint64_t left() const { return file_.size() - at_; }
    const std::byte* bytes(uint64_t position) const { return buffer_.data() + position; }

    // What is being read, for the text of an error: "key 'general.name'".
    void set_context(std::string context) { context_ = std::move(context); }

    // Steps over n bytes and makes them readable; returns where they begin.
    uint64_t take(uint64_t n, const char* what) {
        if (n > left()) {
            fail(Status::InvalidModel, "%s: byte %" PRIu64 ", %s: %s takes %" PRIu64 " bytes but the file ends %" PRIu64 " bytes on; %s",
                 file_.path().c_str(), at_, context_.c_str(), what, n, left(), advice);
        }
        const uint64_t begin = at_;
        at_ += n;
        if (at_ > buffer_.size()) read_to(at_);
        return begin;
    }

    template <class T> T number(const char* what) {
        T value;
        std::memcpy(&value, bytes(take(sizeof(T), what)), sizeof(T));
        return value;
    }

    // A length and that many bytes.
    std::string_view string(const char* what) {
        const auto length = number<uint64_t>(what);
        const uint64_t begin = take(length, what);
        return {reinterpret_cast<const char*>(bytes(begin)), static_cast<size_t>(length)};
    }

    [[noreturn]] void refuse(uint64_t position, const std::string& what) const {
        fail(Status::InvalidModel, "%s: byte %" PRIu64 ", %s: %s; %s", file_.path().c_str(), position, context_.c_str(), what.c_str(), advice);
    }

    std::vector<std::byte> finish() {
        buffer_.resize(static_cast<size_t>(at_));
        buffer_.shrink_to_fit();
        return std::move(buffer_);
    }

private:
    void read_to(uint64_t position) {
        const uint64_t have = buffer_.size();
        const uint64_t want = std::min(file_.size(), std::max({position, 2 * have, uint64_t{1} << 16}));
        buffer_.resize(static_cast<size_t>(want));
        file_.read(have, buffer_.data() + have, static_cast<size_t>(want - have));
    }

    const InputFile& file_;
    std::vector<std::byte> buffer_;
    uint64_t at_ = 0;
    std::string context_ = "header";
};

struct RawKv { // a Kv by file offsets, while the buffer may still move
    uint64_t key_at, key_bytes, value_at, value_bytes, count;
    ValueType type, item_type;
};

std::string text(const char* format, ...) NG_PRINTF(1, 2);
std::string text(const char* format, ...) {
    char buffer[300];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(buffer, sizeof buffer, format, arguments);
    va_end(arguments);
    return buffer;
}

// What the first bytes of the wrong file often are.
const char* guess_format(std::string_view head) {
    if (head.starts_with("version https://git-lfs")) return " (a Git LFS pointer: run `git lfs pull` to fetch the file itself)";
    if (head.starts_with("<!") || head.starts_with("<html")) return " (a web page: the download link did not lead to the file)";
    if (head.starts_with("PK")) return " (a zip or PyTorch file: convert the model to GGUF)";
    if (head.starts_with("lmgg") || head.starts_with("tjgg") || head.starts_with("fmgg") || head.starts_with("algg"))
        return " (a GGML file of before 2023-08: convert the model to GGUF again)";
    if (head.size() > 9 && head[8] == '{') return " (a safetensors file: convert the model to GGUF)";
    return "";
}

uint32_t read_version(Cursor& cursor) {
    const char* path = cursor.file().path().c_str();
    if (cursor.left() == 0) fail(Status::InvalidModel, "%s: is empty (0 bytes); fetch it again", path);
    char head[32] = {};
    const size_t n_head = static_cast<size_t>(std::min<uint64_t>(sizeof head, cursor.left()));
    cursor.file().read(0, head, n_head);
    if (std::memcmp(head, "GGUF", std::min<size_t>(n_head, 4)) != 0) {
        fail(Status::InvalidModel, "%s: is not a GGUF file%s", path, guess_format({head, n_head}));
    }
    cursor.take(4, "the magic");
    const auto version = cursor.number<uint32_t>("the version");
    if (version == 1) fail(Status::InvalidModel, "%s: is GGUF version 1, which ended in 2023; convert the model again", path);
    if ((version & 0xffffu) == 0 && version != 0) fail(Status::InvalidModel, "%s: is a big-endian GGUF; get the little-endian file", path);
    if (version != 2 && version != 3)
        fail(Status::InvalidModel, "%s: is GGUF version %" PRIu32 ", this build reads 2 and 3; update NativeGen or check the file", path, version);
    return version;
}

void check_bools(const Cursor& cursor, uint64_t at, uint64_t n) {
    for (uint64_t i = 0; i < n; i++) {
        const auto value = static_cast<unsigned>(*cursor.bytes(at + i));
        if (value > 1) cursor.refuse(at + i, text("bool is %u, not 0 or 1", value));
    }
}

// The value that follows a key and its type: sets item_type, count, value_at, value_bytes.
void read_value(Cursor& cursor, RawKv& kv) {
    kv.item_type = kv.type;
    kv.count = 1;
    if (kv.type == ValueType::String) {
        kv.value_bytes = cursor.number<uint64_t>("the string's length");
        kv.value_at = cursor.take(kv.value_bytes, "the string");
        return;
    }
    if (kv.type == ValueType::Array) {
        const uint64_t type_at = cursor.at();
        kv.item_type = ValueType{cursor.number<uint32_t>("the array's type")};
        if (kv.item_type == ValueType::Array) cursor.refuse(type_at, "an array of arrays, which the engine does not read");
        const uint64_t count_at = cursor.at();
        kv.count = cursor.number<uint64_t>("the array's count");
        const bool strings = kv.item_type == ValueType::String;
        const uint64_t least = strings ? 8 : value_type_bytes(kv.item_type);
        if (least == 0) cursor.refuse(type_at, text("array of unknown type %" PRIu32, static_cast<uint32_t>(kv.item_type)));
        if (kv.count > cursor.left() / least) {
            cursor.refuse(count_at, text("array of %" PRIu64 " elements takes at least %" PRIu64 " bytes each but the file ends %" PRIu64 " bytes on",
                                         kv.count, least, cursor.left()));
        }
        kv.value_at = cursor.at();
        if (strings) {
            for (uint64_t i = 0; i < kv.count; i++)
                cursor.take(cursor.number<uint64_t>("a string's length"), "a string");
        } else {
            cursor.take(kv.count * least, "the array");
        }
        kv.value_bytes = cursor.at() - kv.value_at;
    } else {
        kv.value_bytes = value_type_bytes(kv.type);
        if (kv.value_bytes == 0) cursor.refuse(cursor.at() - 4, text("unknown value type %" PRIu32, static_cast<uint32_t>(kv.type)));
        kv.value_at = cursor.take(kv.value_bytes, "the value");
    }
    if (kv.item_type == ValueType::Bool) check_bools(cursor, kv.value_at, kv.value_bytes);
}

RawKv read_kv(Cursor& cursor, uint64_t index, uint64_t n_kv) {
    cursor.set_context(text("key %" PRIu64 " of %" PRIu64, index + 1, n_kv));
    const uint64_t begin = cursor.at();
    const std::string_view key = cursor.string("its name");
    if (key.empty() || key.size() > max_name_bytes)
        cursor.refuse(begin, text("its name has %zu bytes, allowed are 1 to %" PRIu64, key.size(), max_name_bytes));
    cursor.set_context("key '" + printable(key) + "'");
    RawKv kv{};
    kv.key_at = begin + 8;
    kv.key_bytes = key.size();
    kv.type = ValueType{cursor.number<uint32_t>("its type")};
    read_value(cursor, kv);
    return kv;
}

// Type, shape and the offset from the start of the tensor data, which is not known yet.
TensorInfo read_tensor(Cursor& cursor, uint64_t index, uint64_t n_tensors) {
    cursor.set_context(text("tensor %" PRIu64 " of %" PRIu64, index + 1, n_tensors));
    const uint64_t begin = cursor.at();
    TensorInfo tensor;
    tensor.name = cursor.string("its name");
    if (tensor.name.empty() || tensor.name.size() > max_name_bytes)
        cursor.refuse(begin, text("its name has %zu bytes, allowed are 1 to %" PRIu64, tensor.name.size(), max_name_bytes));
    cursor.set_context("tensor '" + printable(tensor.name) + "'");

    const uint64_t dims_at = cursor.at();
    tensor.n_dims = cursor.number<uint32_t>("its number of dimensions");
    if (tensor.n_dims > tensor.ne.size()) cursor.refuse(dims_at, text("has %" PRIu32 " dimensions, at most 4 are allowed", tensor.n_dims));
    uint64_t elements = 1;
    for (uint32_t i = 0; i < tensor.n_dims; i++) {
        const uint64_t n = tensor.ne[i] = cursor.number<uint64_t>("its shape");
        if (n == 0 || n > uint64_t{INT64_MAX} / elements) {
            cursor.refuse(dims_at, text("dimension %" PRIu32 " is %" PRIu64 ": the tensor is empty or larger than any memory", i, n));
        }
        elements *= n;
    }

    tensor.type = cursor.number<uint32_t>("its type");
    if (const DTypeTraits* traits = dtype_traits(tensor.type)) {
        if (tensor.ne[0] % traits->block_elements != 0) {
            cursor.refuse(dims_at, text("rows of %" PRIu64 " elements are no multiple of the %" PRIu32 " in a block of %s", tensor.ne[0],
                                        traits->block_elements, traits->name));
        }
        const uint64_t blocks = elements / traits->block_elements;
        if (blocks > uint64_t{INT64_MAX} / traits->block_bytes) cursor.refuse(dims_at, "is larger than any memory");
        tensor.bytes = blocks * traits->block_bytes;
    }
    tensor.offset = cursor.number<uint64_t>("its offset");
    return tensor;
}

uint64_t find_alignment(const InputFile& file, const std::vector<Kv>& kvs) {
    for (const Kv& kv : kvs) {
        if (kv.key != "general.alignment") continue;
        uint32_t value = 0;
        if (kv.type == ValueType::UInt32) std::memcpy(&value, kv.value.data(), sizeof value);
        if (value < 8 || value > max_alignment || !std::has_single_bit(value)) {
            fail(Status::InvalidModel, "%s: key 'general.alignment' is not a uint32 power of two from 8 to %" PRIu64 "; %s", file.path().c_str(),
                 max_alignment, advice);
        }
        return value;
    }
    return 32;
}

// Makes offsets absolute; every tensor's bytes must lie in the file and overlap no other's.
void place_tensors(const InputFile& file, uint64_t table_end, uint64_t alignment, std::vector<TensorInfo>& tensors) {
    const char* path = file.path().c_str();
    const uint64_t data_begin = (table_end + alignment - 1) / alignment * alignment;
    for (TensorInfo& tensor : tensors) {
        const std::string name = printable(tensor.name);
        if (tensor.offset % alignment != 0) {
            fail(Status::InvalidModel, "%s: tensor '%s': its offset %" PRIu64 " is no multiple of the alignment %" PRIu64 "; %s", path, name.c_str(),
                 tensor.offset, alignment, advice);
        }
        const uint64_t room = data_begin < file.size() ? file.size() - data_begin : 0;
        if (tensor.offset > room || tensor.bytes > room - tensor.offset) {
            fail(Status::InvalidModel,
                 "%s: tensor '%s' takes %" PRIu64 " bytes at offset %" PRIu64 " of the tensor data, which starts at byte %" PRIu64
                 ", but the file ends at byte %" PRIu64 "; %s",
                 path, name.c_str(), tensor.bytes, tensor.offset, data_begin, file.size(), advice);
        }
        tensor.offset += data_begin;
    }

    std::vector<const TensorInfo*> order;
    order.reserve(tensors.size());
    for (const TensorInfo& tensor : tensors)
        order.push_back(&tensor);
    std::stable_sort(order.begin(), order.end(), [](const TensorInfo* a, const TensorInfo* b) { return a->offset < b->offset; });
    for (size_t i = 1; i < order.size(); i++) {
        const TensorInfo& before = *order[i - 1];
        if (before.offset + before.bytes > order[i]->offset) {
            fail(Status::InvalidModel, "%s: byte %" PRIu64 ": tensors '%s' and '%s' overlap; %s", path, order[i]->offset,
                 printable(before.name).c_str(), printable(order[i]->name).c_str(), advice);
        }
    }
}

} // namespace

GgufPart parse_gguf(const InputFile& file) {
    Cursor cursor(file);
    GgufPart part;
    part.version = read_version(cursor);
    const auto n_tensors = cursor.number<uint64_t>("the number of tensors");
    const auto n_kv = cursor.number<uint64_t>("the number of keys");
    // The least a key or a tensor takes bounds both counts, so a wild count neither loops nor allocates.
    if (n_kv > cursor.left() / 13) cursor.refuse(16, text("%" PRIu64 " keys do not fit into the %" PRIu64 " bytes left", n_kv, cursor.left()));
    if (n_tensors > cursor.left() / 24)
        cursor.refuse(8, text("%" PRIu64 " tensors do not fit into the %" PRIu64 " bytes left", n_tensors, cursor.left()));

    std::vector<RawKv> raw;
    for (uint64_t i = 0; i < n_kv; i++)
        raw.push_back(read_kv(cursor, i, n_kv));
    for (uint64_t i = 0; i < n_tensors; i++)
        part.tensors.push_back(read_tensor(cursor, i, n_tensors));
    const uint64_t table_end = cursor.at();

    part.metadata = cursor.finish();
    part.kvs.reserve(raw.size());
    for (const RawKv& kv : raw) {
        const std::byte* base = part.metadata.data();
        const std::string_view key(reinterpret_cast<const char*>(base + kv.key_at), static_cast<size_t>(kv.key_bytes));
        part.kvs.push_back({key, kv.type, kv.item_type, kv.count, {base + kv.value_at, static_cast<size_t>(kv.value_bytes)}});
    }

    std::unordered_set<std::string_view> keys;
    for (const Kv& kv : part.kvs) {
        if (!keys.insert(kv.key).second)
            fail(Status::InvalidModel, "%s: key '%s' is there twice; %s", file.path().c_str(), printable(kv.key).c_str(), advice);
    }
    part.alignment = find_alignment(file, part.kvs);
    place_tensors(file, table_end, part.alignment, part.tensors);
    return part;
}

} // namespace ng
