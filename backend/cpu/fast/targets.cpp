// backend/cpu/fast/targets.cpp: which compiled instruction set kernels use.
#include "backend/cpu/fast/targets.h"

#include <hwy/targets.h>

namespace mlx::core::cpu {

std::vector<int64_t> simd_targets() { return hwy::SupportedAndGeneratedTargets(); }

const char* simd_target_name(int64_t target) { return hwy::TargetName(target); }

void use_simd_target(int64_t target) { hwy::SetSupportedTargetsForTest(target); }

}  // namespace mlx::core::cpu
