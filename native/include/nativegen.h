/* NativeGen's C ABI: the only way into the engine, and the only public native header (C11).
 *
 * Rules, the same for every function
 *  - A fallible call returns an ng_status and, unless `error` is NULL, fills the caller's ng_error: a code and UTF-8 text that says
 *    what is wrong, where, and what to do. Nothing prints, exits, aborts or throws across this boundary.
 *  - Option and info structs begin with `struct_size`, set by the caller to sizeof(struct); a size this build does not know is refused.
 *  - Strings are UTF-8. Strings that come out are copied into the caller's buffer: `cap` bytes, always NUL-terminated when cap > 0,
 *    cut to whole bytes; `*len` is the full length without the NUL. No pointer given to a call is used after it returns.
 *  - A model is immutable and may be used from any thread. A context takes one caller at a time: a second one gets NG_ERR_BUSY.
 *    A context keeps its model alive, so handles may be closed in any order. Closing NULL does nothing.
 *  - Handles are checked for NULL, not for staleness: using a closed handle is the caller's error.
 */
#ifndef NATIVEGEN_H
#define NATIVEGEN_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#  define NG_API __declspec(dllexport)
#else
#  define NG_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever a signature, a struct or a meaning below changes. */
#define NG_ABI_VERSION 1

typedef int32_t ng_status;
enum {
    NG_OK = 0,
    NG_ERR_INVALID_ARGUMENT = 1,         /* a NULL, an out-of-range number, an unknown struct_size: the caller's mistake */
    NG_ERR_NOT_FOUND = 2,                /* no such file, or it can not be opened */
    NG_ERR_INVALID_MODEL = 3,            /* the file is not a GGUF, is damaged, or contradicts itself */
    NG_ERR_UNSUPPORTED_ARCHITECTURE = 4, /* a sound file of an architecture or tensor type that this build does not run */
    NG_ERR_OUT_OF_MEMORY = 5,            /* the estimate exceeds what is available, or an allocation failed */
    NG_ERR_DEVICE_UNAVAILABLE = 6,       /* a forced instruction set or device is not there */
    NG_ERR_CONTEXT_OVERFLOW = 7,         /* a position beyond the context length */
    NG_ERR_BUSY = 8,                     /* the context is in another call */
    NG_ERR_INTERNAL = 9,                 /* a defect of ours */
    NG_ERR_INVALID_STATE = 10,           /* a saved sequence that is damaged or belongs to another model */
    /* expected outcomes: nothing has changed, the caller decides what to do */
    NG_NO_ROOM = 100,                    /* too few free KV pages for the step */
    NG_CANCELLED = 101,                  /* the task was cancelled */
    NG_BUFFER_TOO_SMALL = 102            /* *needed says how much */
};

typedef struct ng_error {
    uint32_t struct_size;
    ng_status code;
    char text[1016];
} ng_error;

typedef struct ng_gguf ng_gguf;
typedef struct ng_model ng_model;
typedef struct ng_context ng_context;
typedef struct ng_task ng_task;

/* ---- the library ------------------------------------------------------------------------------------------------- */

/* NG_ABI_VERSION of the library. Check it before any other call. */
NG_API uint32_t ng_abi_version(void);

/* sizeof of a struct of this header by its name ("ng_error", ...), 0 for an unknown name. For tests on both sides. */
NG_API size_t ng_struct_size(const char* name);

/* Version, compiler and target of the library, e.g. "0.1.0 gcc-12.2 x86_64-linux". Returns the full length. */
NG_API size_t ng_build_info(char* text, size_t cap);

typedef struct ng_cpu_info {
    uint32_t struct_size;
    uint32_t n_logical;     /* processors this process may run on: affinity mask and container limit are honoured */
    uint32_t n_physical;    /* cores behind them, SMT siblings counted once */
    uint32_t n_threads;     /* what 0 threads means in options */
    char brand[64];
    char isa[16];           /* the kernel set models get: "scalar", "avx2" */
    char isa_available[64]; /* all that this machine can run, comma separated, best first */
    char features[256];     /* CPU features found, space separated */
} ng_cpu_info;

/* NG_ERR_DEVICE_UNAVAILABLE if the environment variable NATIVEGEN_ISA names a set this machine or build lacks. */
NG_API ng_status ng_cpu_get_info(ng_cpu_info* info, ng_error* error);

/* Sequential read bandwidth in GB/s (1e9) with n_threads (0 = default) over `bytes` of memory of its own (0 = 256 MiB): best of a few passes. */
NG_API ng_status ng_bandwidth_measure(uint32_t n_threads, uint64_t bytes, double* gb_per_s, ng_error* error);

/* ---- progress and cancel: polled or set from any thread, while another is in a call that took the task -------------- */

NG_API ng_status ng_task_create(ng_task** task, ng_error* error);
NG_API void ng_task_close(ng_task* task);
NG_API void ng_task_cancel(ng_task* task);       /* the call answers NG_CANCELLED within 50 ms */
NG_API void ng_task_reset(ng_task* task);        /* ready for the next call */
NG_API float ng_task_progress(const ng_task* task); /* 0 to 1 of the running or last call */

/* ---- GGUF files: metadata and tensor list; format: github.com/ggml-org/ggml docs/gguf.md, versions 2 and 3 --------- */

enum { /* value types of the format */
    NG_GGUF_UINT8 = 0, NG_GGUF_INT8 = 1, NG_GGUF_UINT16 = 2, NG_GGUF_INT16 = 3, NG_GGUF_UINT32 = 4, NG_GGUF_INT32 = 5,
    NG_GGUF_FLOAT32 = 6, NG_GGUF_BOOL = 7, NG_GGUF_STRING = 8, NG_GGUF_ARRAY = 9, NG_GGUF_UINT64 = 10, NG_GGUF_INT64 = 11,
    NG_GGUF_FLOAT64 = 12
};

typedef struct ng_gguf_info {
    uint32_t struct_size;
    uint32_t version;
    uint64_t n_kv;
    uint64_t n_tensors;
    uint64_t n_files;    /* 1, or the number of split files */
    uint64_t file_bytes; /* of all of them */
    uint64_t alignment;
} ng_gguf_info;

typedef struct ng_gguf_kv {
    uint32_t struct_size;
    uint32_t type;       /* NG_GGUF_* */
    uint32_t item_type;  /* of an array's elements, else equal to type */
    uint32_t reserved;
    uint64_t count;      /* elements of an array, else 1 */
    uint64_t bytes;      /* what ng_gguf_kv_value writes */
} ng_gguf_kv;

typedef struct ng_gguf_tensor {
    uint32_t struct_size;
    uint32_t type;       /* ggml's type number; may be one this build does not know */
    uint32_t n_dims;
    uint32_t file;       /* index of the split file that holds it */
    uint64_t ne[4];      /* elements per dimension, ne[0] contiguous; 1 beyond n_dims */
    uint64_t offset;     /* of the data, from the start of its file */
    uint64_t bytes;      /* 0 if the type is unknown */
} ng_gguf_tensor;

/* Opens and checks a file, or all files of a split set when given its first one. */
NG_API ng_status ng_gguf_open(const char* path, ng_gguf** gguf, ng_error* error);
NG_API void ng_gguf_close(ng_gguf* gguf);
NG_API ng_status ng_gguf_get_info(const ng_gguf* gguf, ng_gguf_info* info, ng_error* error);
/* Index of a key, or -1. */
NG_API int64_t ng_gguf_find(const ng_gguf* gguf, const char* key);
NG_API ng_status ng_gguf_kv_info(const ng_gguf* gguf, uint64_t index, ng_gguf_kv* info, char* key, size_t cap, size_t* len, ng_error* error);
/* The value in file byte order (little endian): a number as stored; a bool as one byte; a string's bytes without length; an array's
 * elements in a row, where each string is a uint64 length and its bytes. NG_BUFFER_TOO_SMALL if cap < bytes of ng_gguf_kv_info. */
NG_API ng_status ng_gguf_kv_value(const ng_gguf* gguf, uint64_t index, void* buffer, size_t cap, ng_error* error);
NG_API ng_status ng_gguf_tensor_info(const ng_gguf* gguf, uint64_t index, ng_gguf_tensor* info, char* name, size_t cap, size_t* len, ng_error* error);

typedef struct ng_type_info {
    uint32_t struct_size;
    uint32_t block_elements; /* elements per block, 1 for plain types */
    uint32_t block_bytes;
    uint32_t supported;      /* 1 if this build can read values of it */
    char name[16];           /* "Q4_K" */
} ng_type_info;

/* NG_ERR_UNSUPPORTED_ARCHITECTURE for a type number this build has never heard of. */
NG_API ng_status ng_type_get_info(uint32_t type, ng_type_info* info, ng_error* error);
/* Values of whole blocks as float32, bit-equal to ggml's reference. `bytes` must be exactly n elements' worth. */
NG_API ng_status ng_type_dequantize(uint32_t type, const void* blocks, size_t bytes, float* values, size_t n, ng_error* error);

/* ---- models ------------------------------------------------------------------------------------------------------ */

enum {
    NG_MODEL_NO_MMAP = 1,   /* read the file instead of mapping it: safe against writers that change it in place */
    NG_MODEL_NO_REPACK = 2, /* keep weights as they are in the file: less memory, slower */
    NG_MODEL_EXACT = 4      /* weights as float32, so that activations are never rounded; slow, and four bytes a weight */
};

typedef struct ng_model_options {
    uint32_t struct_size;
    uint32_t flags;          /* NG_MODEL_* */
    uint32_t n_threads;      /* for opening; 0 = default */
    uint32_t reserved;
} ng_model_options;

typedef struct ng_model_info {
    uint32_t struct_size;
    uint32_t n_vocab;
    uint32_t n_ctx_train;    /* context length the file states */
    uint32_t n_embd;
    uint32_t n_layer;
    uint32_t n_head;
    uint64_t n_params;
    uint64_t file_bytes;
    uint64_t weight_bytes;   /* read per decoded token: every matrix once, one embedding row */
    uint64_t repacked_bytes; /* memory of our own that holds repacked weights */
    uint64_t mapped_bytes;   /* file pages that stay in use */
    uint64_t hash;           /* of metadata and tensor table; what saved sequences are checked against */
    char arch[32];
    char isa[16];
} ng_model_info;

/* options NULL = all zero. task may be NULL. Memory is estimated and compared with what is available before anything is allocated. */
NG_API ng_status ng_model_open(const char* path, const ng_model_options* options, ng_task* task, ng_model** model, ng_error* error);
NG_API void ng_model_close(ng_model* model);
NG_API ng_status ng_model_get_info(const ng_model* model, ng_model_info* info, ng_error* error);
/* The file the model was opened from, for its metadata: nothing is read again. A handle of its own, to be closed like any other. */
NG_API ng_status ng_model_get_gguf(const ng_model* model, ng_gguf** gguf, ng_error* error);

/* ---- contexts: KV cache, sequences, decode ----------------------------------------------------------------------- */

enum {
    NG_KV_F16 = 0,
    NG_KV_F32 = 1,
    NG_KV_Q8_0 = 2 /* bytes with a float16 scale for every 32 values of a head: about half of F16's memory */
};

typedef struct ng_context_options {
    uint32_t struct_size;
    uint32_t n_ctx;     /* longest sequence, in tokens; 0 = the smaller of the model's and 4096 */
    uint32_t n_kv;      /* tokens the KV cache holds over all sequences, rounded up to pages; 0 = n_ctx */
    uint32_t n_batch;   /* most rows of a step; 0 = 512 */
    uint32_t kv_type;   /* NG_KV_* */
    uint32_t n_threads; /* 0 = default */
} ng_context_options;

typedef struct ng_memory_estimate {
    uint32_t struct_size;
    uint32_t page_tokens;      /* tokens of a KV page */
    uint64_t weights_mapped;   /* file bytes read in place */
    uint64_t weights_owned;    /* repacked, or read without mapping */
    uint64_t kv_bytes;         /* the whole cache; allocated page by page as it is used */
    uint64_t kv_bytes_per_token;
    uint64_t scratch_bytes;    /* a context's step buffers */
    uint64_t total_bytes;
    uint64_t available_bytes;  /* what the machine, the container and the process limits leave now */
} ng_memory_estimate;

/* Exact: equals the counters of ng_context_get_stats and ng_model_get_info once the model is open and the cache full. Allocates nothing lasting. */
NG_API ng_status ng_memory_get_estimate(const char* path, const ng_model_options* model_options, const ng_context_options* context_options,
                                        ng_memory_estimate* estimate, ng_error* error);

NG_API ng_status ng_context_create(ng_model* model, const ng_context_options* options, ng_context** context, ng_error* error);
NG_API void ng_context_close(ng_context* context);

typedef struct ng_context_stats {
    uint32_t struct_size;
    uint32_t n_ctx;
    uint32_t n_batch;
    uint32_t n_threads;
    uint32_t page_tokens;
    uint32_t pages_total;
    uint32_t pages_free;
    uint32_t n_sequences;
    uint64_t kv_bytes;          /* allocated for pages so far */
    uint64_t kv_bytes_per_token; /* over all layers */
    uint64_t scratch_bytes;
    uint64_t steps;
    uint64_t rows;
    uint64_t matmul_vector_runs; /* matrix products that took the few-rows path */
    uint64_t matmul_matrix_runs; /* ... and the many-rows path */
} ng_context_stats;

NG_API ng_status ng_context_get_stats(ng_context* context, ng_context_stats* stats, ng_error* error);

/* Sequences are numbers >= 0. Each is a table of KV pages; pages are shared copy-on-write. A prefix that should outlive its request is a
 * fork nobody decodes: it holds pages and nothing else. */
NG_API ng_status ng_seq_create(ng_context* context, int32_t* seq, ng_error* error);
NG_API ng_status ng_seq_drop(ng_context* context, int32_t seq, ng_error* error);
/* A new sequence with the first n_keep tokens of another; n_keep may lie in mid-page. */
NG_API ng_status ng_seq_fork(ng_context* context, int32_t source, uint32_t n_keep, int32_t* seq, ng_error* error);
/* Forgets everything from position n_keep on. */
NG_API ng_status ng_seq_cut(ng_context* context, int32_t seq, uint32_t n_keep, ng_error* error);
NG_API ng_status ng_seq_get_length(ng_context* context, int32_t seq, uint32_t* length, ng_error* error);
/* Free pages that appending n_new tokens would take, copies of shared pages included. */
NG_API ng_status ng_seq_get_pages_needed(ng_context* context, int32_t seq, uint32_t n_new, uint32_t* pages, ng_error* error);

typedef struct ng_batch {
    uint32_t struct_size;
    uint32_t n_rows;
    const int32_t* tokens;    /* [n_rows] */
    const int32_t* seqs;      /* [n_rows] */
    const int32_t* positions; /* [n_rows] a sequence's rows continue it in order: length, length + 1, ...; rows of sequences may mix */
    const uint8_t* outputs;   /* [n_rows] 1 = logits wanted; NULL = none */
} ng_batch;

/* One step. Writes the wanted rows' logits in batch order: logits[n_outputs * n_vocab]. On any status but NG_OK every sequence is as it was. */
NG_API ng_status ng_context_decode(ng_context* context, const ng_batch* batch, float* logits, size_t n_logits, ng_task* task, ng_error* error);

/* A sequence's KV as bytes: versioned, checksummed, bound to the model's hash and the KV type. buffer NULL or too small: NG_BUFFER_TOO_SMALL
 * and *needed. Loading makes a new sequence that continues with the same bits. */
NG_API ng_status ng_seq_save(ng_context* context, int32_t seq, void* buffer, size_t cap, size_t* needed, ng_error* error);
NG_API ng_status ng_seq_load(ng_context* context, const void* buffer, size_t bytes, int32_t* seq, ng_error* error);

#ifdef __cplusplus
}
#endif
#endif
