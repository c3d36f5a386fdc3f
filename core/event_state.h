// core/event_state.h: what the copies of an event share.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <vector>

#include "mlx/event.h"

namespace mlx::core {

struct Event::State {
  explicit State(Stream s) : stream(s) {}
  Stream stream;
  std::mutex mutex;  // guards what follows, but for waiters
  std::condition_variable changed;
  std::atomic<int> waiters{0};
  // What each waiter waits for, asked by the thread that does the work: waking a waiter is dear.
  std::vector<const std::function<bool()>*> conditions;
  bool done = false;
  std::exception_ptr error;
  std::unique_ptr<Error> told;  // error's text, once somebody asked for it
  uint64_t value = 0;
};

}  // namespace mlx::core
