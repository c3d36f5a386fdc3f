// core/tracing.h: whether this thread is inside a transformation.
#pragma once

namespace mlx::core {

/** True inside vjp, jvp, vmap or compile: nodes marked as tracers then keep how they were made. */
bool in_tracing();

class TracingScope {
 public:
  TracingScope();
  ~TracingScope();
  TracingScope(const TracingScope&) = delete;
  TracingScope& operator=(const TracingScope&) = delete;
};

}  // namespace mlx::core
