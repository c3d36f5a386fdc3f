// core/observe.cpp
#include "core/observe.h"

#include <algorithm>
#include <cstring>

#include "core/source.h"

namespace mlx::core {

namespace detail {
std::atomic<Observer*> current_observer{nullptr};

size_t bytes_of(const std::vector<array>& arrays) {
  size_t bytes = 0;
  for (const auto& a : arrays) bytes += a.data_size() * a.itemsize();
  return bytes;
}

void tell(Observer& o, TaskView task) {
  // A compiled function is its own tasks, which have been told.
  if (task.primitive && std::strcmp(task.primitive->name(), "Compiled") == 0) return;
  task.bytes_written = bytes_of(task.outputs);
  o.task(task);
}
}  // namespace detail

void set_observer(Observer* observer) { detail::current_observer.store(observer); }
Observer* observer() { return detail::current_observer.load(); }

std::string TaskView::name() const {
  if (!tape) return primitive->name();
  std::string text;
  for (const auto& instr : tape->instrs) {
    if (!text.empty()) text += ", ";
    text += instr.op == EwOp::Cast ? "AsType" : info(instr.op).name;
  }
  if (tape->reduce) {
    static constexpr const char* kNames[] = {"And", "Or", "Sum", "Prod", "Min", "Max"};
    if (!text.empty()) text += ", ";
    text.append("Reduce ").append(kNames[static_cast<int>(tape->reduce->op)]);
  }
  return text;
}

std::vector<std::string> TaskView::places() const {
  std::vector<std::string> found;
  for (const auto& out : outputs) {
    std::string place = source_text(out.source());
    if (!place.empty() && std::find(found.begin(), found.end(), place) == found.end())
      found.push_back(std::move(place));
  }
  return found;
}

double TaskView::flops() const {
  if (tape) {
    double elements = 1;
    for (auto d : *shape) elements *= d;
    return elements * static_cast<double>(tape->instrs.size() + (tape->reduce ? 1 : 0));
  }
  const std::string op = primitive->name();
  double out = outputs.empty() ? 0 : static_cast<double>(outputs[0].size());
  auto last = [&](size_t i, int axis) { return static_cast<double>(inputs[i].shape(axis)); };
  if (op == "Matmul" || op == "AddMM" || op == "QuantizedMatmul" || op == "GatherMM" ||
      op == "GatherQMM") {
    return inputs[0].ndim() > 0 ? 2 * out * last(0, -1) : 0;
  }
  if (op == "Convolution" && inputs.size() == 2 && inputs[1].shape(0) > 0)
    return 2 * out * static_cast<double>(inputs[1].size()) / inputs[1].shape(0);
  if (op == "ConvolutionWeightGradient" && inputs.size() == 2 && inputs[1].shape(-1) > 0)
    return 2 * out * static_cast<double>(inputs[1].size()) / inputs[1].shape(-1);
  if (op == "ScaledDotProductAttention" && inputs.size() >= 3)
    return 2 * static_cast<double>(inputs[0].size()) / last(0, -1) * last(1, 2) *
           (last(0, -1) + last(2, -1));
  return 0;
}

}  // namespace mlx::core
