// core/prim/gated_delta.cpp
#include "core/prim/gated_delta.h"

#include "mlx/fast.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

using Arrays = std::vector<array>;

/** Element t of axis 1, which goes. */
array at_time(const array& a, int t, Stream s) { return take(a, t, 1, s); }

Shape state_shape(const Arrays& in) {
  return {in[2].shape(0), in[2].shape(2), in[2].shape(3), in[1].shape(3)};
}

}  // namespace

std::vector<Shape> GatedDeltaRule::output_shapes(const Arrays& in) {
  return {in[2].shape(), state_shape(in)};
}

Arrays GatedDeltaRule::compose(const Arrays& in) {
  Stream s = stream();
  const array &v = in[2], &gate = in[3], &beta = in[4];
  int ratio = v.shape(2) / in[1].shape(2);
  array q = repeat(in[0], ratio, 2, s), k = repeat(in[1], ratio, 2, s);
  array state = state_ ? in[5] : zeros(state_shape(in), v.dtype(), s);
  Arrays readings;
  for (int t = 0; t < v.shape(1); ++t) {
    array kt = expand_dims(at_time(k, t, s), -2, s), qt = expand_dims(at_time(q, t, s), -2, s);
    array kept = multiply(state, expand_dims(at_time(gate, t, s), -2, s), s);
    array miss = subtract(at_time(v, t, s), sum(multiply(kept, kt, s), -1, false, s), s);
    array delta = multiply(miss, expand_dims(at_time(beta, t, s), -1, s), s);
    array next = add(kept, multiply(expand_dims(delta, -1, s), kt, s), s);
    array out = sum(multiply(next, qt, s), -1, false, s);
    if (mask_) {
      array on = reshape(at_time(in.back(), t, s), {v.shape(0), 1, 1}, s);
      out = where(on, out, array(0, out.dtype()), s);
      next = where(expand_dims(on, -1, s), next, state, s);
    }
    readings.push_back(out);
    state = next;
  }
  return {readings.empty() ? zeros(v.shape(), v.dtype(), s) : stack(readings, 1, s), state};
}

Arrays GatedDeltaRule::vjp(const Arrays& primals, const Arrays& cotangents,
                           const std::vector<int>& argnums, const Arrays&) {
  Arrays in = primals;
  in.insert(in.end(), cotangents.begin(), cotangents.end());
  auto p = std::make_shared<GatedDeltaRuleVJP>(stream(), state_, mask_);
  auto shapes = p->output_shapes(in);
  Arrays all = array::make_arrays(shapes, std::vector<Dtype>(shapes.size(), in[0].dtype()), p, in);
  Arrays result;
  for (int arg : argnums) {
    bool is_mask = arg >= static_cast<int>(all.size());
    result.push_back(is_mask ? zeros_like(primals[arg], stream()) : all[arg]);
  }
  return result;
}

std::pair<Arrays, std::vector<int>> GatedDeltaRule::vmap(const Arrays& inputs,
                                                         const std::vector<int>& axes) {
  // The new axis joins the batch.
  Stream s = stream();
  int many = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (axes[i] >= 0) many = inputs[i].shape(axes[i]);
  }
  Arrays in;
  for (size_t i = 0; i < inputs.size(); ++i) {
    array a = inputs[i];
    if (axes[i] >= 0) {
      a = moveaxis(a, axes[i], 0, s);
    } else {
      Shape shape = a.shape();
      shape.insert(shape.begin(), many);
      a = broadcast_to(a, shape, s);
    }
    Shape joined(a.shape().begin() + 1, a.shape().end());
    joined[0] *= many;
    in.push_back(reshape(a, joined, s));
  }
  auto p = std::make_shared<GatedDeltaRule>(s, state_, mask_);
  Arrays out = array::make_arrays(p->output_shapes(in), {in[0].dtype(), in[0].dtype()}, p, in);
  for (array& o : out) {
    Shape shape{many, inputs[1].shape(axes[1] == 0)};  // the batch is axis 0 behind the new one
    shape.insert(shape.end(), o.shape().begin() + 1, o.shape().end());
    o = reshape(o, shape, s);
  }
  return {out, {0, 0}};
}

std::vector<Shape> GatedDeltaRuleVJP::output_shapes(const Arrays& in) {
  std::vector<Shape> shapes;
  for (size_t i = 0; i < (state_ ? 6u : 5u); ++i) shapes.push_back(in[i].shape());
  return shapes;
}

Arrays GatedDeltaRuleVJP::compose(const Arrays& in) {
  size_t wanted = state_ ? 6 : 5;
  auto forward = [&](const Arrays& some) {
    Arrays all = some;
    if (mask_) all.push_back(in[wanted]);
    return GatedDeltaRule(stream(), state_, mask_).compose(all);
  };
  Arrays primals(in.begin(), in.begin() + wanted), cotangents(in.end() - 2, in.end());
  return mlx::core::vjp(ArrayFn(forward), primals, cotangents).second;
}

namespace fast {

namespace {

[[noreturn]] void bad_shape(const char* what, const array& a, const std::string& wanted) {
  throw std::invalid_argument(std::string("[gated_delta_update] ") + what + " has shape " +
                              to_string(a.shape()) + " but must be " + wanted + ".");
}

void check_shape(const char* what, const array& a, const Shape& wanted) {
  if (a.shape() != wanted) bad_shape(what, a, to_string(wanted));
}

}  // namespace

std::vector<array> gated_delta_update(const array& queries, const array& keys, const array& values,
                                      const array& gates, const array& beta_,
                                      const std::optional<array>& initial_state,
                                      const std::optional<array>& mask, StreamOrDevice where) {
  if (keys.ndim() != 4) bad_shape("keys", keys, "(batch, time, key heads, key size)");
  if (values.ndim() != 4) bad_shape("values", values, "(batch, time, heads, value size)");
  int b = keys.shape(0), t = keys.shape(1), key_heads = keys.shape(2), dk = keys.shape(3);
  int heads = values.shape(2), dv = values.shape(3);
  check_shape("queries", queries, keys.shape());
  check_shape("values", values, {b, t, heads, dv});
  if (key_heads == 0 || heads % key_heads != 0) {
    throw std::invalid_argument("[gated_delta_update] " + std::to_string(heads) +
                                " heads of values cannot share " + std::to_string(key_heads) +
                                " heads of keys.");
  }
  check_shape("beta", beta_, {b, t, heads});
  Stream s = to_stream(where);
  array gate = gates.ndim() == 3 ? expand_dims(gates, -1, s) : gates;
  if (gate.ndim() != 4 || gate.shape(3) != dk) check_shape("gates", gate, {b, t, heads, 1});
  check_shape("gates", gate, {b, t, heads, gate.shape(3)});
  if (initial_state) check_shape("initial_state", *initial_state, {b, heads, dv, dk});
  if (mask) check_shape("mask", *mask, {b, t});

  Dtype out_type = result_type({queries, keys, values});
  if (!issubdtype(out_type, inexact)) out_type = float32;
  Dtype wide = float32;
  for (const array* a : {&queries, &keys, &values, &gates, &beta_}) {
    if (a->dtype() == complex64) {
      throw std::invalid_argument("[gated_delta_update] Complex inputs are not supported.");
    }
    if (a->dtype() == float64) wide = float64;
  }
  if (initial_state && initial_state->dtype() == float64) wide = float64;
  std::vector<array> in;
  for (const array& a : {queries, keys, values, gate, beta_}) in.push_back(astype(a, wide, s));
  if (initial_state) in.push_back(astype(*initial_state, wide, s));
  if (mask) in.push_back(astype(*mask, bool_, s));
  auto p = std::make_shared<GatedDeltaRule>(s, initial_state.has_value(), mask.has_value());
  auto out = array::make_arrays(p->output_shapes(in), {wide, wide}, p, in);
  return {astype(out[0], out_type, s), out[1]};
}

}  // namespace fast

}  // namespace mlx::core
