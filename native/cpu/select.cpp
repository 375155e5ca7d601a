// Which kernel table a model gets: the best this machine runs, or the one NATIVEGEN_ISA names.
#include <array>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "cpu/cpu_device.h"
#include "cpu/features.h"

namespace ng::cpu {
namespace {

struct Isa {
    const Kernels* kernels;
    bool runs;
};

// Best first. A set is here only if machines of ours have run it.
auto isas() {
    return std::to_array<Isa>({
#if defined(__x86_64__) || defined(_M_X64)
        {&avx512vnni_kernels(), features().avx512 && features().avx512_vnni},
        {&avx512_kernels(), features().avx512},
        {&avxvnni_kernels(), features().avx2_fma_f16c && features().avx_vnni},
        {&avx2_kernels(), features().avx2_fma_f16c},
#elif defined(__aarch64__) || defined(_M_ARM64)
        {&neon_kernels(), features().neon_dots},
#endif
        {&scalar_kernels(), true},
    });
}

}  // namespace

std::string available_isas() {
    std::string names;
    for (const Isa& isa : isas())
        if (isa.runs) names += (names.empty() ? "" : ",") + std::string(isa.kernels->name);
    return names;
}

const Kernels& select_kernels() {
    const char* const forced = std::getenv("NATIVEGEN_ISA");
    for (const Isa& isa : isas())
        if (isa.runs && (!forced || !*forced || std::strcmp(forced, isa.kernels->name) == 0)) return *isa.kernels;
    fail(Status::DeviceUnavailable, "NATIVEGEN_ISA=%s: this machine or build has no such kernels; it has %s", printable(forced).c_str(), available_isas().c_str());
}

}  // namespace ng::cpu
