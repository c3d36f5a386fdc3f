// backend/cpu/fast/targets.h: the instruction sets that kernels were compiled for, for tests and
// logs.
#pragma once

#include <cstdint>
#include <vector>

namespace mlx::core::cpu {

/** Those this machine can run, best first. */
std::vector<int64_t> simd_targets();
const char* simd_target_name(int64_t target);
/** Makes kernels use one of simd_targets() (0: the best again). Not while kernels run. */
void use_simd_target(int64_t target);

}  // namespace mlx::core::cpu
