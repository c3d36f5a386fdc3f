// core/eval.cpp: running plans.
//
// One lock guards planning; execution runs outside it. An array in a plan is `evaluated` until its
// task has run. A plan can only wait for plans made before it, so waiting never goes in a circle.
#include "core/eval.h"

#include <mutex>

#include "core/graph_access.h"
#include "core/plan.h"
#include "core/run.h"
#include "core/scheduler.h"
#include "mlx/transforms.h"

namespace mlx::core {

namespace {

std::mutex planning;
void finish(array& a) { a.set_status(array::available); }

void run_tape_task(Task& task) {
  for (const auto& in : task.operands) wait_for(in);
  run_tape(*task.tape, task.shape, task.operands, task.stored, [&](size_t k) {
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

/** Runs all tasks; on failure the arrays without a value are lazy again. */
void run(Plan& plan, Event event, bool may_interrupt) {
  Interrupts interrupts(may_interrupt);
  size_t done = 0;
  try {
    for (auto& task : plan.tasks) {
      if (task.tape) {
        run_tape_task(task);
      } else {
        run_primitive_task(task);
      }
      task = Task{};
      ++done;
      event.progress();
      interrupts.tick();
    }
  } catch (...) {
    {
      std::lock_guard lock(planning);
      for (size_t i = done; i < plan.tasks.size(); ++i) {
        for (auto& a : plan.tasks[i].tape ? plan.tasks[i].stored : plan.tasks[i].nodes) {
          if (a.status() == array::evaluated) a.set_status(array::unscheduled);
        }
      }
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
  {
    std::lock_guard lock(planning);
    *plan = make_plan(outputs, event);
  }
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
