// core/ops/creation.cpp: arrays from nothing.
#include <cmath>
#include <limits>

#include "core/prim/join.h"
#include "mlx/ops.h"
#include "mlx/utils.h"

namespace mlx::core {

array arange(double start, double stop, double step, Dtype dtype, StreamOrDevice s) {
  if (dtype == bool_) throw std::invalid_argument("[arange] bool not supported.");
  if (step == 0) throw std::invalid_argument("[arange] step must be nonzero.");
  if (std::isnan(start) || std::isnan(stop) || std::isnan(step)) {
    throw std::invalid_argument("[arange] Cannot compute length.");
  }
  double length = std::ceil((stop - start) / step);
  if (std::isinf(step) && !std::isinf(start) && !std::isinf(stop))
    length = (step > 0) == (stop > start) && stop != start;
  if (std::isnan(length) || length > std::numeric_limits<int>::max()) {
    throw std::invalid_argument("[arange] Maximum size exceeded.");
  }
  int64_t size = std::max<int64_t>(0, static_cast<int64_t>(length));
  // Integers step by whole numbers, whatever fraction start and step had.
  if (issubdtype(dtype, integer)) {
    start = std::trunc(start);
    step = std::trunc(step);
  }
  auto p = std::make_shared<Arange>(to_stream(s), ArangeSteps{start, step, size});
  return array({static_cast<ShapeElem>(size)}, dtype, p, {});
}
array arange(double start, double stop, double step, StreamOrDevice s) {
  return arange(start, stop, step, float32, s);
}
array arange(double start, double stop, Dtype dtype, StreamOrDevice s) {
  return arange(start, stop, 1.0, dtype, s);
}
array arange(double start, double stop, StreamOrDevice s) {
  return arange(start, stop, 1.0, float32, s);
}
array arange(double stop, Dtype dtype, StreamOrDevice s) {
  return arange(0.0, stop, 1.0, dtype, s);
}
array arange(double stop, StreamOrDevice s) { return arange(0.0, stop, 1.0, float32, s); }
array arange(int start, int stop, int step, StreamOrDevice s) {
  return arange(static_cast<double>(start), static_cast<double>(stop), static_cast<double>(step),
                int32, s);
}
array arange(int start, int stop, StreamOrDevice s) { return arange(start, stop, 1, s); }
array arange(int stop, StreamOrDevice s) { return arange(0, stop, 1, s); }

array linspace(double start, double stop, int num, bool endpoint, Dtype dtype, StreamOrDevice s) {
  if (num < 0) {
    throw std::invalid_argument("[linspace] number of samples, " + std::to_string(num) +
                                ", must be non-negative.");
  }
  if (num == 0)
    return array({0}, dtype, std::make_shared<Arange>(to_stream(s), ArangeSteps{0, 1, 0}), {});
  int steps = endpoint ? num - 1 : num;
  if (num == 1) return astype(array({start}, float64), dtype, s);
  // Weights of both ends, so that the last value is exactly stop.
  Dtype wide = dtype == float64 ? float64 : float32;
  array t = divide(arange(0.0, static_cast<double>(num), wide, s),
                   array(static_cast<double>(steps), wide), s);
  array values = add(multiply(array(start, wide), subtract(array(1.0, wide), t, s), s),
                     multiply(array(stop, wide), t, s), s);
  return astype(values, dtype, s);
}

array full(Shape shape, array vals, Dtype dtype, StreamOrDevice s) {
  for (auto d : shape) {
    if (d < 0) throw std::invalid_argument("[full] Negative dimensions not allowed.");
  }
  return broadcast_to(astype(vals, dtype, s), shape, s);
}
array full(Shape shape, array vals, StreamOrDevice s) {
  Dtype t = vals.dtype();
  return full(std::move(shape), std::move(vals), t, s);
}
array full_like(const array& a, array vals, Dtype dtype, StreamOrDevice s) {
  return full(a.shape(), std::move(vals), dtype, s);
}
array full_like(const array& a, array vals, StreamOrDevice s) {
  return full(a.shape(), std::move(vals), a.dtype(), s);
}

array zeros(const Shape& shape, Dtype dtype, StreamOrDevice s) {
  return full(shape, array(0, dtype), s);
}
array zeros_like(const array& a, StreamOrDevice s) { return zeros(a.shape(), a.dtype(), s); }
array zeros_like(const array& a, Dtype dtype, StreamOrDevice s) {
  return zeros(a.shape(), dtype, s);
}
array ones(const Shape& shape, Dtype dtype, StreamOrDevice s) {
  return full(shape, array(1, dtype), s);
}
array ones_like(const array& a, StreamOrDevice s) { return ones(a.shape(), a.dtype(), s); }
array ones_like(const array& a, Dtype dtype, StreamOrDevice s) { return ones(a.shape(), dtype, s); }

namespace {
/** j - i over an (n, m) grid. */
array offsets(int n, int m, StreamOrDevice s) {
  return subtract(reshape(arange(0, m, s), {1, m}, s), reshape(arange(0, n, s), {n, 1}, s), s);
}
}  // namespace

array eye(int n, int m, int k, Dtype dtype, StreamOrDevice s) {
  if (n < 0 || m < 0) throw std::invalid_argument("[eye] N and M must be positive integers.");
  return astype(equal(offsets(n, m, s), array(k), s), dtype, s);
}

array identity(int n, Dtype dtype, StreamOrDevice s) { return eye(n, n, 0, dtype, s); }

array tri(int n, int m, int k, Dtype type, StreamOrDevice s) {
  return astype(less_equal(offsets(n, m, s), array(k), s), type, s);
}

array tril(array x, int k, StreamOrDevice s) {
  if (x.ndim() < 2) throw std::invalid_argument("[tril] array must be at least 2-D");
  return where(tri(x.shape(-2), x.shape(-1), k, bool_, s), x, array(0, x.dtype()), s);
}

array triu(array x, int k, StreamOrDevice s) {
  if (x.ndim() < 2) throw std::invalid_argument("[triu] array must be at least 2-D");
  return where(tri(x.shape(-2), x.shape(-1), k - 1, bool_, s), array(0, x.dtype()), x, s);
}

std::vector<array> meshgrid(const std::vector<array>& arrays, bool sparse,
                            const std::string& indexing, StreamOrDevice s) {
  if (indexing != "xy" && indexing != "ij") {
    throw std::invalid_argument(
        "[meshgrid] Invalid indexing value. Valid values are 'xy' and 'ij'.");
  }
  int n = static_cast<int>(arrays.size());
  bool swap = indexing == "xy" && n > 1;
  std::vector<array> out;
  for (int i = 0; i < n; ++i) {
    Shape shape(n, 1);
    int axis = swap && i < 2 ? 1 - i : i;
    shape[axis] = static_cast<ShapeElem>(arrays[i].size());
    out.push_back(reshape(arrays[i], shape, s));
  }
  return sparse ? out : broadcast_arrays(out, s);
}

namespace {
/** A window of m points from f(cosines of multiples of 2 pi i / (m - 1)). */
template <class F>
array window(int m, F&& f, StreamOrDevice s) {
  if (m < 1) return zeros({0}, float32, s);
  if (m == 1) return ones({1}, float32, s);
  array t =
      divide(arange(0.0, static_cast<double>(m), float32, s), array(static_cast<float>(m - 1)), s);
  return f(t);
}
array turn(const array& t, double times, StreamOrDevice s) {
  return cos(multiply(t, array(times * 2 * M_PI, float32), s), s);
}
}  // namespace

array hanning(int M, StreamOrDevice s) {
  return window(
      M, [&](const array& t) { return 0.5f - 0.5f * turn(t, 1, s); }, s);
}
array hamming(int M, StreamOrDevice s) {
  return window(
      M, [&](const array& t) { return 0.54f - 0.46f * turn(t, 1, s); }, s);
}
array blackman(int M, StreamOrDevice s) {
  return window(
      M, [&](const array& t) { return 0.42f - 0.5f * turn(t, 1, s) + 0.08f * turn(t, 2, s); }, s);
}
array bartlett(int M, StreamOrDevice s) {
  return window(
      M, [&](const array& t) { return 1.0f - abs(2.0f * t - 1.0f, s); }, s);
}

}  // namespace mlx::core
