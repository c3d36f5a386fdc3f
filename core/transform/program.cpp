// core/transform/program.cpp
#include "core/transform/program.h"

#include <optional>
#include <unordered_map>

#include "core/graph_access.h"
#include "core/plan.h"
#include "core/run.h"
#include "core/source.h"

namespace mlx::core {

Program::Program(const Traced& t)
    : n_inputs_(t.n_inputs()), constants_(t.constants), outputs_(t.outputs) {
  values_.reserve(t.n_values);
  // The evaluator plans the graph once, over inputs that pretend to have their values.
  std::vector<array> leaves;
  auto add_leaf = [&](const Shape& shape, Dtype dtype) {
    leaves.push_back(array(shape, dtype, nullptr, {}));
    leaves.back().set_status(array::available);
    values_.push_back({shape, dtype, 0});
  };
  for (int i = 0; i < n_inputs_; ++i) add_leaf(t.input_shapes[i], t.input_dtypes[i]);
  for (const auto& c : constants_) add_leaf(c.shape(), c.dtype());

  std::unordered_map<std::uintptr_t, int> number;
  // Outputs of one operation are kept, used or not: then each of a task's arrays is known.
  std::vector<array> roots, siblings;
  {
    std::vector<array> inputs(leaves.begin(), leaves.begin() + n_inputs_);
    std::vector<array> constants(leaves.begin() + n_inputs_, leaves.end());
    auto values = t.build_values(inputs, constants);
    for (size_t v = 0; v < values.size(); ++v) number[values[v].id()] = static_cast<int>(v);
    for (int v : outputs_) roots.push_back(values[v]);
    for (const auto& n : t.nodes) {
      for (size_t k = 0; k < n.shapes.size() && n.shapes.size() > 1; ++k)
        siblings.push_back(values[n.first + k]);
    }
  }
  for (const auto& n : t.nodes) {
    for (size_t k = 0; k < n.shapes.size(); ++k)
      values_.push_back({n.shapes[k], n.dtypes[k], n.source});
  }

  Plan plan = make_plan_apart(roots);
  steps_.reserve(plan.tasks.size());
  for (auto& task : plan.tasks) {
    Step step;
    step.device = task.stream.device;
    if (task.tape) {
      step.tape = std::move(task.tape);
      step.shape = task.shape;
      for (const auto& in : task.operands) step.args.push_back(number.at(in.id()));
      for (const auto& out : task.stored) step.results.push_back(number.at(out.id()));
    } else {
      const auto& outs = task.nodes;
      step.primitive = outs[0].primitive_ptr();
      for (const auto& in : outs[0].inputs()) step.args.push_back(number.at(in.id()));
      for (const auto& out : outs) step.results.push_back(number.at(out.id()));
    }
    steps_.push_back(std::move(step));
  }
  note_last_uses();
}

void Program::note_last_uses() {
  std::vector<char> used(values_.size(), 0);
  for (int v : outputs_) used[v] = 1;
  for (size_t i = steps_.size(); i-- > 0;) {
    Step& step = steps_[i];
    step.last.assign(step.args.size(), 0);
    for (size_t k = step.args.size(); k-- > 0;) {
      int v = step.args[k];
      bool constant = v >= n_inputs_ && v < n_inputs_ + static_cast<int>(constants_.size());
      step.last[k] = !used[v] && !constant;
      used[v] = 1;
    }
  }
}

void Program::run(std::vector<array>& inputs, std::vector<array>& outputs, bool& spent) const {
  for (const auto& c : constants_) wait_for(c);
  std::vector<std::optional<array>> values(values_.size());
  const int first_result = n_inputs_ + static_cast<int>(constants_.size());
  Interrupts interrupts(true);
  std::vector<array> ins, outs;
  for (const Step& step : steps_) {
    ins.clear();
    outs.clear();
    for (size_t k = 0; k < step.args.size(); ++k) {
      int v = step.args[k];
      if (v >= first_result) {
        if (step.last[k]) {
          ins.push_back(*std::move(values[v]));
        } else {
          ins.push_back(*values[v]);
        }
      } else if (v >= n_inputs_) {
        ins.push_back(constants_[v - n_inputs_]);
      } else if (step.last[k] && inputs[v].is_donatable()) {
        ins.push_back(std::move(inputs[v]));
        spent = true;
      } else {
        ins.push_back(inputs[v]);
      }
    }
    for (int v : step.results) {
      outs.emplace_back(values_[v].shape, values_[v].dtype, nullptr, std::vector<array>{});
      outs.back().set_source(values_[v].source);
    }
    try {
      if (step.tape) {
        run_tape(*step.tape, step.shape, ins, outs, step.device,
                 [&](size_t k) { return GraphAccess::use_count(ins[k]) == 1; });
      } else {
        run_primitive(*step.primitive, ins, outs);
      }
    } catch (...) {
      rethrow_from(outs.empty() ? 0 : outs.back().source());
    }
    for (size_t k = 0; k < outs.size(); ++k) {
      outs[k].set_status(array::available);
      values[step.results[k]] = std::move(outs[k]);
    }
    // What a run has begun to write over must be finished: it could not be done again.
    if (!spent) interrupts.tick();
  }
  for (size_t i = 0; i < outputs_.size(); ++i) {
    int v = outputs_[i];
    const array& value = v < n_inputs_      ? inputs[v]
                         : v < first_result ? constants_[v - n_inputs_]
                                            : *values[v];
    outputs[i].copy_shared_buffer(value);
  }
}

}  // namespace mlx::core
