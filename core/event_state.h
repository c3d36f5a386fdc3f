// core/event_state.h: what the copies of an event share.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "mlx/event.h"

namespace mlx::core {

struct Event::State {
  explicit State(Stream s) : stream(s) {}
  Stream stream;
  std::mutex mutex;  // guards done and error
  std::condition_variable changed;
  std::atomic<int> waiters{0};
  bool done = false;
  std::exception_ptr error;
};

}  // namespace mlx::core
