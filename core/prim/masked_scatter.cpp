// core/prim/masked_scatter.cpp: MaskedScatter.
#include "core/prim/indexing.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

/** For each element of the flattened mask, the number of true ones before it (at least 0, at most n
 * - 1). */
array positions(const array& mask, int n, Stream s) {
  array before = cumsum(astype(flatten(mask, s), int32, s), 0, false, false, std::nullopt, s);
  return minimum(before, array(std::max(n - 1, 0)), s);
}

}  // namespace

std::vector<array> MaskedScatter::vjp(const std::vector<array>& primals,
                                      const std::vector<array>& cotangents,
                                      const std::vector<int>& argnums, const std::vector<array>&) {
  Stream s = stream();
  const array& mask = primals[1];
  const array& cotan = cotangents[0];
  array zero(0, cotan.dtype());
  std::vector<array> grads;
  for (int arg : argnums) {
    if (arg == 0) {
      grads.push_back(where(mask, zero, cotan, s));
    } else if (arg == 1) {
      grads.push_back(zeros_like(mask, s));
    } else if (primals[2].size() == 0) {
      grads.push_back(zeros_like(primals[2], s));
    } else {
      array picked = flatten(where(mask, cotan, zero, s), s);
      array at = positions(mask, primals[2].shape(0), s);
      grads.push_back(scatter_add_axis(zeros_like(primals[2], s), at, picked, 0, s));
    }
  }
  return grads;
}

std::vector<array> MaskedScatter::jvp(const std::vector<array>& primals,
                                      const std::vector<array>& tangents,
                                      const std::vector<int>& argnums) {
  Stream s = stream();
  array a_t = zeros_like(primals[0], s), src_t = zeros_like(primals[2], s);
  for (size_t i = 0; i < argnums.size(); ++i) {
    if (argnums[i] == 0) a_t = tangents[i];
    if (argnums[i] == 2) src_t = tangents[i];
  }
  return {masked_scatter(a_t, primals[1], src_t, s)};
}

std::pair<std::vector<array>, std::vector<int>> MaskedScatter::vmap(
    const std::vector<array>& inputs, const std::vector<int>& axes) {
  Stream s = stream();
  int batch = 0;
  for (int i = 0; i < 3; ++i) {
    if (axes[i] >= 0) batch = inputs[i].shape(axes[i]);
  }
  array a = batch_first(inputs[0], axes[0], batch, s);
  array mask = batch_first(inputs[1], axes[1], batch, s);
  array src = batch_first(inputs[2], axes[2], batch, s);
  if (src.shape(1) == 0 || mask.size() == 0) return {{a}, {0}};
  // Each example counts its own mask, so its values are gathered instead. An example whose mask
  // holds more than src has must be refused: its positions are left as they are and the gather says
  // so.
  array flat = reshape(mask, {batch, -1}, s);
  array before = cumsum(astype(flat, int32, s), 1, false, false, std::nullopt, s);
  before = where(flat, before, array(0), s);
  array values = reshape(take_along_axis(src, before, 1, s), a.shape(), s);
  return {{where(mask, values, a, s)}, {0}};
}

}  // namespace mlx::core
