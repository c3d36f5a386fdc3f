// backend/cpu/fast/attention_out.h: an argument of attention's inner functions.
#pragma once

#include <cstdint>

namespace mlx::core::cpu {

/** Where attention puts its results. */
struct AttentionOut {
  void* out;
  const int64_t* strides;
  float* lse;  // or null
};

}  // namespace mlx::core::cpu
