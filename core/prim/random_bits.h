// core/prim/random_bits.h: the counter-based generator behind mlx/random.h.
#pragma once

#include <tuple>
#include <vector>

#include "core/prim/prim.h"

namespace mlx::core {

/**
 * Threefry-2x32 with 20 rounds. Input: keys of shape (batch..., 2); output: for each key an array
 * of `shape` in elements of `width` bytes. Its memory is a sequence of w 32-bit words (the last may
 * be cut): word i and word w - w/2 + i are the two results for the counter (i, w - w/2 + i), i <
 * w/2; if w is odd, word w/2 is the first result for (w/2, 0).
 */
class RandomBits final : public Prim<RandomBits> {
 public:
  static constexpr const char* kName = "RandomBits";
  RandomBits(Stream stream, const Shape& shape, int width)
      : Prim(stream), shape_(shape), width_(width) {}
  auto fields() const { return std::tie(shape_, width_); }
  bool stops_gradient() const override { return true; }
  const Shape& shape() const { return shape_; }
  int width() const { return width_; }

  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>&,
                                                       const std::vector<int>&) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

 private:
  Shape shape_;  // of one key's bits
  int width_;
};

}  // namespace mlx::core
