// core/prim/gated_delta.h: the gated delta rule of linear attention.
#pragma once

#include "core/prim/fused.h"

namespace mlx::core {

/**
 * Inputs q, k [b, t, key heads, k], v [b, t, heads, v], gate [b, t, heads, 1 or k], beta [b, t,
 * heads], then the first state [b, heads, v, k] and the mask [b, t] (bool) where the flags say so;
 * all float32 or all float64. Outputs the readings, like v, and the last state.
 */
class GatedDeltaRule final : public Fused<GatedDeltaRule> {
 public:
  GatedDeltaRule(Stream s, bool state, bool mask) : Fused(s), state_(state), mask_(mask) {}
  static constexpr const char* kName = "GatedDeltaRule";
  auto fields() const { return std::tie(state_, mask_); }
  bool has_state() const { return state_; }
  bool has_mask() const { return mask_; }

  std::vector<array> compose(const std::vector<array>& inputs);
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

 private:
  bool state_, mask_;
};

/** Inputs as GatedDeltaRule, then the cotangents of its outputs; outputs those of its inputs but
 * the mask. */
class GatedDeltaRuleVJP final : public Fused<GatedDeltaRuleVJP> {
 public:
  GatedDeltaRuleVJP(Stream s, bool state, bool mask) : Fused(s), state_(state), mask_(mask) {}
  static constexpr const char* kName = "GatedDeltaRuleVJP";
  auto fields() const { return std::tie(state_, mask_); }
  bool has_state() const { return state_; }
  bool has_mask() const { return mask_; }
  std::vector<array> compose(const std::vector<array>& inputs);
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

 private:
  bool state_, mask_;
};

}  // namespace mlx::core
