// core/transform/planned_trace.cpp
#include "core/transform/planned_trace.h"

#include <typeinfo>

#include "core/graph_access.h"
#include "core/prim/elementwise.h"
#include "core/prim/shape.h"
#include "mlx/ops.h"
#include "mlx/transforms.h"

namespace mlx::core {

namespace {

constexpr size_t kInlineNodes = 24;

bool is_small_map(const Traced& t) {
  if (t.nodes.size() > kInlineNodes) return false;
  for (const auto& n : t.nodes) {
    const Primitive& p = *n.primitive;
    if (!is_map(p) && typeid(p) != typeid(Broadcast)) return false;
  }
  return true;
}

/** One call of a compiled function. */
class Compiled final : public Primitive {
 public:
  Compiled(Stream s, std::shared_ptr<PlannedTrace> trace)
      : Primitive(s), trace_(std::move(trace)) {}

  const char* name() const override { return "Compiled"; }

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override {
    if (failure_) std::rethrow_exception(failure_);
    // What only this call holds may be used up: the evaluator hands its handles over.
    auto& owned = const_cast<std::vector<array>&>(inputs);
    bool spent = false;
    try {
      trace_->program()->run(owned, outputs, spent);
    } catch (...) {
      if (spent) failure_ = std::current_exception();
      for (auto& in : owned) {
        if (!GraphAccess::node(in)) in = array(0);
      }
      throw;
    }
  }
  void eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) override {
    eval_cpu(inputs, outputs);
  }

  // A call is only made outside transformations, so these are for those who hold its node.
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override {
    std::vector<array> all;
    for (const auto& p : primals) all.push_back(zeros_like(p));
    for (size_t i = 0; i < argnums.size(); ++i) all[argnums[i]] = tangents[i];
    return mlx::core::jvp(function(), primals, all).second;
  }
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums, const std::vector<array>&) override {
    auto all = mlx::core::vjp(function(), primals, cotangents).second;
    std::vector<array> some;
    for (int a : argnums) some.push_back(all[a]);
    return some;
  }
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override {
    std::vector<int> out_axes(trace_->traced.outputs.size(), 0);
    return {mlx::core::vmap(function(), axes, out_axes)(inputs), out_axes};
  }

 private:
  std::function<std::vector<array>(const std::vector<array>&)> function() const {
    return [trace = trace_](const std::vector<array>& in) { return trace->traced.build(in); };
  }

  std::shared_ptr<PlannedTrace> trace_;
  std::exception_ptr failure_;  // of a run that had used up inputs
};

}  // namespace

PlannedTrace::PlannedTrace(Traced t) : traced(std::move(t)), small_map(is_small_map(traced)) {}

const std::shared_ptr<const Program>& PlannedTrace::program() {
  std::call_once(planned_, [this] { program_ = std::make_shared<const Program>(traced); });
  return program_;
}

std::vector<array> call_trace(const std::shared_ptr<PlannedTrace>& trace,
                              const std::vector<array>& inputs, bool inlined) {
  const Traced& t = trace->traced;
  inlined = inlined || trace->small_map;
  for (const auto& in : inputs) inlined = inlined || in.is_tracer();
  if (inlined) return t.build(inputs);

  std::vector<Shape> shapes;
  std::vector<Dtype> dtypes;
  for (const auto& n : t.nodes) {
    shapes.insert(shapes.end(), n.shapes.begin(), n.shapes.end());
    dtypes.insert(dtypes.end(), n.dtypes.begin(), n.dtypes.end());
  }
  std::vector<Shape> out_shapes;
  std::vector<Dtype> out_dtypes;
  for (int v : t.outputs) {
    bool leaf = v < t.first_result();
    const array* given = !leaf ? nullptr : t.is_input(v) ? &inputs[v] : &t.constant(v);
    out_shapes.push_back(given ? given->shape() : shapes[v - t.first_result()]);
    out_dtypes.push_back(given ? given->dtype() : dtypes[v - t.first_result()]);
  }
  auto primitive = std::make_shared<Compiled>(t.nodes.back().primitive->stream(), trace);
  auto outs = array::make_arrays(std::move(out_shapes), out_dtypes, primitive, inputs);
  for (size_t i = 0; i < outs.size(); ++i) {
    int v = t.outputs[i];
    if (t.is_input(v)) outs[i] = inputs[v];
    if (t.is_constant(v)) outs[i] = t.constant(v);
  }
  return outs;
}

}  // namespace mlx::core
