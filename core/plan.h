// core/plan.h: from a graph to an ordered list of tasks.
//
// Rules of fusion. A group is a set of elementwise nodes and casts over one shape, at most one of
// them a reduction, which is then the group's root; it becomes one tape. Nodes are visited
// consumers first; a node joins the group G of a consumer when each of its other consumers is in G
// or comes after G's root in topological order. Then no path can leave G and come back, and running
// groups in the order of their roots respects every dependency. A node that is used outside its
// group, or that somebody holds, is stored by the tape as well.
#pragma once

#include <memory>
#include <vector>

#include "core/tape.h"
#include "mlx/array.h"
#include "mlx/primitive.h"

namespace mlx::core {

struct Task {
  // A fused task has a tape and the nodes it covers (in topological order); else primitive's node.
  std::unique_ptr<Tape> tape;
  Shape shape;                  // what the tape runs over
  std::vector<array> nodes;     // fused: all members. Otherwise: the outputs of the primitive
  std::vector<array> operands;  // fused: inputs of the tape, each once
  std::vector<int> input_refs;  // fused: how often members name operand i as an input
  std::vector<array> stored;    // fused: outputs of the tape, the reduction's result last
  Stream stream{0, Device::cpu};
  bool keep_graph = false;  // a transformation may still ask how these were made
};

struct Plan {
  std::vector<Task> tasks;
};

/**
 * The work that makes outputs available. Marks every array it will compute as `evaluated` with
 * event. Call with the planning lock held. Throws std::invalid_argument on placeholders.
 */
Plan make_plan(const std::vector<array>& outputs, const Event& event);

/** The same for a graph that no other thread knows; its arrays keep their status. */
Plan make_plan_apart(const std::vector<array>& outputs);

}  // namespace mlx::core
