// core/prim/gather_axis.cpp: GatherAxis and ScatterAxis, which address one axis.
#include "core/prim/indexing.h"
#include "mlx/ops.h"

namespace mlx::core {

std::vector<array> GatherAxis::vjp(const std::vector<array>& primals,
                                   const std::vector<array>& cotangents,
                                   const std::vector<int>& argnums, const std::vector<array>&) {
  std::vector<array> grads;
  for (int arg : argnums) {
    if (arg > 0) throw_index_derivative("gather_axis", "VJP");
    grads.push_back(scatter_add_axis(zeros_like(primals[0], stream()), primals[1], cotangents[0],
                                     axis_, stream()));
  }
  return grads;
}

std::vector<array> GatherAxis::jvp(const std::vector<array>& primals,
                                   const std::vector<array>& tangents,
                                   const std::vector<int>& argnums) {
  if (argnums.size() > 1 || argnums[0] != 0) throw_index_derivative("gather_axis", "JVP");
  return {take_along_axis(tangents[0], primals[1], axis_, stream())};
}

std::pair<std::vector<array>, std::vector<int>> GatherAxis::vmap(const std::vector<array>& inputs,
                                                                 const std::vector<int>& axes) {
  auto moved = batched_indices(inputs, axes, 0, 2, stream());
  return {{take_along_axis(moved[0], moved[1], axis_ + 1, stream())}, {0}};
}

std::vector<array> ScatterAxis::vjp(const std::vector<array>& primals,
                                    const std::vector<array>& cotangents,
                                    const std::vector<int>& argnums, const std::vector<array>&) {
  const array& cotan = cotangents[0];
  std::vector<array> grads;
  for (int arg : argnums) {
    if (arg == 1) throw_index_derivative("scatter_axis", "VJP");
    if (arg == 2) {
      grads.push_back(take_along_axis(cotan, primals[1], axis_, stream()));
    } else if (reduce_type_ == Sum) {
      grads.push_back(cotan);
    } else {
      grads.push_back(
          put_along_axis(cotan, primals[1], zeros_like(primals[2], stream()), axis_, stream()));
    }
  }
  return grads;
}

std::vector<array> ScatterAxis::jvp(const std::vector<array>& primals,
                                    const std::vector<array>& tangents,
                                    const std::vector<int>& argnums) {
  array src_t = zeros_like(primals[0], stream()), upd_t = zeros_like(primals[2], stream());
  for (size_t i = 0; i < argnums.size(); ++i) {
    if (argnums[i] == 1) throw_index_derivative("scatter_axis", "JVP");
    (argnums[i] == 0 ? src_t : upd_t) = tangents[i];
  }
  return {reduce_type_ == Sum ? scatter_add_axis(src_t, primals[1], upd_t, axis_, stream())
                              : put_along_axis(src_t, primals[1], upd_t, axis_, stream())};
}

std::pair<std::vector<array>, std::vector<int>> ScatterAxis::vmap(const std::vector<array>& inputs,
                                                                  const std::vector<int>& axes) {
  int batch = 0;
  for (int i = 0; i < 3; ++i) {
    if (axes[i] >= 0) batch = inputs[i].shape(axes[i]);
  }
  array src = batch_first(inputs[0], axes[0], batch, stream());
  array indices = batch_first(inputs[1], axes[1], batch, stream());
  array updates = batch_first(inputs[2], axes[2], batch, stream());
  return {{reduce_type_ == Sum ? scatter_add_axis(src, indices, updates, axis_ + 1, stream())
                               : put_along_axis(src, indices, updates, axis_ + 1, stream())},
          {0}};
}

}  // namespace mlx::core
