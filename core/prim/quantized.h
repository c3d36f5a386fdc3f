// core/prim/quantized.h: affine quantisation and products with quantised matrices.
#pragma once

#include "core/prim/prim.h"

namespace mlx::core {

struct Affine {
  int group_size;
  int bits;
  bool operator==(const Affine&) const = default;
};

/** Input w; outputs packed words, scales, biases. */
class Quantize final : public Prim<Quantize> {
 public:
  Quantize(Stream s, Affine params) : Prim(s), params_(params) {}
  static constexpr const char* kName = "Quantize";
  auto fields() const { return std::tie(params_); }
  const Affine& params() const { return params_; }
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

 private:
  Affine params_;
};

/** Inputs packed words, scales, biases. */
class Dequantize final : public Prim<Dequantize> {
 public:
  Dequantize(Stream s, Affine params) : Prim(s), params_(params) {}
  static constexpr const char* kName = "Dequantize";
  auto fields() const { return std::tie(params_); }
  const Affine& params() const { return params_; }
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

 private:
  Affine params_;
};

/** Inputs x, packed words, scales, biases: x w^T, or x w. */
class QuantizedMatmul final : public Prim<QuantizedMatmul> {
 public:
  QuantizedMatmul(Stream s, Affine params, bool transpose)
      : Prim(s), params_(params), transpose_(transpose) {}
  static constexpr const char* kName = "QuantizedMatmul";
  auto fields() const { return std::tie(params_, transpose_); }
  const Affine& params() const { return params_; }
  bool transpose() const { return transpose_; }
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

 private:
  Affine params_;
  bool transpose_;
};

}  // namespace mlx::core
