// backend/cpu/fast/check.h: the refusals that the kernels of this folder share.
#pragma once

#include <stdexcept>
#include <string>

#include "mlx/dtype.h"
#include "mlx/dtype_utils.h"

namespace mlx::core::cpu {

inline void check_float(const char* op, Dtype::Val dtype, bool float64_too) {
  if (dtype == Dtype::Val::float32 || dtype == Dtype::Val::float16 ||
      dtype == Dtype::Val::bfloat16 || (float64_too && dtype == Dtype::Val::float64)) {
    return;
  }
  throw std::invalid_argument(std::string("[") + op + "] unsupported dtype " +
                              dtype_to_string(dtype_of(dtype)) + ".");
}

}  // namespace mlx::core::cpu
