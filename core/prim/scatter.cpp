// core/prim/scatter.cpp: Scatter.
#include "core/prim/indexing.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

struct Parts {
  const array& src;
  std::vector<array> indices;
  const array& updates;
  Shape sizes;  // of one update's slice

  Parts(const std::vector<array>& inputs)
      : src(inputs.front()),
        indices(inputs.begin() + 1, inputs.end() - 1),
        updates(inputs.back()),
        sizes(updates.shape().end() - src.ndim(), updates.shape().end()) {}
};

array apply(Scatter::ReduceType type, const array& src, const std::vector<array>& indices,
            const array& updates, const std::vector<int>& axes, Stream s) {
  switch (type) {
    case Scatter::Max:
      return scatter_max(src, indices, updates, axes, s);
    case Scatter::Min:
      return scatter_min(src, indices, updates, axes, s);
    case Scatter::Sum:
      return scatter_add(src, indices, updates, axes, s);
    case Scatter::Prod:
      return scatter_prod(src, indices, updates, axes, s);
    default:
      return scatter(src, indices, updates, axes, s);
  }
}

/** What a product's derivative needs: factors without zeros, and where one zero is the only one. */
struct ProductRule {
  array src_partial;      // of the result with respect to src
  array updates_partial;  // of the result at an update's place with respect to that update

  static ProductRule make(const Parts& p, const std::vector<int>& axes, Stream s) {
    Dtype t = p.src.dtype();
    array one(1, t), zero(0, t);
    array src_zero = equal(p.src, zero, s);
    array upd_zero = equal(p.updates, zero, s);
    array zeros_at =
        scatter_add(astype(src_zero, int32, s), p.indices, astype(upd_zero, int32, s), axes, s);
    array product = scatter_prod(where(src_zero, one, p.src, s), p.indices,
                                 where(upd_zero, one, p.updates, s), axes, s);
    array zeros_of = gather(zeros_at, p.indices, axes, p.sizes, s);
    auto partial = [&](const array& count, const array& is_zero, const array& prod,
                       const array& x) {
      array others = subtract(count, astype(is_zero, int32, s), s);
      array quotient = divide(prod, where(is_zero, one, x, s), s);
      return where(equal(others, array(0), s), quotient, zero, s);
    };
    return {partial(zeros_at, src_zero, product, p.src),
            partial(zeros_of, upd_zero, gather(product, p.indices, axes, p.sizes, s), p.updates)};
  }
};

}  // namespace

std::vector<array> Scatter::vjp(const std::vector<array>& primals,
                                const std::vector<array>& cotangents,
                                const std::vector<int>& argnums,
                                const std::vector<array>& outputs) {
  Parts p(primals);
  const array& cotan = cotangents[0];
  Stream s = stream();
  std::vector<array> grads;
  int last = static_cast<int>(primals.size()) - 1;
  for (int arg : argnums) {
    if (arg != 0 && arg != last) throw_index_derivative("scatter", "VJP");
  }
  auto at = [&](const array& x) { return gather(x, p.indices, axes_, p.sizes, s); };
  for (int arg : argnums) {
    bool of_src = arg == 0;
    switch (reduce_type_) {
      case None:
        grads.push_back(of_src ? scatter(cotan, p.indices, zeros_like(p.updates, s), axes_, s)
                               : at(cotan));
        break;
      case Sum:
        grads.push_back(of_src ? cotan : at(cotan));
        break;
      case Max:
      case Min: {
        array won = of_src ? equal(p.src, outputs[0], s) : equal(p.updates, at(outputs[0]), s);
        array from = of_src ? cotan : at(cotan);
        grads.push_back(where(won, from, array(0, from.dtype()), s));
        break;
      }
      case Prod: {
        auto rule = ProductRule::make(p, axes_, s);
        grads.push_back(of_src ? multiply(cotan, rule.src_partial, s)
                               : multiply(at(cotan), rule.updates_partial, s));
        break;
      }
    }
  }
  return grads;
}

std::vector<array> Scatter::jvp(const std::vector<array>& primals,
                                const std::vector<array>& tangents,
                                const std::vector<int>& argnums) {
  Parts p(primals);
  Stream s = stream();
  array src_t = zeros_like(p.src, s), upd_t = zeros_like(p.updates, s);
  int last = static_cast<int>(primals.size()) - 1;
  for (size_t i = 0; i < argnums.size(); ++i) {
    if (argnums[i] == 0) {
      src_t = tangents[i];
    } else if (argnums[i] == last) {
      upd_t = tangents[i];
    } else {
      throw_index_derivative("scatter", "JVP");
    }
  }
  if (reduce_type_ == None) return {scatter(src_t, p.indices, upd_t, axes_, s)};
  if (reduce_type_ == Max || reduce_type_ == Min) {
    array out = apply(reduce_type_, p.src, p.indices, p.updates, axes_, s);
    array zero(0, src_t.dtype());
    array at = gather(out, p.indices, axes_, p.sizes, s);
    src_t = where(equal(p.src, out, s), src_t, zero, s);
    upd_t = where(equal(p.updates, at, s), upd_t, zero, s);
  } else if (reduce_type_ == Prod) {
    auto rule = ProductRule::make(p, axes_, s);
    src_t = multiply(src_t, rule.src_partial, s);
    upd_t = multiply(upd_t, rule.updates_partial, s);
  }
  return {scatter_add(src_t, p.indices, upd_t, axes_, s)};
}

std::pair<std::vector<array>, std::vector<int>> Scatter::vmap(const std::vector<array>& inputs,
                                                              const std::vector<int>& axes) {
  Stream s = stream();
  size_t n_indices = inputs.size() - 2;
  int batch = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (axes[i] >= 0) batch = inputs[i].shape(axes[i]);
  }
  array src = batch_first(inputs[0], axes[0], batch, s);
  array updates = batch_first(inputs.back(), axes.back(), batch, s);
  auto scatter_axes = axes_;
  for (int& a : scatter_axes) ++a;
  bool indices_mapped = std::any_of(axes.begin() + 1, axes.end() - 1, [](int a) { return a >= 0; });
  int index_dims = static_cast<int>(updates.ndim() - src.ndim());
  if (!indices_mapped) {
    // The batch axis is one more axis of each slice.
    std::vector<array> indices(inputs.begin() + 1, inputs.end() - 1);
    updates = moveaxis(updates, 0, index_dims, s);
    return {{apply(reduce_type_, src, indices, updates, scatter_axes, s)}, {0}};
  }
  // One more index array walks along the batch axis.
  auto indices = batched_indices(inputs, axes, 1, n_indices, s);
  Shape walk(index_dims + 1, 1);
  walk[0] = batch;
  indices.push_back(reshape(arange(0, batch, 1, s), walk, s));
  scatter_axes.push_back(0);
  updates = expand_dims(updates, index_dims + 1, s);
  return {{apply(reduce_type_, src, indices, updates, scatter_axes, s)}, {0}};
}

}  // namespace mlx::core
