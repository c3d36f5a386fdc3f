// core/transform/traced.cpp: from a graph of arrays to a flat list and back.
#include "core/transform/traced.h"

#include <optional>
#include <string>
#include <typeinfo>
#include <unordered_map>
#include <unordered_set>

#include "core/source.h"
#include "core/tracing.h"
#include "core/transform/trace.h"
#include "mlx/transforms.h"

namespace mlx::core {

namespace {

// What no input leads to is computed once, unless keeping it would cost more than computing it.
constexpr size_t kFoldLimit = size_t{32} << 20;

size_t mix(size_t seed, size_t v) {
  return seed ^ (v + 0x9e3779b97f4a7c15ull + (seed << 6) + (seed >> 2));
}

class Flattener {
 public:
  Flattener(const std::vector<array>& placeholders, const std::vector<array>& outputs,
            const TraceOptions& options, bool fold_constants)
      : simplify_(options.simplify), see_through_(options.see_through) {
    for (const auto& p : placeholders) {
      number_[p.id()] = static_cast<int>(out_.input_shapes.size());
      out_.input_shapes.push_back(p.shape());
      out_.input_dtypes.push_back(p.dtype());
      depends_.insert(p.id(), true);
    }
    order(outputs);
    if (fold_constants && !out_.escaped) fold(outputs);
    collect_constants(outputs);
    out_.n_values = out_.first_result();
    for (const auto& a : order_) {
      if (!number_.count(a.id())) emit(a);
    }
    for (const auto& o : outputs) out_.outputs.push_back(number_.at(o.id()));
  }

  Traced take() { return std::move(out_); }

 private:
  // What is known of a node of the graph: whether a placeholder leads to it.
  struct Marks {
    std::unordered_map<std::uintptr_t, bool> map;
    void insert(std::uintptr_t id, bool v) { map.insert_or_assign(id, v); }
    bool known(std::uintptr_t id) const { return map.count(id) > 0; }
    bool at(std::uintptr_t id) const {
      auto it = map.find(id);
      return it != map.end() && it->second;
    }
  };

  static bool is_leaf(const array& a) {
    return a.status() != array::unscheduled || !a.has_primitive();
  }

  void order(const std::vector<array>& outputs) {
    struct Visit {
      array value;
      size_t next;
    };
    std::vector<Visit> stack;
    auto visit = [&](const array& a) {
      if (depends_.known(a.id())) return;
      depends_.insert(a.id(), false);
      if (is_leaf(a)) {
        // A placeholder or tracer that is not ours belongs to a transformation around this one.
        if (!a.has_primitive() && (a.status() == array::unscheduled || a.is_tracer()))
          out_.escaped = true;
        return;
      }
      stack.push_back({a, 0});
    };
    for (const auto& o : outputs) {
      visit(o);
      while (!stack.empty()) {
        Visit& top = stack.back();
        if (top.next < top.value.inputs().size()) {
          array in = top.value.inputs()[top.next++];
          visit(in);
          continue;
        }
        bool dep = false;
        for (const auto& in : top.value.inputs()) dep |= depends_.at(in.id());
        // All outputs of one primitive are one node, under the first one met.
        if (top.value.has_siblings()) {
          for (const auto& s : top.value.siblings()) depends_.insert(s.id(), dep);
        }
        depends_.insert(top.value.id(), dep);
        if (!dep && top.value.is_tracer()) out_.escaped = true;
        order_.push_back(top.value);
        stack.pop_back();
      }
    }
  }

  void fold(const std::vector<array>& outputs) {
    std::vector<array> wanted;
    for (const auto& a : order_) {
      if (!depends_.at(a.id())) continue;
      for (const auto& in : a.inputs()) consider(in, wanted);
    }
    for (const auto& o : outputs) consider(o, wanted);
    if (wanted.empty()) return;
    // What only leads to folded values is let go first: held, it would be stored.
    std::unordered_map<std::uintptr_t, bool> needed;
    for (const auto& o : outputs) needed[o.id()] = true;
    std::vector<array> rest;
    for (size_t i = order_.size(); i-- > 0;) {
      const array& a = order_[i];
      bool live = needed.count(a.id()) > 0;
      if (a.has_siblings()) {
        for (const auto& s : a.siblings()) live |= needed.count(s.id()) > 0;
      }
      if (!live || folded_.count(a.id())) continue;
      for (const auto& in : a.inputs()) needed[in.id()] = true;
      rest.push_back(a);
    }
    order_.assign(rest.rbegin(), rest.rend());
    rest.clear();
    eval(std::move(wanted));
  }

  void consider(const array& a, std::vector<array>& wanted) {
    if (depends_.at(a.id()) || is_leaf(a) || a.has_siblings() || a.nbytes() > kFoldLimit) return;
    if (folded_.insert_or_assign(a.id(), true).second) wanted.push_back(a);
  }

  void collect_constants(const std::vector<array>& outputs) {
    auto visit = [&](const array& a) {
      if (number_.count(a.id()) || !is_leaf(a)) return;
      int v = -1;
      std::string value;
      if (simplify_ && a.is_available() && a.ndim() == 0 && a.data_shared_ptr()) {
        // Equal scalars are one: then operations on them can be, too.
        value.assign(a.data<char>(), a.itemsize());
        value += static_cast<char>(a.dtype().val());
        if (auto it = scalars_.find(value); it != scalars_.end()) v = it->second;
      }
      if (v < 0) {
        v = out_.n_inputs() + static_cast<int>(out_.constants.size());
        out_.constants.push_back(a);
        if (!value.empty()) scalars_.emplace(value, v);
      }
      number_[a.id()] = v;
    };
    for (const auto& a : order_) {
      if (is_leaf(a)) {
        visit(a);
      } else {
        for (const auto& in : a.inputs()) visit(in);
      }
    }
    for (const auto& o : outputs) visit(o);
  }

  void emit(const array& a) {
    Traced::Node node;
    node.primitive = a.primitive_ptr();
    node.source = a.source();
    for (const auto& in : a.inputs()) {
      auto it = number_.find(in.id());
      if (it == number_.end()) return;  // only leads to values that have been folded
      node.args.push_back(it->second);
    }
    auto outs = a.outputs();
    if (see_through_ && dynamic_cast<const PassThrough*>(node.primitive.get())) {
      for (size_t k = 0; k < outs.size(); ++k) number_[outs[k].id()] = node.args[k];
      return;
    }
    for (const auto& o : outs) {
      node.shapes.push_back(o.shape());
      node.dtypes.push_back(o.dtype());
    }
    if (int same = simplify_ ? find_equal(node) : -1; same >= 0) {
      for (size_t k = 0; k < outs.size(); ++k)
        number_[outs[k].id()] = out_.nodes[same].first + static_cast<int>(k);
      return;
    }
    node.first = out_.n_values;
    for (size_t k = 0; k < outs.size(); ++k) number_[outs[k].id()] = out_.n_values++;
    out_.nodes.push_back(std::move(node));
  }

  int find_equal(const Traced::Node& node) {
    const Primitive& p = *node.primitive;
    size_t h = typeid(p).hash_code();
    for (int v : node.args) h = mix(h, static_cast<size_t>(v));
    auto range = equal_.equal_range(h);
    for (auto it = range.first; it != range.second; ++it) {
      const auto& other = out_.nodes[it->second];
      if (other.args == node.args && other.shapes == node.shapes && other.dtypes == node.dtypes &&
          other.primitive->stream() == node.primitive->stream() &&
          other.primitive->is_equivalent(p)) {
        return it->second;
      }
    }
    equal_.emplace(h, static_cast<int>(out_.nodes.size()));
    return -1;
  }

  bool simplify_;
  bool see_through_;
  Traced out_;
  std::vector<array> order_;
  Marks depends_;
  std::unordered_map<std::uintptr_t, bool> folded_;
  std::unordered_map<std::uintptr_t, int> number_;
  std::unordered_map<std::string, int> scalars_;
  std::unordered_multimap<size_t, int> equal_;  // hash of a node: its index
};

/** Nodes that lead to an output, in order; the others are dropped and values renumbered. */
void drop_dead(Traced& t) {
  std::vector<char> used(t.n_values, 0);
  for (int v : t.outputs) used[v] = 1;
  for (size_t i = t.nodes.size(); i-- > 0;) {
    const auto& n = t.nodes[i];
    bool live = false;
    for (size_t k = 0; k < n.shapes.size(); ++k) live |= used[n.first + k] != 0;
    if (!live) continue;
    for (size_t k = 0; k < n.shapes.size(); ++k) used[n.first + k] = 1;
    for (int v : n.args) used[v] = 1;
  }
  std::vector<int> renumbered(t.n_values, -1);
  int next = t.n_inputs();
  for (int v = 0; v < next; ++v) renumbered[v] = v;
  std::vector<array> constants;
  for (int v = t.n_inputs(); v < t.first_result(); ++v) {
    if (!used[v]) continue;
    renumbered[v] = next++;
    constants.push_back(t.constant(v));
  }
  std::vector<Traced::Node> nodes;
  for (auto& n : t.nodes) {
    if (!used[n.first]) continue;
    for (int& v : n.args) v = renumbered[v];
    for (size_t k = 0; k < n.shapes.size(); ++k)
      renumbered[n.first + k] = next + static_cast<int>(k);
    n.first = next;
    next += static_cast<int>(n.shapes.size());
    nodes.push_back(std::move(n));
  }
  t.constants = std::move(constants);
  t.nodes = std::move(nodes);
  for (int& v : t.outputs) v = renumbered[v];
  t.n_values = next;
}

}  // namespace

std::vector<array> make_placeholders(const std::vector<array>& like) {
  std::vector<array> made;
  made.reserve(like.size());
  for (const auto& a : like) {
    made.push_back(array(a.shape(), a.dtype(), nullptr, {}));
    made.back().set_tracer(true);
  }
  return made;
}

std::vector<array> independent_nodes(const std::vector<array>& placeholders,
                                     const std::vector<array>& outputs) {
  std::unordered_set<std::uintptr_t> dependent;
  dependent_nodes(placeholders, outputs, true, dependent);
  std::unordered_set<std::uintptr_t> seen;
  std::vector<array> stack, found;
  auto visit = [&](const array& a) {
    if (a.status() == array::unscheduled && a.has_primitive() && seen.insert(a.id()).second)
      stack.push_back(a);
  };
  for (const auto& o : outputs) visit(o);
  while (!stack.empty()) {
    array a = std::move(stack.back());
    stack.pop_back();
    if (!dependent.count(a.id())) found.push_back(a);
    for (const auto& in : a.inputs()) visit(in);
  }
  return found;
}

Traced flatten_trace(const std::vector<array>& placeholders, std::vector<array> outputs,
                     const TraceOptions& options) {
  std::optional<Traced> traced;
  if (options.simplify && options.fold) {
    try {
      traced = Flattener(placeholders, outputs, options, true).take();
    } catch (const std::exception&) {
      // A constant that cannot be computed fails again, with its message, where it is used.
    }
  }
  if (!traced) traced = Flattener(placeholders, outputs, options, false).take();
  drop_dead(*traced);
  return std::move(*traced);
}

std::vector<array> Traced::build_values(const std::vector<array>& inputs,
                                        const std::vector<array>& constants) const {
  std::vector<array> values;
  values.reserve(n_values);
  values.insert(values.end(), inputs.begin(), inputs.end());
  values.insert(values.end(), constants.begin(), constants.end());
  for (const auto& n : nodes) {
    SourceScope at(n.source);
    std::vector<array> args;
    args.reserve(n.args.size());
    for (int v : n.args) args.push_back(values[v]);
    if (n.shapes.size() == 1) {
      values.emplace_back(n.shapes[0], n.dtypes[0], n.primitive, std::move(args));
    } else {
      for (auto& a : array::make_arrays(n.shapes, n.dtypes, n.primitive, args))
        values.push_back(std::move(a));
    }
  }
  return values;
}

std::vector<array> Traced::build(const std::vector<array>& inputs) const {
  auto values = build_values(inputs);
  std::vector<array> outs;
  outs.reserve(outputs.size());
  for (int v : outputs) outs.push_back(values[v]);
  return outs;
}

}  // namespace mlx::core
