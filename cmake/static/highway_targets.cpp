// cmake/static/highway_targets.cpp: which of Highway's instruction sets this processor has, for
// libmlx.a: the library that answers this otherwise is a shared one. Only in static builds.
#include <hwy/targets.h>

#include <atomic>

namespace hwy {

namespace {

std::atomic<int64_t> disabled{0};  // bits of sets that must not be used
std::atomic<int64_t> forced{0};    // if not 0: these are there, whatever the processor says

int64_t detected() {
  int64_t found = HWY_STATIC_TARGET;
#if HWY_ARCH_X86
  __builtin_cpu_init();
  const bool sse4 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("aes") &&
                    __builtin_cpu_supports("pclmul");
  const bool avx2 = sse4 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  const bool avx3 = avx2 && __builtin_cpu_supports("avx512f") &&
                    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512bw");
  if (sse4) found |= HWY_SSE4;
  if (avx2) found |= HWY_AVX2;
  if (avx3) found |= HWY_AVX3;
#endif
  return found;
}

}  // namespace

ChosenTarget& GetChosenTarget() {
  static ChosenTarget chosen;
  return chosen;
}

int64_t SupportedTargets() {
  if (const int64_t targets = forced.load()) return targets;
  static const int64_t found = detected();
  return (found & ~disabled.load()) | HWY_STATIC_TARGET;
}

void DisableTargets(int64_t targets) {
  disabled = targets & ~static_cast<int64_t>(HWY_STATIC_TARGET);
  GetChosenTarget().DeInit();
}

void SetSupportedTargetsForTest(int64_t targets) {
  forced = targets;
  GetChosenTarget().DeInit();
}

}  // namespace hwy
