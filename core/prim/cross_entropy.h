// core/prim/cross_entropy.h: the loss of class indices.
#pragma once

#include "core/prim/fused.h"

namespace mlx::core {

/** Inputs logits [..., n] and integer targets [...]; the loss is float32 (float64 of float64). */
class CrossEntropy final : public Fused<CrossEntropy> {
 public:
  using Fused::Fused;
  CrossEntropy(Stream s, const Composition&) : CrossEntropy(s) {}
  static constexpr const char* kName = "CrossEntropy";
  std::tuple<> fields() const { return {}; }
  std::vector<array> compose(const std::vector<array>& inputs);
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[1].shape()};
  }
};

/** Inputs logits, targets and the loss's cotangent; output the logits' cotangent. */
class CrossEntropyVJP final : public Fused<CrossEntropyVJP> {
 public:
  using Fused::Fused;
  static constexpr const char* kName = "CrossEntropyVJP";
  std::tuple<> fields() const { return {}; }
  std::vector<array> compose(const std::vector<array>& inputs);
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }
};

}  // namespace mlx::core
