// include/mlx/event.h: a point in a stream's work that can be waited for and that carries its
// error.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>

#include "mlx/error.h"
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
  /** Work enqueued later on stream waits for the event. */
  void wait(Stream stream);
  /** Blocks until signaled or until ready() holds, which is asked again at every progress(). */
  void wait_until(const std::function<bool()>& ready);
  bool is_signaled() const;
  void signal();
  void signal(std::exception_ptr error);
  /** Signals when the work enqueued on stream so far is done. */
  void signal(Stream stream);
  /** Part of the work is done: lets waiters look again. */
  void progress();

  /** Takes err's message: whoever waits is told. */
  void set_error(Error& err);
  /** The error that waiting would throw, or null. Lives as long as the event. */
  Error* load_error() const;
  void check_error();

  /** A number that goes with the event. */
  uint64_t value() const;
  void set_value(uint64_t v);
  const Stream& stream() const;
  /** True for copies of one event. */
  bool operator==(const Event& other) const { return state_ == other.state_; }

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace mlx::core
