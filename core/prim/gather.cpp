// core/prim/gather.cpp: Gather and what batching of index arrays needs.
#include <numeric>

#include "core/prim/indexing.h"
#include "mlx/ops.h"

namespace mlx::core {

void throw_index_derivative(const char* op, const char* kind) {
  throw std::invalid_argument(std::string("[") + op + "] Cannot calculate " + kind +
                              " with respect to indices. Use stop_gradient on indices to stop "
                              "gradients from being computed.");
}

array batch_first(const array& x, int axis, int n, Stream s) {
  if (axis >= 0) return moveaxis(x, axis, 0, s);
  Shape shape = x.shape();
  shape.insert(shape.begin(), n);
  return broadcast_to(expand_dims(x, 0, s), shape, s);
}

std::vector<array> batched_indices(const std::vector<array>& inputs, const std::vector<int>& axes,
                                   size_t first, size_t count, Stream s) {
  std::vector<array> out;
  for (size_t i = first; i < first + count; ++i) {
    out.push_back(axes[i] >= 0 ? moveaxis(inputs[i], axes[i], 0, s) : expand_dims(inputs[i], 0, s));
  }
  return out;
}

bool Gather::fits(const std::vector<array>& inputs) const {
  if (inputs.empty() || inputs[0].ndim() != slice_sizes_.size() ||
      inputs.size() != axes_.size() + 1) {
    return false;
  }
  for (size_t i = 0; i < slice_sizes_.size(); ++i) {
    if (slice_sizes_[i] < 0 || slice_sizes_[i] > inputs[0].shape(static_cast<int>(i))) return false;
  }
  for (int a : axes_) {
    if (a < 0 || a >= static_cast<int>(inputs[0].ndim())) return false;
  }
  return true;
}

std::vector<Shape> Gather::output_shapes(const std::vector<array>& inputs) {
  Shape shape = inputs.size() > 1 ? inputs[1].shape() : Shape{};
  shape.insert(shape.end(), slice_sizes_.begin(), slice_sizes_.end());
  return {shape};
}

std::vector<array> Gather::vjp(const std::vector<array>& primals,
                               const std::vector<array>& cotangents,
                               const std::vector<int>& argnums, const std::vector<array>&) {
  std::vector<array> grads;
  for (int arg : argnums) {
    if (arg > 0) throw_index_derivative("gather", "VJP");
    std::vector<array> indices(primals.begin() + 1, primals.end());
    grads.push_back(
        scatter_add(zeros_like(primals[0], stream()), indices, cotangents[0], axes_, stream()));
  }
  return grads;
}

std::vector<array> Gather::jvp(const std::vector<array>& primals,
                               const std::vector<array>& tangents,
                               const std::vector<int>& argnums) {
  if (argnums.size() > 1 || argnums[0] != 0) throw_index_derivative("gather", "JVP");
  std::vector<array> indices(primals.begin() + 1, primals.end());
  return {gather(tangents[0], indices, axes_, slice_sizes_, stream())};
}

std::pair<std::vector<array>, std::vector<int>> Gather::vmap(const std::vector<array>& inputs,
                                                             const std::vector<int>& axes) {
  const array& src = inputs[0];
  size_t n_indices = inputs.size() - 1;
  bool indices_mapped = std::any_of(axes.begin() + 1, axes.end(), [](int a) { return a >= 0; });
  auto gather_axes = axes_;
  auto sizes = slice_sizes_;
  if (!indices_mapped) {
    if (axes[0] < 0)
      return {{gather(src, {inputs.begin() + 1, inputs.end()}, axes_, sizes, stream())}, {-1}};
    // The batch axis of src is one more axis of each slice.
    for (int& a : gather_axes) a += a >= axes[0];
    sizes.insert(sizes.begin() + axes[0], src.shape(axes[0]));
    std::vector<array> indices(inputs.begin() + 1, inputs.end());
    int index_dims = indices.empty() ? 0 : static_cast<int>(indices[0].ndim());
    return {{gather(src, indices, gather_axes, sizes, stream())}, {index_dims + axes[0]}};
  }
  auto indices = batched_indices(inputs, axes, 1, n_indices, stream());
  if (axes[0] < 0) return {{gather(src, indices, axes_, sizes, stream())}, {0}};
  // One more index array walks along the batch axis of src.
  int batch = src.shape(axes[0]);
  int index_dims = static_cast<int>(indices[0].ndim());
  Shape walk(index_dims, 1);
  walk[0] = batch;
  indices.push_back(reshape(arange(0, batch, 1, stream()), walk, stream()));
  for (int& a : gather_axes) a += a >= axes[0];
  gather_axes.push_back(axes[0]);
  sizes.insert(sizes.begin() + axes[0], 1);
  auto out = gather(src, indices, gather_axes, sizes, stream());
  return {{squeeze(out, index_dims + axes[0], stream())}, {0}};
}

}  // namespace mlx::core
