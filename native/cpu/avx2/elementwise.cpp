// Quantization of activations and activation functions with AVX2; the specification is scalar/scalar.cpp.
#include "cpu/simd/vector256.h"

#include "cpu/simd/math.h"
#include "cpu/simd/simd.h"

namespace ng::cpu {
namespace {

// No lane with an exponent of all ones.
bool finite(const __m256 (&x)[4]) {
    __m256i largest = _mm256_setzero_si256();
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    for (const __m256& v : x) largest = _mm256_max_epi32(largest, _mm256_and_si256(_mm256_castps_si256(v), magnitude));
    return _mm256_movemask_epi8(_mm256_cmpgt_epi32(largest, _mm256_set1_epi32(0x7f7fffff))) == 0;
}

float lowest(__m256 v) {
    __m128 m = _mm_min_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_min_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_min_ss(m, _mm_shuffle_ps(m, m, 1)));
}

int32_t sum(__m256i v) {
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
    return _mm_cvtsi128_si32(s);
}

// Sums of the first and of the last 16, as ActBlock has them.
int32_t two_sums(const __m256i (&n)[4]) {
    const uint32_t first = static_cast<uint32_t>(sum(_mm256_add_epi32(n[0], n[1]))), second = static_cast<uint32_t>(sum(_mm256_add_epi32(n[2], n[3])));
    return static_cast<int32_t>((first & 0xffffu) | second << 16);
}

// Packing works within 128-bit halves: puts the groups of four back in order.
__m256i pack_bytes(const __m256i (&n)[4]) {
    const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(n[0], n[1]), _mm256_packs_epi32(n[2], n[3]));
    return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

template <bool up>
void store_bytes(int8_t* q, __m256i bytes) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(q), up ? _mm256_xor_si256(bytes, _mm256_set1_epi8(-128)) : bytes);
}

void poison(ActBlock& block) {
    const float nan = NAN;
    block.d = block.m = block.s = nan;
    block.sum = 0;
}

// Applies vector(x) to whole vectors and to the rest behind them.
template <class Vector>
void map(const float* a, const float* b, float* out, size_t n, Vector&& vector) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(out + i, vector(_mm256_loadu_ps(a + i), b ? _mm256_loadu_ps(b + i) : _mm256_setzero_ps()));
    if (i == n) return;
    const __m256i rest = _mm256_castps_si256(first_lanes(static_cast<uint32_t>(n - i)));
    _mm256_maskstore_ps(out + i, rest, vector(_mm256_maskload_ps(a + i, rest), b ? _mm256_maskload_ps(b + i, rest) : _mm256_setzero_ps()));
}

template <bool up>
void quantize_a8(const float* x, uint32_t n_cols, int8_t* q, ActBlock* blocks) {
    for (uint32_t k = 0; k < n_cols / act_block; ++k, x += act_block, q += act_block) {
        ActBlock& block = blocks[k];
        __m256 v[4];
        for (int i = 0; i < 4; ++i) v[i] = _mm256_loadu_ps(x + 8 * i);
        if (!finite(v)) {
            poison(block);
            store_bytes<up>(q, _mm256_setzero_si256());
            continue;
        }
        const float low = lowest(_mm256_min_ps(_mm256_min_ps(v[0], v[1]), _mm256_min_ps(v[2], v[3])));
        const float high = highest(_mm256_max_ps(_mm256_max_ps(v[0], v[1]), _mm256_max_ps(v[2], v[3])));
        block.m = 0.5f * low + 0.5f * high;
        const float above = high - block.m, below = block.m - low;
        block.d = (above > below ? above : below) / 127.0f;
        const float inverse = block.d >= smallest_scale ? 1.0f / block.d : 0.0f;
        __m256i n[4];
        for (int i = 0; i < 4; ++i)
            n[i] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_sub_ps(v[i], _mm256_set1_ps(block.m)), _mm256_set1_ps(inverse)));
        store_bytes<up>(q, pack_bytes(n));
        block.sum = two_sums(n);
        const int32_t sum_of_all = sum(_mm256_add_epi32(_mm256_add_epi32(n[0], n[1]), _mm256_add_epi32(n[2], n[3])));
        block.s = fmaf(block.m, 32.0f, block.d * static_cast<float>(sum_of_all));
    }
}

template <bool up>
void quantize_a16(const float* x, uint32_t n_cols, int8_t* q, ActBlock* blocks) {
    const uint32_t n_blocks = n_cols / act_block;
    for (uint32_t k = 0; k < n_blocks; ++k, x += act_block, q += act_block) {
        ActBlock &first = blocks[k], &second = blocks[n_blocks + k];
        __m256 v[4];
        for (int i = 0; i < 4; ++i) v[i] = _mm256_loadu_ps(x + 8 * i);
        if (!finite(v)) {
            poison(first);
            poison(second);
            store_bytes<up>(q, _mm256_setzero_si256());
            store_bytes<up>(q + n_cols, _mm256_setzero_si256());
            continue;
        }
        const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
        __m256 largest = _mm256_setzero_ps();
        for (const __m256& part : v) largest = _mm256_max_ps(largest, _mm256_and_ps(part, magnitude));
        const float d = highest(largest) / 8191.0f, inverse = d >= smallest_scale ? 1.0f / d : 0.0f;
        __m256i n[4], high[4], low[4];
        for (int i = 0; i < 4; ++i) {
            n[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], _mm256_set1_ps(inverse)));
            high[i] = _mm256_srai_epi32(n[i], 7);
            low[i] = _mm256_and_si256(n[i], _mm256_set1_epi32(127));
        }
        store_bytes<up>(q, pack_bytes(high));
        store_bytes<up>(q + n_cols, pack_bytes(low));
        const int32_t sum_of_all = sum(_mm256_add_epi32(_mm256_add_epi32(n[0], n[1]), _mm256_add_epi32(n[2], n[3])));
        first.d = second.d = d;
        first.m = second.m = 0;
        first.s = second.s = d * static_cast<float>(sum_of_all);
        first.sum = two_sums(high);
        second.sum = two_sums(low);
    }
}

}  // namespace

void avx2_quantize_a8(const float* x, uint32_t n_cols, int8_t* q, ActBlock* blocks) { quantize_a8<false>(x, n_cols, q, blocks); }
void avx2_quantize_a8_up(const float* x, uint32_t n_cols, int8_t* q, ActBlock* blocks) { quantize_a8<true>(x, n_cols, q, blocks); }
void avx2_quantize_a16(const float* x, uint32_t n_cols, int8_t* q, ActBlock* blocks) { quantize_a16<false>(x, n_cols, q, blocks); }
void avx2_quantize_a16_up(const float* x, uint32_t n_cols, int8_t* q, ActBlock* blocks) { quantize_a16<true>(x, n_cols, q, blocks); }

void avx2_to_f16(const float* x, uint16_t* out, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
    for (; i < n; ++i) out[i] = static_cast<uint16_t>(_mm_extract_epi16(_mm_cvtps_ph(_mm_set_ss(x[i]), _MM_FROUND_TO_NEAREST_INT), 0));
}

void avx2_silu_mul(const float* gate, const float* up, float* out, size_t n) {
    map(gate, up, out, n, [](__m256 a, __m256 b) { return _mm256_mul_ps(silu(a), b); });
}

void avx2_gelu_tanh(float* x, size_t n) {
    map(x, nullptr, x, n, [](__m256 a, __m256) { return gelu(a); });
}

void avx2_gelu_tanh_mul(const float* gate, const float* up, float* out, size_t n) {
    map(gate, up, out, n, [](__m256 a, __m256 b) { return _mm256_mul_ps(gelu(a), b); });
}

}  // namespace ng::cpu
