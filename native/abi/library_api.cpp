// ng_abi_version, ng_struct_size, ng_build_info, ng_task_*.
#include "abi/guard.h"
#include "abi/handles.h"

namespace {

#if defined(__clang__)
#    define NG_COMPILER "clang-" NG_TEXT(__clang_major__) "." NG_TEXT(__clang_minor__)
#elif defined(__GNUC__)
#    define NG_COMPILER "gcc-" NG_TEXT(__GNUC__) "." NG_TEXT(__GNUC_MINOR__)
#elif defined(_MSC_VER)
#    define NG_COMPILER "msvc-" NG_TEXT(_MSC_VER)
#endif
#define NG_TEXT(x) NG_TEXT_(x)
#define NG_TEXT_(x) #x

#if defined(__x86_64__) || defined(_M_X64)
#    define NG_ARCHITECTURE "x86_64"
#elif defined(__aarch64__) || defined(_M_ARM64)
#    define NG_ARCHITECTURE "aarch64"
#else
#    define NG_ARCHITECTURE "unknown"
#endif

#if defined(_WIN32)
#    define NG_SYSTEM "windows"
#elif defined(__APPLE__)
#    define NG_SYSTEM "macos"
#elif defined(__linux__)
#    define NG_SYSTEM "linux"
#else
#    define NG_SYSTEM "unknown"
#endif

constexpr std::string_view build_info = NG_VERSION " " NG_COMPILER " " NG_ARCHITECTURE "-" NG_SYSTEM;

struct NamedSize {
    std::string_view name;
    size_t bytes;
};

#define NG_SIZE(type)                                                                                                                                \
    NamedSize { #type, sizeof(type) }
constexpr NamedSize struct_sizes[] = {
    NG_SIZE(ng_error),           NG_SIZE(ng_cpu_info),        NG_SIZE(ng_gguf_info),     NG_SIZE(ng_gguf_kv),
    NG_SIZE(ng_gguf_tensor),     NG_SIZE(ng_type_info),       NG_SIZE(ng_model_options), NG_SIZE(ng_model_info),
    NG_SIZE(ng_context_options), NG_SIZE(ng_memory_estimate), NG_SIZE(ng_context_stats), NG_SIZE(ng_batch),
};

} // namespace

uint32_t ng_abi_version(void) { return NG_ABI_VERSION; }

size_t ng_struct_size(const char* name) {
    if (!name) return 0;
    for (const NamedSize& entry : struct_sizes) {
        if (entry.name == name) return entry.bytes;
    }
    return 0;
}

size_t ng_build_info(char* text, size_t cap) {
    if (text) ng::copy_out(build_info, text, cap, nullptr);
    return build_info.size();
}

ng_status ng_task_create(ng_task** task, ng_error* error) {
    return ng::guard(error, [&] {
        ng::require(task, "task");
        *task = nullptr;
        *task = new ng_task;
    });
}

void ng_task_close(ng_task* task) { delete task; }

void ng_task_cancel(ng_task* task) {
    if (task) task->task.cancelled.store(true, std::memory_order_relaxed);
}

void ng_task_reset(ng_task* task) {
    if (!task) return;
    task->task.cancelled.store(false, std::memory_order_relaxed);
    task->task.progress.store(0.0f, std::memory_order_relaxed);
}

float ng_task_progress(const ng_task* task) { return task ? task->task.progress.load(std::memory_order_relaxed) : 0.0f; }
