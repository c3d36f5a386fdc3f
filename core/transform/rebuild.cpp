// core/transform/rebuild.cpp
#include "core/transform/rebuild.h"

#include <typeinfo>

#include "core/prim/elementwise.h"
#include "core/prim/shape.h"
#include "mlx/utils.h"

namespace mlx::core {

bool is_implicit_broadcast(const Primitive& p) {
  return typeid(p) == typeid(Broadcast) && static_cast<const Broadcast&>(p).is_implicit();
}

Rebuilder::Rebuilder(const std::vector<array>& inputs, std::vector<array> constants) {
  for (const auto& in : inputs) {
    out_.input_shapes.push_back(in.shape());
    out_.input_dtypes.push_back(in.dtype());
    values_.push_back(array(in.shape(), in.dtype(), nullptr, {}));
  }
  values_.insert(values_.end(), constants.begin(), constants.end());
  out_.constants = std::move(constants);
}

int Rebuilder::emit(std::shared_ptr<Primitive> p, std::vector<int> args, std::vector<Shape> shapes,
                    std::vector<Dtype> dtypes) {
  int first = static_cast<int>(values_.size());
  for (size_t k = 0; k < shapes.size(); ++k)
    values_.push_back(array(shapes[k], dtypes[k], nullptr, {}));
  out_.nodes.push_back(
      {std::move(p), std::move(args), first, std::move(shapes), std::move(dtypes)});
  return first;
}

int Rebuilder::add(std::shared_ptr<Primitive> p, std::vector<int> args,
                   const std::vector<Dtype>& dtypes) {
  std::vector<Shape> shapes;
  if (p->as_elementwise()) {
    Shape full;
    for (int v : args) full = broadcast_shapes(full, values_[v].shape());
    for (int& v : args) {
      if (values_[v].ndim() == 0 || values_[v].shape() == full) continue;
      Dtype dtype = values_[v].dtype();
      v = emit(std::make_shared<Broadcast>(p->stream(), full, true), {v}, {full}, {dtype});
    }
    shapes = {full};
  } else {
    std::vector<array> ins;
    for (int v : args) ins.push_back(values_[v]);
    auto* fielded = dynamic_cast<Fielded*>(p.get());
    if (fielded && !fielded->fits(ins)) {
      std::string msg =
          std::string("[") + p->name() + "] Its parameters do not fit inputs of shapes";
      for (const auto& in : ins) msg.append(" ").append(to_string(in.shape()));
      throw std::invalid_argument(msg + ".");
    }
    shapes = p->output_shapes(ins);
  }
  if (shapes.size() != dtypes.size()) {
    throw std::invalid_argument(std::string("[") + p->name() + "] It has " +
                                std::to_string(shapes.size()) + " results where " +
                                std::to_string(dtypes.size()) + " were expected.");
  }
  return emit(std::move(p), std::move(args), std::move(shapes), dtypes);
}

Traced Rebuilder::finish(std::vector<int> outputs) {
  out_.outputs = std::move(outputs);
  out_.n_values = static_cast<int>(values_.size());
  return std::move(out_);
}

}  // namespace mlx::core
