// core/prim/cross_entropy.cpp
#include "core/prim/cross_entropy.h"

#include "mlx/fast.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

using Arrays = std::vector<array>;

Dtype loss_type(const array& logits) { return logits.dtype() == float64 ? float64 : float32; }

/** 1 where the target is, in the last axis. */
array hits(const array& logits, const array& targets, Dtype dtype, Stream s) {
  int n = logits.shape(-1);
  array t = astype(targets, int64, s);
  t = where(less(t, array(0, int64), s), add(t, array(n, int64), s), t, s);
  array classes = arange(0, n, 1, int64, s);
  return astype(equal(expand_dims(t, -1, s), classes, s), dtype, s);
}

}  // namespace

Arrays CrossEntropy::compose(const Arrays& inputs) {
  Stream s = stream();
  array x = astype(inputs[0], loss_type(inputs[0]), s);
  array target = squeeze(take_along_axis(x, expand_dims(inputs[1], -1, s), -1, s), -1, s);
  return {subtract(logsumexp(x, -1, false, s), target, s)};
}

Arrays CrossEntropy::vjp(const Arrays& primals, const Arrays& cotangents,
                         const std::vector<int>& argnums, const Arrays&) {
  Arrays result;
  for (int arg : argnums) {
    if (arg == 0) {
      const array& x = primals[0];
      result.push_back(array(x.shape(), x.dtype(), std::make_shared<CrossEntropyVJP>(stream()),
                             {x, primals[1], cotangents[0]}));
    } else {
      result.push_back(zeros_like(primals[1], stream()));
    }
  }
  return result;
}

Arrays CrossEntropy::jvp(const Arrays& primals, const Arrays& tangents,
                         const std::vector<int>& argnums) {
  Stream s = stream();
  for (size_t i = 0; i < argnums.size(); ++i) {
    if (argnums[i] != 0) continue;
    Dtype wide = loss_type(primals[0]);
    array rates = subtract(softmax(astype(primals[0], wide, s), -1, true, s),
                           hits(primals[0], primals[1], wide, s), s);
    return {sum(multiply(astype(tangents[i], wide, s), rates, s), -1, false, s)};
  }
  return {zeros(primals[1].shape(), loss_type(primals[0]), s)};
}

std::pair<Arrays, std::vector<int>> CrossEntropy::vmap(const Arrays& inputs,
                                                       const std::vector<int>& axes) {
  Stream s = stream();
  int batch = axes[0] >= 0 ? inputs[0].shape(axes[0]) : inputs[1].shape(axes[1]);
  Arrays in;
  for (size_t i = 0; i < 2; ++i) {
    if (axes[i] >= 0) {
      in.push_back(moveaxis(inputs[i], axes[i], 0, s));
    } else {
      Shape shape = inputs[i].shape();
      shape.insert(shape.begin(), batch);
      in.push_back(broadcast_to(inputs[i], shape, s));
    }
  }
  return {{array(in[1].shape(), loss_type(in[0]), std::make_shared<CrossEntropy>(s), in)}, {0}};
}

Arrays CrossEntropyVJP::compose(const Arrays& inputs) {
  Stream s = stream();
  Dtype wide = loss_type(inputs[0]);
  array rates = subtract(softmax(astype(inputs[0], wide, s), -1, true, s),
                         hits(inputs[0], inputs[1], wide, s), s);
  array weighted = multiply(expand_dims(astype(inputs[2], wide, s), -1, s), rates, s);
  return {astype(weighted, inputs[0].dtype(), s)};
}

namespace fast {

array cross_entropy(const array& logits, const array& targets, StreamOrDevice s) {
  const std::string head = "[cross_entropy] ";
  if (logits.ndim() == 0) {
    throw std::invalid_argument(
        head + "logits must have at least 1 dimension but got input with 0 dimensions.");
  }
  if (!issubdtype(logits.dtype(), floating)) {
    throw std::invalid_argument(head + "Received unsupported logits type " +
                                dtype_to_string(logits.dtype()) + ".");
  }
  if (!issubdtype(targets.dtype(), integer)) {
    throw std::invalid_argument(head + "targets must be integer class indices but got " +
                                dtype_to_string(targets.dtype()) + ".");
  }
  Shape rows(logits.shape().begin(), logits.shape().end() - 1);
  if (targets.shape() != rows) {
    throw std::invalid_argument(head + "targets shape " + to_string(targets.shape()) +
                                " does not match logits shape " + to_string(logits.shape()) +
                                " with the last axis removed.");
  }
  if (logits.shape(-1) == 0 && targets.size() > 0) {
    throw std::invalid_argument(head + "logits of shape " + to_string(logits.shape()) +
                                " have no classes.");
  }
  return array(rows, loss_type(logits), std::make_shared<CrossEntropy>(to_stream(s)),
               {logits, targets});
}

}  // namespace fast

}  // namespace mlx::core
