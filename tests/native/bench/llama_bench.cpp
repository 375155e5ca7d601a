// llama.cpp's side of the comparison: its shared libraries, as npm's node-llama-cpp carries them, loaded from the folder LLAMA_DIR at run
// time. Its option structs grow from release to release, so they are opaque bytes here: the library fills in its defaults, and the few
// fields that are set are checked to hold the defaults that are expected of them.
#include "loop.h"

#include <cstring>
#include <dlfcn.h>
#include <filesystem>

namespace {

struct Params { // larger than any release's; passed in memory, of which the callee reads its own part
    uint32_t word[256];
};

struct Batch {
    int32_t n_tokens;
    int32_t* token;
    float* embd;
    int32_t* pos;
    int32_t* n_seq_id;
    int32_t** seq_id;
    int8_t* logits;
};

std::string library(const std::string& prefix) {
    const char* folder = std::getenv("LLAMA_DIR");
    if (folder == nullptr) bench::stop("LLAMA_DIR", "name the folder of llama.cpp's libraries");
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
        const std::string name = file.path().filename().string();
        if (name == prefix + ".so" || (name.starts_with(prefix + ".v") && name.ends_with(".so"))) return file.path().string();
    }
    bench::stop(prefix.c_str(), "not in LLAMA_DIR");
}

class LlamaCpp {
public:
    void open(const char* path, int threads) {
        threads_ = threads;
        model_ = load_model(path, model_defaults());
        if (model_ == nullptr) bench::stop("llama_model_load_from_file", path);
        n_vocab_ = vocabulary_size(vocabulary(model_));
    }

    int n_vocab() const { return n_vocab_; }

    // With the processor features its library was compiled for.
    std::string about() const { return system_info(); }

    int greedy() const {
        const float* logits = get_logits(context_, -1);
        return static_cast<int>(std::max_element(logits, logits + n_vocab_) - logits);
    }

    void create(int n_ctx, const std::string& kv) {
        Params params = context_defaults();
        if (params.word[0] != 512 || params.word[1] != 2048 || params.word[2] != 512)
            bench::stop("llama_context_default_params", "does not begin with n_ctx, n_batch, n_ubatch");
        params.word[0] = static_cast<uint32_t>(n_ctx);
        params.word[1] = bench::most_rows;
        set_kv_type(params, kv);
        context_ = create_context(model_, params); // flash attention is its default on a CPU
        if (context_ == nullptr) bench::stop("llama_init_from_model", "failed");
        set_threads(context_, threads_, threads_);
    }

    void cut(int length) {
        if (length == 0) clear_memory(get_memory(context_), true);
        else if (!remove_tokens(get_memory(context_), 0, length, -1)) bench::stop("llama_memory_seq_rm", "failed");
    }

    void decode(const int32_t* tokens, int n, int /*position: the library counts*/, bool all) {
        Batch batch = make_batch(const_cast<int32_t*>(tokens), n);
        outputs_.assign(static_cast<size_t>(n), 1);
        if (all) batch.logits = outputs_.data(); // without it, the last row's
        if (decode_batch(context_, batch) != 0) bench::stop("llama_decode", "failed");
        synchronize(context_);
    }

private:
    // type_k and type_v lie side by side, and default to F16, which is 1.
    static void set_kv_type(Params& params, const std::string& kv) {
        const uint32_t type = kv == "f32" ? 0 : kv == "f16" ? 1 : kv == "q4_0" ? 2 : kv == "q8_0" ? 8 : 255;
        if (type == 255) bench::stop(kv.c_str(), "no KV type of llama.cpp");
        size_t at = 0, n_found = 0;
        for (size_t i = 16; i < 48; ++i)
            if (params.word[i] == 1 && params.word[i + 1] == 1) at = i, ++n_found;
        if (n_found != 1) bench::stop("llama_context_default_params", "type_k and type_v were not found");
        params.word[at] = params.word[at + 1] = type;
    }

    template <class Function> static Function* symbol(void* handle, const char* name) {
        void* const address = dlsym(handle, name);
        if (address == nullptr) bench::stop(name, "not in the library");
        return reinterpret_cast<Function*>(address);
    }
    static void* open_library(const char* prefix) {
        void* const handle = dlopen(library(prefix).c_str(), RTLD_NOW | RTLD_GLOBAL);
        if (handle == nullptr) bench::stop(prefix, dlerror());
        return handle;
    }

    static void silent(int, const char* text, void*) {
        if (std::getenv("LLAMA_LOG") != nullptr) std::fputs(text, stderr);
    }

    struct Library {
        void* ggml = open_library("libggml");
        void* llama = open_library("libllama");
        Library() {
            symbol<void(void (*)(int, const char*, void*), void*)>(llama, "llama_log_set")(silent, nullptr);
            symbol<void(const char*)>(ggml, "ggml_backend_load_all_from_path")(std::getenv("LLAMA_DIR"));
            symbol<void()>(llama, "llama_backend_init")();
        }
    };
    Library library_;

    template <class Function> Function* of_llama(const char* name) const { return symbol<Function>(library_.llama, name); }

    Params (*model_defaults)() = of_llama<Params()>("llama_model_default_params");
    void* (*load_model)(const char*, Params) = of_llama<void*(const char*, Params)>("llama_model_load_from_file");
    const void* (*vocabulary)(const void*) = of_llama<const void*(const void*)>("llama_model_get_vocab");
    int32_t (*vocabulary_size)(const void*) = of_llama<int32_t(const void*)>("llama_vocab_n_tokens");
    Params (*context_defaults)() = of_llama<Params()>("llama_context_default_params");
    void* (*create_context)(void*, Params) = of_llama<void*(void*, Params)>("llama_init_from_model");
    void (*set_threads)(void*, int32_t, int32_t) = of_llama<void(void*, int32_t, int32_t)>("llama_set_n_threads");
    void* (*get_memory)(const void*) = of_llama<void*(const void*)>("llama_get_memory");
    void (*clear_memory)(void*, bool) = of_llama<void(void*, bool)>("llama_memory_clear");
    bool (*remove_tokens)(void*, int32_t, int32_t, int32_t) = of_llama<bool(void*, int32_t, int32_t, int32_t)>("llama_memory_seq_rm");
    const char* (*system_info)() = of_llama<const char*()>("llama_print_system_info");
    Batch (*make_batch)(int32_t*, int32_t) = of_llama<Batch(int32_t*, int32_t)>("llama_batch_get_one");
    int32_t (*decode_batch)(void*, Batch) = of_llama<int32_t(void*, Batch)>("llama_decode");
    void (*synchronize)(void*) = of_llama<void(void*)>("llama_synchronize");
    float* (*get_logits)(void*, int32_t) = of_llama<float*(void*, int32_t)>("llama_get_logits_ith");

    int threads_ = 0;
    void* model_ = nullptr;
    void* context_ = nullptr;
    int32_t n_vocab_ = 0;
    std::vector<int8_t> outputs_;
};

} // namespace

int main(int argc, char** argv) { return bench::run<LlamaCpp>(argc, argv); }
