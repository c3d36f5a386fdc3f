// core/prim/scan.h: running reductions along an axis.
#pragma once

#include <tuple>
#include <vector>

#include "core/prim/prim.h"

namespace mlx::core {

/**
 * out[i] combines in[0..i] (inclusive) or in[0..i) (exclusive: it starts with the identity);
 * reverse runs from the end. float16 and bfloat16 accumulate in float32.
 */
class Scan final : public Prim<Scan> {
 public:
  enum ReduceType { Max, Min, Sum, Prod, LogAddExp };
  static constexpr const char* kName = "Scan";
  Scan(Stream stream, ReduceType reduce_type, int axis, bool reverse, bool inclusive)
      : Prim(stream),
        reduce_type_(reduce_type),
        axis_(axis),
        reverse_(reverse),
        inclusive_(inclusive) {}
  auto fields() const { return std::tie(reduce_type_, axis_, reverse_, inclusive_); }
  ReduceType reduce_type() const { return reduce_type_; }
  int axis() const { return axis_; }
  bool reverse() const { return reverse_; }
  bool inclusive() const { return inclusive_; }

  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>&,
                                                       const std::vector<int>&) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }

 private:
  ReduceType reduce_type_;
  int axis_;
  bool reverse_;
  bool inclusive_;
};

}  // namespace mlx::core
