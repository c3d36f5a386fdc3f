// core/observe.h: watching what evaluation does, task by task. Nobody watching costs one load.
#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <vector>

#include "core/tape.h"
#include "mlx/array.h"
#include "mlx/primitive.h"

namespace mlx::core {

/** One task: a fused tape, or a primitive. Valid during the call it is given to. */
struct TaskView {
  using Clock = std::chrono::steady_clock;
  const Tape* tape;
  const Primitive* primitive;
  const Shape* shape;  // what a tape runs over
  const std::vector<array>& inputs;
  const std::vector<array>& outputs;
  size_t bytes_read, bytes_written;
  Clock::time_point begin, end;

  /** "Exp, Multiply, Reduce Sum" or "Matmul". */
  std::string name() const;
  /** The places where what it computes was made, each once: "train.py:12". */
  std::vector<std::string> places() const;
  /** Floating operations: an instruction each element, products as they are counted; else 0. */
  double flops() const;
};

class Observer {
 public:
  virtual ~Observer() = default;
  /** Called by the thread that ran the task, perhaps several at a time. May throw: then the task
   * counts as failed. */
  virtual void task(const TaskView& task) = 0;
};

/** Null: nobody watches. Tasks that run while it changes may call either. */
void set_observer(Observer* observer);
Observer* observer();

/** Runs work, a task, under the eyes of the observer. */
template <class Work>
void observed(const Tape* tape, const Primitive* primitive, const Shape* shape,
              const std::vector<array>& inputs, const std::vector<array>& outputs,
              const Work& work);

// ---- implementation

namespace detail {
extern std::atomic<Observer*> current_observer;
size_t bytes_of(const std::vector<array>& arrays);
void tell(Observer& o, TaskView task);
}  // namespace detail

template <class Work>
void observed(const Tape* tape, const Primitive* primitive, const Shape* shape,
              const std::vector<array>& inputs, const std::vector<array>& outputs,
              const Work& work) {
  Observer* o = detail::current_observer.load(std::memory_order_relaxed);
  if (!o) return work();
  // Inputs may be written over: what they are is asked first.
  size_t read = detail::bytes_of(inputs);
  auto begin = TaskView::Clock::now();
  work();
  detail::tell(*o,
               {tape, primitive, shape, inputs, outputs, read, 0, begin, TaskView::Clock::now()});
}

}  // namespace mlx::core
