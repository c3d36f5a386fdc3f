// core/ops/axes.h: axes as the public functions check them.
#pragma once

#include <stdexcept>
#include <string>

namespace mlx::core {

/** Axis in [0, ndim); throws std::out_of_range naming the function. */
inline int axis_in_bounds(const char* op, int axis, int ndim) {
  if (axis < -ndim || axis >= ndim) {
    throw std::out_of_range(std::string("[") + op + "] Axis " + std::to_string(axis) +
                            " is out of bounds for array with " + std::to_string(ndim) +
                            " dimensions.");
  }
  return axis < 0 ? axis + ndim : axis;
}

}  // namespace mlx::core
