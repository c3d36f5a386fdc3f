// include/mlx/scheduler.h: the queues of streams, for programs that put work of their own there.
// Each stream has one, which runs its tasks one after the other.
#pragma once

#include <functional>
#include <utility>

#include "mlx/event.h"
#include "mlx/stream.h"

namespace mlx::core::scheduler {

class StreamThread;  // a queue's

class Scheduler {
 public:
  Scheduler();
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler(Scheduler&&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;
  Scheduler& operator=(Scheduler&&) = delete;

  /** Runs task after what was enqueued on s before. What it throws, check_error(s) throws. */
  void enqueue(Stream s, std::function<void()> task);
  /** Runs task on s once the event is signaled; not at all if it was signaled with an error. */
  void wait_event(Stream s, Event event, std::function<void(Event&)> task);
  /** Runs task on s, then signals the event: with its error, if it throws. */
  void signal_event(Stream s, Event event, std::function<void(Event&)> task);
  /** Throws the first error of tasks enqueued on s since it was last asked. */
  void check_error(Stream s);

  /** Counts tasks that are under way anywhere: those above count themselves. */
  void notify_new_task(const Stream& stream);
  void notify_task_completion(const Stream& stream);
  int n_active_tasks() const;
  /** Blocks until one more task is done, or none is active. */
  void wait_for_one();

 private:
  struct State;
  std::shared_ptr<State> state_;  // tasks may outlive the scheduler
};

Scheduler& scheduler();

template <typename F>
inline void enqueue(Stream s, F&& f) {
  scheduler().enqueue(s, std::forward<F>(f));
}
template <typename F>
inline void wait_event(Stream s, Event event, F&& f) {
  scheduler().wait_event(s, std::move(event), std::forward<F>(f));
}
template <typename F>
inline void signal_event(Stream s, Event event, F&& f) {
  scheduler().signal_event(s, std::move(event), std::forward<F>(f));
}
inline void check_error(Stream s) { scheduler().check_error(s); }
inline int n_active_tasks() { return scheduler().n_active_tasks(); }
inline void notify_new_task(const Stream& stream) { scheduler().notify_new_task(stream); }
inline void notify_task_completion(const Stream& stream) {
  scheduler().notify_task_completion(stream);
}
inline void wait_for_one() { scheduler().wait_for_one(); }

}  // namespace mlx::core::scheduler
