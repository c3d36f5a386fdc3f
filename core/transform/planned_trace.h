// core/transform/planned_trace.h: calls of traced functions.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "core/transform/program.h"
#include "core/transform/traced.h"

namespace mlx::core {

/** A trace, ready to be used by any thread. */
class PlannedTrace {
 public:
  explicit PlannedTrace(Traced t);

  const Traced traced;
  /** Elementwise work only, and little: its surroundings can fuse with it. */
  const bool small_map;

  /** Made when first asked for. */
  const std::shared_ptr<const Program>& program();

 private:
  std::once_flag planned_;
  std::shared_ptr<const Program> program_;
};

/**
 * The outputs for these inputs: of one node that runs the plan, or, inside transformations, for
 * small maps and if inlined is true, of the trace's own operations.
 */
std::vector<array> call_trace(const std::shared_ptr<PlannedTrace>& trace,
                              const std::vector<array>& inputs, bool inlined = false);

}  // namespace mlx::core
