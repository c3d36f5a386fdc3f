// core/transform/grad.cpp: vector-Jacobian and Jacobian-vector products over traced graphs.
#include <unordered_map>

#include "core/source.h"
#include "core/transform/trace.h"
#include "mlx/ops.h"
#include "mlx/transforms.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

using ArrayMap = std::unordered_map<std::uintptr_t, array>;

[[noreturn]] void bad_cotangent(const array& out, const array& cotangent) {
  throw std::invalid_argument("[vjp] Output shape " + to_string(out.shape()) +
                              " does not match cotangent shape " + to_string(cotangent.shape()) +
                              ". If you are using grad your function must return a scalar.");
}

void accumulate(ArrayMap& cotangents, const array& node, const array& value) {
  auto [it, added] = cotangents.try_emplace(node.id(), value);
  if (!added)
    it->second =
        add(it->second, value,
            node.has_primitive() ? StreamOrDevice(node.primitive().stream()) : StreamOrDevice{});
}

std::vector<int> dependent_inputs(const array& node,
                                  const std::unordered_set<std::uintptr_t>& dependent) {
  std::vector<int> argnums;
  for (size_t i = 0; i < node.inputs().size(); ++i) {
    if (dependent.count(node.inputs()[i].id())) argnums.push_back(static_cast<int>(i));
  }
  return argnums;
}

// Sends cotangents of outputs back to tracers; where nothing arrives the answer is zero.
std::vector<array> pull_back(const std::vector<array>& tracers, const std::vector<array>& outputs,
                             const std::vector<array>& cotangents) {
  note_shape_read();  // derivatives look at shapes
  // Cotangents belong to the outputs that do not stop gradients, in order.
  ArrayMap flowing;
  size_t given = 0;
  for (const auto& out : outputs) {
    if (out.has_primitive() && out.primitive().stops_gradient()) continue;
    if (given >= cotangents.size()) {
      throw std::invalid_argument(
          "[vjp] Number of outputs to compute gradients for (" + std::to_string(outputs.size()) +
          ") does not match number of cotangents (" + std::to_string(cotangents.size()) + ").");
    }
    const array& cotangent = cotangents[given++];
    if (out.shape() != cotangent.shape()) bad_cotangent(out, cotangent);
    accumulate(flowing, out, cotangent);
  }

  std::unordered_set<std::uintptr_t> dependent;
  auto nodes = dependent_nodes(tracers, outputs, false, dependent);
  for (size_t i = nodes.size(); i-- > 0;) {
    const array& node = nodes[i];
    auto outs = node.outputs();
    bool reached = false;
    for (const auto& out : outs) reached |= flowing.count(out.id()) > 0;
    if (!reached) continue;
    SourceScope at(node.source());
    auto argnums = dependent_inputs(node, dependent);
    Stream s = node.primitive().stream();
    std::vector<array> incoming;
    incoming.reserve(outs.size());
    for (const auto& out : outs) {
      auto it = flowing.find(out.id());
      if (it == flowing.end()) {
        incoming.push_back(zeros_like(out, s));
      } else {
        incoming.push_back(std::move(it->second));
        flowing.erase(it);
      }
    }
    auto grads = node.primitive().vjp(node.inputs(), incoming, argnums, outs);
    for (size_t k = 0; k < argnums.size(); ++k) {
      accumulate(flowing, node.inputs()[argnums[k]], grads[k]);
    }
  }

  std::vector<array> grads;
  grads.reserve(tracers.size());
  for (const auto& t : tracers) {
    auto it = flowing.find(t.id());
    grads.push_back(it == flowing.end() ? zeros(t.shape(), t.dtype()) : it->second);
  }
  return grads;
}

}  // namespace

std::pair<std::vector<array>, std::vector<array>> vjp(const ArrayFn& fun,
                                                      const std::vector<array>& primals,
                                                      const std::vector<array>& cotangents) {
  TracingScope scope;
  auto tracers = make_tracers(primals);
  auto outputs = fun(tracers);
  auto vjps = pull_back(tracers, outputs, cotangents);
  return {std::move(outputs), std::move(vjps)};
}

std::pair<array, array> vjp(const std::function<array(const array&)>& fun, const array& primal,
                            const array& cotangent) {
  ArrayFn wrapped = [&fun](const std::vector<array>& in) { return std::vector<array>{fun(in[0])}; };
  auto [outs, vjps] = vjp(wrapped, {primal}, {cotangent});
  return {outs[0], vjps[0]};
}

std::pair<std::vector<array>, std::vector<array>> jvp(const ArrayFn& fun,
                                                      const std::vector<array>& primals,
                                                      const std::vector<array>& tangents) {
  if (primals.size() != tangents.size())
    throw std::invalid_argument("[jvp] Number of inputs does not match number of tangents.");
  for (size_t i = 0; i < primals.size(); ++i) {
    if (primals[i].shape() != tangents[i].shape())
      throw std::invalid_argument("[jvp] Input shape does not match shape of tangent.");
  }
  note_shape_read();
  TracingScope scope;
  auto tracers = make_tracers(primals);
  auto outputs = fun(tracers);

  ArrayMap flowing;
  for (size_t i = 0; i < tracers.size(); ++i)
    flowing.insert_or_assign(tracers[i].id(), tangents[i]);
  std::unordered_set<std::uintptr_t> dependent;
  auto nodes = dependent_nodes(tracers, outputs, false, dependent);
  for (const array& node : nodes) {
    auto argnums = dependent_inputs(node, dependent);
    std::vector<array> incoming;
    std::vector<int> known;
    for (int k : argnums) {
      auto it = flowing.find(node.inputs()[k].id());
      if (it == flowing.end()) continue;
      incoming.push_back(it->second);
      known.push_back(k);
    }
    if (known.empty()) continue;
    SourceScope at(node.source());
    auto outs = node.outputs();
    auto results = node.primitive().jvp(node.inputs(), incoming, known);
    for (size_t k = 0; k < outs.size(); ++k) flowing.insert_or_assign(outs[k].id(), results[k]);
  }

  std::vector<array> jvps;
  jvps.reserve(outputs.size());
  for (const auto& out : outputs) {
    auto it = flowing.find(out.id());
    jvps.push_back(it == flowing.end() ? zeros_like(out) : it->second);
  }
  return {std::move(outputs), std::move(jvps)};
}

std::pair<array, array> jvp(const std::function<array(const array&)>& fun, const array& primal,
                            const array& tangent) {
  ArrayFn wrapped = [&fun](const std::vector<array>& in) { return std::vector<array>{fun(in[0])}; };
  auto [outs, jvps] = jvp(wrapped, {primal}, {tangent});
  return {outs[0], jvps[0]};
}

ValueAndGradFn value_and_grad(const ArrayFn& fun, const std::vector<int>& argnums) {
  if (argnums.empty()) throw std::invalid_argument("[grad] Must specify at least one argument.");
  return [fun, argnums](const std::vector<array>& inputs) {
    std::vector<int> wanted;
    for (int a : argnums) {
      int i = a < 0 ? a + static_cast<int>(inputs.size()) : a;
      if (i < 0 || i >= static_cast<int>(inputs.size())) {
        throw std::invalid_argument("[grad] Argument number " + std::to_string(a) +
                                    " is out of range for " + std::to_string(inputs.size()) +
                                    " inputs.");
      }
      if (std::find(wanted.begin(), wanted.end(), i) != wanted.end())
        throw std::invalid_argument("[grad] Repeat argument number not allowed in grad.");
      wanted.push_back(i);
    }
    std::vector<array> primals;
    for (int i : wanted) primals.push_back(inputs[i]);
    TracingScope scope;
    auto tracers = make_tracers(primals);
    std::vector<array> all = inputs;
    for (size_t k = 0; k < wanted.size(); ++k) all[wanted[k]] = tracers[k];
    auto values = fun(all);
    if (values.empty()) throw std::invalid_argument("[grad] The function returned no arrays.");
    // Only the first output is differentiated; the others come along.
    const array& loss = values[0];
    if (loss.ndim() != 0) bad_cotangent(loss, array(1.0f));
    bool constant = loss.has_primitive() && loss.primitive().stops_gradient();
    std::vector<array> cotangents;
    if (!constant) cotangents.push_back(ones({}, loss.dtype()));
    auto grads = pull_back(tracers, {loss}, cotangents);
    return std::make_pair(std::move(values), std::move(grads));
  };
}

}  // namespace mlx::core
