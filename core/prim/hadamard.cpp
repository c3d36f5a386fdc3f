// core/prim/hadamard.cpp
#include "core/prim/hadamard.h"

#include <cmath>

#include "mlx/ops.h"

namespace mlx::core {

namespace {

array transform(const array& a, float scale, bool transposed, Stream s) {
  return array(a.shape(), a.dtype(), std::make_shared<Hadamard>(s, scale, transposed), {a});
}

}  // namespace

std::vector<array> Hadamard::vjp(const std::vector<array>&, const std::vector<array>& cotangents,
                                 const std::vector<int>&, const std::vector<array>&) {
  return {transform(cotangents[0], scale_, !transposed_, stream())};
}

std::vector<array> Hadamard::jvp(const std::vector<array>&, const std::vector<array>& tangents,
                                 const std::vector<int>&) {
  return {transform(tangents[0], scale_, transposed_, stream())};
}

std::pair<std::vector<array>, std::vector<int>> Hadamard::vmap(const std::vector<array>& inputs,
                                                               const std::vector<int>& axes) {
  array in = moveaxis(inputs[0], axes[0], 0, stream());
  return {{transform(in, scale_, transposed_, stream())}, {0}};
}

int hadamard_factor(int n) {
  for (int m : {1, 12, 20, 28}) {
    if (n % m == 0 && ((n / m) & (n / m - 1)) == 0) return m;
  }
  return 0;
}

array hadamard_transform(const array& a, std::optional<float> scale, StreamOrDevice where) {
  Stream s = to_stream(where);
  int n = a.ndim() == 0 ? 1 : a.shape(-1);
  std::string of = " for an array of shape " + to_string(a.shape()) + ".";
  if (n == 0) throw std::invalid_argument("[hadamard_transform] The last axis is empty" + of);
  if (hadamard_factor(n) == 0) {
    throw std::invalid_argument(
        "[hadamard_transform] Only sizes m * 2^k with m in (1, 12, 20, 28) are supported, not " +
        std::to_string(n) + of);
  }
  float factor = scale.value_or(static_cast<float>(1 / std::sqrt(static_cast<double>(n))));
  if (a.dtype() == complex64) {
    array parts = transform(stack({real(a, s), imag(a, s)}, 0, s), factor, false, s);
    array imaginary = multiply(take(parts, 1, 0, s), array(std::complex<float>(0, 1)), s);
    return add(take(parts, 0, 0, s), imaginary, s);
  }
  array x = issubdtype(a.dtype(), floating) ? a : astype(a, float32, s);
  if (a.ndim() == 0) return multiply(x, array(factor, x.dtype()), s);
  return transform(x, factor, false, s);
}

}  // namespace mlx::core
