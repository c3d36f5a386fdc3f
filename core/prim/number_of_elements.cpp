// core/prim/number_of_elements.cpp
#include "core/prim/number_of_elements.h"

#include "mlx/ops.h"

namespace mlx::core {

void NumberOfElements::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  double n = 1;
  for (int axis : axes_) n *= inputs[0].shape(axis);
  outputs[0].copy_shared_buffer(array(inverted_ ? 1 / n : n, dtype_));
}

std::vector<array> NumberOfElements::jvp(const std::vector<array>&, const std::vector<array>&,
                                         const std::vector<int>&) {
  return {zeros({}, dtype_, stream())};
}

std::vector<array> NumberOfElements::vjp(const std::vector<array>& primals,
                                         const std::vector<array>&, const std::vector<int>& argnums,
                                         const std::vector<array>&) {
  std::vector<array> none;
  for (int a : argnums) none.push_back(zeros_like(primals[a], stream()));
  return none;
}

std::pair<std::vector<array>, std::vector<int>> NumberOfElements::vmap(
    const std::vector<array>& inputs, const std::vector<int>& axes) {
  // Of one item: the batch axis is not counted, and the answer is the same for all.
  auto counted = axes_;
  for (int& a : counted) a += axes[0] >= 0 && a >= axes[0];
  auto p = std::make_shared<NumberOfElements>(stream(), std::move(counted), inverted_, dtype_);
  return {{array(Shape{}, dtype_, std::move(p), {inputs[0]})}, {-1}};
}

}  // namespace mlx::core
