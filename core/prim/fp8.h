// core/prim/fp8.h: 8-bit floats in uint8.
#pragma once

#include "core/prim/prim.h"

namespace mlx::core {

/** To or from 8-bit floats. Piecewise constant: derivatives are 0. */
class ConvertFP8 final : public Prim<ConvertFP8> {
 public:
  ConvertFP8(Stream s, bool to_fp8, Dtype dtype) : Prim(s), to_(to_fp8), dtype_(dtype) {}
  static constexpr const char* kName = "ConvertFP8";
  auto fields() const { return std::tie(to_, dtype_); }
  bool to_fp8() const { return to_; }
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }

 private:
  bool to_;
  Dtype dtype_;
};

}  // namespace mlx::core
