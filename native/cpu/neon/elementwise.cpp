// Conversion to float16 and activation functions with NEON; the specification is scalar/scalar.cpp.
#include "cpu/simd/vector_neon.h"

#include "cpu/simd/math.h"

namespace ng::cpu {
namespace {

// Applies vector(a, b) to whole vectors and to the rest behind them. `b` may be null.
template <class Vector>
void map(const float* a, const float* b, float* out, size_t n, Vector&& vector) {
    size_t i = 0;
    for (; i + lanes <= n; i += lanes) store_floats(out + i, vector(load_floats(a + i), b ? load_floats(b + i) : zero_floats()));
    if (i == n) return;
    float x[lanes] = {}, y[lanes] = {};
    memcpy(x, a + i, (n - i) * sizeof *x);
    if (b) memcpy(y, b + i, (n - i) * sizeof *y);
    store_floats(x, vector(load_floats(x), load_floats(y)));
    memcpy(out + i, x, (n - i) * sizeof *x);
}

}  // namespace

void neon_to_f16(const float* x, uint16_t* out, size_t n) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4) vst1_u16(out + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(x + i))));
    for (; i < n; ++i) out[i] = vget_lane_u16(vreinterpret_u16_f16(vcvt_f16_f32(vdupq_n_f32(x[i]))), 0);
}

void neon_silu_mul(const float* gate, const float* up, float* out, size_t n) {
    map(gate, up, out, n, [](Floats a, Floats b) { return mul(silu(a), b); });
}

void neon_gelu_tanh(float* x, size_t n) {
    map(x, nullptr, x, n, [](Floats a, Floats) { return gelu(a); });
}

void neon_gelu_tanh_mul(const float* gate, const float* up, float* out, size_t n) {
    map(gate, up, out, n, [](Floats a, Floats b) { return mul(gelu(a), b); });
}

}  // namespace ng::cpu
