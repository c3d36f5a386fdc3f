// core/prim/reduce.h: reductions over axes.
#pragma once

#include <vector>

#include "core/prim/prim.h"
#include "core/tape.h"

namespace mlx::core {

/** Reduces axes (sorted, not negative) to size 1; the result keeps the rank. */
class Reduce final : public Prim<Reduce> {
 public:
  using ReduceType = ReduceOp;
  using enum ReduceOp;
  Reduce(Stream s, ReduceOp op, std::vector<int> axes) : Prim(s), op_(op), axes_(std::move(axes)) {}
  static constexpr const char* kName = "Reduce";
  auto fields() const { return std::tie(op_, axes_); }
  ReduceOp op() const { return op_; }
  const std::vector<int>& axes() const { return axes_; }
  bool only_computes() const override { return true; }

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;
  void eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

 private:
  array pull_back(const array& x, const array& out, const array& g);

  ReduceOp op_;
  std::vector<int> axes_;
};

}  // namespace mlx::core
