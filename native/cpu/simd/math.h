// e^x, silu and gelu over the vocabulary of an instruction set, step for step as scalar/scalar.cpp has them. Internal to the file that includes it.
#pragma once

#include "cpu/simd/simd.h"

namespace ng::cpu {
namespace {

inline Floats exponential(Floats x) {
    const Floats n = to_nearest(mul(x, all(1.44269504f)));
    Floats r = fma(n, all(-0.693359375f), x);
    r = fma(n, all(2.12194440e-4f), r);
    Floats p = all(1.98756915e-4f);
    p = fma(p, r, all(1.39819995e-3f));
    p = fma(p, r, all(8.33345191e-3f));
    p = fma(p, r, all(4.16657962e-2f));
    p = fma(p, r, all(1.66666655e-1f));
    p = fma(p, r, all(5.0e-1f));
    p = add(fma(mul(p, r), r, r), all(1.0f));
    p = times_power_of_two(p, n);
    p = select(above(x, all(88.3762f)), all(INFINITY), p);
    p = select(above(all(-87.3365f), x), zero_floats(), p);
    return select(nan(x), x, p);
}

inline Floats silu(Floats x) { return divide(x, add(all(1.0f), exponential(negate(x)))); }

inline Floats gelu(Floats x) {
    const Floats inner = mul(x, fma(mul(all(0.044715f), x), x, all(1.0f)));
    return divide(x, add(all(1.0f), exponential(mul(all(-1.59576912f), inner))));
}

}  // namespace
}  // namespace ng::cpu
