// core/prim/random_bits.cpp: RandomBits.
#include "core/prim/random_bits.h"

#include "mlx/ops.h"

namespace mlx::core {

std::vector<Shape> RandomBits::output_shapes(const std::vector<array>& inputs) {
  Shape shape(inputs[0].shape().begin(), inputs[0].shape().end() - 1);
  shape.insert(shape.end(), shape_.begin(), shape_.end());
  return {shape};
}

std::vector<array> RandomBits::vjp(const std::vector<array>& primals, const std::vector<array>&,
                                   const std::vector<int>&, const std::vector<array>&) {
  return {zeros_like(primals[0], stream())};
}

std::vector<array> RandomBits::jvp(const std::vector<array>& primals, const std::vector<array>&,
                                   const std::vector<int>&) {
  Dtype t = width_ == 4 ? uint32 : width_ == 2 ? uint16 : uint8;
  return {zeros(output_shapes(primals)[0], t, stream())};
}

std::pair<std::vector<array>, std::vector<int>> RandomBits::vmap(const std::vector<array>& inputs,
                                                                 const std::vector<int>& axes) {
  array keys = axes[0] >= 0 ? moveaxis(inputs[0], axes[0], 0, stream()) : inputs[0];
  Dtype t = width_ == 4 ? uint32 : width_ == 2 ? uint16 : uint8;
  array out(output_shapes({keys})[0], t, std::make_shared<RandomBits>(stream(), shape_, width_),
            {keys});
  return {{out}, {axes[0] >= 0 ? 0 : -1}};
}

}  // namespace mlx::core
