// The instruction set for kernels that are compiled for several.
#pragma once

#include <cstdlib>
#include <string>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define HORNBEAM_X86 1
#endif

namespace hornbeam {

enum class Instructions { kPortable, kAvx2, kAvx512 };

// Returns the best instruction set of the processor, or a smaller one if HORNBEAM_INSTRUCTIONS is
// avx2 or portable.
inline Instructions GetInstructions() {
  static const Instructions best = [] {
#ifdef HORNBEAM_X86
    const char* asked = std::getenv("HORNBEAM_INSTRUCTIONS");
    const std::string most = asked ? asked : "avx512";
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (most == "avx512" && avx2 && __builtin_cpu_supports("avx512f")) return Instructions::kAvx512;
    if (most != "portable" && avx2) return Instructions::kAvx2;
#endif
    return Instructions::kPortable;
  }();
  return best;
}

}  // namespace hornbeam
