// core/prim/fused.h: primitives that have a kernel of their own but could be written with other
// ops.
#pragma once

#include <functional>
#include <vector>

#include "core/prim/prim.h"
#include "mlx/transforms.h"

namespace mlx::core {

/** How MLX's constructors are told the composition; here the class knows it. */
using Composition = std::function<std::vector<array>(std::vector<array>)>;

/**
 * Derived gives compose(inputs): its outputs by other ops. Every derivative and batching rule that
 * Derived does not override is that of the composition.
 */
template <class Derived>
class Fused : public Prim<Derived> {
 public:
  using Prim<Derived>::Prim;

  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override {
    auto fun = [&](const std::vector<array>& some) {
      auto all = primals;
      for (size_t i = 0; i < argnums.size(); ++i) all[argnums[i]] = some[i];
      return static_cast<Derived&>(*this).compose(all);
    };
    std::vector<array> at;
    for (int a : argnums) at.push_back(primals[a]);
    return mlx::core::jvp(ArrayFn(fun), at, tangents).second;
  }

  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums, const std::vector<array>&) override {
    auto fun = [&](const std::vector<array>& some) {
      auto all = primals;
      for (size_t i = 0; i < argnums.size(); ++i) all[argnums[i]] = some[i];
      return static_cast<Derived&>(*this).compose(all);
    };
    std::vector<array> at;
    for (int a : argnums) at.push_back(primals[a]);
    return mlx::core::vjp(ArrayFn(fun), at, cotangents).second;
  }

  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override {
    auto fun = [&](const std::vector<array>& in) {
      return static_cast<Derived&>(*this).compose(in);
    };
    auto outputs = mlx::core::vmap(ArrayFn(fun), axes)(inputs);
    std::vector<int> out_axes(outputs.size(), 0);
    return {std::move(outputs), std::move(out_axes)};
  }
};

}  // namespace mlx::core
