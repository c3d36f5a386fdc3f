// core/prim/symmetric_root.h: square roots of covariance matrices.
#pragma once

#include <tuple>
#include <vector>

#include "core/prim/prim.h"

namespace mlx::core {

/** For each symmetric matrix of (batch..., n, n), float32: the symmetric R with R R = it. */
class SymmetricRoot final : public Prim<SymmetricRoot> {
 public:
  using Prim::Prim;
  static constexpr const char* kName = "SymmetricRoot";
  std::tuple<> fields() const { return {}; }

  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>&,
                                                       const std::vector<int>&) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }
};

}  // namespace mlx::core
