// core/prim/attention.h: scaled dot product attention.
#pragma once

#include "core/prim/fused.h"

namespace mlx::core {

/** What the inputs after q, k and v are. */
struct AttentionParams {
  float scale;
  bool causal, mask, sinks;  // inputs: q, k, v [, mask] [, sinks]
  bool operator==(const AttentionParams&) const = default;
  auto fields() const { return std::tie(scale, causal, mask, sinks); }
};

/**
 * Outputs: the result, and the float32 logarithm of the sum of each query's exponentials, from
 * which the gradient recomputes the probabilities block by block.
 */
class ScaledDotProductAttention final : public Fused<ScaledDotProductAttention> {
 public:
  ScaledDotProductAttention(Stream s, AttentionParams params) : Fused(s), params_(params) {}
  static constexpr const char* kName = "ScaledDotProductAttention";
  auto fields() const { return std::tie(params_); }
  const AttentionParams& params() const { return params_; }

  std::vector<array> compose(const std::vector<array>& inputs);
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

 private:
  AttentionParams params_;
};

/** Inputs as the forward's, then its two outputs and the cotangent; outputs: cotangents of the
 * inputs that are differentiable (a mask's only where it is added). */
class ScaledDotProductAttentionVJP final : public Fused<ScaledDotProductAttentionVJP> {
 public:
  ScaledDotProductAttentionVJP(Stream s, AttentionParams params, bool mask_grad)
      : Fused(s), params_(params), mask_grad_(mask_grad) {}
  static constexpr const char* kName = "ScaledDotProductAttentionVJP";
  auto fields() const { return std::tie(params_, mask_grad_); }
  const AttentionParams& params() const { return params_; }
  bool mask_grad() const { return mask_grad_; }
  std::vector<array> compose(const std::vector<array>& inputs);

 private:
  AttentionParams params_;
  bool mask_grad_;
};

}  // namespace mlx::core
