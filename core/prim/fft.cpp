// core/prim/fft.cpp: derivatives and batching of Fourier transforms. The transform is linear, so a
// cotangent goes through the conjugate transposed matrix: the opposite transform, same scale.
#include "core/prim/fft.h"

#include "mlx/ops.h"

namespace mlx::core {

array FFT::make(const array& a, Kind kind, const std::vector<int>& axes, bool inverse, int n,
                double scale, Dtype dtype, Stream s) {
  auto p = std::make_shared<FFT>(s, kind, axes, inverse, n, scale);
  Shape shape = p->output_shapes({a})[0];
  return array(std::move(shape), dtype, std::move(p), {a});
}

std::vector<Shape> FFT::output_shapes(const std::vector<array>& inputs) {
  Shape shape = inputs[0].shape();
  if (kind_ != Complex) {
    auto& last = shape[axes_.back()];
    if (kind_ == ToHalf) {
      last = last / 2 + 1;
    } else {
      last = last == n_ / 2 + 1 ? n_ : 2 * (last - 1) + n_ % 2;
    }
  }
  return {shape};
}

namespace {

/** One factor for the elements of a half spectrum that stand for themselves, one for those that
 * stand for two. */
array half_weights(const Shape& shape, int axis, int n, float alone, float twice, Stream s) {
  Shape along(shape.size(), 1);
  along[axis] = shape[axis];
  array k = arange(0, shape[axis], 1, s);
  array is_alone =
      logical_or(equal(k, array(0), s), equal(multiply(k, array(2), s), array(n), s), s);
  return reshape(where(is_alone, array(alone), array(twice), s), along, s);
}

/** A complex cotangent of a real input is its real part. */
array as_input(const array& cotangent, const array& input, Stream s) {
  if (issubdtype(input.dtype(), complexfloating)) return astype(cotangent, input.dtype(), s);
  array part = cotangent.dtype() == complex64 ? real(cotangent, s) : cotangent;
  return astype(part, input.dtype(), s);
}

}  // namespace

std::vector<array> FFT::vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                            const std::vector<int>&, const std::vector<array>&) {
  Stream s = stream();
  const array& x = primals[0];
  const array& cotangent = cotangents[0];
  switch (kind_) {
    case Complex:
      return {as_input(make(cotangent, Complex, axes_, !inverse_, 0, scale_, complex64, s), x, s)};
    case ToHalf: {
      int axis = axes_.back(), n = x.shape(axis);
      array weighted =
          multiply(cotangent, half_weights(cotangent.shape(), axis, n, 1.0f, 0.5f, s), s);
      return {make(weighted, FromHalf, axes_, true, n, scale_, x.dtype(), s)};
    }
    default: {
      int axis = axes_.back(), n = cotangent.shape(axis);
      array back = make(cotangent, ToHalf, axes_, false, n, scale_, complex64, s);
      return {
          as_input(multiply(back, half_weights(back.shape(), axis, n, 1.0f, 2.0f, s), s), x, s)};
    }
  }
}

std::vector<array> FFT::jvp(const std::vector<array>&, const std::vector<array>& tangents,
                            const std::vector<int>&) {
  const array& t = tangents[0];
  Dtype out = kind_ != FromHalf ? complex64 : t.dtype() == float64 ? float64 : float32;
  return {make(t, kind_, axes_, inverse_, n_, scale_, out, stream())};
}

std::pair<std::vector<array>, std::vector<int>> FFT::vmap(const std::vector<array>& inputs,
                                                          const std::vector<int>& axes) {
  const array& x = inputs[0];
  std::vector<int> shifted = axes_;
  for (int& a : shifted) a += axes[0] >= 0 && a >= axes[0];
  Dtype out = kind_ != FromHalf ? complex64 : x.dtype() == float64 ? float64 : float32;
  return {{make(x, kind_, shifted, inverse_, n_, scale_, out, stream())}, axes};
}

}  // namespace mlx::core
