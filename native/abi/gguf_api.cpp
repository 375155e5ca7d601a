// ng_gguf_* and ng_type_*: files and tensor types for inspection, without a model.
#include "abi/guard.h"
#include "abi/handles.h"
#include "tensor/dequantize.h"

#include <cinttypes>

using namespace ng;

namespace {

const GgufFile& require_file(const ng_gguf* gguf) {
    require(gguf, "gguf");
    return *gguf->file;
}

// The element at an index from the caller.
template <class T> const T& at(std::span<const T> items, uint64_t index, const char* name) {
    if (index >= items.size()) fail(Status::InvalidArgument, "%s %" PRIu64 " of %zu", name, index, items.size());
    return items[static_cast<size_t>(index)];
}

} // namespace

ng_status ng_gguf_open(const char* path, ng_gguf** gguf, ng_error* error) {
    return guard(error, [&] {
        require(gguf, "gguf");
        *gguf = nullptr;
        require(path, "path");
        *gguf = new ng_gguf{GgufFile::open(path, OpenMode::MetadataOnly)};
    });
}

void ng_gguf_close(ng_gguf* gguf) { delete gguf; }

ng_status ng_gguf_get_info(const ng_gguf* gguf, ng_gguf_info* info, ng_error* error) {
    return guard(error, [&] {
        const GgufFile& file = require_file(gguf);
        require_struct(info, "info");
        info->version = file.version();
        info->n_kv = file.metadata().size();
        info->n_tensors = file.tensors().size();
        info->n_files = file.n_files();
        info->file_bytes = file.file_bytes();
        info->alignment = file.alignment();
    });
}

int64_t ng_gguf_find(const ng_gguf* gguf, const char* key) {
    if (!gguf || !key) return -1;
    const Kv* kv = gguf->file->find(key);
    return kv ? kv - gguf->file->metadata().data() : -1;
}

ng_status ng_gguf_kv_info(const ng_gguf* gguf, uint64_t index, ng_gguf_kv* info, char* key, size_t cap, size_t* len, ng_error* error) {
    return guard(error, [&] {
        const Kv& kv = at(require_file(gguf).metadata(), index, "key");
        require_struct(info, "info");
        info->type = static_cast<uint32_t>(kv.type);
        info->item_type = static_cast<uint32_t>(kv.item_type);
        info->reserved = 0;
        info->count = kv.count;
        info->bytes = kv.value.size();
        copy_out(kv.key, key, cap, len);
    });
}

ng_status ng_gguf_kv_value(const ng_gguf* gguf, uint64_t index, void* buffer, size_t cap, ng_error* error) {
    return guard(error, [&]() -> Status {
        const Kv& kv = at(require_file(gguf).metadata(), index, "key");
        if (cap < kv.value.size()) return Status::BufferTooSmall;
        if (kv.value.empty()) return Status::Ok;
        require(buffer, "buffer");
        std::memcpy(buffer, kv.value.data(), kv.value.size());
        return Status::Ok;
    });
}

ng_status ng_gguf_tensor_info(const ng_gguf* gguf, uint64_t index, ng_gguf_tensor* info, char* name, size_t cap, size_t* len, ng_error* error) {
    return guard(error, [&] {
        const TensorInfo& tensor = at(require_file(gguf).tensors(), index, "tensor");
        require_struct(info, "info");
        info->type = tensor.type;
        info->n_dims = tensor.n_dims;
        info->file = tensor.file;
        std::copy(tensor.ne.begin(), tensor.ne.end(), info->ne);
        info->offset = tensor.offset;
        info->bytes = tensor.bytes;
        copy_out(tensor.name, name, cap, len);
    });
}

ng_status ng_type_get_info(uint32_t type, ng_type_info* info, ng_error* error) {
    return guard(error, [&] {
        require_struct(info, "info");
        const DTypeTraits* traits = dtype_traits(type);
        if (!traits) fail(Status::UnsupportedArchitecture, "tensor type %" PRIu32 " is unknown to this build", type);
        info->block_elements = traits->block_elements;
        info->block_bytes = traits->block_bytes;
        info->supported = traits->supported ? 1 : 0;
        copy_out(traits->name, info->name);
    });
}

ng_status ng_type_dequantize(uint32_t type, const void* blocks, size_t bytes, float* values, size_t n, ng_error* error) {
    return guard(error, [&] {
        const DTypeTraits* traits = dtype_traits(type);
        if (!traits) fail(Status::UnsupportedArchitecture, "tensor type %" PRIu32 " is unknown to this build", type);
        if (!traits->supported) fail(Status::UnsupportedArchitecture, "tensor type %s: this build does not read its values", traits->name);
        if (n % traits->block_elements != 0 || bytes % traits->block_bytes != 0 || n / traits->block_elements != bytes / traits->block_bytes) {
            fail(Status::InvalidArgument, "%zu bytes do not hold %zu elements of type %s, whose blocks are %" PRIu32 " elements in %" PRIu32 " bytes",
                 bytes, n, traits->name, traits->block_elements, traits->block_bytes);
        }
        if (n == 0) return;
        require(blocks, "blocks");
        require(values, "values");
        dequantize(static_cast<DType>(type), blocks, values, n);
    });
}
