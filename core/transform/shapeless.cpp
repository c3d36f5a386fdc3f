// core/transform/shapeless.cpp: one trace for inputs of any shape.
//
// A trace is used for other shapes only if everything in it is known to follow from the shapes of
// the inputs. What is not, is traced again: that costs time, never a wrong value.
#include <typeinfo>

#include "core/prim/cast.h"
#include "core/prim/elementwise.h"
#include "core/prim/reduce.h"
#include "core/prim/shape.h"
#include "core/prim/softmax.h"
#include "core/transform/traced.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

const Broadcast* implicit_broadcast(const Primitive& p) {
  if (typeid(p) != typeid(Broadcast)) return nullptr;
  const auto& b = static_cast<const Broadcast&>(p);
  return b.is_implicit() ? &b : nullptr;
}

bool is_elementwise(const Primitive& p) { return typeid(p) == typeid(Elementwise); }

/** These take one input of any shape. */
bool takes_any_shape(const Primitive& p) {
  return typeid(p) == typeid(Reduce) || typeid(p) == typeid(Transpose) ||
         typeid(p) == typeid(Reshape) || typeid(p) == typeid(AsType) ||
         typeid(p) == typeid(Softmax);
}

/**
 * Kernels trust shapes that functions have checked. Dimensions that were equal when the trace was
 * made must be equal again, and those of size 1 must stay so; else the function has to say itself
 * what it makes of these shapes.
 */
void check_same_fit(const std::vector<Shape>& before, const std::vector<array>& now) {
  std::vector<std::pair<ShapeElem, ShapeElem>> dims;
  for (size_t i = 0; i < now.size(); ++i) {
    for (size_t k = 0; k < before[i].size(); ++k) dims.push_back({before[i][k], now[i].shape()[k]});
  }
  for (size_t i = 0; i < dims.size(); ++i) {
    bool fits = (dims[i].first == 1) == (dims[i].second == 1) && dims[i].second != 0;
    for (size_t k = 0; k < i; ++k)
      fits &= dims[i].first != dims[k].first || dims[i].second == dims[k].second;
    if (!fits) throw std::invalid_argument("[compile] These shapes need a trace of their own.");
  }
}

}  // namespace

bool is_shape_generic(const Traced& t) {
  std::vector<char> stretched(t.n_values, 0);  // values an elementwise operation has broadcast
  for (const auto& shape : t.input_shapes) {
    for (auto d : shape) {
      if (d == 0) return false;  // many functions have a short way for nothing
    }
  }
  for (const auto& n : t.nodes) {
    Primitive& p = *n.primitive;
    if (n.args.empty()) return false;  // made from numbers that may have been a shape
    bool elementwise = is_elementwise(p);
    for (int v : n.args) {
      if (stretched[v] && !elementwise) return false;
    }
    if (implicit_broadcast(p)) {
      stretched[n.first] = 1;
      continue;
    }
    auto* fielded = dynamic_cast<Fielded*>(&p);
    if (!fielded || !fielded->is_shape_generic()) return false;
  }
  for (int v : t.outputs) {
    if (stretched[v]) return false;
  }
  return true;
}

Traced respecialize(const Traced& t, const std::vector<array>& inputs) {
  Traced out = t;
  std::vector<array> values;  // placeholders: only shapes and dtypes count
  values.reserve(t.n_values);
  for (size_t i = 0; i < inputs.size(); ++i) {
    out.input_shapes[i] = inputs[i].shape();
    values.push_back(array(inputs[i].shape(), inputs[i].dtype(), nullptr, {}));
  }
  values.insert(values.end(), t.constants.begin(), t.constants.end());

  std::vector<Shape> traced_shapes = t.input_shapes;
  for (const auto& c : t.constants) traced_shapes.push_back(c.shape());
  for (const auto& n : t.nodes)
    traced_shapes.insert(traced_shapes.end(), n.shapes.begin(), n.shapes.end());

  // Where each value of t is among those of out, which gains and loses broadcasts.
  std::vector<int> at(t.n_values), raw(t.n_values, -1);
  for (int v = 0; v < t.first_result(); ++v) at[v] = v;
  out.nodes.clear();
  int next = t.first_result();
  auto emit = [&](std::shared_ptr<Primitive> p, std::vector<int> args, std::vector<Shape> shapes,
                  const std::vector<Dtype>& dtypes) {
    Traced::Node node{std::move(p), std::move(args), next, std::move(shapes), dtypes};
    for (size_t k = 0; k < node.shapes.size(); ++k)
      values.push_back(array(node.shapes[k], node.dtypes[k], nullptr, {}));
    next += static_cast<int>(node.shapes.size());
    out.nodes.push_back(std::move(node));
    return out.nodes.back().first;
  };

  for (const auto& n : t.nodes) {
    if (implicit_broadcast(*n.primitive)) {
      raw[n.first] = n.args[0];  // decided anew by who uses it
      continue;
    }
    std::vector<int> args;
    for (int v : n.args) args.push_back(at[raw[v] >= 0 ? raw[v] : v]);
    if (is_elementwise(*n.primitive)) {
      Shape full;
      for (int v : args) full = broadcast_shapes(full, values[v].shape());
      for (int& v : args) {
        if (values[v].ndim() == 0 || values[v].shape() == full) continue;
        Dtype t = values[v].dtype();
        auto stretch = std::make_shared<Broadcast>(n.primitive->stream(), full, true);
        v = emit(std::move(stretch), {v}, {full}, {t});
      }
      at[n.first] = emit(n.primitive, args, {full}, n.dtypes);
      continue;
    }
    std::vector<array> ins;
    for (int v : args) ins.push_back(values[v]);
    if (!takes_any_shape(*n.primitive)) {
      std::vector<Shape> before;
      for (int v : n.args) before.push_back(traced_shapes[v]);
      check_same_fit(before, ins);
    }
    auto* fielded = dynamic_cast<Fielded*>(n.primitive.get());
    auto p = fielded ? fielded->for_inputs(ins) : nullptr;
    if (!p) p = n.primitive;
    auto shapes = p->output_shapes(ins);
    if (shapes.size() != n.shapes.size())
      throw std::runtime_error("[compile] The number of outputs depends on shapes.");
    int first = emit(p, args, std::move(shapes), n.dtypes);
    for (size_t k = 0; k < n.shapes.size(); ++k) at[n.first + k] = first + static_cast<int>(k);
  }
  for (int& v : out.outputs) v = at[v];
  out.n_values = next;
  return out;
}

}  // namespace mlx::core
