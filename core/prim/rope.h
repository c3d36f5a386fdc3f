// core/prim/rope.h: rotary position embedding.
#pragma once

#include "core/prim/fused.h"

namespace mlx::core {

/** Inputs x, offset (scalar or one for each batch entry) [, freqs]. */
class RoPE final : public Fused<RoPE> {
 public:
  RoPE(Stream s, int dims, bool traditional, float base, float scale, bool inverse)
      : Fused(s),
        dims_(dims),
        traditional_(traditional),
        base_(base),
        scale_(scale),
        inverse_(inverse) {}
  RoPE(Stream s, const Composition&, int dims, bool traditional, float base, float scale,
       bool forward)
      : RoPE(s, dims, traditional, base, scale, !forward) {}
  static constexpr const char* kName = "RoPE";
  auto fields() const { return std::tie(dims_, traditional_, base_, scale_, inverse_); }
  std::tuple<int, bool, float, float, bool> state() const {
    return {dims_, traditional_, base_, scale_, !inverse_};
  }
  int dims() const { return dims_; }
  bool traditional() const { return traditional_; }
  float base() const { return base_; }  // used where there are no freqs
  float scale() const { return scale_; }
  bool inverse() const { return inverse_; }  // turns back: the gradient

  std::vector<array> compose(const std::vector<array>& inputs);
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }

 private:
  int dims_;
  bool traditional_;
  float base_, scale_;
  bool inverse_;
};

}  // namespace mlx::core
