// CPUID on x86-64 (Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E); on arm64 what the system says of it.
#include "cpu/features.h"

#include <cstring>

#include "base/system.h"

#if defined(_MSC_VER)
#  include <intrin.h>
#elif defined(__x86_64__)
#  include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#  include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#  include <sys/sysctl.h>
#endif

namespace ng::cpu {
namespace {

#if defined(__x86_64__) || defined(_M_X64)

struct Registers {
    uint32_t eax, ebx, ecx, edx;
};

Registers cpuid(uint32_t leaf, uint32_t sub = 0) {
    Registers r{};
#if defined(_MSC_VER)
    int out[4];
    __cpuidex(out, static_cast<int>(leaf), static_cast<int>(sub));
    std::memcpy(&r, out, sizeof r);
#else
    __cpuid_count(leaf, sub, r.eax, r.ebx, r.ecx, r.edx);
#endif
    return r;
}

uint64_t xcr0() {
#if defined(_MSC_VER)
    return _xgetbv(0);
#else
    uint32_t low, high;
    __asm__ __volatile__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return static_cast<uint64_t>(high) << 32 | low;
#endif
}

bool bit(uint32_t word, int n) { return word >> n & 1; }

Features detect() {
    Features f;
    const uint32_t leaves = cpuid(0).eax;
    const Registers one = cpuid(1);
    const Registers seven = leaves >= 7 ? cpuid(7) : Registers{};
    const Registers seven_1 = leaves >= 7 && seven.eax >= 1 ? cpuid(7, 1) : Registers{};
    const uint64_t saved = bit(one.ecx, 27) ? xcr0() : 0;
    const bool ymm = (saved & 6) == 6, zmm = (saved & 0xe6) == 0xe6, tiles = (saved >> 17 & 3) == 3;

    const auto name = [&](bool found, const char* text) {
        if (found) f.names += (f.names.empty() ? "" : " ") + std::string(text);
        return found;
    };
    name(bit(one.ecx, 20), "sse4.2");
    const bool avx = name(ymm && bit(one.ecx, 28), "avx");
    const bool f16c = name(avx && bit(one.ecx, 29), "f16c");
    const bool fma = name(avx && bit(one.ecx, 12), "fma");
    const bool avx2 = name(avx && bit(seven.ebx, 5), "avx2");
    f.avx_vnni = name(avx2 && bit(seven_1.eax, 4), "avx-vnni");
    const bool avx512 = name(zmm && bit(seven.ebx, 16) && bit(seven.ebx, 17) && bit(seven.ebx, 30) && bit(seven.ebx, 31), "avx512");
    f.avx512_vnni = name(avx512 && bit(seven.ecx, 11), "avx512-vnni");
    name(avx512 && bit(seven_1.eax, 5), "avx512-bf16");
    name(tiles && bit(seven.edx, 24) && bit(seven.edx, 25), "amx-int8");
    f.avx2_fma_f16c = avx2 && fma && f16c;
    f.avx512 = avx512 && f.avx2_fma_f16c;

    if (cpuid(0x80000000u).eax >= 0x80000004u) {
        char brand[49] = {};
        for (uint32_t i = 0; i < 3; ++i) {
            const Registers part = cpuid(0x80000002u + i);
            std::memcpy(brand + 16 * i, &part, 16);
        }
        f.brand = brand;
        f.brand.erase(0, f.brand.find_first_not_of(' '));
        while (!f.brand.empty() && f.brand.back() == ' ') f.brand.pop_back();
    }
    return f;
}

#else

Features detect() {
    Features f;
#if defined(__aarch64__) && defined(__linux__)
    constexpr unsigned long dot_products = 1ul << 20;  // HWCAP_ASIMDDP
    f.neon_dots = (getauxval(AT_HWCAP) & dot_products) != 0;
#elif defined(__aarch64__) && defined(__APPLE__)
    int found = 0;
    size_t size = sizeof found;
    f.neon_dots = sysctlbyname("hw.optional.arm.FEAT_DotProd", &found, &size, nullptr, 0) == 0 && found != 0;
#endif
    if (f.neon_dots) f.names = "neon dotprod";
    return f;
}

#endif

}  // namespace

const Features& features() {
    static const Features found = detect();
    return found;
}

uint32_t default_threads() {
    static const uint32_t n = count_processors().n_physical;
    return n;
}

}  // namespace ng::cpu
