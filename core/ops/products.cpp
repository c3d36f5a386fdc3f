// core/ops/products.cpp: products made of matmul, and diagonals.
#include <algorithm>
#include <numeric>

#include "mlx/ops.h"
#include "mlx/utils.h"

namespace mlx::core {

array inner(const array& a, const array& b, StreamOrDevice s) {
  if (a.ndim() == 0 || b.ndim() == 0) return multiply(a, b, s);
  if (a.shape(-1) != b.shape(-1)) {
    throw std::invalid_argument(
        "[inner] a and b must have the same last dimension but have shapes " +
        to_string(a.shape()) + " and " + to_string(b.shape()) + ".");
  }
  return tensordot(a, b, {-1}, {-1}, s);
}

array outer(const array& a, const array& b, StreamOrDevice s) {
  return multiply(reshape(a, {static_cast<ShapeElem>(a.size()), 1}, s), flatten(b, s), s);
}

array vecdot(const array& a, const array& b, int axis, StreamOrDevice s) {
  int na = static_cast<int>(a.ndim()), nb = static_cast<int>(b.ndim());
  int least = std::min(na, nb);
  if (axis >= 0 || axis < -least) {
    // Axes count from the end, so that they mean the same in both.
    int from_end = axis >= 0 && na == nb ? axis - na : axis;
    if (from_end >= 0 || from_end < -least)
      throw std::invalid_argument("[vecdot] axis is out of bounds.");
    axis = from_end;
  }
  if (a.shape(axis) != b.shape(axis)) {
    throw std::invalid_argument("[vecdot] a and b must have the same size along axis " +
                                std::to_string(axis) + " but have shapes " + to_string(a.shape()) +
                                " and " + to_string(b.shape()) + ".");
  }
  return sum(multiply(a.dtype() == complex64 ? conjugate(a, s) : a, b, s), axis, false, s);
}

array tensordot(const array& a, const array& b, const int axis, StreamOrDevice s) {
  if (axis < 0) throw std::invalid_argument("[tensordot] axis must be nonnegative.");
  if (axis > static_cast<int>(std::min(a.ndim(), b.ndim()))) {
    throw std::invalid_argument(
        "[tensordot] axis must be less than the number of dimensions of a and b.");
  }
  std::vector<int> axes_a(axis), axes_b(axis);
  std::iota(axes_a.begin(), axes_a.end(), static_cast<int>(a.ndim()) - axis);
  std::iota(axes_b.begin(), axes_b.end(), 0);
  return tensordot(a, b, axes_a, axes_b, s);
}

array tensordot(const array& a, const array& b, const std::vector<int>& axes_a,
                const std::vector<int>& axes_b, StreamOrDevice s) {
  if (axes_a.size() != axes_b.size())
    throw std::invalid_argument("[tensordot] axes must have the same size.");
  std::vector<int> ca, cb;
  int64_t contracted = 1;
  for (size_t i = 0; i < axes_a.size(); ++i) {
    ca.push_back(normalize_axis_index(axes_a[i], static_cast<int>(a.ndim()), "[tensordot] "));
    cb.push_back(normalize_axis_index(axes_b[i], static_cast<int>(b.ndim()), "[tensordot] "));
    if (a.shape(ca.back()) != b.shape(cb.back())) {
      throw std::invalid_argument(
          "[tensordot] a and b must have the same shape on the contracted axes.");
    }
    contracted *= a.shape(ca.back());
  }
  auto rest = [](const array& x, const std::vector<int>& gone) {
    std::vector<int> axes;
    for (int i = 0; i < static_cast<int>(x.ndim()); ++i) {
      if (std::find(gone.begin(), gone.end(), i) == gone.end()) axes.push_back(i);
    }
    return axes;
  };
  std::vector<int> order_a = rest(a, ca), order_b = cb, free_b = rest(b, cb);
  Shape shape;
  int64_t rows = 1, cols = 1;
  for (int i : order_a) shape.push_back(a.shape(i)), rows *= a.shape(i);
  for (int i : free_b) shape.push_back(b.shape(i)), cols *= b.shape(i);
  order_a.insert(order_a.end(), ca.begin(), ca.end());
  order_b.insert(order_b.end(), free_b.begin(), free_b.end());
  ShapeElem k = safe_cast<int64_t>(contracted, "tensordot");
  array x = reshape(transpose(a, order_a, s), {safe_cast<int64_t>(rows, "tensordot"), k}, s);
  array y = reshape(transpose(b, order_b, s), {k, safe_cast<int64_t>(cols, "tensordot")}, s);
  return reshape(matmul(x, y, s), shape, s);
}

array kron(const array& a, const array& b, StreamOrDevice s) {
  size_t ndim = std::max(a.ndim(), b.ndim());
  Shape wide_a, wide_b, out;
  for (size_t i = 0; i < ndim; ++i) {
    ShapeElem da = i + a.ndim() < ndim ? 1 : a.shape()[i + a.ndim() - ndim];
    ShapeElem db = i + b.ndim() < ndim ? 1 : b.shape()[i + b.ndim() - ndim];
    wide_a.push_back(da), wide_a.push_back(1);
    wide_b.push_back(1), wide_b.push_back(db);
    out.push_back(da * db);
  }
  return reshape(multiply(reshape(a, wide_a, s), reshape(b, wide_b, s), s), out, s);
}

array diagonal(const array& a, int offset, int axis1, int axis2, StreamOrDevice s) {
  int ndim = static_cast<int>(a.ndim());
  if (ndim < 2) {
    throw std::invalid_argument("[diagonal] Array must have at least two dimensions, but got " +
                                std::to_string(ndim) + " dimensions.");
  }
  int r = normalize_axis_index(axis1, ndim, "[diagonal] "),
      c = normalize_axis_index(axis2, ndim, "[diagonal] ");
  if (r == c) throw std::invalid_argument("[diagonal] axis1 and axis2 cannot be the same axis");
  std::vector<int> order;
  for (int i = 0; i < ndim; ++i) {
    if (i != r && i != c) order.push_back(i);
  }
  order.push_back(r);
  order.push_back(c);
  array m = transpose(a, order, s);
  int rows = m.shape(-2), cols = m.shape(-1);
  int top = std::max(-offset, 0), left = std::max(offset, 0);
  int n = std::max(0, std::min(rows - top, cols - left));
  Shape out(m.shape().begin(), m.shape().end() - 2);
  out.push_back(n);
  if (n == 0) return zeros(out, a.dtype(), s);
  // Element i of the diagonal is element top * cols + left + i * (cols + 1) of a flattened matrix.
  Shape flat(m.shape().begin(), m.shape().end() - 2);
  flat.push_back(rows * cols);
  Shape start(flat.size(), 0), stop = flat, step(flat.size(), 1);
  start.back() = top * cols + left;
  stop.back() = start.back() + (n - 1) * (cols + 1) + 1;
  step.back() = cols + 1;
  return slice(reshape(m, flat, s), start, stop, step, s);
}

array diag(const array& a, int k, StreamOrDevice s) {
  if (a.ndim() == 2) return diagonal(a, k, 0, 1, s);
  if (a.ndim() != 1) {
    throw std::invalid_argument("[diag] array must be 1-D or 2-D, got array with " +
                                std::to_string(a.ndim()) + " dimensions.");
  }
  int n = a.shape(0) + std::abs(k);
  if (a.shape(0) == 0) return zeros({n, n}, a.dtype(), s);
  array flat = zeros({n * n}, a.dtype(), s);
  int first = k >= 0 ? k : -k * n;
  Shape stop{first + (a.shape(0) - 1) * (n + 1) + 1};
  return reshape(slice_update(flat, a, {first}, stop, {n + 1}, s), {n, n}, s);
}

array trace(const array& a, int offset, int axis1, int axis2, Dtype dtype, StreamOrDevice s) {
  int ndim = static_cast<int>(a.ndim());
  if (ndim < 2) {
    throw std::invalid_argument("[trace] Array must have at least two dimensions, but got " +
                                std::to_string(ndim) + " dimensions.");
  }
  return sum(astype(diagonal(a, offset, axis1, axis2, s), dtype, s), -1, false, s);
}
array trace(const array& a, int offset, int axis1, int axis2, StreamOrDevice s) {
  Dtype t = a.dtype() == bool_ ? Dtype(int32) : a.dtype();
  return trace(a, offset, axis1, axis2, t, s);
}
array trace(const array& a, StreamOrDevice s) { return trace(a, 0, 0, 1, s); }

array diff(const array& a, int n, int axis, StreamOrDevice s) {
  if (n < 0) throw std::invalid_argument("[diff] Order `n` must be non-negative.");
  int ndim = static_cast<int>(a.ndim());
  if (axis < -ndim || axis >= ndim)
    throw std::out_of_range("[diff] Axis is out of bounds for the array.");
  int ax = axis < 0 ? axis + ndim : axis;
  array r = a;
  for (int i = 0; i < n; ++i) {
    Shape low(ndim, 0), high = r.shape();
    low[ax] = std::min(1, r.shape(ax));
    array upper = slice(r, low, r.shape(), s);
    high[ax] = std::max(0, r.shape(ax) - 1);
    array lower = slice(r, Shape(ndim, 0), high, s);
    r = r.dtype() == bool_ ? not_equal(upper, lower, s) : subtract(upper, lower, s);
  }
  return r;
}

array median(const array& a, const std::vector<int>& axes, bool keepdims, StreamOrDevice s) {
  int ndim = static_cast<int>(a.ndim());
  std::vector<int> reduced;
  for (int axis : axes) reduced.push_back(normalize_axis_index(axis, ndim, "[median] "));
  std::sort(reduced.begin(), reduced.end());
  if (std::adjacent_find(reduced.begin(), reduced.end()) != reduced.end()) {
    throw std::invalid_argument("[median] Received duplicate axis.");
  }
  Dtype t = issubdtype(a.dtype(), inexact) ? a.dtype() : Dtype(float32);
  if (ndim == 0 || reduced.empty()) return astype(a, t, s);
  std::vector<int> order;
  Shape kept, full = a.shape();
  for (int i = 0; i < ndim; ++i) {
    if (std::binary_search(reduced.begin(), reduced.end(), i)) continue;
    order.push_back(i);
    kept.push_back(a.shape(i));
  }
  int first = static_cast<int>(order.size());
  order.insert(order.end(), reduced.begin(), reduced.end());
  for (int i : reduced) {
    if (a.shape(i) == 0)
      throw std::invalid_argument("[median] Cannot take median along empty axis.");
    full[i] = 1;
  }
  array flat = sort(flatten(transpose(a, order, s), first, -1, s), -1, s);
  int n = flat.shape(-1);
  array hi = astype(take(flat, n / 2, -1, s), t, s),
        lo = astype(take(flat, (n - 1) / 2, -1, s), t, s);
  array m = n % 2 ? hi : multiply(add(lo, hi, s), array(0.5, t), s);
  // NaN sorts last: it is there if the last element is one.
  if (issubdtype(t, inexact)) {
    array last = astype(take(flat, n - 1, -1, s), t, s);
    m = where(isnan(last, s), last, m, s);
  }
  return reshape(m, keepdims ? full : kept, s);
}
array median(const array& a, bool keepdims, StreamOrDevice s) {
  std::vector<int> axes(a.ndim());
  std::iota(axes.begin(), axes.end(), 0);
  return median(a, axes, keepdims, s);
}
array median(const array& a, int axis, bool keepdims, StreamOrDevice s) {
  return median(a, std::vector<int>{axis}, keepdims, s);
}

}  // namespace mlx::core
