// Range reduction and short series in double; see math.h.
#include "base/math.h"

#include <bit>
#include <cmath>

namespace ng {
namespace {

constexpr double ln2_high = 0x1.62e42fefa38p-1;  // few enough bits that k * ln2_high is exact
constexpr double ln2_low = 0x1.ef35793c7673p-45;

}  // namespace

double exact_exp(double x) {
    const double k = std::rint(x * 0x1.71547652b82fep0);
    const double r = (x - k * ln2_high) - k * ln2_low;
    double sum = 1.0;
    for (int n = 16; n >= 1; --n) sum = 1.0 + sum * r / n;  // Taylor, |r| <= 0.35
    return std::ldexp(sum, static_cast<int>(k));
}

double exact_log(double x) {
    int exponent;
    double m = std::frexp(x, &exponent);  // [0.5, 1)
    if (m < 0.70710678118654752) {
        m *= 2;
        --exponent;
    }
    const double s = (m - 1) / (m + 1);  // ln m = 2 atanh s, |s| <= 0.172
    const double s2 = s * s;
    double sum = 0;
    for (int n = 25; n >= 1; n -= 2) sum = 1.0 / n + sum * s2;
    return exponent * ln2_high + (2 * s * sum + exponent * ln2_low);
}

double exact_pow(double base, double exponent) { return exact_exp(exponent * exact_log(base)); }

void exact_sincos(double x, double& sine, double& cosine) {
    // pi/2 in three parts of 33 bits or fewer, so that k times the first two is exact for k < 2^20; beyond that the error stays under 1e-9.
    constexpr double half_pi_1 = 0x1.921fb544p0;
    constexpr double half_pi_2 = 0x1.0b4611a6p-34;
    constexpr double half_pi_3 = 0x1.3198a2e037073p-69;
    const double k = std::rint(x * 0x1.45f306dc9c883p-1);
    const double r = ((x - k * half_pi_1) - k * half_pi_2) - k * half_pi_3;
    const double r2 = r * r;
    double s = 0, c = 0;
    for (int n = 19; n >= 3; n -= 2) s = (1.0 + s) * -r2 / (n * (n - 1));
    for (int n = 18; n >= 2; n -= 2) c = (1.0 + c) * -r2 / (n * (n - 1));
    s = r + r * s;
    c = 1.0 + c;
    switch (static_cast<int64_t>(k) & 3) {
        case 0: sine = s; cosine = c; break;
        case 1: sine = c; cosine = -s; break;
        case 2: sine = -s; cosine = -c; break;
        default: sine = -c; cosine = s; break;
    }
}

}  // namespace ng
