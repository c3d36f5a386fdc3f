// include/mlx/transforms_impl.h: the two halves of vmap, for bindings that handle trees of arrays.
#pragma once

#include "mlx/transforms.h"

namespace mlx::core {

/** True inside vjp, jvp, vmap or compile. */
bool in_tracing();

namespace detail {

std::pair<std::vector<array>, std::vector<array>> vmap_trace(const ArrayFn& fun,
                                                             const std::vector<array>& inputs,
                                                             const std::vector<int>& in_axes);
std::vector<array> vmap_replace(const std::vector<array>& inputs, const std::vector<array>& items,
                                const std::vector<array>& item_outputs,
                                const std::vector<int>& in_axes, const std::vector<int>& out_axes);

}  // namespace detail

}  // namespace mlx::core
