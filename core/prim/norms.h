// core/prim/norms.h: normalisation along the last axis. Inputs: x, then weight and bias if present.
#pragma once

#include "core/prim/fused.h"

namespace mlx::core {

/** Inputs x [, weight]. */
class RMSNorm final : public Fused<RMSNorm> {
 public:
  RMSNorm(Stream s, float eps) : Fused(s), eps_(eps) {}
  RMSNorm(Stream s, const Composition&, float eps) : RMSNorm(s, eps) {}
  static constexpr const char* kName = "RMSNorm";
  auto fields() const { return std::tie(eps_); }
  float eps() const { return eps_; }

  std::vector<array> compose(const std::vector<array>& inputs);
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }

 private:
  float eps_;
};

/** Inputs x [, weight], cotangent; outputs the cotangents of x [and weight]. */
class RMSNormVJP final : public Fused<RMSNormVJP> {
 public:
  RMSNormVJP(Stream s, float eps) : Fused(s), eps_(eps) {}
  static constexpr const char* kName = "RMSNormVJP";
  auto fields() const { return std::tie(eps_); }
  float eps() const { return eps_; }
  std::vector<array> compose(const std::vector<array>& inputs);

 private:
  float eps_;
};

/** Inputs x, then weight and bias where the flags say so. */
class LayerNorm final : public Fused<LayerNorm> {
 public:
  LayerNorm(Stream s, float eps, bool weight, bool bias)
      : Fused(s), eps_(eps), weight_(weight), bias_(bias) {}
  LayerNorm(Stream s, const Composition&, float eps) : LayerNorm(s, eps, true, true) {}
  static constexpr const char* kName = "LayerNorm";
  auto fields() const { return std::tie(eps_, weight_, bias_); }
  float eps() const { return eps_; }
  bool has_weight() const { return weight_; }
  bool has_bias() const { return bias_; }

  std::vector<array> compose(const std::vector<array>& inputs);
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }

 private:
  float eps_;
  bool weight_, bias_;
};

/** Inputs as LayerNorm, then the cotangent; outputs the cotangents of LayerNorm's inputs. */
class LayerNormVJP final : public Fused<LayerNormVJP> {
 public:
  LayerNormVJP(Stream s, float eps, bool weight, bool bias)
      : Fused(s), eps_(eps), weight_(weight), bias_(bias) {}
  static constexpr const char* kName = "LayerNormVJP";
  auto fields() const { return std::tie(eps_, weight_, bias_); }
  float eps() const { return eps_; }
  bool has_weight() const { return weight_; }
  bool has_bias() const { return bias_; }
  std::vector<array> compose(const std::vector<array>& inputs);

 private:
  float eps_;
  bool weight_, bias_;
};

}  // namespace mlx::core
