// backend/cpu/gemm/bf16_pairs.cpp: bfloat16 products by the dot products of pairs some CPUs have.
#include "backend/cpu/gemm/problem.h"

namespace mlx::core::cpu::gemm_detail {

bool run_bfloat16_pairs(const Problem&) { return false; }

}  // namespace mlx::core::cpu::gemm_detail
