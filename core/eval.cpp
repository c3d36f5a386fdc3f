// core/eval.cpp: running plans.
//
// One lock guards planning; execution runs outside it. An array in a plan is `evaluated` until its
// task has run. A plan can only wait for plans made before it, so waiting never goes in a circle.
#include "core/eval.h"

#include <condition_variable>
#include <mutex>
#include <optional>

#include "core/at_once.h"
#include "core/gpu.h"
#include "core/graph_access.h"
#include "core/plan.h"
#include "core/run.h"
#include "core/scheduler.h"
#include "core/source.h"
#include "mlx/transforms.h"

namespace mlx::core {

namespace {

std::mutex planning;
void finish(array& a) { a.set_status(array::available); }

void run_tape_task(Task& task) {
  for (const auto& in : task.operands) wait_for(in);
  run_tape(*task.tape, task.shape, task.operands, task.stored, task.stream.device, [&](size_t k) {
    // Only this task can see the memory: its handle, and its members' inputs, which go with it.
    return !task.keep_graph && GraphAccess::use_count(task.operands[k]) == 1 + task.input_refs[k];
  });

  task.operands.clear();
  for (auto& out : task.stored) finish(out);
  if (!task.keep_graph) {
    // Only stored nodes have a value now; the others are about to die with their consumers.
    for (auto& out : task.stored) out.detach();
  }
}

void run_primitive_task(Task& task) {
  auto& outputs = task.nodes;
  array& first = *std::find_if(outputs.begin(), outputs.end(),
                               [](const array& a) { return a.has_primitive(); });
  auto primitive =
      first.primitive_ptr();  // a handle of its own: detaching an output drops the node's
  for (const auto& in : first.inputs()) wait_for(in);

  std::vector<array> inputs;
  if (task.keep_graph) {
    inputs = first.inputs();
  } else {
    inputs = std::move(first.inputs());
    first.inputs().clear();
    if (outputs.size() > 1) {
      for (auto& out : outputs) out.inputs().clear();
    }
  }
  try {
    run_primitive(*primitive, inputs, outputs);
  } catch (...) {
    for (auto& out : outputs) {
      if (out.has_primitive()) out.inputs() = inputs;
    }
    throw;
  }
  for (auto& out : outputs) finish(out);
  if (!task.keep_graph) {
    for (auto& out : outputs) out.detach();
  }
}

void run_task(Task& task) {
  SourceId source = (task.tape ? task.stored : task.nodes).back().source();
  try {
    if (task.tape) {
      run_tape_task(task);
    } else {
      run_primitive_task(task);
    }
  } catch (...) {
    rethrow_from(source);
  }
}

void make_lazy_again(Task& task) {
  for (auto& a : task.tape ? task.stored : task.nodes) {
    if (a.status() == array::evaluated) a.set_status(array::unscheduled);
  }
}

/** Tasks of a plan that were given to the queues of devices. */
class Sent {
 public:
  explicit Sent(Event event) : event_(std::move(event)) {}

  void send(Task& task) {
    // A queue never waits for other plans: theirs might stand behind it.
    for (const auto& in : task.tape ? task.operands : task.nodes[0].inputs()) {
      if (!in.is_available() && !(in.event() == event_)) wait_for(in);
    }
    Stream stream = task.stream;
    tasks_.push_back(std::make_shared<Task>(std::move(task)));
    task = Task{};
    {
      std::lock_guard lock(mutex_);
      ++running_;
    }
    scheduler::enqueue_on_device(stream, [this, task = tasks_.back()] {
      try {
        gpu_backend()->before_task();
        run_task(*task);
        *task = Task{};
        event_.progress();
      } catch (...) {
        // Those who wait for it, here and elsewhere, hear of it.
        event_.signal(std::current_exception());
        std::lock_guard lock(mutex_);
        if (!error_) error_ = std::current_exception();
      }
      std::lock_guard lock(mutex_);
      if (--running_ == 0) ended_.notify_all();
    });
  }

  /** Waits for all; throws the first error. */
  void finish() {
    wait();
    if (error_) std::rethrow_exception(error_);
  }

  void make_all_lazy_again() {
    wait();
    std::lock_guard lock(planning);
    for (auto& task : tasks_) {
      if (task->tape || !task->nodes.empty()) make_lazy_again(*task);
    }
  }

 private:
  void wait() {
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] { return running_ == 0; });
  }

  Event event_;
  std::mutex mutex_;
  std::condition_variable ended_;
  int running_ = 0;
  std::exception_ptr error_;
  std::vector<std::shared_ptr<Task>> tasks_;
};

/** Runs all tasks; on failure the arrays without a value are lazy again. */
void run(Plan& plan, Event event, bool may_interrupt) {
  Interrupts interrupts(may_interrupt);
  std::optional<Sent> sent;  // if there is something for a device
  size_t done = 0;
  try {
    for (auto& task : plan.tasks) {
      if (task.stream.device == Device::gpu) {
        if (!sent) sent.emplace(event);
        sent->send(task);
      } else {
        run_task(task);
        task = Task{};
        event.progress();
      }
      ++done;
      interrupts.tick();
    }
    if (sent) sent->finish();
  } catch (...) {
    if (sent) sent->make_all_lazy_again();
    {
      std::lock_guard lock(planning);
      for (size_t i = done; i < plan.tasks.size(); ++i) make_lazy_again(plan.tasks[i]);
    }
    event.signal(std::current_exception());
    throw;
  }
  event.signal();
}

void check_placeholders(const std::vector<array>& outputs) {
  for (const auto& out : outputs) {
    if (out.status() == array::unscheduled && !out.has_primitive()) {
      throw std::invalid_argument(
          "[eval] Attempting to eval an array during function transformations like compile or vmap "
          "is not allowed.");
    }
  }
}

bool all_available(const std::vector<array>& outputs) {
  for (const auto& out : outputs) {
    if (!out.is_available()) return false;
  }
  return true;
}

}  // namespace

void eval(std::vector<array> outputs) {
  if (all_available(outputs)) return;
  check_placeholders(outputs);
  if (outputs.size() == 1) {
    AtOnce small;
    bool computed;
    {
      std::lock_guard lock(planning);
      computed = small.compute(outputs[0]);
    }
    if (computed) return small.detach();
  }
  Event event(default_stream(Device::cpu));
  Plan plan;
  {
    std::lock_guard lock(planning);
    plan = make_plan(outputs, event);
  }
  if (!plan.tasks.empty()) run(plan, event, true);
  for (auto& out : outputs) out.wait();
}

void async_eval(std::vector<array> outputs) {
  if (all_available(outputs)) return;
  check_placeholders(outputs);
  Stream stream = default_stream(Device::cpu);
  for (const auto& out : outputs) {
    if (out.has_primitive()) stream = out.primitive().stream();
  }
  Event event(stream);
  auto plan = std::make_shared<Plan>();
  // Queued in the order in which they are made, plans wait for none that stands behind them.
  std::lock_guard lock(planning);
  *plan = make_plan(outputs, event);
  if (plan->tasks.empty()) return;
  scheduler::enqueue(stream, [plan, event] {
    try {
      run(*plan, event, false);
    } catch (...) {
      // The event carries the error to whoever waits.
    }
  });
}

}  // namespace mlx::core
