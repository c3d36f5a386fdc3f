// core/transform/vmap.cpp: traces a function on one item, then lets each primitive batch itself.
#include <unordered_map>

#include "core/source.h"
#include "core/transform/trace.h"
#include "mlx/ops.h"
#include "mlx/transforms_impl.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace detail {

/** Placeholders for one item of each input, and the function's outputs on them. */
std::pair<std::vector<array>, std::vector<array>> vmap_trace(const ArrayFn& fun,
                                                             const std::vector<array>& inputs,
                                                             const std::vector<int>& in_axes) {
  int batch = -1;
  std::vector<array> items;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto& in = inputs[i];
    if (in_axes[i] == -1) {
      items.push_back(in);
      continue;
    }
    int ndim = static_cast<int>(in.ndim());
    if (in_axes[i] < 0 || in_axes[i] >= ndim) {
      throw std::invalid_argument("[vmap] Cannot vmap over axis " + std::to_string(in_axes[i]) +
                                  " of an input with shape " + to_string(in.shape()) + ".");
    }
    int n = in.shape(in_axes[i]);
    if (batch >= 0 && n != batch) {
      throw std::invalid_argument("[vmap] Inconsistent axis sizes: " + std::to_string(batch) +
                                  " and " + std::to_string(n) + ".");
    }
    batch = n;
    Shape shape = in.shape();
    shape.erase(shape.begin() + in_axes[i]);
    array item(std::move(shape), in.dtype(), nullptr, {});
    item.set_status(array::unscheduled);
    item.set_tracer(true);
    items.push_back(std::move(item));
  }
  TracingScope scope;
  auto outputs = fun(items);
  return {std::move(items), std::move(outputs)};
}

/** Replaces the items by the whole inputs all through the traced graph. */
std::vector<array> vmap_replace(const std::vector<array>& inputs, const std::vector<array>& items,
                                const std::vector<array>& item_outputs,
                                const std::vector<int>& in_axes, const std::vector<int>& out_axes) {
  note_shape_read();  // batching rules look at shapes
  if (item_outputs.size() != out_axes.size()) {
    throw std::invalid_argument(
        "[vmap] The number of out axes (" + std::to_string(out_axes.size()) +
        ") does not match the number of outputs (" + std::to_string(item_outputs.size()) + ").");
  }
  struct Batched {
    array value;
    int axis;
  };
  std::unordered_map<std::uintptr_t, Batched> batched;
  int batch = 0;
  std::vector<array> mapped;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (in_axes[i] == -1) continue;
    batch = inputs[i].shape(in_axes[i]);
    mapped.push_back(items[i]);
    batched.insert_or_assign(items[i].id(), Batched{inputs[i], in_axes[i]});
  }
  std::unordered_set<std::uintptr_t> dependent;
  for (const array& node : dependent_nodes(mapped, item_outputs, true, dependent)) {
    std::vector<array> ins;
    std::vector<int> axes;
    for (const auto& in : node.inputs()) {
      auto it = batched.find(in.id());
      ins.push_back(it == batched.end() ? in : it->second.value);
      axes.push_back(it == batched.end() ? -1 : it->second.axis);
    }
    SourceScope at(node.source());
    auto [values, value_axes] = node.primitive().vmap(ins, axes);
    auto outs = node.outputs();
    for (size_t k = 0; k < outs.size(); ++k) {
      // An output may not vary over the batch although its node does: its axis is then -1.
      batched.insert_or_assign(outs[k].id(), Batched{values[k], value_axes[k]});
    }
  }

  std::vector<array> results;
  for (size_t i = 0; i < item_outputs.size(); ++i) {
    const auto& out = item_outputs[i];
    auto it = batched.find(out.id());
    int to = out_axes[i];
    if (it == batched.end() || it->second.axis == -1) {
      const array& same = it == batched.end() ? out : it->second.value;
      if (to == -1) {
        results.push_back(same);
        continue;
      }
      // The same value for every item.
      array whole = expand_dims(same, to);
      Shape shape = whole.shape();
      shape[to < 0 ? to + static_cast<int>(shape.size()) : to] = batch;
      results.push_back(broadcast_to(whole, shape));
      continue;
    }
    if (to == -1) {
      throw std::invalid_argument(
          "[vmap] An output that depends on a batched input must have an out axis.");
    }
    const auto& b = it->second;
    results.push_back(b.axis == to ? b.value : moveaxis(b.value, b.axis, to));
  }
  return results;
}

}  // namespace detail

ArrayFn vmap(const ArrayFn& fun, const std::vector<int>& in_axes,
             const std::vector<int>& out_axes) {
  return [fun, in_axes, out_axes](const std::vector<array>& inputs) {
    std::vector<int> ins = in_axes;
    if (ins.empty()) ins.assign(inputs.size(), 0);
    if (ins.size() != inputs.size()) {
      throw std::invalid_argument("[vmap] The number of in axes (" + std::to_string(ins.size()) +
                                  ") must match the number of inputs (" +
                                  std::to_string(inputs.size()) + ").");
    }
    auto [items, outputs] = detail::vmap_trace(fun, inputs, ins);
    std::vector<int> outs = out_axes;
    if (outs.empty()) outs.assign(outputs.size(), 0);
    return detail::vmap_replace(inputs, items, outputs, ins, outs);
  };
}

std::function<array(const array&)> vmap(const std::function<array(const array&)>& fun, int in_axis,
                                        int out_axis) {
  ArrayFn wrapped = [fun](const std::vector<array>& in) { return std::vector<array>{fun(in[0])}; };
  auto batched = vmap(wrapped, std::vector<int>{in_axis}, std::vector<int>{out_axis});
  return [batched](const array& in) { return batched({in})[0]; };
}

std::function<array(const array&, const array&)> vmap(
    const std::function<array(const array&, const array&)>& fun, int in_axis_a, int in_axis_b,
    int out_axis) {
  ArrayFn wrapped = [fun](const std::vector<array>& in) {
    return std::vector<array>{fun(in[0], in[1])};
  };
  auto batched = vmap(wrapped, std::vector<int>{in_axis_a, in_axis_b}, std::vector<int>{out_axis});
  return [batched](const array& a, const array& b) { return batched({a, b})[0]; };
}

}  // namespace mlx::core
