// include/mlx/backend/common/utils.h: where the elements of an array with strides are.
#pragma once

#include <cstdint>

#include "mlx/array.h"

namespace mlx::core {

/** The offset from data<T>() of element number elem, counted in row-major order. */
inline int64_t elem_to_loc(int64_t elem, const Shape& shape, const Strides& strides) {
  int64_t at = 0;
  for (int i = static_cast<int>(shape.size()) - 1; i >= 0; --i) {
    at += elem % shape[i] * strides[i];
    elem /= shape[i];
  }
  return at;
}
inline int64_t elem_to_loc(int64_t elem, const array& a) {
  return a.flags().row_contiguous ? elem : elem_to_loc(elem, a.shape(), a.strides());
}

}  // namespace mlx::core
