// core/ops/reduce.cpp: reductions and the statistics made of them.
#include <algorithm>
#include <numeric>

#include "core/prim/reduce.h"
#include "mlx/ops.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

std::vector<int> all_axes(const array& a) {
  std::vector<int> axes(a.ndim());
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

std::vector<int> checked_axes(const char* op, const array& a, const std::vector<int>& axes) {
  std::vector<int> out;
  for (int axis : axes) {
    out.push_back(
        normalize_axis_index(axis, static_cast<int>(a.ndim()), std::string("[") + op + "] "));
  }
  std::sort(out.begin(), out.end());
  if (std::adjacent_find(out.begin(), out.end()) != out.end()) {
    throw std::invalid_argument(std::string("[") + op + "] Received duplicate axis.");
  }
  return out;
}

size_t count_over(const array& a, const std::vector<int>& axes) {
  size_t n = 1;
  for (int axis : axes) n *= a.shape(axis);
  return n;
}

/** axes are checked. The input has the dtype that is accumulated; the result has dtype out. */
array reduce(const char* op_name, ReduceOp op, const array& a, const std::vector<int>& axes,
             bool keepdims, Dtype out, StreamOrDevice s) {
  if ((op == ReduceOp::Min || op == ReduceOp::Max) && a.size() == 0 && count_over(a, axes) == 0) {
    throw std::invalid_argument(std::string("[") + op_name + "] Cannot " + op_name +
                                " reduce zero size array of shape " + to_string(a.shape()) + ".");
  }
  Stream stream = to_stream(s);
  if (axes.empty()) return astype(a, out, stream);
  auto p = std::make_shared<Reduce>(stream, op, axes);
  array r(p->output_shapes({a})[0], out, p, {a});
  return keepdims ? r : squeeze(r, axes, stream);
}

// Small integers add up in 32 bits.
Dtype sum_dtype(Dtype t) {
  if (t == bool_) return int32;
  if (issubdtype(t, unsignedinteger) && t.size() < 4) return uint32;
  if (issubdtype(t, signedinteger) && t.size() < 4) return int32;
  return t;
}

array add_up(const char* name, ReduceOp op, const array& a, const std::vector<int>& axes,
             bool keepdims, StreamOrDevice s) {
  Dtype t = sum_dtype(a.dtype());
  return reduce(name, op, astype(a, t, s), axes, keepdims, t, s);
}

Dtype mean_dtype(Dtype t) { return issubdtype(t, inexact) ? t : float32; }

array variance(const char* name, const array& a, const std::vector<int>& axes, bool keepdims,
               int ddof, StreamOrDevice s) {
  // Half floats overflow and lose digits on the way: they compute in float32.
  Dtype t = mean_dtype(a.dtype());
  Dtype wide = t == float16 || t == bfloat16 ? Dtype(float32) : t;
  array x = astype(a, wide, s);
  array mu = mean(x, axes, true, s);
  array d = subtract(x, mu, s);
  array squares = wide == complex64 ? real(multiply(d, conjugate(d, s), s), s) : square(d, s);
  array n = number_of_elements(a, axes, false, sum_dtype(squares.dtype()), s);
  array total = add_up(name, ReduceOp::Sum, squares, axes, keepdims, s);
  array v = divide(total, ddof == 0 ? n : subtract(n, array(ddof, n.dtype()), s), s);
  return wide == complex64 ? v : astype(v, t, s);
}

}  // namespace

#define REDUCTION_OVERLOADS(func)                                         \
  array func(const array& a, bool keepdims, StreamOrDevice s) {           \
    return func(a, all_axes(a), keepdims, s);                             \
  }                                                                       \
  array func(const array& a, int axis, bool keepdims, StreamOrDevice s) { \
    return func(a, std::vector<int>{axis}, keepdims, s);                  \
  }
REDUCTION_OVERLOADS(all)
REDUCTION_OVERLOADS(any)
REDUCTION_OVERLOADS(sum)
REDUCTION_OVERLOADS(prod)
REDUCTION_OVERLOADS(max)
REDUCTION_OVERLOADS(min)
REDUCTION_OVERLOADS(mean)
#undef REDUCTION_OVERLOADS

array all(const array& a, const std::vector<int>& axes, bool keepdims, StreamOrDevice s) {
  return reduce("all", ReduceOp::And, astype(a, bool_, s), checked_axes("all", a, axes), keepdims,
                bool_, s);
}
array any(const array& a, const std::vector<int>& axes, bool keepdims, StreamOrDevice s) {
  return reduce("any", ReduceOp::Or, astype(a, bool_, s), checked_axes("any", a, axes), keepdims,
                bool_, s);
}
array sum(const array& a, const std::vector<int>& axes, bool keepdims, StreamOrDevice s) {
  return add_up("sum", ReduceOp::Sum, a, checked_axes("sum", a, axes), keepdims, s);
}
array prod(const array& a, const std::vector<int>& axes, bool keepdims, StreamOrDevice s) {
  return add_up("prod", ReduceOp::Prod, a, checked_axes("prod", a, axes), keepdims, s);
}
array max(const array& a, const std::vector<int>& axes, bool keepdims, StreamOrDevice s) {
  return reduce("max", ReduceOp::Max, a, checked_axes("max", a, axes), keepdims, a.dtype(), s);
}
array min(const array& a, const std::vector<int>& axes, bool keepdims, StreamOrDevice s) {
  return reduce("min", ReduceOp::Min, a, checked_axes("min", a, axes), keepdims, a.dtype(), s);
}

array mean(const array& a, const std::vector<int>& axes, bool keepdims, StreamOrDevice s) {
  auto over = checked_axes("mean", a, axes);
  Dtype t = mean_dtype(a.dtype());
  // In float32 for half floats: their sum may not fit where their mean does.
  Dtype wide = t == float16 || t == bfloat16 ? Dtype(float32) : t;
  array total = reduce("mean", ReduceOp::Sum, astype(a, wide, s), over, keepdims, wide, s);
  array share = number_of_elements(a, over, true, wide == complex64 ? Dtype(float32) : wide, s);
  return astype(multiply(total, share, s), t, s);
}

array var(const array& a, bool keepdims, int ddof, StreamOrDevice s) {
  return var(a, all_axes(a), keepdims, ddof, s);
}
array var(const array& a, int axis, bool keepdims, int ddof, StreamOrDevice s) {
  return var(a, std::vector<int>{axis}, keepdims, ddof, s);
}
array var(const array& a, const std::vector<int>& axes, bool keepdims, int ddof, StreamOrDevice s) {
  return variance("var", a, checked_axes("var", a, axes), keepdims, ddof, s);
}

array std(const array& a, bool keepdims, int ddof, StreamOrDevice s) {
  return mlx::core::std(a, all_axes(a), keepdims, ddof, s);
}
array std(const array& a, int axis, bool keepdims, int ddof, StreamOrDevice s) {
  return mlx::core::std(a, std::vector<int>{axis}, keepdims, ddof, s);
}
array std(const array& a, const std::vector<int>& axes, bool keepdims, int ddof, StreamOrDevice s) {
  return sqrt(variance("std", a, checked_axes("std", a, axes), keepdims, ddof, s), s);
}

array count_nonzero(const array& a, const std::vector<int>& axes, bool keepdims, StreamOrDevice s) {
  return sum(not_equal(a, array(0, a.dtype()), s), axes, keepdims, s);
}
array count_nonzero(const array& a, bool keepdims, StreamOrDevice s) {
  return count_nonzero(a, all_axes(a), keepdims, s);
}
array count_nonzero(const array& a, int axis, bool keepdims, StreamOrDevice s) {
  return count_nonzero(a, std::vector<int>{axis}, keepdims, s);
}

::std::tuple<array, array> minmax(const array& a, const std::vector<int>& axes, bool keepdims,
                                  StreamOrDevice s) {
  return {min(a, axes, keepdims, s), max(a, axes, keepdims, s)};
}
::std::tuple<array, array> minmax(const array& a, bool keepdims, StreamOrDevice s) {
  return minmax(a, all_axes(a), keepdims, s);
}
::std::tuple<array, array> minmax(const array& a, int axis, bool keepdims, StreamOrDevice s) {
  return minmax(a, std::vector<int>{axis}, keepdims, s);
}

}  // namespace mlx::core
