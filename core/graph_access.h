// core/graph_access.h: the node behind an array, for the evaluator alone.
#pragma once

#include "mlx/array.h"

namespace mlx::core {

struct GraphAccess {
  using Node = array::ArrayDesc;
  static Node* node(const array& a) { return a.desc_.get(); }
  static long use_count(const array& a) { return a.desc_.use_count(); }
};

}  // namespace mlx::core
