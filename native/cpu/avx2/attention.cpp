// Attention with AVX2: each page of keys and values becomes float once and serves all rows and heads of the job; a lane is a position for the
// scores and an output for the sums. The specification is scalar/scalar.cpp.
#include "cpu/simd/simd.h"

#include <immintrin.h>

#include "cpu/avx2/vector_math.h"

namespace ng::cpu {
namespace {

constexpr uint32_t tile_vectors = page_tokens / 8;

// One (row, query head): running softmax of the split at hand and of all splits before it.
struct Lane {
    const float* q;
    float* out;      // sums of all splits before this one, relative to `max`
    float* part;     // sums of this split
    float max, sum;
    float part_max, part_sum;
    uint32_t position;
};

const float* as_floats(const void* page, size_t first, size_t n, bool f16, float* room) {
    if (!f16) return static_cast<const float*>(page) + first;
    const uint16_t* halves = static_cast<const uint16_t*>(page) + first;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(room + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves + i))));
    for (; i < n; ++i) room[i] = _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(halves[i])));
    return room;
}

// Scores of a page: out[v] = scale * sum over dimensions of q[c] k[c][8 v ...], dimension after dimension.
template <uint32_t N>
void scores(const float* q, const float* k, uint32_t d_k, float scale, __m256* out) {
    __m256 dot[N];
    for (uint32_t v = 0; v < N; ++v) dot[v] = _mm256_setzero_ps();
    for (uint32_t c = 0; c < d_k; ++c) {
        const __m256 value = _mm256_set1_ps(q[c]);
        for (uint32_t v = 0; v < N; ++v) dot[v] = _mm256_fmadd_ps(value, _mm256_loadu_ps(k + size_t{c} * page_tokens + 8 * v), dot[v]);
    }
    for (uint32_t v = 0; v < N; ++v) out[v] = _mm256_mul_ps(dot[v], _mm256_set1_ps(scale));
}

float exp1(float x) { return _mm256_cvtss_f32(exp8(_mm256_set1_ps(x))); }

float add_up(__m256 low, __m256 high) {
    const __m256 eight = _mm256_add_ps(low, high);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

// acc = acc * keep, then acc += weights[j] v[j] position after position, for N vectors of outputs.
template <int N>
void weigh(const float* weights, uint32_t n_valid, const float* v, uint32_t d_v, float keep, float* acc) {
    __m256 sums[N];
    for (int i = 0; i < N; ++i) sums[i] = _mm256_mul_ps(_mm256_loadu_ps(acc + 8 * i), _mm256_set1_ps(keep));
    for (uint32_t j = 0; j < n_valid; ++j, v += d_v) {
        const __m256 weight = _mm256_set1_ps(weights[j]);
        for (int i = 0; i < N; ++i) sums[i] = _mm256_fmadd_ps(weight, _mm256_loadu_ps(v + 8 * i), sums[i]);
    }
    for (int i = 0; i < N; ++i) _mm256_storeu_ps(acc + 8 * i, sums[i]);
}

void attend_page(const AttentionJob& job, const float* k, const float* v, uint32_t first_position, Lane& lane) {
    const uint32_t left = lane.position - first_position + 1;
    const uint32_t n_valid = left < page_tokens ? left : page_tokens;
    const uint32_t n_vectors = (n_valid + 7) / 8;
    __m256 s[tile_vectors];
    for (uint32_t i = n_vectors; i < tile_vectors; ++i) s[i] = _mm256_setzero_ps();
    switch (n_vectors) {
        case 1: scores<1>(lane.q, k, job.d_k, job.scale, s); break;
        case 2: scores<2>(lane.q, k, job.d_k, job.scale, s); break;
        case 3: scores<3>(lane.q, k, job.d_k, job.scale, s); break;
        case 4: scores<4>(lane.q, k, job.d_k, job.scale, s); break;
        case 5: scores<5>(lane.q, k, job.d_k, job.scale, s); break;
        case 6: scores<6>(lane.q, k, job.d_k, job.scale, s); break;
        case 7: scores<7>(lane.q, k, job.d_k, job.scale, s); break;
        default: scores<8>(lane.q, k, job.d_k, job.scale, s); break;
    }
    const __m256i last = first_lanes(n_valid - 8 * (n_vectors - 1));
    const __m256 nothing = _mm256_set1_ps(-__builtin_inff());
    s[n_vectors - 1] = _mm256_blendv_ps(nothing, s[n_vectors - 1], _mm256_castsi256_ps(last));
    // max(new, old) keeps old when new is a NaN, as the comparison of the specification does
    __m256 largest = _mm256_set1_ps(lane.part_max);
    for (uint32_t i = 0; i < n_vectors; ++i) largest = _mm256_max_ps(s[i], largest);
    const float max = highest(largest);

    for (uint32_t i = 0; i < n_vectors; ++i) s[i] = exp8(_mm256_sub_ps(s[i], _mm256_set1_ps(max)));
    s[n_vectors - 1] = _mm256_and_ps(s[n_vectors - 1], _mm256_castsi256_ps(last));
    alignas(32) float weights[page_tokens];
    for (uint32_t i = 0; i < tile_vectors; ++i) _mm256_store_ps(weights + 8 * i, s[i]);

    const float keep = exp1(lane.part_max - max);
    const __m256 low = _mm256_add_ps(_mm256_add_ps(_mm256_add_ps(s[0], s[2]), s[4]), s[6]);
    const __m256 high = _mm256_add_ps(_mm256_add_ps(_mm256_add_ps(s[1], s[3]), s[5]), s[7]);
    lane.part_sum = __builtin_fmaf(lane.part_sum, keep, add_up(low, high));
    lane.part_max = max;

    uint32_t c = 0;
    for (; c + 64 <= job.d_v; c += 64) weigh<8>(weights, n_valid, v + c, job.d_v, keep, lane.part + c);
    for (; c + 16 <= job.d_v; c += 16) weigh<2>(weights, n_valid, v + c, job.d_v, keep, lane.part + c);
    for (; c + 8 <= job.d_v; c += 8) weigh<1>(weights, n_valid, v + c, job.d_v, keep, lane.part + c);
    for (; c < job.d_v; ++c) {
        float sum = lane.part[c] * keep;
        for (uint32_t j = 0; j < n_valid; ++j) sum = __builtin_fmaf(weights[j], v[size_t{j} * job.d_v + c], sum);
        lane.part[c] = sum;
    }
}

void end_split(const AttentionJob& job, bool first, Lane& lane) {
    if (first) {
        lane.max = lane.part_max;
        lane.sum = lane.part_sum;
        for (uint32_t c = 0; c < job.d_v; ++c) lane.out[c] = lane.part[c];
    } else {
        const float max = lane.part_max > lane.max ? lane.part_max : lane.max;
        const float keep = exp1(lane.max - max), take = exp1(lane.part_max - max);
        lane.sum = __builtin_fmaf(lane.sum, keep, lane.part_sum * take);
        lane.max = max;
        for (uint32_t c = 0; c < job.d_v; ++c) lane.out[c] = __builtin_fmaf(lane.out[c], keep, lane.part[c] * take);
    }
}

}  // namespace

void avx2_attention(const AttentionJob* pjob) {
    const AttentionJob& job = *pjob;
    const uint32_t group = job.n_head / job.n_head_kv, n_lanes = job.n_rows * group;
    const size_t k_floats = size_t{job.d_k} * page_tokens, v_floats = size_t{job.d_v} * page_tokens;
    float* const k_room = static_cast<float*>(job.scratch);
    float* const v_room = k_room + k_floats;
    float* const parts = v_room + v_floats;
    Lane* const lanes = reinterpret_cast<Lane*>(parts + (size_t{n_lanes} * job.d_v + 15) / 16 * 16);
    for (uint32_t i = 0; i < n_lanes; ++i) {
        const AttentionRow& row = job.rows[i / group];
        const uint32_t head = job.head_kv * group + i % group;
        lanes[i].q = row.q + size_t{head} * job.d_k;
        lanes[i].out = row.out + size_t{head} * job.d_v;
        lanes[i].part = parts + size_t{i} * job.d_v;
        lanes[i].position = row.position;
    }
    const uint32_t n_pages = job.rows[job.n_rows - 1].position / page_tokens + 1;
    for (uint32_t first = 0; first < n_pages; first += split_pages) {
        for (uint32_t i = 0; i < n_lanes; ++i) {
            lanes[i].part_max = -__builtin_inff();
            lanes[i].part_sum = 0;
            for (uint32_t c = 0; c < job.d_v; ++c) lanes[i].part[c] = 0;
        }
        for (uint32_t page = first; page < n_pages && page < first + split_pages; ++page) {
            const float* const k = as_floats(job.k_pages[page], job.head_kv * k_floats, k_floats, job.f16, k_room);
            const float* const v = as_floats(job.v_pages[page], job.head_kv * v_floats, v_floats, job.f16, v_room);
            for (uint32_t i = 0; i < n_lanes; ++i)
                if (lanes[i].position >= page * page_tokens) attend_page(job, k, v, page * page_tokens, lanes[i]);
        }
        for (uint32_t i = 0; i < n_lanes; ++i)
            if (lanes[i].position >= first * page_tokens) end_split(job, first == 0, lanes[i]);
    }
    for (uint32_t i = 0; i < n_lanes; ++i)
        for (uint32_t c = 0; c < job.d_v; ++c) lanes[i].out[c] = lanes[i].out[c] / lanes[i].sum;
}

}  // namespace ng::cpu
