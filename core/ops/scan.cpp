// core/ops/scan.cpp: running sums, products, extremes and log-sums.
#include "core/prim/scan.h"

#include "mlx/ops.h"

namespace mlx::core {

namespace {

array scan(const char* op, Scan::ReduceType type, const array& a, int axis, bool reverse,
           bool inclusive, std::optional<Dtype> dtype, StreamOrDevice s) {
  int ndim = static_cast<int>(a.ndim());
  int ax = axis < 0 ? axis + ndim : axis;
  if (ax < 0 || ax >= ndim) {
    throw std::out_of_range(std::string("[") + op + "] Axis " + std::to_string(axis) +
                            " is out of bounds for array with " + std::to_string(ndim) +
                            " dimensions.");
  }
  Dtype t = dtype.value_or(a.dtype());
  if (!dtype && type == Scan::Sum && t == bool_) t = int32;
  if (type == Scan::LogAddExp && !issubdtype(t, inexact)) t = float32;
  auto stream = to_stream(s);
  return array(a.shape(), t, std::make_shared<Scan>(stream, type, ax, reverse, inclusive),
               {astype(a, t, stream)});
}

}  // namespace

array cumsum(const array& a, bool reverse, bool inclusive, std::optional<Dtype> dtype,
             StreamOrDevice s) {
  return cumsum(flatten(a, s), 0, reverse, inclusive, dtype, s);
}
array cumsum(const array& a, int axis, bool reverse, bool inclusive, std::optional<Dtype> dtype,
             StreamOrDevice s) {
  return scan("cumsum", Scan::Sum, a, axis, reverse, inclusive, dtype, s);
}
array cumprod(const array& a, bool reverse, bool inclusive, std::optional<Dtype> dtype,
              StreamOrDevice s) {
  return cumprod(flatten(a, s), 0, reverse, inclusive, dtype, s);
}
array cumprod(const array& a, int axis, bool reverse, bool inclusive, std::optional<Dtype> dtype,
              StreamOrDevice s) {
  return scan("cumprod", Scan::Prod, a, axis, reverse, inclusive, dtype, s);
}

#define MLX_SCAN(name, type)                                                             \
  array name(const array& a, bool reverse, bool inclusive, StreamOrDevice s) {           \
    return name(flatten(a, s), 0, reverse, inclusive, s);                                \
  }                                                                                      \
  array name(const array& a, int axis, bool reverse, bool inclusive, StreamOrDevice s) { \
    return scan(#name, Scan::type, a, axis, reverse, inclusive, std::nullopt, s);        \
  }
MLX_SCAN(cummax, Max)
MLX_SCAN(cummin, Min)
MLX_SCAN(logcumsumexp, LogAddExp)
#undef MLX_SCAN

}  // namespace mlx::core
