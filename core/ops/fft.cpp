// core/ops/fft.cpp: the public Fourier transforms. Sizes are cut and filled up here, so the
// primitive knows whole axes only.
#include "mlx/fft.h"

#include <cmath>
#include <numeric>
#include <sstream>

#include "core/ops/axes.h"
#include "core/prim/fft.h"
#include "mlx/ops.h"

namespace mlx::core::fft {

namespace {

using Axes = std::vector<int>;

template <typename Sequence>
std::string listed(const Sequence& values) {
  std::ostringstream os;
  os << "(";
  for (size_t i = 0; i < values.size(); ++i) os << (i ? "," : "") << values[i];
  os << ")";
  return os.str();
}

/** a with `size` elements along the axis: cut, or zeros appended. */
array resized(const array& a, int axis, int size, Stream s) {
  int have = a.shape(axis);
  if (have == size) return a;
  if (have < size) return pad(a, {axis}, {0}, {size - have}, array(0, a.dtype()), "constant", s);
  Shape start(a.ndim(), 0), stop = a.shape();
  stop[axis] = size;
  return slice(a, start, stop, s);
}

/** n: sizes of axes in the world of the input of forward transforms, of the output of inverse. */
array transform(const char* op, const array& a, Shape n, Axes axes, FFT::Kind kind, bool inverse,
                FFTNorm norm, StreamOrDevice where) {
  std::string head = std::string("[") + op + "] ";
  if (n.size() != axes.size()) {
    throw std::invalid_argument(head + "Shape and axes have different sizes: " + listed(n) +
                                " and " + listed(axes) + ".");
  }
  if (axes.empty()) return a;
  for (int& axis : axes) axis = axis_in_bounds(op, axis, static_cast<int>(a.ndim()));
  for (size_t i = 0; i < axes.size(); ++i) {
    if (std::find(axes.begin(), axes.begin() + i, axes[i]) != axes.begin() + i) {
      throw std::invalid_argument(head + "Duplicated axis received " + listed(axes) + ".");
    }
  }
  for (int size : n) {
    if (size > 0) continue;
    throw std::invalid_argument(head + "Invalid FFT output size requested " + listed(n) +
                                " for an array of shape " + to_string(a.shape()) + ".");
  }
  Stream s = to_stream(where);
  bool wide = a.dtype() == float64;
  array x = a;
  if (kind == FFT::ToHalf) {
    // Of complex numbers the real part counts.
    x = x.dtype() == complex64 ? real(x, s) : astype(x, wide ? float64 : float32, s);
  } else if (!wide) {
    x = astype(x, complex64, s);
  }
  double count = 1;
  for (size_t i = 0; i < axes.size(); ++i) {
    count *= n[i];
    bool half = kind == FFT::FromHalf && i + 1 == axes.size();
    x = resized(x, axes[i], half ? n[i] / 2 + 1 : n[i], s);
  }
  double scale = 1;
  if (norm == FFTNorm::Ortho) scale = 1 / std::sqrt(count);
  if (norm == (inverse ? FFTNorm::Backward : FFTNorm::Forward)) scale = 1 / count;
  Dtype dtype = kind != FFT::FromHalf ? complex64 : wide ? float64 : float32;
  return FFT::make(x, kind, axes, inverse, kind == FFT::Complex ? 0 : n.back(), scale, dtype, s);
}

/** The sizes that axes have. */
Shape sizes_of(const char* op, const array& a, const Axes& axes, bool from_half) {
  Shape n;
  for (int axis : axes) n.push_back(a.shape()[axis_in_bounds(op, axis, a.ndim())]);
  if (from_half && !n.empty()) n.back() = 2 * (n.back() - 1);
  return n;
}

Axes all_axes(const char* op, const array& a) {
  if (a.ndim() == 0) {
    throw std::invalid_argument(std::string("[") + op +
                                "] Requires array with at least one dimension.");
  }
  Axes axes(a.ndim());
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

array shifted(const char* op, const array& a, const Axes& axes, bool back, StreamOrDevice s) {
  if (axes.empty() || a.size() == 0) return a;
  Shape shifts;
  for (int axis : axes) {
    int n = a.shape()[axis_in_bounds(op, axis, static_cast<int>(a.ndim()))];
    shifts.push_back(back ? -(n / 2) : n / 2);
  }
  return roll(a, shifts, axes, s);
}

Axes axes_of(const array& a) {
  Axes axes(a.ndim());
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

}  // namespace

#define MLX_FFTN(name, kind, inverse)                                                            \
  array name(const array& a, const Shape& n, const Axes& axes, FFTNorm norm, StreamOrDevice s) { \
    return transform(#name, a, n, axes, FFT::kind, inverse, norm, s);                            \
  }                                                                                              \
  array name(const array& a, const Axes& axes, FFTNorm norm, StreamOrDevice s) {                 \
    return name(a, sizes_of(#name, a, axes, FFT::kind == FFT::FromHalf), axes, norm, s);         \
  }                                                                                              \
  array name(const array& a, FFTNorm norm, StreamOrDevice s) {                                   \
    return name(a, all_axes(#name, a), norm, s);                                                 \
  }
MLX_FFTN(fftn, Complex, false)
MLX_FFTN(ifftn, Complex, true)
MLX_FFTN(rfftn, ToHalf, false)
MLX_FFTN(irfftn, FromHalf, true)
#undef MLX_FFTN

namespace {

array frequencies(const char* op, int n, double d, int count, int first_negative,
                  StreamOrDevice s) {
  if (n <= 0) {
    throw std::invalid_argument(std::string("[") + op + "] `n` must be greater than 0, got " +
                                std::to_string(n) + ".");
  }
  if (d == 0) throw std::invalid_argument(std::string("[") + op + "] `d` must be non-zero.");
  array k = arange(0, count, 1, s);
  if (first_negative < count) {
    k = where(less(k, array(first_negative), s), k, subtract(k, array(n), s), s);
  }
  // Integers up to 2^31 divide exactly rounded in double only.
  return astype(divide(astype(k, float64, s), array(n * d, float64), s), float32, s);
}

}  // namespace

array fftfreq(int n, double d, StreamOrDevice s) {
  return frequencies("fftfreq", n, d, n, (n + 1) / 2, s);
}
array rfftfreq(int n, double d, StreamOrDevice s) {
  return frequencies("rfftfreq", n, d, n / 2 + 1, n / 2 + 1, s);
}

array fftshift(const array& a, const Axes& axes, StreamOrDevice s) {
  return shifted("fftshift", a, axes, false, s);
}
array fftshift(const array& a, StreamOrDevice s) { return fftshift(a, axes_of(a), s); }
array ifftshift(const array& a, const Axes& axes, StreamOrDevice s) {
  return shifted("ifftshift", a, axes, true, s);
}
array ifftshift(const array& a, StreamOrDevice s) { return ifftshift(a, axes_of(a), s); }

}  // namespace mlx::core::fft
