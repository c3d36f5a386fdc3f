// core/ops/compare.cpp: comparison of arrays, and elementwise ops made of others.
#include <cmath>
#include <limits>

#include "core/prim/elementwise.h"
#include "core/tracing.h"
#include "mlx/ops.h"
#include "mlx/utils.h"

namespace mlx::core {

array positive(const array& a, StreamOrDevice) { return a; }

array round(const array& a, int decimals, StreamOrDevice s) {
  if (a.dtype() == bool_ || decimals == 0 || (decimals > 0 && issubdtype(a.dtype(), integer))) {
    return issubdtype(a.dtype(), inexact) ? elementwise(EwOp::Rint, {a}, s) : a;
  }
  Dtype t = issubdtype(a.dtype(), integer) ? Dtype(float32) : a.dtype();
  array scale(std::pow(10.0, std::abs(decimals)), t);
  array x = astype(a, t, s);
  array r = decimals > 0 ? divide(elementwise(EwOp::Rint, {multiply(x, scale, s)}, s), scale, s)
                         : multiply(elementwise(EwOp::Rint, {divide(x, scale, s)}, s), scale, s);
  return astype(r, a.dtype(), s);
}

std::vector<array> divmod(const array& a, const array& b, StreamOrDevice s) {
  return {floor_divide(a, b, s), remainder(a, b, s)};
}

array clip(const array& a, const std::optional<array>& a_min, const std::optional<array>& a_max,
           StreamOrDevice s) {
  if (!a_min && !a_max)
    throw std::invalid_argument("[clip] At most one of a_min and a_max may be None");
  array r = a;
  if (a_min) r = maximum(r, *a_min, s);
  if (a_max) r = minimum(r, *a_max, s);
  return r;
}

array nan_to_num(const array& a, float nan, const std::optional<float> posinf,
                 const std::optional<float> neginf, StreamOrDevice s) {
  Dtype t = a.dtype();
  if (!issubdtype(t, inexact)) return a;
  if (t == complex64) {
    array re = nan_to_num(real(a, s), nan, posinf, neginf, s),
          im = nan_to_num(imag(a, s), nan, posinf, neginf, s);
    return add(astype(re, complex64, s),
               multiply(astype(im, complex64, s), array(std::complex<float>(0, 1)), s), s);
  }
  double largest = finfo(t).max;
  array hi(posinf ? double(*posinf) : largest, t), lo(neginf ? double(*neginf) : -largest, t);
  array r = where(isnan(a, s), array(nan, t), a, s);
  r = where(isposinf(r, s), hi, r, s);
  return where(isneginf(r, s), lo, r, s);
}

array isclose(const array& a, const array& b, double rtol, double atol, bool equal_nan,
              StreamOrDevice s) {
  Dtype t = promote_types(result_type(a, b), float32);
  array x = astype(a, t, s), y = astype(b, t, s);
  Dtype r = t == complex64 ? Dtype(float32) : t;
  array bound = add(array(atol, r), multiply(array(rtol, r), abs(y, s), s), s);
  array near = less_equal(abs(subtract(x, y, s), s), bound, s);
  // Infinities are near only to themselves.
  array finite = logical_and(isfinite(x, s), isfinite(y, s), s);
  array close = where(finite, near, equal(x, y, s), s);
  return equal_nan ? logical_or(close, logical_and(isnan(x, s), isnan(y, s), s), s) : close;
}

array allclose(const array& a, const array& b, double rtol, double atol, bool equal_nan,
               StreamOrDevice s) {
  return all(isclose(a, b, rtol, atol, equal_nan, s), false, s);
}

array array_equal(const array& a, const array& b, bool equal_nan, StreamOrDevice s) {
  note_shape_read();
  if (a.shape() != b.shape()) return array(false);
  return all(equal_nan ? elementwise(EwOp::NanEqual, {a, b}, s) : equal(a, b, s), false, s);
}

}  // namespace mlx::core
