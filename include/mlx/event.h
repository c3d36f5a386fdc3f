// include/mlx/event.h: a point in a stream's work that can be waited for and that carries its
// error.
#pragma once

#include <exception>
#include <functional>
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
  /** Blocks until signaled or until ready() holds, which is asked again at every progress(). */
  void wait_until(const std::function<bool()>& ready);
  bool is_signaled() const;
  void signal();
  void signal(std::exception_ptr error);
  /** Part of the work is done: lets waiters look again. */
  void progress();
  void check_error();
  const Stream& stream() const;
  /** True for copies of one event. */
  bool operator==(const Event& other) const { return state_ == other.state_; }

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace mlx::core
