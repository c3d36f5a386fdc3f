// core/task_queues.cpp: tasks of programs on the queues of streams, their errors and their number.
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>

#include "core/scheduler.h"
#include "mlx/scheduler.h"

namespace mlx::core::scheduler {

struct Scheduler::State {
  mutable std::mutex mutex;
  std::condition_variable changed;
  int active = 0;
  uint64_t done = 0;
  std::map<int, std::exception_ptr> errors;  // by stream: the first that nobody asked for

  void begin() {
    std::lock_guard lock(mutex);
    ++active;
  }
  void end() {
    {
      std::lock_guard lock(mutex);
      --active;
      ++done;
    }
    changed.notify_all();
  }
  void keep(const Stream& s, std::exception_ptr error) {
    std::lock_guard lock(mutex);
    errors.try_emplace(s.index, std::move(error));
  }
};

Scheduler::Scheduler() : state_(std::make_shared<State>()) {}
Scheduler::~Scheduler() = default;

void Scheduler::enqueue(Stream s, std::function<void()> task) {
  state_->begin();
  std::function<void()> counted = [state = state_, s, task = std::move(task)] {
    try {
      task();
    } catch (...) {
      state->keep(s, std::current_exception());
    }
    state->end();
  };
  scheduler::enqueue(s, std::move(counted));  // the queue's own: see core/scheduler.h
}

void Scheduler::wait_event(Stream s, Event event, std::function<void(Event&)> task) {
  enqueue(s, [event = std::move(event), task = std::move(task)]() mutable {
    event.wait();
    task(event);
  });
}

void Scheduler::signal_event(Stream s, Event event, std::function<void(Event&)> task) {
  enqueue(s, [state = state_, s, event = std::move(event), task = std::move(task)]() mutable {
    try {
      task(event);
    } catch (...) {
      state->keep(s, std::current_exception());  // first: who waited may ask for it
      event.signal(std::current_exception());
      return;
    }
    event.signal();
  });
}

void Scheduler::check_error(Stream s) {
  std::exception_ptr error;
  {
    std::lock_guard lock(state_->mutex);
    auto it = state_->errors.find(s.index);
    if (it == state_->errors.end()) return;
    error = std::move(it->second);
    state_->errors.erase(it);
  }
  std::rethrow_exception(error);
}

void Scheduler::notify_new_task(const Stream&) { state_->begin(); }
void Scheduler::notify_task_completion(const Stream&) { state_->end(); }

int Scheduler::n_active_tasks() const {
  std::lock_guard lock(state_->mutex);
  return state_->active;
}

void Scheduler::wait_for_one() {
  std::unique_lock lock(state_->mutex);
  uint64_t before = state_->done;
  state_->changed.wait(lock, [&] { return state_->active <= 0 || state_->done != before; });
}

Scheduler& scheduler() {
  static auto* one = new Scheduler;  // queues may run after static destruction has begun
  return *one;
}

}  // namespace mlx::core::scheduler
