// include/mlx/fast_primitives.h: layers that run as one kernel, as operations of the graph; and a
// base for such operations of your own.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "core/prim/cross_entropy.h"
#include "core/prim/norms.h"
#include "core/prim/rope.h"
#include "mlx/primitive.h"

namespace mlx::core::fast {

/**
 * An operation with kernels of its own that could be written with other operations: fallback does,
 * from the inputs to the outputs. Derivatives and batching are those of fallback, unless a subclass
 * knows better.
 */
class Custom : public Primitive {
 public:
  explicit Custom(Stream stream, std::function<std::vector<array>(std::vector<array>)> fallback)
      : Primitive(stream), fallback_(std::move(fallback)) {}

  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;

 protected:
  std::function<std::vector<array>(std::vector<array>)> fallback_;
};

// What fast::rms_norm and its like make. They know how they are composed.
using mlx::core::CrossEntropy;
using mlx::core::LayerNorm;
using mlx::core::RMSNorm;
using mlx::core::RoPE;

}  // namespace mlx::core::fast
