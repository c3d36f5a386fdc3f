// core/prim/reduce.cpp
#include "core/prim/reduce.h"

#include "core/copy.h"
#include "mlx/ops.h"

namespace mlx::core {

void Reduce::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  const array& in = inputs[0];
  array& out = outputs[0];
  allocate(out);
  Tape tape;
  tape.inputs = {in.dtype().val()};
  tape.reduce = TapeReduce{op_, 0, in.dtype().val(), out.dtype().val()};
  Strides strides = out.strides();
  for (int axis : axes_) strides[axis] = 0;
  auto* data = const_cast<char*>(in.data<char>());
  tape_runner(Device::cpu)(tape, in.shape(), {{data, in.strides()}, {out.data<char>(), strides}});
}

void Reduce::eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  eval_cpu(inputs, outputs);
}

std::vector<Shape> Reduce::output_shapes(const std::vector<array>& inputs) {
  Shape shape = inputs[0].shape();
  for (int axis : axes_) shape[axis] = 1;
  return {shape};
}

// The cotangent of x: g spread over the reduced axes, weighted by each element's share.
array Reduce::pull_back(const array& x, const array& out, const array& g) {
  Stream s = stream();
  switch (op_) {
    case ReduceOp::Sum:
      return astype(broadcast_to(g, x.shape(), s), x.dtype(), s);
    case ReduceOp::Min:
    case ReduceOp::Max: {
      // Elements that tie share the cotangent.
      array hit = astype(equal(x, out, s), x.dtype(), s);
      array count = sum(hit, axes_, true, s);
      return multiply(hit, divide(g, count, s), s);
    }
    case ReduceOp::Prod: {
      // The product of the others, without dividing: running products from both ends, over the
      // reduced axes as one.
      std::vector<int> order;
      int ndim = static_cast<int>(x.ndim());
      for (int i = 0; i < ndim; ++i) {
        if (std::find(axes_.begin(), axes_.end(), i) == axes_.end()) order.push_back(i);
      }
      int kept = static_cast<int>(order.size());
      order.insert(order.end(), axes_.begin(), axes_.end());
      array moved = transpose(x, order, s);
      Shape moved_shape = moved.shape();
      array flat = flatten(moved, kept, -1, s);
      array before = cumprod(flat, kept, false, false, std::nullopt, s);
      array after = cumprod(flat, kept, true, false, std::nullopt, s);
      array others = reshape(multiply(before, after, s), moved_shape, s);
      std::vector<int> inverse(order.size());
      for (size_t i = 0; i < order.size(); ++i) inverse[order[i]] = static_cast<int>(i);
      return astype(multiply(g, transpose(others, inverse, s), s), x.dtype(), s);
    }
    case ReduceOp::And:
    case ReduceOp::Or:
      break;
  }
  return zeros_like(x, s);
}

std::vector<array> Reduce::vjp(const std::vector<array>& primals,
                               const std::vector<array>& cotangents, const std::vector<int>&,
                               const std::vector<array>& outputs) {
  return {pull_back(primals[0], outputs[0], cotangents[0])};
}

std::vector<array> Reduce::jvp(const std::vector<array>& primals,
                               const std::vector<array>& tangents, const std::vector<int>&) {
  const array& x = primals[0];
  Stream s = stream();
  array out(output_shapes(primals)[0], x.dtype(), std::make_shared<Reduce>(s, op_, axes_), {x});
  if (op_ == ReduceOp::Sum) return {sum(tangents[0], axes_, true, s)};
  if (op_ == ReduceOp::And || op_ == ReduceOp::Or) return {zeros(out.shape(), bool_, s)};
  // The map of the cotangent 1 weighs each tangent.
  array weights = pull_back(x, out, ones_like(out, s));
  return {sum(multiply(weights, tangents[0], s), axes_, true, s)};
}

std::pair<std::vector<array>, std::vector<int>> Reduce::vmap(const std::vector<array>& inputs,
                                                             const std::vector<int>& axes) {
  int batch = axes[0];
  std::vector<int> shifted = axes_;
  for (int& axis : shifted) axis += axis >= batch;
  auto p = std::make_shared<Reduce>(stream(), op_, shifted);
  Dtype dtype = op_ == ReduceOp::And || op_ == ReduceOp::Or ? bool_ : inputs[0].dtype();
  return {{array(p->output_shapes(inputs)[0], dtype, p, inputs)}, {batch}};
}

}  // namespace mlx::core
