// include/mlx/event.h: a point in a stream's work that can be waited for and that carries its error.
#pragma once

#include <exception>
#include <memory>

#include "mlx/stream.h"

namespace mlx::core {

/** Copies share one state. A default-constructed event is not valid and counts as signaled. */
class Event {
 public:
  Event() = default;
  explicit Event(Stream stream);

  bool valid() const { return state_ != nullptr; }
  /** Blocks until signaled; rethrows the error it was signaled with. */
  void wait();
  bool is_signaled() const;
  void signal();
  void signal(std::exception_ptr error);
  void check_error();
  const Stream& stream() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace mlx::core
