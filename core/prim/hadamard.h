// core/prim/hadamard.h: the Walsh-Hadamard transform.
#pragma once

#include "core/prim/prim.h"

namespace mlx::core {

/**
 * Multiplies the last axis, of n = m 2^k elements with m in {1, 12, 20, 28}, with the Hadamard
 * matrix H_m (x) H_{2^k} (transposed or not) and scale. float32, float64 and half floats.
 */
class Hadamard final : public Prim<Hadamard> {
 public:
  explicit Hadamard(Stream s, float scale, bool transposed = false)
      : Prim(s), scale_(scale), transposed_(transposed) {}
  static constexpr const char* kName = "Hadamard";
  static constexpr bool kFromShapes = true;
  auto fields() const { return std::tie(scale_, transposed_); }
  float state() const { return scale_; }
  float scale() const { return scale_; }
  bool transposed() const { return transposed_; }

  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>&,
                                                       const std::vector<int>&) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }

 private:
  float scale_;
  bool transposed_;
};

/** m of n = m 2^k, or 0. */
int hadamard_factor(int n);

}  // namespace mlx::core
