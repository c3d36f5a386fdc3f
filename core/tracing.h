// core/tracing.h: whether this thread is inside a transformation.
#pragma once

namespace mlx::core {

/** True inside vjp, jvp, vmap or compile: nodes marked as tracers then keep how they were made. */
bool in_tracing();

/** True while a function is traced for inputs of any shape. */
bool in_dynamic_tracing();
/** Python read a shape of a tracer: what is traced may hold for that shape only. */
void note_shape_read();

/** shape_read is set if note_shape_read() is called inside. */
class DynamicTracing {
 public:
  explicit DynamicTracing(bool on);
  ~DynamicTracing();
  DynamicTracing(const DynamicTracing&) = delete;
  DynamicTracing& operator=(const DynamicTracing&) = delete;
  bool shape_read = false;

 private:
  DynamicTracing* outer_;
};

class TracingScope {
 public:
  TracingScope();
  ~TracingScope();
  TracingScope(const TracingScope&) = delete;
  TracingScope& operator=(const TracingScope&) = delete;
};

}  // namespace mlx::core
