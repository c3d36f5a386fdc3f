// core/prim/attention.cpp
#include "core/prim/attention.h"

#include <limits>

#include "mlx/fast.h"
#include "mlx/ops.h"

namespace mlx::core {

using Arrays = std::vector<array>;

namespace {

/** Query heads of one key head side by side: (b, kv, group, rows, columns). */
array grouped(const array& x, int kv_heads, Stream s) {
  Shape shape = x.shape();
  int group = shape[1] / kv_heads;
  return reshape(x, {shape[0], kv_heads, group, shape[2], shape[3]}, s);
}

}  // namespace

Arrays ScaledDotProductAttention::compose(const Arrays& inputs) {
  Stream s = stream();
  const array &q = inputs[0], &k = inputs[1], &v = inputs[2];
  Dtype t = q.dtype() == float64 ? float64 : float32;
  int heads = q.shape(1), kv = k.shape(1), queries = q.shape(2), keys = k.shape(2);
  array qs = multiply(astype(q, t, s), array(params_.scale, t), s);
  array scores =
      matmul(grouped(qs, kv, s), swapaxes(expand_dims(astype(k, t, s), 2, s), -1, -2, s), s);
  scores = reshape(scores, {q.shape(0), heads, queries, keys}, s);
  if (params_.causal) {
    array row = reshape(arange(keys - queries, keys, s), {queries, 1}, s);
    array visible = greater_equal(row, arange(keys, s), s);
    scores = where(visible, scores, array(-std::numeric_limits<float>::infinity(), t), s);
  }
  if (params_.mask) {
    const array& mask = inputs[3];
    scores = mask.dtype() == bool_
                 ? where(mask, scores, array(std::numeric_limits<float>::lowest(), t), s)
                 : add(scores, astype(mask, t, s), s);
  }
  array with_sinks = scores;
  if (params_.sinks) {
    array sinks = reshape(astype(inputs.back(), t, s), {1, heads, 1, 1}, s);
    sinks = broadcast_to(sinks, {q.shape(0), heads, queries, 1}, s);
    with_sinks = concatenate({sinks, scores}, -1, s);
  }
  array p = softmax(with_sinks, -1, true, s);
  array lse = logsumexp(with_sinks, -1, false, s);
  if (params_.sinks) p = slice(p, {0, 0, 0, 1}, p.shape(), s);
  array out = matmul(grouped(p, kv, s), expand_dims(astype(v, t, s), 2, s), s);
  out = reshape(out, {q.shape(0), heads, queries, v.shape(-1)}, s);
  return {astype(out, q.dtype(), s), astype(lse, float32, s)};
}

std::vector<Shape> ScaledDotProductAttention::output_shapes(const Arrays& inputs) {
  Shape out = inputs[0].shape(), lse = out;
  out.back() = inputs[2].shape(-1);
  lse.pop_back();
  return {out, lse};
}

Arrays ScaledDotProductAttention::vjp(const Arrays& primals, const Arrays& cotangents,
                                      const std::vector<int>& argnums, const Arrays& outputs) {
  bool mask_grad = false, hidden = false;
  for (int a : argnums) {
    if (a == 3 && params_.mask) {
      mask_grad = primals[3].dtype() != bool_;
      hidden |= !mask_grad;
    }
  }
  if (hidden) return Fused::vjp(primals, cotangents, argnums, outputs);
  Arrays inputs = primals;
  inputs.insert(inputs.end(), {outputs[0], outputs[1], cotangents[0]});
  std::vector<Shape> shapes;
  std::vector<Dtype> dtypes;
  for (size_t i = 0; i < primals.size(); ++i) {
    shapes.push_back(primals[i].shape());
    dtypes.push_back(primals[i].dtype());
  }
  auto p = std::make_shared<ScaledDotProductAttentionVJP>(stream(), params_, mask_grad);
  auto all = array::make_arrays(shapes, dtypes, p, inputs);
  Arrays result;
  for (int a : argnums) result.push_back(all[a]);
  return result;
}

Arrays ScaledDotProductAttentionVJP::compose(const Arrays& inputs) {
  size_t n = inputs.size() - 3;
  Arrays primals(inputs.begin(), inputs.begin() + n);
  auto forward = [this](const Arrays& in) {
    return Arrays{ScaledDotProductAttention(stream(), params_).compose(in)[0]};
  };
  return mlx::core::vjp(ArrayFn(forward), primals, {inputs.back()}).second;
}

namespace fast {

array scaled_dot_product_attention(const array& queries, const array& keys, const array& values,
                                   const float scale, const std::string& mask_mode,
                                   std::optional<array> mask_arr, const std::optional<array>& sinks,
                                   bool, StreamOrDevice s) {
  auto fail = [](const std::string& why) {
    throw std::invalid_argument("[scaled_dot_product_attention] " + why);
  };
  for (const auto* x : {&queries, &keys, &values}) {
    if (x->ndim() != 4)
      fail("input with shape " + to_string(x->shape()) + " expected to be rank 4");
  }
  if (!mask_mode.empty() && mask_mode != "causal" && mask_mode != "array") {
    fail("invalid mask option '" + mask_mode + "'. Must be 'causal', or an array.");
  }
  if (mask_mode == "array" && !mask_arr) fail("mask_mode 'array' needs a mask.");
  if (queries.shape(-1) != keys.shape(-1)) {
    fail("query, keys expected to have matching last dimension; found query shape " +
         to_string(queries.shape()) + " for keys shape " + to_string(keys.shape()) + ".");
  }
  if (keys.shape(1) != values.shape(1) || keys.shape(2) != values.shape(2)) {
    fail("keys, values expected to have the same heads and length; found keys shape " +
         to_string(keys.shape()) + " for values shape " + to_string(values.shape()) + ".");
  }
  if (queries.shape(0) != keys.shape(0) || queries.shape(0) != values.shape(0)) {
    fail("mismatching batch dimension for inputs " + to_string(queries.shape()) + ", " +
         to_string(keys.shape()) + ", " + to_string(values.shape()) + ".");
  }
  if (keys.shape(1) == 0 || queries.shape(1) % keys.shape(1) != 0) {
    fail("n_heads must be a multiple of n_kv_heads, found n_heads " +
         std::to_string(queries.shape(1)) + " for n_kv_heads " + std::to_string(keys.shape(1)) +
         ".");
  }
  Dtype t = promote_types(result_type(queries, keys), values.dtype());
  if (!issubdtype(t, floating)) t = float32;
  Stream stream = to_stream(s);
  Arrays inputs{astype(queries, t, stream), astype(keys, t, stream), astype(values, t, stream)};
  AttentionParams params{scale, mask_mode == "causal",
                         mask_arr.has_value() && mask_mode != "causal", sinks.has_value()};
  if (params.mask) {
    array mask = *mask_arr;
    if (mask.dtype() != bool_) {
      if (promote_types(mask.dtype(), t) != t)
        fail(std::string("Mask type must promote to output type ") + dtype_to_string(t) + ".");
      mask = astype(mask, t, stream);
    }
    Shape full{queries.shape(0), queries.shape(1), queries.shape(2), keys.shape(2)};
    if (broadcast_shapes(mask.shape(), full) != full) {
      fail("mask with shape " + to_string(mask.shape()) +
           " does not broadcast to the scores' shape " + to_string(full) + ".");
    }
    inputs.push_back(broadcast_to(mask, full, stream));
  }
  if (sinks) {
    if (sinks->ndim() != 1 || sinks->shape(0) != queries.shape(1)) {
      fail("Received invalid shape for sinks " + to_string(sinks->shape()) + ".");
    }
    if (promote_types(sinks->dtype(), t) != t)
      fail(std::string("Type of sinks must promote to output type ") + dtype_to_string(t) + ".");
    inputs.push_back(astype(*sinks, t, stream));
  }
  auto p = std::make_shared<ScaledDotProductAttention>(stream, params);
  if (t == float64) return p->compose(inputs)[0];
  return array::make_arrays(p->output_shapes(inputs), {t, float32}, p, inputs)[0];
}

}  // namespace fast

}  // namespace mlx::core
