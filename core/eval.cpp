// core/eval.cpp: running plans.
//
// One lock guards planning; execution runs outside it. An array in a plan is `evaluated` until its
// task has run. A plan can only wait for plans made before it, so waiting never goes in a circle.
#include "core/eval.h"

#include <chrono>
#include <mutex>

#include "core/copy.h"
#include "core/graph_access.h"
#include "core/plan.h"
#include "core/scheduler.h"
#include "mlx/transforms.h"

namespace mlx::core {

namespace {

std::mutex planning;
std::function<void()> interrupt_check;
RunTape tape_runners[2];

void wait_for(const array& a) {
  if (!a.is_available()) const_cast<array&>(a).wait();
  if (!a.is_available()) throw std::runtime_error("[eval] An input could not be computed.");
}

void finish(array& a) { a.set_status(array::available); }

/** Strides that the outputs of a tape take: those all its full-size inputs share, if dense. */
const array* layout_source(const Task& task) {
  const array* source = nullptr;
  for (const auto& in : task.operands) {
    if (in.shape() != task.shape) continue;
    if (in.flags().row_contiguous || !in.flags().contiguous) return nullptr;
    if (source && source->strides() != in.strides()) return nullptr;
    source = &in;
  }
  return source;
}

Strides broadcast_strides(const array& a, const Shape& shape) {
  if (a.ndim() == shape.size()) {
    Strides strides = a.strides();
    for (size_t i = 0; i < shape.size(); ++i) {
      if (a.shape()[i] == 1) strides[i] = 0;
    }
    return strides;
  }
  return Strides(shape.size(), 0);  // a scalar
}

void run_tape_task(Task& task) {
  Tape& tape = *task.tape;
  for (const auto& in : task.operands) wait_for(in);
  const array* source = tape.reduce ? nullptr : layout_source(task);
  Strides layout = source ? source->strides() : row_major_strides(task.shape);

  size_t n_maps = tape.outputs.size();
  std::vector<bool> given(task.operands.size(), false);
  for (size_t i = 0; i < task.stored.size(); ++i) {
    array& out = task.stored[i];
    if (i == n_maps) {  // the reduction's result
      allocate(out);
      continue;
    }
    bool donated = false;
    for (size_t k = 0; k < task.operands.size() && !task.keep_graph; ++k) {
      const array& in = task.operands[k];
      // Only this task can see the memory: its handle, and its members' inputs, which go with it.
      if (given[k] || in.itemsize() != out.itemsize() || in.shape() != task.shape ||
          in.strides() != layout || GraphAccess::use_count(in) != 1 + task.input_refs[k] ||
          in.data_shared_ptr().use_count() != 1 || !in.data_shared_ptr()->is_owned()) {
        continue;
      }
      out.copy_shared_buffer(in);
      given[k] = donated = true;
      break;
    }
    if (!donated) {
      size_t span;
      auto flags = layout_flags(task.shape, layout, span);
      out.set_data(allocator::malloc(out.nbytes()), out.size(), layout, flags);
    }
  }

  std::vector<TapeOperand> operands;
  operands.reserve(task.operands.size() + task.stored.size());
  for (const auto& in : task.operands) {
    operands.push_back({const_cast<char*>(in.data<char>()), broadcast_strides(in, task.shape)});
  }
  for (auto& out : task.stored)
    operands.push_back({out.data<char>(), broadcast_strides(out, task.shape)});
  tape_runner(Device::cpu)(tape, task.shape, operands);

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
    if (primitive->device() == Device::cpu) {
      primitive->eval_cpu(inputs, outputs);
    } else {
      primitive->eval_gpu(inputs, outputs);
    }
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
  using Clock = std::chrono::steady_clock;
  auto last_check = Clock::now();
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
      if (may_interrupt && (done & 15) == 0) {
        auto now = Clock::now();
        if (now - last_check > std::chrono::milliseconds(20)) {
          last_check = now;
          interrupt_check();
        }
      }
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

void set_interrupt_check(std::function<void()> check) { interrupt_check = std::move(check); }

void register_tape_runner(Device::DeviceType device, RunTape run) {
  tape_runners[static_cast<int>(device)] = run;
}

RunTape tape_runner(Device::DeviceType device) {
  RunTape run = tape_runners[static_cast<int>(device)];
  return run ? run : tape_runners[static_cast<int>(Device::cpu)];
}

void eval(std::vector<array> outputs) {
  if (all_available(outputs)) return;
  check_placeholders(outputs);
  Event event(default_stream(Device::cpu));
  Plan plan;
  {
    std::lock_guard lock(planning);
    plan = make_plan(outputs, event);
  }
  if (!plan.tasks.empty()) run(plan, event, interrupt_check != nullptr);
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
