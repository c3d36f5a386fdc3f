// core/prim/number_of_elements.h: a count that follows the shape of its input.
#pragma once

#include <vector>

#include "core/prim/prim.h"

namespace mlx::core {

/** The product of the input's axes, or one by it: what a trace for any shape has instead of a
 * number. */
class NumberOfElements final : public Prim<NumberOfElements> {
 public:
  NumberOfElements(Stream s, std::vector<int> axes, bool inverted, Dtype dtype)
      : Prim(s), axes_(std::move(axes)), inverted_(inverted), dtype_(dtype) {}
  static constexpr const char* kName = "NumberOfElements";
  auto fields() const { return std::tie(axes_, inverted_, dtype_); }

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;
  void eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) override {
    eval_cpu(inputs, outputs);
  }
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>&) override { return {Shape{}}; }

 private:
  std::vector<int> axes_;  // not negative
  bool inverted_;
  Dtype dtype_;
};

}  // namespace mlx::core
