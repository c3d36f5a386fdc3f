// core/prim/quantized.h: quantisation and products with quantised matrices.
#pragma once

#include "core/prim/prim.h"
#include "core/prim/quantization.h"

namespace mlx::core {

/** Input w; outputs packed words, scales, biases. Modes of floats: no biases, and perhaps a second
 * input, global scales: one, or as many as there are equal parts of w. */
class Quantize final : public Prim<Quantize> {
 public:
  Quantize(Stream s, Quantization params) : Prim(s), params_(params) {}
  static constexpr const char* kName = "Quantize";
  auto fields() const { return std::tie(params_); }
  const Quantization& params() const { return params_; }
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

 private:
  Quantization params_;
};

/** Inputs packed words, scales, biases. Modes of floats: no biases, and perhaps global scales. */
class Dequantize final : public Prim<Dequantize> {
 public:
  Dequantize(Stream s, Quantization params, Dtype dtype)
      : Prim(s), params_(params), dtype_(dtype) {}
  static constexpr const char* kName = "Dequantize";
  auto fields() const { return std::tie(params_, dtype_); }
  const Quantization& params() const { return params_; }
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

 private:
  Quantization params_;
  Dtype dtype_;
};

/** Input x: what is left of it when it is quantised and dequantised. Derivatives pass through, as
 * if nothing were rounded. A second input is a global scale. */
class QuantizedValue final : public Prim<QuantizedValue> {
 public:
  QuantizedValue(Stream s, Quantization params) : Prim(s), params_(params) {}
  static constexpr const char* kName = "QuantizedValue";
  auto fields() const { return std::tie(params_); }
  const Quantization& params() const { return params_; }
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
  Quantization params_;
};

/** Inputs x, packed words, scales, biases (affine only): x w^T, or x w. */
class QuantizedMatmul final : public Prim<QuantizedMatmul> {
 public:
  QuantizedMatmul(Stream s, Quantization params, bool transpose)
      : Prim(s), params_(params), transpose_(transpose) {}
  QuantizedMatmul(Stream s, int group_size, int bits, QuantizationMode mode, bool transpose)
      : QuantizedMatmul(s, {group_size, bits, mode}, transpose) {}
  std::tuple<int, int, QuantizationMode, bool> state() const {
    return {params_.group_size, params_.bits, params_.mode, transpose_};
  }
  static constexpr const char* kName = "QuantizedMatmul";
  auto fields() const { return std::tie(params_, transpose_); }
  const Quantization& params() const { return params_; }
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
  Quantization params_;
  bool transpose_;
};

}  // namespace mlx::core
