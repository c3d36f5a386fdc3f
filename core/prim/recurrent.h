// core/prim/recurrent.h: recurrent layers over a whole sequence in one node.
#pragma once

#include <optional>

#include "core/prim/fused.h"
#include "mlx/utils.h"

namespace mlx::core {

/** tanh, relu: Elman's recurrence. Gates per feature of the state: 1, 1, 3 (r, z, n), 4 (i, f, g,
 * o). */
enum class RecurrentKind { tanh, relu, gru, lstm };

inline int recurrent_gates(RecurrentKind kind) {
  return kind == RecurrentKind::lstm ? 4 : kind == RecurrentKind::gru ? 3 : 1;
}

/**
 * Inputs, float32: x (N, L, G H), what the inputs alone add to the G gates; w (G H, H), of the
 * state; h0 (N, H); for gru the bias (H,) beside w's part for n, for lstm the cell c0 (N, H).
 * Outputs: the states of all steps (N, L, H); for lstm the cells of all steps too.
 *
 * The backward pass finds the gates again by one matrix product over the whole sequence, for which
 * the states are known, so the forward pass keeps nothing but its result.
 */
class Recurrent final : public Fused<Recurrent> {
 public:
  Recurrent(Stream s, RecurrentKind kind) : Fused(s), kind_(kind) {}
  static constexpr const char* kName = "Recurrent";
  auto fields() const { return std::tie(kind_); }
  RecurrentKind kind() const { return kind_; }

  std::vector<array> compose(const std::vector<array>& inputs);
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;

 private:
  RecurrentKind kind_;
};

/**
 * The backward pass through time. Inputs:
 *   tanh, relu   w, states, cotangent of the states
 *   gru          w, x, q (N, L, 3 H): what the state adds to the gates, h0, states, cotangent
 *   lstm         w, gates (N, L, 4 H) before their functions, c0, cells, cotangents of states,
 * cells Outputs: cotangent of x; for gru that of q; cotangents of h0 and, for lstm, of c0.
 */
class RecurrentVJP final : public Fused<RecurrentVJP> {
 public:
  RecurrentVJP(Stream s, RecurrentKind kind) : Fused(s), kind_(kind) {}
  static constexpr const char* kName = "RecurrentVJP";
  auto fields() const { return std::tie(kind_); }
  RecurrentKind kind() const { return kind_; }

  std::vector<array> compose(const std::vector<array>& inputs);
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;

 private:
  RecurrentKind kind_;
};

/**
 * What the layers call. x (..., L, G H), any floating or complex dtype; hidden and cell (..., H)
 * broadcast to x's leading axes and are zero when not given; bias (H,) for gru alone. float16 and
 * bfloat16 are computed in float32 and rounded once.
 */
std::vector<array> recurrent(RecurrentKind kind, const array& x, const array& w,
                             const std::optional<array>& hidden, const std::optional<array>& cell,
                             const std::optional<array>& bias, StreamOrDevice s = {});

}  // namespace mlx::core
