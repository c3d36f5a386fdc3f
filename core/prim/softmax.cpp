// core/prim/softmax.cpp
#include "core/prim/softmax.h"

#include <algorithm>
#include <numeric>

#include "mlx/ops.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

using Arrays = std::vector<array>;

/** The reduced axes as one, last. Gives back the order and the shape before merging. */
struct Folded {
  array value;
  std::vector<int> inverse;
  Shape moved;
  bool trivial;
};

Folded fold_last(const char* op, const array& a, const std::vector<int>& axes, StreamOrDevice s) {
  int ndim = static_cast<int>(a.ndim());
  std::vector<int> reduced;
  for (int axis : axes)
    reduced.push_back(normalize_axis_index(axis, ndim, std::string("[") + op + "] "));
  std::sort(reduced.begin(), reduced.end());
  if (std::adjacent_find(reduced.begin(), reduced.end()) != reduced.end()) {
    throw std::invalid_argument(std::string("[") + op + "] Received duplicate axis.");
  }
  if (reduced.size() == 1 && reduced[0] == ndim - 1) return {a, {}, a.shape(), true};
  std::vector<int> order;
  for (int i = 0; i < ndim; ++i) {
    if (!std::binary_search(reduced.begin(), reduced.end(), i)) order.push_back(i);
  }
  int kept = static_cast<int>(order.size());
  order.insert(order.end(), reduced.begin(), reduced.end());
  array moved = transpose(a, order, s);
  std::vector<int> inverse(ndim);
  for (int i = 0; i < ndim; ++i) inverse[order[i]] = i;
  return {flatten(moved, kept, -1, s), inverse, moved.shape(), false};
}

}  // namespace

Arrays Softmax::vjp(const Arrays&, const Arrays& cotangents, const std::vector<int>&,
                    const Arrays& outputs) {
  Stream s = stream();
  array weighted = multiply(cotangents[0], outputs[0], s);
  return {subtract(weighted, multiply(outputs[0], sum(weighted, -1, true, s), s), s)};
}

Arrays Softmax::jvp(const Arrays& primals, const Arrays& tangents, const std::vector<int>&) {
  array out(primals[0].shape(), primals[0].dtype(), std::make_shared<Softmax>(stream(), precise_),
            primals);
  return vjp(primals, tangents, {0}, {out});  // the Jacobian is symmetric
}

std::pair<Arrays, std::vector<int>> Softmax::vmap(const Arrays& inputs,
                                                  const std::vector<int>& axes) {
  array in = moveaxis(inputs[0], axes[0], 0, stream());
  return {{array(in.shape(), in.dtype(), std::make_shared<Softmax>(stream(), precise_), {in})},
          {0}};
}

std::vector<Shape> LogSumExp::output_shapes(const Arrays& inputs) {
  Shape shape = inputs[0].shape();
  shape.back() = 1;
  return {shape};
}

Arrays LogSumExp::vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>&,
                      const Arrays&) {
  return {multiply(cotangents[0], softmax(primals[0], -1, true, stream()), stream())};
}

Arrays LogSumExp::jvp(const Arrays& primals, const Arrays& tangents, const std::vector<int>&) {
  return {sum(multiply(tangents[0], softmax(primals[0], -1, true, stream()), stream()), -1, true,
              stream())};
}

std::pair<Arrays, std::vector<int>> LogSumExp::vmap(const Arrays& inputs,
                                                    const std::vector<int>& axes) {
  array in = moveaxis(inputs[0], axes[0], 0, stream());
  auto p = std::make_shared<LogSumExp>(stream());
  return {{array(p->output_shapes({in})[0], in.dtype(), p, {in})}, {0}};
}

// ---- public functions ----

array softmax(const array& a, const std::vector<int>& axes, bool precise, StreamOrDevice s) {
  if (!issubdtype(a.dtype(), floating)) {
    if (a.dtype() == bool_ || (precise && a.dtype() != complex64))
      return softmax(astype(a, float32, s), axes, precise, s);
    // Integers come back as integers, as Apple's build gives them.
    if (a.dtype() != complex64)
      return astype(softmax(astype(a, float32, s), axes, precise, s), a.dtype(), s);
    array e = exp(subtract(a, max(a, axes, true, s), s), s);
    return divide(e, sum(e, axes, true, s), s);
  }
  // Over no axes each element is a distribution of its own.
  if (axes.empty()) return ones_like(a, s);
  auto folded = fold_last("softmax", a, axes, s);
  if (a.size() == 0) return a;
  const array& in = folded.value;
  array out(in.shape(), in.dtype(), std::make_shared<Softmax>(to_stream(s), precise), {in});
  if (folded.trivial) return out;
  return transpose(reshape(out, folded.moved, s), folded.inverse, s);
}

array softmax(const array& a, bool precise, StreamOrDevice s) {
  std::vector<int> axes(a.ndim());
  std::iota(axes.begin(), axes.end(), 0);
  return softmax(a, axes, precise, s);
}

array logsumexp(const array& a, const std::vector<int>& axes, bool keepdims, StreamOrDevice s) {
  array x = issubdtype(a.dtype(), inexact) ? a : astype(a, float32, s);
  if (axes.empty()) return x;
  if (x.dtype() == complex64) {
    array top = stop_gradient(max(x, axes, true, s), s);
    array r = add(log(sum(exp(subtract(x, top, s), s), axes, true, s), s), top, s);
    return keepdims ? r : squeeze(r, axes, s);
  }
  auto folded = fold_last("logsumexp", x, axes, s);
  const array& in = folded.value;
  auto p = std::make_shared<LogSumExp>(to_stream(s));
  array out(p->output_shapes({in})[0], in.dtype(), p, {in});
  Shape shape = a.shape(), kept;
  for (int axis : axes) shape[normalize_axis_index(axis, static_cast<int>(a.ndim()))] = 1;
  if (keepdims) return reshape(out, shape, s);
  for (int i = 0; i < static_cast<int>(a.ndim()); ++i) {
    bool reduced = std::any_of(axes.begin(), axes.end(), [&](int x) {
      return normalize_axis_index(x, static_cast<int>(a.ndim())) == i;
    });
    if (!reduced) kept.push_back(a.shape(i));
  }
  return reshape(out, kept, s);
}

array logsumexp(const array& a, bool keepdims, StreamOrDevice s) {
  std::vector<int> axes(a.ndim());
  std::iota(axes.begin(), axes.end(), 0);
  return logsumexp(a, axes, keepdims, s);
}

array logsumexp(const array& a, int axis, bool keepdims, StreamOrDevice s) {
  return logsumexp(a, std::vector<int>{axis}, keepdims, s);
}

}  // namespace mlx::core
