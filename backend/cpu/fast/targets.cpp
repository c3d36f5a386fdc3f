// backend/cpu/fast/targets.cpp: which compiled instruction set kernels use.
#include "backend/cpu/fast/targets.h"

#include <hwy/targets.h>

#include <cstdlib>
#include <string_view>

namespace mlx::core::cpu {

namespace {

/** What MICA_SIMD leaves out. */
int64_t unwanted_targets() {
  const char* most = std::getenv("MICA_SIMD");
  if (!most || !*most) return 0;
  const std::string_view name = most;
#ifdef HWY_AVX3_SPR
  constexpr int64_t kNewer = HWY_AVX3_SPR | HWY_AVX3_ZEN4 | HWY_AVX3_DL;
#else
  constexpr int64_t kNewer = HWY_AVX3_DL;
#endif
  if (name == "sse4") return kNewer | HWY_AVX3 | HWY_AVX2;
  if (name == "avx2") return kNewer | HWY_AVX3;
  return 0;
}

// While the library is loaded: before any kernel has chosen.
[[maybe_unused]] const bool limited = [] {
  if (const int64_t unwanted = unwanted_targets()) hwy::DisableTargets(unwanted);
  return true;
}();

}  // namespace

bool simd_allows_avx512() { return !(unwanted_targets() & HWY_AVX3); }

std::vector<int64_t> simd_targets() { return hwy::SupportedAndGeneratedTargets(); }

const char* simd_target_name(int64_t target) { return hwy::TargetName(target); }

void use_simd_target(int64_t target) { hwy::SetSupportedTargetsForTest(target); }

}  // namespace mlx::core::cpu
