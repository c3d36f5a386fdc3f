// core/prim/softmax.h: normalised exponentials along the last axis.
#pragma once

#include "core/prim/prim.h"

namespace mlx::core {

/** exp(x - max) / sum(exp(x - max)); half floats compute in float32 whatever precise says. */
class Softmax final : public Prim<Softmax> {
 public:
  Softmax(Stream s, bool precise) : Prim(s), precise_(precise) {}
  static constexpr const char* kName = "Softmax";
  auto fields() const { return std::tie(precise_); }
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }

 private:
  bool precise_;
};

/** log(sum(exp(x))), the last axis kept with size 1. */
class LogSumExp final : public Prim<LogSumExp> {
 public:
  using Prim::Prim;
  static constexpr const char* kName = "LogSumExp";
  std::tuple<> fields() const { return {}; }
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;
};

}  // namespace mlx::core
