// core/prim/matmul.h: matrix products.
#pragma once

#include "core/prim/prim.h"

namespace mlx::core {

/** Inputs of rank >= 2 with equal batch axes and one dtype. */
class Matmul final : public Prim<Matmul> {
 public:
  using Prim::Prim;
  static constexpr const char* kName = "Matmul";
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

/** Inputs a, b, c: alpha a b + beta c; c has the shape of the result. */
class AddMM final : public Prim<AddMM> {
 public:
  AddMM(Stream s, float alpha, float beta) : Prim(s), alpha_(alpha), beta_(beta) {}
  static constexpr const char* kName = "AddMM";
  auto fields() const { return std::tie(alpha_, beta_); }
  std::pair<float, float> state() const { return {alpha_, beta_}; }
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

 private:
  float alpha_, beta_;
};

}  // namespace mlx::core
