// backend/cpu/fast/targets.h: the instruction sets that kernels were compiled for, for tests and
// logs. MICA_SIMD=sse4, avx2 or avx3 in the environment keeps kernels to that set and what it
// holds, so that one machine can test them all.
#pragma once

#include <cstdint>
#include <vector>

namespace mlx::core::cpu {

/** Those this machine can run, best first. */
std::vector<int64_t> simd_targets();
const char* simd_target_name(int64_t target);
/** Makes kernels use one of simd_targets() (0: the best again). Not while kernels run. */
void use_simd_target(int64_t target);
/** Whether units of their own for AVX-512 may run: not where MICA_SIMD asks for less. */
bool simd_allows_avx512();

}  // namespace mlx::core::cpu
