// Elementary functions whose bits do not depend on the C library: what a rope table is made of.
// Plain IEEE double arithmetic (built without contraction), about 1e-15 relative; far more than the float they end as.
#pragma once

#include <cstdint>

namespace ng {

double exact_exp(double x);   // |x| < 700
double exact_log(double x);   // x > 0 and finite
double exact_pow(double base, double exponent);  // base > 0
// sin and cos of an angle in radians, |x| < 1e9.
void exact_sincos(double x, double& sine, double& cosine);

}  // namespace ng
