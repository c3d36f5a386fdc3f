// core/transform/trace.cpp
#include "core/transform/trace.h"

#include "mlx/ops.h"

namespace mlx::core {

namespace {
thread_local int tracing_depth = 0;
thread_local DynamicTracing* dynamic = nullptr;
}  // namespace

bool in_dynamic_tracing() { return dynamic != nullptr; }
void note_shape_read() {
  if (dynamic) dynamic->shape_read = true;
}
// A trace for one shape inside one for any shape is the inner function's own affair.
DynamicTracing::DynamicTracing(bool on) : outer_(dynamic) { dynamic = on ? this : nullptr; }
DynamicTracing::~DynamicTracing() {
  dynamic = outer_;
  if (outer_ && shape_read) outer_->shape_read = true;
}

bool in_tracing() { return tracing_depth > 0; }
TracingScope::TracingScope() { ++tracing_depth; }
TracingScope::~TracingScope() { --tracing_depth; }

std::pair<std::vector<array>, std::vector<int>> Identity::vmap(const std::vector<array>& inputs,
                                                               const std::vector<int>& axes) {
  const auto& in = inputs[0];
  return {{array(in.shape(), in.dtype(), std::make_shared<Identity>(stream()), {in})}, axes};
}

std::vector<array> make_tracers(const std::vector<array>& primals) {
  std::vector<array> tracers;
  tracers.reserve(primals.size());
  for (const auto& p : primals) {
    if (p.is_available() && !p.is_tracer() && p.data_shared_ptr()) {
      array t(p.shape(), p.dtype(), nullptr, {});
      t.copy_shared_buffer(p);
      t.set_status(array::available);
      tracers.push_back(std::move(t));
    } else {
      auto id =
          std::make_shared<Identity>(p.has_primitive() ? p.primitive().stream() : to_stream({}));
      tracers.push_back(array(p.shape(), p.dtype(), std::move(id), {p}));
    }
    tracers.back().set_tracer(true);
  }
  return tracers;
}

std::vector<array> dependent_nodes(const std::vector<array>& tracers,
                                   const std::vector<array>& outputs, bool through_stops,
                                   std::unordered_set<std::uintptr_t>& dependent) {
  for (const auto& t : tracers) dependent.insert(t.id());
  std::unordered_set<std::uintptr_t> seen(dependent);
  struct Visit {
    array value;
    size_t next;
  };
  std::vector<Visit> stack;
  std::vector<array> order;
  auto visit = [&](const array& a) {
    if (!seen.insert(a.id()).second) return;
    if (!a.has_primitive() || (!through_stops && a.primitive().stops_gradient())) return;
    stack.push_back({a, 0});
  };
  for (const auto& out : outputs) {
    visit(out);
    while (!stack.empty()) {
      Visit& top = stack.back();
      if (top.next < top.value.inputs().size()) {
        array in = top.value.inputs()[top.next++];
        visit(in);
        continue;
      }
      bool depends = dependent.count(top.value.id()) > 0;
      for (const auto& in : top.value.inputs()) depends = depends || dependent.count(in.id());
      if (depends && dependent.insert(top.value.id()).second) {
        order.push_back(top.value);
        if (top.value.has_siblings()) {
          for (const auto& s : top.value.siblings()) {
            dependent.insert(s.id());
            seen.insert(s.id());
          }
        }
      }
      stack.pop_back();
    }
  }
  return order;
}

}  // namespace mlx::core
