// core/prim/symmetric_root.cpp: SymmetricRoot.
#include "core/prim/symmetric_root.h"

#include "mlx/ops.h"

namespace mlx::core {

std::pair<std::vector<array>, std::vector<int>> SymmetricRoot::vmap(
    const std::vector<array>& inputs, const std::vector<int>& axes) {
  array x = axes[0] >= 0 ? moveaxis(inputs[0], axes[0], 0, stream()) : inputs[0];
  array out(x.shape(), x.dtype(), std::make_shared<SymmetricRoot>(stream()), {x});
  return {{out}, {axes[0] >= 0 ? 0 : -1}};
}

}  // namespace mlx::core
