// core/ops/linalg_norm.cpp: norms of vectors and matrices.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/ops/axes.h"
#include "core/prim/linalg_parts.h"
#include "mlx/linalg.h"

namespace mlx::core::linalg {

namespace {

using Axes = std::vector<int>;

[[noreturn]] void refuse(const std::string& text) {
  throw std::invalid_argument("[linalg::norm] " + text);
}

std::string number_text(double ord) {
  std::string text = std::to_string(ord);
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  return text;
}

/** The dtype of the result, and the one it is computed in. */
struct Dtypes {
  Dtype result, compute;
  explicit Dtypes(Dtype t)
      : result(issubdtype(t, inexact) ? real_dtype(t) : Dtype(float32)),
        compute(t == float64 || t == complex64 ? t : Dtype(float32)) {}
};

Axes checked(const array& a, const std::optional<Axes>& axis) {
  Axes out;
  if (!axis) {
    out.resize(a.ndim());
    std::iota(out.begin(), out.end(), 0);
    return out;
  }
  for (int x : *axis) out.push_back(axis_in_bounds("linalg::norm", x, static_cast<int>(a.ndim())));
  Axes sorted = out;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    refuse("Duplicate axes detected in reduction.");
  }
  return out;
}

array two_norm(const array& x, const Axes& axes, bool keepdims, Stream s) {
  array squares =
      x.dtype() == complex64 ? add(square(real(x, s), s), square(imag(x, s), s), s) : square(x, s);
  return sqrt(sum(squares, axes, keepdims, s), s);
}

array vector_norm(const array& x, double ord, const Axes& axes, bool keepdims, Stream s) {
  Dtype t = real_dtype(x.dtype());
  if (ord == 0) {
    array nonzero = not_equal(x, array(0, x.dtype()), s);
    return sum(astype(nonzero, t, s), axes, keepdims, s);
  }
  if (ord == 2) return two_norm(x, axes, keepdims, s);
  array size = abs(x, s);
  if (std::isinf(ord)) {
    return ord > 0 ? max(size, axes, keepdims, s) : min(size, axes, keepdims, s);
  }
  if (ord == 1) return sum(size, axes, keepdims, s);
  array powers = power(size, array(ord, t), s);
  return power(sum(powers, axes, keepdims, s), array(1 / ord, t), s);
}

/** The two axes last, then f over the singular values; keepdims puts axes of 1 back. */
template <class F>
array of_singular_values(const array& x, const Axes& axes, bool keepdims, Stream s, F&& f) {
  array m = moveaxis(x, axes[0], -1, s);
  // Moving the first axis away shifts those behind it.
  m = moveaxis(m, axes[1] > axes[0] ? axes[1] - 1 : axes[1], -1, s);
  array out = f(svd(m, false, s)[0]);
  if (!keepdims) return out;
  Axes sorted = axes;
  std::sort(sorted.begin(), sorted.end());
  return expand_dims(out, sorted, s);
}

array matrix_norm(const array& x, double ord, const Axes& axes, bool keepdims, Stream s) {
  double size = std::abs(ord);
  if (size == 2) {
    return of_singular_values(x, axes, keepdims, s, [&](const array& v) {
      return ord > 0 ? max(v, -1, false, s) : min(v, -1, false, s);
    });
  }
  if (size != 1 && !std::isinf(ord))
    refuse("Invalid ord " + number_text(ord) + " for matrix norm.");
  // The greatest or least sum of a column (1) or a row (infinity).
  int summed = size == 1 ? axes[0] : axes[1], kept = size == 1 ? axes[1] : axes[0];
  array sums = sum(abs(x, s), summed, true, s);
  array out = ord > 0 ? max(sums, kept, true, s) : min(sums, kept, true, s);
  return keepdims ? out : squeeze(out, axes, s);
}

}  // namespace

array norm(const array& a, const double ord, const std::optional<Axes>& axis, bool keepdims,
           StreamOrDevice s_) {
  Stream s = to_stream(s_);
  size_t count = axis ? axis->size() : a.ndim();
  if (count < 1 || count > 2) refuse("Received too many axes for norm.");
  Axes axes = checked(a, axis);
  Dtypes t(a.dtype());
  array x = astype(a, t.compute, s);
  array out = axes.size() == 1 ? vector_norm(x, ord, axes, keepdims, s)
                               : matrix_norm(x, ord, axes, keepdims, s);
  return astype(out, t.result, s);
}

array norm(const array& a, const std::string& ord, const std::optional<Axes>& axis, bool keepdims,
           StreamOrDevice s_) {
  Stream s = to_stream(s_);
  size_t count = axis ? axis->size() : a.ndim();
  if (count != 2) {
    refuse("Norm '" + ord + "' only supported for matrices, but received " + std::to_string(count) +
           " axis/axes.");
  }
  if (ord != "fro" && ord != "nuc") {
    refuse("Invalid ord value '" + ord + "' for matrix norm.");
  }
  Axes axes = checked(a, axis);
  Dtypes t(a.dtype());
  array x = astype(a, t.compute, s);
  array out = ord == "nuc"
                  ? of_singular_values(x, axes, keepdims, s,
                                       [&](const array& v) { return sum(v, -1, false, s); })
                  : two_norm(x, axes, keepdims, s);
  return astype(out, t.result, s);
}

array norm(const array& a, const std::optional<Axes>& axis, bool keepdims, StreamOrDevice s_) {
  Stream s = to_stream(s_);
  if (axis && axis->size() > 2) refuse("Received too many axes for norm.");
  Axes axes = checked(a, axis);
  Dtypes t(a.dtype());
  array x = astype(a, t.compute, s);
  return astype(axes.empty() ? abs(x, s) : two_norm(x, axes, keepdims, s), t.result, s);
}

}  // namespace mlx::core::linalg
