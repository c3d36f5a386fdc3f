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
#include "core/transform/rebuild.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

bool is_elementwise(const Primitive& p) { return p.as_elementwise() != nullptr; }

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
    if (is_implicit_broadcast(p)) {
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
  std::vector<Shape> traced_shapes = t.input_shapes;
  for (const auto& c : t.constants) traced_shapes.push_back(c.shape());
  for (const auto& n : t.nodes)
    traced_shapes.insert(traced_shapes.end(), n.shapes.begin(), n.shapes.end());

  Rebuilder out(inputs, t.constants);
  std::vector<int> at(t.n_values);  // where each value of t is now
  for (int v = 0; v < t.first_result(); ++v) at[v] = v;
  for (const auto& n : t.nodes) {
    if (is_implicit_broadcast(*n.primitive)) {
      at[n.first] = at[n.args[0]];
      continue;
    }
    std::vector<int> args;
    std::vector<array> ins;
    std::vector<Shape> before;
    for (int v : n.args) {
      args.push_back(at[v]);
      ins.push_back(out.value(at[v]));
      before.push_back(traced_shapes[v]);
    }
    if (!is_elementwise(*n.primitive) && !takes_any_shape(*n.primitive))
      check_same_fit(before, ins);
    auto* fielded = dynamic_cast<Fielded*>(n.primitive.get());
    auto p = fielded ? fielded->for_inputs(ins) : nullptr;
    int first = out.add(p ? p : n.primitive, args, n.dtypes);
    for (size_t k = 0; k < n.shapes.size(); ++k) at[n.first + k] = first + static_cast<int>(k);
  }
  std::vector<int> outputs;
  for (int v : t.outputs) outputs.push_back(at[v]);
  return out.finish(std::move(outputs));
}

}  // namespace mlx::core
