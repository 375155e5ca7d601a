// Quantization of activations, attention and activation functions, one value at a time, and the scalar kernel table: the specification.
#include <cmath>
#include <cstring>

#include "cpu/kernels.h"
#include "tensor/half.h"

namespace ng::cpu {

const MatmulKernel* scalar_matmul(uint32_t type, ActFormat format);

namespace {

constexpr float inf = INFINITY;

bool all_finite(const float* x, uint32_t n) {
    for (uint32_t i = 0; i < n; ++i)
        if (!std::isfinite(x[i])) return false;
    return true;
}

// A block with a NaN or an infinity makes every output it meets NaN: never a plausible number.
void poison(ActBlock& block) { block = {NAN, NAN, NAN, 0}; }

int32_t two_sums(const int32_t (&sums)[2]) {
    return static_cast<int32_t>((static_cast<uint32_t>(sums[0]) & 0xffffu) | static_cast<uint32_t>(sums[1]) << 16);
}

void quantize_a8(const float* x, uint32_t n_cols, int8_t* q, ActBlock* blocks) {
    for (uint32_t k = 0; k < n_cols / act_block; ++k, x += act_block, q += act_block) {
        ActBlock& block = blocks[k];
        if (!all_finite(x, act_block)) {
            poison(block);
            std::memset(q, 0, act_block);
            continue;
        }
        float low = x[0], high = x[0];
        for (uint32_t i = 1; i < act_block; ++i) {
            low = x[i] < low ? x[i] : low;
            high = x[i] > high ? x[i] : high;
        }
        block.m = 0.5f * low + 0.5f * high;
        // From the rounded middle: |x - m| <= 127 d, so that no q leaves its byte however narrow the block.
        const float above = high - block.m, below = block.m - low;
        block.d = (above > below ? above : below) / 127.0f;
        const float inverse = block.d >= smallest_scale ? 1.0f / block.d : 0.0f;
        int32_t sums[2] = {0, 0};
        for (uint32_t i = 0; i < act_block; ++i) {
            q[i] = static_cast<int8_t>(std::nearbyintf((x[i] - block.m) * inverse));
            sums[i / 16] += q[i];
        }
        block.sum = two_sums(sums);
        block.s = std::fmaf(block.m, 32.0f, block.d * static_cast<float>(sums[0] + sums[1]));
    }
}

void quantize_a16(const float* x, uint32_t n_cols, int8_t* q, ActBlock* blocks) {
    const uint32_t n_blocks = n_cols / act_block;
    for (uint32_t k = 0; k < n_blocks; ++k, x += act_block, q += act_block) {
        ActBlock &first = blocks[k], &second = blocks[n_blocks + k];
        if (!all_finite(x, act_block)) {
            poison(first);
            poison(second);
            std::memset(q, 0, act_block);
            std::memset(q + n_cols, 0, act_block);
            continue;
        }
        float largest = 0;
        for (uint32_t i = 0; i < act_block; ++i) largest = std::fabs(x[i]) > largest ? std::fabs(x[i]) : largest;
        const float d = largest / 8191.0f, inverse = d >= smallest_scale ? 1.0f / d : 0.0f;
        int32_t sum = 0, sums0[2] = {0, 0}, sums1[2] = {0, 0};
        for (uint32_t i = 0; i < act_block; ++i) {
            const auto value = static_cast<int32_t>(std::nearbyintf(x[i] * inverse));
            q[i] = static_cast<int8_t>(value >> 7);
            q[n_cols + i] = static_cast<int8_t>(value & 127);
            sum += value;
            sums0[i / 16] += q[i];
            sums1[i / 16] += q[n_cols + i];
        }
        const float s = d * static_cast<float>(sum);
        first = {d, 0, s, two_sums(sums0)};
        second = {d, 0, s, two_sums(sums1)};
    }
}

// e^x as 2^n e^r, |r| <= ln2/2, a polynomial of degree 6: within 2 units in the last place; below the smallest normal number it is 0.
float exp_f32(float x) {
    if (x != x) return x;
    if (x > 88.3762f) return inf;
    if (x < -87.3365f) return 0;
    const float n = std::nearbyintf(x * 1.44269504f);
    float r = std::fmaf(n, -0.693359375f, x);
    r = std::fmaf(n, 2.12194440e-4f, r);
    float p = 1.98756915e-4f;
    p = std::fmaf(p, r, 1.39819995e-3f);
    p = std::fmaf(p, r, 8.33345191e-3f);
    p = std::fmaf(p, r, 4.16657962e-2f);
    p = std::fmaf(p, r, 1.66666655e-1f);
    p = std::fmaf(p, r, 5.0e-1f);
    p = std::fmaf(p * r, r, r) + 1.0f;
    int32_t bits;
    std::memcpy(&bits, &p, 4);
    bits += static_cast<int32_t>(n) << 23;
    std::memcpy(&p, &bits, 4);
    return p;
}

float silu(float x) { return x / (1.0f + exp_f32(-x)); }

// 0.5 x (1 + tanh u) = x / (1 + e^-2u), u = sqrt(2/pi) (x + 0.044715 x^3)
float gelu(float x) {
    const float inner = x * std::fmaf(0.044715f * x, x, 1.0f);
    return x / (1.0f + exp_f32(-1.59576912f * inner));
}

void silu_mul(const float* gate, const float* up, float* out, size_t n) {
    for (size_t i = 0; i < n; ++i) out[i] = silu(gate[i]) * up[i];
}

void gelu_tanh(float* x, size_t n) {
    for (size_t i = 0; i < n; ++i) x[i] = gelu(x[i]);
}

void gelu_tanh_mul(const float* gate, const float* up, float* out, size_t n) {
    for (size_t i = 0; i < n; ++i) out[i] = gelu(gate[i]) * up[i];
}

// Sum of one tile's 64 weights: 16 lanes (lane j takes positions j, j + 16, ...), then a tree of halves.
float sum_tile(const float* p) {
    float lanes[16];
    for (int j = 0; j < 16; ++j) lanes[j] = ((p[j] + p[j + 16]) + p[j + 32]) + p[j + 48];
    for (int width = 8; width; width /= 2)
        for (int j = 0; j < width; ++j) lanes[j] += lanes[j + width];
    return lanes[0];
}

// Value i of a head's part of a page with n values, whose scale in Q8_0 is number `scale`.
float load(const void* page, backend::KvType type, size_t i, size_t n, size_t scale) {
    switch (type) {
        case backend::KvType::F32: return static_cast<const float*>(page)[i];
        case backend::KvType::F16: return f16_to_f32(static_cast<const uint16_t*>(page)[i]);
        case backend::KvType::Q8_0: break;
    }
    const auto* const bytes = static_cast<const int8_t*>(page);
    return static_cast<float>(bytes[i]) * f16_to_f32(reinterpret_cast<const uint16_t*>(bytes + n)[scale]);
}

// Running softmax: out = acc / sum; all weights are relative to e^max. A NaN score makes its weight, so the sum, so the output NaN.
struct Softmax {
    float max = -inf;
    float sum = 0;
};

// One page of positions for one query head: scores (a lane is a position), then weights, then acc (a lane is an output).
void attend_tile(const AttentionJob& job, const float* q, const void* k, const void* v, uint32_t n_valid, Softmax& state, float* acc) {
    float weights[page_tokens];
    float max = state.max;
    for (uint32_t j = 0; j < page_tokens; ++j) {
        float dot = 0;
        if (j < n_valid)
            for (uint32_t c = 0; c < job.d_k; ++c) dot = std::fmaf(q[c], load(k, job.type, size_t{c} * page_tokens + j, size_t{job.d_k} * page_tokens, c / backend::kv_block * page_tokens + j), dot);
        weights[j] = j < n_valid ? dot * job.scale : -inf;
        if (weights[j] > max) max = weights[j];
    }
    const float keep = exp_f32(state.max - max);
    for (uint32_t j = 0; j < page_tokens; ++j) weights[j] = j < n_valid ? exp_f32(weights[j] - max) : 0;
    state.sum = std::fmaf(state.sum, keep, sum_tile(weights));
    state.max = max;
    for (uint32_t c = 0; c < job.d_v; ++c) acc[c] *= keep;
    for (uint32_t j = 0; j < n_valid; ++j)
        for (uint32_t c = 0; c < job.d_v; ++c) acc[c] = std::fmaf(weights[j], load(v, job.type, size_t{j} * job.d_v + c, size_t{job.d_v} * page_tokens, j * backend::kv_blocks(job.d_v) + c / backend::kv_block), acc[c]);
}

void attention(const AttentionJob* pjob) {
    const AttentionJob& job = *pjob;
    const uint32_t group = job.n_head / job.n_head_kv;
    float* acc = static_cast<float*>(job.scratch);
    for (uint32_t r = 0; r < job.n_rows; ++r) {
        const AttentionRow& row = job.rows[r];
        const uint32_t n_pages = row.position / page_tokens + 1;
        for (uint32_t g = 0; g < group; ++g) {
            const uint32_t head = job.head_kv * group + g;
            float* out = row.out + size_t{head} * job.d_v;
            Softmax whole;
            for (uint32_t first = 0; first < n_pages; first += split_pages) {
                Softmax part;
                std::memset(acc, 0, job.d_v * sizeof *acc);
                for (uint32_t page = first; page < n_pages && page < first + split_pages; ++page) {
                    const uint32_t n_valid = page + 1 < n_pages ? page_tokens : row.position % page_tokens + 1;
                    const auto* k = static_cast<const uint8_t*>(job.k_pages[page]) + size_t{job.head_kv} * page_tokens * backend::kv_bytes(job.type, job.d_k);
                    const auto* v = static_cast<const uint8_t*>(job.v_pages[page]) + size_t{job.head_kv} * page_tokens * backend::kv_bytes(job.type, job.d_v);
                    attend_tile(job, row.q + size_t{head} * job.d_k, k, v, n_valid, part, acc);
                }
                if (first == 0) {
                    whole = part;
                    std::memcpy(out, acc, job.d_v * sizeof *acc);
                    continue;
                }
                const float max = part.max > whole.max ? part.max : whole.max;
                const float keep = exp_f32(whole.max - max), take = exp_f32(part.max - max);
                whole.sum = std::fmaf(whole.sum, keep, part.sum * take);
                whole.max = max;
                for (uint32_t c = 0; c < job.d_v; ++c) out[c] = std::fmaf(out[c], keep, acc[c] * take);
            }
            for (uint32_t c = 0; c < job.d_v; ++c) out[c] = out[c] / whole.sum;
        }
    }
}

void to_f16(const float* x, uint16_t* out, size_t n) {
    for (size_t i = 0; i < n; ++i) out[i] = f32_to_f16(x[i]);
}

Kernels make_table() {
    Kernels table{};
    table.name = "scalar";
    for (uint32_t type = 0; type < n_types; ++type) {
        const bool is_float = type == 0 || type == 1 || type == 30;
        table.matmul[type] = scalar_matmul(type, is_float ? ActFormat::F32 : ActFormat::A8);
        table.matmul_a16[type] = is_float ? nullptr : scalar_matmul(type, ActFormat::A16);
    }
    table.quantize_a8 = quantize_a8;
    table.quantize_a16 = quantize_a16;
    table.to_f16 = to_f16;
    table.attention = attention;
    table.silu_mul = silu_mul;
    table.gelu_tanh = gelu_tanh;
    table.gelu_tanh_mul = gelu_tanh_mul;
    return table;
}

}  // namespace

const Kernels& scalar_kernels() {
    static const Kernels table = make_table();
    return table;
}

}  // namespace ng::cpu
