// Any bytes as a model file: refused with a typed error, or opened, read to the end, and four tokens decoded. Nothing else may come out.
#include "runtime/context.h"

#include <cstdint>
#include <cstdio>
#include <string>
#include <unistd.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const std::string path = "/tmp/fuzz-gguf-" + std::to_string(getpid()) + ".gguf";
    FILE* file = std::fopen(path.c_str(), "wb");
    if (!file) return 0;
    std::fwrite(data, 1, size, file);
    std::fclose(file);
    try {
        const auto gguf = ng::GgufFile::open(path, ng::OpenMode::Read);
        uint64_t sum = gguf->metadata_hash();
        for (const ng::TensorInfo& tensor : gguf->tensors())
            for (uint64_t i = 0; i < tensor.bytes; i += 64) sum += static_cast<uint64_t>(tensor.data[i]);
        if (sum == 0) return 0;

        ng::ModelOptions options;
        options.map = false;
        options.n_threads = 1;
        const auto model = ng::LoadedModel::open(path, options, nullptr);
        ng::Context context(model, {.n_ctx = 64, .n_kv = 64, .n_batch = 4, .kv_type = ng::backend::KvType::Q8_0, .n_threads = 1});
        const int32_t seq = context.cache().create();
        const int32_t tokens[4] = {0, 1, 0, 1}, seqs[4] = {seq, seq, seq, seq}, positions[4] = {0, 1, 2, 3};
        const uint8_t outputs[4] = {0, 0, 0, 1};
        std::vector<float> logits(model->shape().n_vocab);
        context.decode({tokens, seqs, positions, outputs}, logits, nullptr);
    } catch (const ng::Error&) {
    } catch (const std::bad_alloc&) {
    }
    std::remove(path.c_str());
    return 0;
}
