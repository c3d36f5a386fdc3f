// core/transform/rebuild.h: making a flat list of operations again, for inputs of other shapes.
#pragma once

#include <memory>
#include <vector>

#include "core/transform/traced.h"

namespace mlx::core {

/** True of broadcasts that an elementwise operation made to bring its arguments to one shape. */
bool is_implicit_broadcast(const Primitive& p);

/**
 * Collects operations. Elementwise ones get the broadcasts that their arguments need now, so those
 * of the original are left out.
 */
class Rebuilder {
 public:
  /** Inputs and constants are numbered first. */
  Rebuilder(const std::vector<array>& inputs, std::vector<array> constants);

  /**
   * The number of the first result. Throws std::invalid_argument where the parameters don't fit the
   * arguments.
   */
  int add(std::shared_ptr<Primitive> p, std::vector<int> args, const std::vector<Dtype>& dtypes);

  /** A placeholder that shows shape and dtype of value v. */
  const array& value(int v) const { return values_[v]; }

  Traced finish(std::vector<int> outputs);

 private:
  int emit(std::shared_ptr<Primitive> p, std::vector<int> args, std::vector<Shape> shapes,
           std::vector<Dtype> dtypes);

  Traced out_;
  std::vector<array> values_;
};

}  // namespace mlx::core
