// core/graph_walk.h: what has not been evaluated yet, in the order of its work.
#pragma once

#include <vector>

#include "mlx/array.h"

namespace mlx::core {

/** Operations that outputs wait for, inputs first, one for each primitive; and arrays with values.
 */
struct GraphWalk {
  std::vector<array> operations;  // the output met first stands for the others
  std::vector<array> leaves;
};

GraphWalk walk_graph(const std::vector<array>& outputs);

}  // namespace mlx::core
