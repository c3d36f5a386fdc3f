// core/prim/gather_mm.h: products of chosen matrices, of segments, of masked blocks.
#pragma once

#include "core/prim/prim.h"
#include "core/prim/quantization.h"

namespace mlx::core {

#define MICA_RULES                                                                                \
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents, \
                         const std::vector<int>& argnums, const std::vector<array>& outputs)      \
      override;                                                                                   \
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,   \
                         const std::vector<int>& argnums) override;                               \
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,          \
                                                       const std::vector<int>& axes) override;    \
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

/** Inputs a [.., m, k], b [.., k, n] and int32 indices (of one shape) of their matrices. */
class GatherMM final : public Prim<GatherMM> {
 public:
  explicit GatherMM(Stream s, bool left_sorted = false, bool right_sorted = false)
      : Prim(s), sorted_(left_sorted || right_sorted) {}
  static constexpr const char* kName = "GatherMM";
  auto fields() const { return std::tie(sorted_); }
  MICA_RULES

 private:
  bool sorted_;
};

/** Inputs x, lhs indices, rhs indices, packed words, scales and, affine, biases. */
class GatherQMM final : public Prim<GatherQMM> {
 public:
  GatherQMM(Stream s, Quantization params, bool transpose, bool sorted)
      : Prim(s), params_(params), transpose_(transpose), sorted_(sorted) {}
  GatherQMM(Stream s, int group_size, int bits, QuantizationMode mode, bool transpose,
            bool left_sorted = false, bool right_sorted = false)
      : GatherQMM(s, {group_size, bits, mode}, transpose, left_sorted || right_sorted) {}
  static constexpr const char* kName = "GatherQMM";
  auto fields() const { return std::tie(params_, transpose_, sorted_); }
  const Quantization& params() const { return params_; }
  bool transpose() const { return transpose_; }
  MICA_RULES

 private:
  Quantization params_;
  bool transpose_, sorted_;
};

/** Inputs a [m, K], b [K, n] and int32 segments [.., 2] of K. */
class SegmentedMM final : public Prim<SegmentedMM> {
 public:
  using Prim::Prim;
  static constexpr const char* kName = "SegmentedMM";
  std::tuple<> fields() const { return {}; }
  MICA_RULES
};

/** Its adjoint. Inputs r [K, n], g [.., n, m] and int32 segments [.., 2] of K: [K, m], row k the
 * sum of r[k] g[s] over the segments s that hold k. */
class SegmentedRows final : public Prim<SegmentedRows> {
 public:
  using Prim::Prim;
  static constexpr const char* kName = "SegmentedRows";
  std::tuple<> fields() const { return {}; }
  MICA_RULES
};
array segmented_rows(const array& r, const array& g, const array& segments, StreamOrDevice s);

/** Inputs a, b of equal batch axes, then those masks there are: of the result, of a, of b, with the
 * batch axes and one element a block. */
class BlockMaskedMM final : public Prim<BlockMaskedMM> {
 public:
  BlockMaskedMM(Stream s, int block, bool out, bool lhs, bool rhs)
      : Prim(s), block_(block), out_(out), lhs_(lhs), rhs_(rhs) {}
  static constexpr const char* kName = "BlockMaskedMM";
  auto fields() const { return std::tie(block_, out_, lhs_, rhs_); }
  int block() const { return block_; }
  /** Where the mask of the result (0), of a (1), of b (2) is among the inputs, or -1. */
  int input_of(int mask) const {
    const bool there[] = {out_, lhs_, rhs_};
    if (!there[mask]) return -1;
    int at = 2;
    for (int i = 0; i < mask; ++i) at += there[i];
    return at;
  }
  MICA_RULES

 private:
  /** Masks among these inputs, as the public function takes them. */
  std::vector<std::optional<array>> masks_of(const std::vector<array>& inputs) const;

  int block_;
  bool out_, lhs_, rhs_;
};

#undef MICA_RULES

}  // namespace mlx::core
