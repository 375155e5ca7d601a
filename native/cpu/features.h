// What the processor can do, and how many threads it wants.
#pragma once

#include <cstdint>
#include <string>

namespace ng::cpu {

// True only if the instructions exist (CPUID) and the system saves their registers (XCR0).
struct Features {
    bool avx2_fma_f16c = false;
    bool avx_vnni = false;
    bool avx512 = false;       // F, BW, DQ, VL
    bool avx512_vnni = false;
    bool neon_dots = false;    // ARMv8.2's, and so all of NEON
    std::string brand;
    std::string names;  // of all features found that matter here, space separated
};

const Features& features();

// Physical cores this process may use.
uint32_t default_threads();

}  // namespace ng::cpu
