// Attention over pages, once for every instruction set: a file of an instruction set includes its vocabulary, then this. Rows and query heads
// that look at the same keys are taken four at a time, so that every key and value that is loaded is used four times; a lane is a position for
// the scores and an output for the sums. The specification is scalar/scalar.cpp. Everything is internal to the file that includes it.
#pragma once

#include "cpu/simd/math.h"

namespace ng::cpu {
namespace {

inline float exponential1(float x) {
    float lane[lanes];
    store_floats(lane, exponential(all(x)));
    return lane[0];
}

// One (row, query head): running softmax of the split at hand and of all splits before it.
struct Lane {
    const float* q;
    float* out;      // sums of all splits before this one, relative to `max`
    float* part;     // sums of this split
    float max, sum;
    float part_max, part_sum;
    float keep;      // what the page at hand leaves of `part`
    uint32_t position;
    uint32_t n_valid;  // positions of the page at hand that the lane sees
};

constexpr int at_once = 4;                       // lanes
constexpr int page_vectors = page_tokens / lanes;
constexpr int tile_vectors = lanes == 16 ? 4 : 2;  // at_once x tile_vectors sums are under way

inline Floats read(const float* p) { return load_floats(p); }
inline Floats read(const uint16_t* p) { return load_f16(p); }

// Scores of a page for L lanes: to[l][j] = scale * sum over dimensions of q[c] k[c][j], dimension after dimension.
template <int L, class E>
void scores(const Lane* lane, const E* k, uint32_t d_k, float scale, float (*to)[page_tokens]) {
    for (int first_vector = 0; first_vector < page_vectors; first_vector += tile_vectors) {
        Floats dot[L][tile_vectors];
        NG_UNROLL for (int l = 0; l < L; ++l)
            NG_UNROLL for (int v = 0; v < tile_vectors; ++v) dot[l][v] = zero_floats();
        const E* column = k + static_cast<uint32_t>(first_vector) * lanes;
        for (uint32_t c = 0; c < d_k; ++c, column += page_tokens) {
            Floats keys[tile_vectors];
            NG_UNROLL for (int v = 0; v < tile_vectors; ++v) keys[v] = read(column + static_cast<uint32_t>(v) * lanes);
            NG_UNROLL for (int l = 0; l < L; ++l) {
                const Floats value = all(lane[l].q[c]);
                NG_UNROLL for (int v = 0; v < tile_vectors; ++v) dot[l][v] = fma(value, keys[v], dot[l][v]);
            }
        }
        NG_UNROLL for (int l = 0; l < L; ++l)
            NG_UNROLL for (int v = 0; v < tile_vectors; ++v) store_floats(to[l] + static_cast<uint32_t>(first_vector + v) * lanes, mul(dot[l][v], all(scale)));
    }
}

// Scores of a lane become weights; its softmax moves on.
inline void weights_of(Lane& lane, float* scores) {
    Floats s[page_vectors];
    Floats top = all(lane.part_max);
    for (uint32_t v = 0; v < page_vectors; ++v) {
        const uint32_t before = v * lanes;
        s[v] = load_floats(scores + before);
        if (before + lanes > lane.n_valid) s[v] = select(first_lanes(lane.n_valid > before ? lane.n_valid - before : 0), s[v], all(-INFINITY));
        top = larger(s[v], top);  // a NaN does not enter
    }
    const float max = highest(top);
    for (uint32_t v = 0; v < page_vectors; ++v) {
        const uint32_t before = v * lanes;
        s[v] = exponential(sub(s[v], all(max)));
        if (before + lanes > lane.n_valid) s[v] = select(first_lanes(lane.n_valid > before ? lane.n_valid - before : 0), s[v], zero_floats());
        store_floats(scores + before, s[v]);
    }
    constexpr int vectors16 = 16 / lanes;
    NG_UNROLL for (int v = vectors16; v < page_vectors; ++v) s[v % vectors16] = add(s[v % vectors16], s[v]);
    lane.keep = exponential1(lane.part_max - max);
    lane.part_sum = fmaf(lane.part_sum, lane.keep, sum16(s));
    lane.part_max = max;
}

// Outputs [c, c + V vectors) of L lanes: part = part * keep, then part += weight[j] v[j], position after position.
template <int L, int V, class E>
void weigh(Lane* lane, const float (*weights)[page_tokens], const E* v, uint32_t d_v, uint32_t c) {
    uint32_t n_common = page_tokens;
    NG_UNROLL for (int l = 0; l < L; ++l) n_common = lane[l].n_valid < n_common ? lane[l].n_valid : n_common;
    Floats sums[L][V];
    NG_UNROLL for (int l = 0; l < L; ++l)
        NG_UNROLL for (int i = 0; i < V; ++i) sums[l][i] = mul(load_floats(lane[l].part + c + static_cast<uint32_t>(i) * lanes), all(lane[l].keep));
    const E* row = v + c;
    for (uint32_t j = 0; j < n_common; ++j, row += d_v) {
        Floats values[V];
        NG_UNROLL for (int i = 0; i < V; ++i) values[i] = read(row + static_cast<uint32_t>(i) * lanes);
        NG_UNROLL for (int l = 0; l < L; ++l) {
            const Floats weight = all(weights[l][j]);
            NG_UNROLL for (int i = 0; i < V; ++i) sums[l][i] = fma(weight, values[i], sums[l][i]);
        }
    }
    NG_UNROLL for (int l = 0; l < L; ++l) {
        // what this lane sees and another does not
        for (uint32_t j = n_common; j < lane[l].n_valid; ++j)
            NG_UNROLL for (int i = 0; i < V; ++i) sums[l][i] = fma(all(weights[l][j]), read(v + size_t{j} * d_v + c + static_cast<uint32_t>(i) * lanes), sums[l][i]);
        NG_UNROLL for (int i = 0; i < V; ++i) store_floats(lane[l].part + c + static_cast<uint32_t>(i) * lanes, sums[l][i]);
    }
}

template <class E> float read1(const E* p) {
    if constexpr (sizeof(E) == 4) return *p;
    else return load_f16_1(p);
}

template <int L, class E>
void attend_page(const AttentionJob& job, Lane* lane, const E* k, const E* v, float (*weights)[page_tokens]) {
    scores<L>(lane, k, job.d_k, job.scale, weights);
    NG_UNROLL for (int l = 0; l < L; ++l) weights_of(lane[l], weights[l]);
    uint32_t c = 0;
    for (; c + tile_vectors * lanes <= job.d_v; c += tile_vectors * lanes) weigh<L, tile_vectors>(lane, weights, v, job.d_v, c);
    for (; c + lanes <= job.d_v; c += lanes) weigh<L, 1>(lane, weights, v, job.d_v, c);
    for (; c < job.d_v; ++c)
        NG_UNROLL for (int l = 0; l < L; ++l) {
            float sum = lane[l].part[c] * lane[l].keep;
            for (uint32_t j = 0; j < lane[l].n_valid; ++j) sum = fmaf(weights[l][j], read1(v + size_t{j} * job.d_v + c), sum);
            lane[l].part[c] = sum;
        }
}

// All lanes that see something of the page.
template <class E>
void attend_lanes(const AttentionJob& job, Lane* lane, uint32_t n_lanes, uint32_t first_position, const E* k, const E* v) {
    alignas(64) float weights[at_once][page_tokens];
    while (n_lanes && lane->position < first_position) ++lane, --n_lanes;  // lanes are in order of their positions
    for (uint32_t l = 0; l < n_lanes; ++l) {
        const uint32_t n = lane[l].position - first_position + 1;
        lane[l].n_valid = n < page_tokens ? n : page_tokens;
    }
    for (; n_lanes >= at_once; n_lanes -= at_once, lane += at_once) attend_page<at_once>(job, lane, k, v, weights);
    if (n_lanes >= 2) attend_page<2>(job, lane, k, v, weights), n_lanes -= 2, lane += 2;
    if (n_lanes) attend_page<1>(job, lane, k, v, weights);
}

inline void end_split(const AttentionJob& job, bool first, Lane& lane) {
    if (first) {
        lane.max = lane.part_max;
        lane.sum = lane.part_sum;
        for (uint32_t c = 0; c < job.d_v; ++c) lane.out[c] = lane.part[c];
        return;
    }
    const float max = lane.part_max > lane.max ? lane.part_max : lane.max;
    const float keep = exponential1(lane.max - max), take = exponential1(lane.part_max - max);
    lane.sum = fmaf(lane.sum, keep, lane.part_sum * take);
    lane.max = max;
    for (uint32_t c = 0; c < job.d_v; ++c) lane.out[c] = fmaf(lane.out[c], keep, lane.part[c] * take);
}

inline const float* as_floats(const uint16_t* page, size_t n, float* room) {
    for (size_t i = 0; i < n; i += lanes) store_floats(room + i, load_f16(page + i));  // n is a multiple of page_tokens
    return room;
}

// A page's keys [d_k][64] in Q8_0 as floats.
inline const float* keys_as_floats(const int8_t* bytes, uint32_t d_k, float* room) {
    const auto* const scales = reinterpret_cast<const uint16_t*>(bytes + size_t{d_k} * page_tokens);
    for (uint32_t first = 0; first < d_k; first += backend::kv_block) {
        Floats scale[page_vectors];
        for (uint32_t v = 0; v < page_vectors; ++v) scale[v] = load_f16(scales + first / backend::kv_block * page_tokens + v * lanes);
        for (uint32_t c = first; c < d_k && c < first + backend::kv_block; ++c)
            for (uint32_t v = 0; v < page_vectors; ++v) {
                const size_t at = size_t{c} * page_tokens + v * lanes;
                store_floats(room + at, mul(to_floats(load_i8(bytes + at)), scale[v]));
            }
    }
    return room;
}

// A page's values [64][d_v] in Q8_0 as floats.
inline const float* values_as_floats(const int8_t* bytes, uint32_t d_v, float* room) {
    const uint32_t n_blocks = backend::kv_blocks(d_v);
    const auto* const scales = reinterpret_cast<const uint16_t*>(bytes + size_t{d_v} * page_tokens);
    for (uint32_t j = 0; j < page_tokens; ++j) {
        const int8_t* const row = bytes + size_t{j} * d_v;
        float* const to = room + size_t{j} * d_v;
        uint32_t c = 0;
        for (; c + lanes <= d_v; c += lanes) store_floats(to + c, mul(to_floats(load_i8(row + c)), all(load_f16_1(scales + j * n_blocks + c / backend::kv_block))));
        for (; c < d_v; ++c) to[c] = static_cast<float>(row[c]) * load_f16_1(scales + j * n_blocks + c / backend::kv_block);
    }
    return room;
}

inline void attend(const AttentionJob& job) {
    const uint32_t group = job.n_head / job.n_head_kv, n_lanes = job.n_rows * group;
    const size_t k_floats = size_t{job.d_k} * page_tokens, v_floats = size_t{job.d_v} * page_tokens;
    float* const k_room = static_cast<float*>(job.scratch);
    float* const v_room = k_room + k_floats;
    float* const parts = v_room + v_floats;
    Lane* const all_lanes = reinterpret_cast<Lane*>(parts + (size_t{n_lanes} * job.d_v + 15) / 16 * 16);
    for (uint32_t i = 0; i < n_lanes; ++i) {
        const AttentionRow& row = job.rows[i / group];
        const uint32_t head = job.head_kv * group + i % group;
        all_lanes[i].q = row.q + size_t{head} * job.d_k;
        all_lanes[i].out = row.out + size_t{head} * job.d_v;
        all_lanes[i].part = parts + size_t{i} * job.d_v;
        all_lanes[i].position = row.position;
    }
    const uint32_t n_pages = job.rows[job.n_rows - 1].position / page_tokens + 1;
    for (uint32_t first = 0; first < n_pages; first += split_pages) {
        for (uint32_t i = 0; i < n_lanes; ++i) {
            all_lanes[i].part_max = -INFINITY;
            all_lanes[i].part_sum = 0;
            for (uint32_t c = 0; c < job.d_v; ++c) all_lanes[i].part[c] = 0;
        }
        for (uint32_t page = first; page < n_pages && page < first + split_pages; ++page) {
            const uint8_t* const k = static_cast<const uint8_t*>(job.k_pages[page]) + job.head_kv * page_tokens * backend::kv_bytes(job.type, job.d_k);
            const uint8_t* const v = static_cast<const uint8_t*>(job.v_pages[page]) + job.head_kv * page_tokens * backend::kv_bytes(job.type, job.d_v);
            const uint32_t first_position = page * page_tokens;
            if (job.type == backend::KvType::F32) {
                attend_lanes(job, all_lanes, n_lanes, first_position, reinterpret_cast<const float*>(k), reinterpret_cast<const float*>(v));
            } else if (job.type == backend::KvType::Q8_0) {
                attend_lanes(job, all_lanes, n_lanes, first_position, keys_as_floats(reinterpret_cast<const int8_t*>(k), job.d_k, k_room),
                             values_as_floats(reinterpret_cast<const int8_t*>(v), job.d_v, v_room));
            } else if (n_lanes <= 2 * at_once) {  // a few read halves as they are, for many they are converted once
                attend_lanes(job, all_lanes, n_lanes, first_position, reinterpret_cast<const uint16_t*>(k), reinterpret_cast<const uint16_t*>(v));
            } else {
                attend_lanes(job, all_lanes, n_lanes, first_position, as_floats(reinterpret_cast<const uint16_t*>(k), k_floats, k_room),
                             as_floats(reinterpret_cast<const uint16_t*>(v), v_floats, v_room));
            }
        }
        for (uint32_t i = 0; i < n_lanes; ++i)
            if (all_lanes[i].position >= first * page_tokens) end_split(job, first == 0, all_lanes[i]);
    }
    for (uint32_t i = 0; i < n_lanes; ++i)
        for (uint32_t c = 0; c < job.d_v; ++c) all_lanes[i].out[c] = all_lanes[i].out[c] / all_lanes[i].sum;
}

}  // namespace
}  // namespace ng::cpu
