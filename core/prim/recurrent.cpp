// core/prim/recurrent.cpp
#include "core/prim/recurrent.h"

#include "mlx/ops.h"

namespace mlx::core {

using Arrays = std::vector<array>;
using Kind = RecurrentKind;

namespace {

/** Step t of (N, L, F) as (N, F). */
array step(const array& x, int t, Stream s) {
  return squeeze(slice(x, {0, t, 0}, {x.shape(0), t + 1, x.shape(2)}, s), 1, s);
}

/** Gate g of (..., G H). */
array gate(const array& x, int g, int size, Stream s) {
  Shape begin(x.ndim(), 0), end = x.shape();
  begin.back() = g * size;
  end.back() = (g + 1) * size;
  return slice(x, begin, end, s);
}

/** The state each step starts from: first, then all states but the last. */
array shifted(const array& first, const array& states, Stream s) {
  Shape end = states.shape();
  end[1] -= 1;
  return concatenate({expand_dims(first, 1, s), slice(states, {0, 0, 0}, end, s)}, 1, s);
}

/** rows of (N, L, F) times a matrix, as one product. */
array times(const array& rows, const array& matrix, Stream s) {
  return matmul(flatten(rows, 0, 1, s), matrix, s);
}

array one_minus(const array& x, Stream s) { return subtract(array(1.0f, x.dtype()), x, s); }

/** Batches that share the inputs marked false, folded into the axis of sequences. Returns the
 * number of batches, or 0 where a shared input has a batch axis. */
int fold(Arrays& inputs, const std::vector<int>& axes, const std::vector<bool>& data, Stream s) {
  int batches = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (axes[i] < 0) continue;
    if (!data[i]) return 0;
    batches = inputs[i].shape(axes[i]);
  }
  if (batches == 0) return 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!data[i]) continue;
    array& x = inputs[i];
    if (axes[i] >= 0) {
      x = moveaxis(x, axes[i], 0, s);
    } else {
      Shape shape = x.shape();
      shape.insert(shape.begin(), batches);
      x = broadcast_to(expand_dims(x, 0, s), shape, s);
    }
    x = flatten(x, 0, 1, s);
  }
  return batches;
}

std::pair<Arrays, std::vector<int>> unfold(Arrays outputs, int batches, Stream s) {
  for (array& x : outputs) x = unflatten(x, 0, {batches, x.shape(0) / batches}, s);
  std::vector<int> axes(outputs.size(), 0);
  return {std::move(outputs), std::move(axes)};
}

template <class P>
Arrays make(Stream s, Kind kind, const Arrays& inputs) {
  auto p = std::make_shared<P>(s, kind);
  auto shapes = p->output_shapes(inputs);
  return array::make_arrays(shapes, std::vector<Dtype>(shapes.size(), float32), p, inputs);
}

/** Which inputs belong to single sequences. */
std::vector<bool> forward_data(Kind kind, size_t inputs) {
  std::vector<bool> data(inputs, true);
  data[1] = false;
  if (kind == Kind::gru) data[3] = false;
  return data;
}

std::vector<bool> backward_data(size_t inputs) {
  std::vector<bool> data(inputs, true);
  data[0] = false;
  return data;
}

}  // namespace

// ---- forward ----

std::vector<Shape> Recurrent::output_shapes(const Arrays& inputs) {
  Shape states{inputs[0].shape(0), inputs[0].shape(1), inputs[1].shape(1)};
  if (kind_ == Kind::lstm) return {states, states};
  return {states};
}

Arrays Recurrent::compose(const Arrays& inputs) {
  Stream s = stream();
  const array& x = inputs[0];
  array recurrent = transpose(inputs[1], s), h = inputs[2];
  int size = inputs[1].shape(1);
  Arrays states, cells;
  array c = kind_ == Kind::lstm ? inputs[3] : h;
  for (int t = 0; t < x.shape(1); ++t) {
    array in = step(x, t, s), q = matmul(h, recurrent, s);
    if (kind_ == Kind::gru) {
      array r = sigmoid(add(gate(in, 0, size, s), gate(q, 0, size, s), s), s);
      array z = sigmoid(add(gate(in, 1, size, s), gate(q, 1, size, s), s), s);
      array qn = add(gate(q, 2, size, s), inputs[3], s);
      array n = tanh(add(gate(in, 2, size, s), multiply(r, qn, s), s), s);
      h = add(multiply(one_minus(z, s), n, s), multiply(z, h, s), s);
    } else if (kind_ == Kind::lstm) {
      array total = add(in, q, s);
      array i = sigmoid(gate(total, 0, size, s), s), f = sigmoid(gate(total, 1, size, s), s);
      array g = tanh(gate(total, 2, size, s), s), o = sigmoid(gate(total, 3, size, s), s);
      c = add(multiply(f, c, s), multiply(i, g, s), s);
      h = multiply(o, tanh(c, s), s);
      cells.push_back(c);
    } else {
      array total = add(in, q, s);
      h = kind_ == Kind::relu ? maximum(total, array(0.0f, total.dtype()), s) : tanh(total, s);
    }
    states.push_back(h);
  }
  Arrays outputs{stack(states, 1, s)};
  if (kind_ == Kind::lstm) outputs.push_back(stack(cells, 1, s));
  return outputs;
}

Arrays Recurrent::vjp(const Arrays& primals, const Arrays& cotangents,
                      const std::vector<int>& argnums, const Arrays& outputs) {
  Stream s = stream();
  const array &x = primals[0], &w = primals[1], &h0 = primals[2], &states = outputs[0];
  array before = shifted(h0, states, s);
  int size = w.shape(1);
  Arrays in;
  if (kind_ == Kind::lstm) {
    array gates = add(x, reshape(times(before, transpose(w, s), s), x.shape(), s), s);
    in = {w, gates, primals[3], outputs[1], cotangents[0], cotangents[1]};
  } else if (kind_ == Kind::gru) {
    array bias = concatenate({zeros({2 * size}, float32, s), primals[3]}, 0, s);
    array q = add(reshape(times(before, transpose(w, s), s), x.shape(), s), bias, s);
    in = {w, x, q, h0, states, cotangents[0]};
  } else {
    in = {w, states, cotangents[0]};
  }
  Arrays grads = make<RecurrentVJP>(s, kind_, in);
  const array& dq = kind_ == Kind::gru ? grads[1] : grads[0];
  int dh0 = kind_ == Kind::gru ? 2 : 1;
  Arrays result;
  for (int a : argnums) {
    if (a == 0) {
      result.push_back(grads[0]);
    } else if (a == 1) {
      result.push_back(matmul(transpose(flatten(dq, 0, 1, s), s), flatten(before, 0, 1, s), s));
    } else if (a == 2) {
      result.push_back(grads[dh0]);
    } else if (kind_ == Kind::gru) {
      result.push_back(sum(gate(dq, 2, size, s), std::vector<int>{0, 1}, false, s));
    } else {
      result.push_back(grads[2]);
    }
  }
  return result;
}

std::pair<Arrays, std::vector<int>> Recurrent::vmap(const Arrays& inputs,
                                                    const std::vector<int>& axes) {
  Arrays in = inputs;
  int batches = fold(in, axes, forward_data(kind_, in.size()), stream());
  if (batches == 0) return Fused::vmap(inputs, axes);
  return unfold(make<Recurrent>(stream(), kind_, in), batches, stream());
}

// ---- backward ----

std::vector<Shape> RecurrentVJP::output_shapes(const Arrays& inputs) {
  const array& w = inputs[0];
  const Shape& any = inputs[1].shape();
  Shape gates{any[0], any[1], w.shape(0)}, state{any[0], w.shape(1)};
  if (kind_ == Kind::gru) return {gates, gates, state};
  if (kind_ == Kind::lstm) return {gates, state, state};
  return {gates, state};
}

Arrays RecurrentVJP::compose(const Arrays& in) {
  Stream s = stream();
  const array& w = in[0];
  int size = w.shape(1), length = in[1].shape(1);
  array carry = zeros({in[1].shape(0), size}, w.dtype(), s), cell_carry = carry;
  Arrays dx, dq;
  auto slope = [&](const array& y) { return multiply(y, one_minus(y, s), s); };  // of sigmoid
  auto slope_tanh = [&](const array& y) { return one_minus(square(y, s), s); };
  for (int t = length - 1; t >= 0; --t) {
    if (kind_ == Kind::gru) {
      array x = step(in[1], t, s), q = step(in[2], t, s);
      array h = t > 0 ? step(in[4], t - 1, s) : in[3];
      array dh = add(step(in[5], t, s), carry, s);
      array r = sigmoid(add(gate(x, 0, size, s), gate(q, 0, size, s), s), s);
      array z = sigmoid(add(gate(x, 1, size, s), gate(q, 1, size, s), s), s);
      array qn = gate(q, 2, size, s);
      array n = tanh(add(gate(x, 2, size, s), multiply(r, qn, s), s), s);
      array dn = multiply(multiply(dh, one_minus(z, s), s), slope_tanh(n), s);
      array dz = multiply(multiply(dh, subtract(h, n, s), s), slope(z), s);
      array dr = multiply(multiply(dn, qn, s), slope(r), s);
      dx.insert(dx.begin(), concatenate({dr, dz, dn}, -1, s));
      dq.insert(dq.begin(), concatenate({dr, dz, multiply(dn, r, s)}, -1, s));
      carry = add(matmul(dq.front(), w, s), multiply(dh, z, s), s);
    } else if (kind_ == Kind::lstm) {
      array total = step(in[1], t, s), c = step(in[3], t, s);
      array before = t > 0 ? step(in[3], t - 1, s) : in[2];
      array dh = add(step(in[4], t, s), carry, s);
      array i = sigmoid(gate(total, 0, size, s), s), f = sigmoid(gate(total, 1, size, s), s);
      array g = tanh(gate(total, 2, size, s), s), o = sigmoid(gate(total, 3, size, s), s);
      array tc = tanh(c, s);
      array dc = add(add(step(in[5], t, s), cell_carry, s),
                     multiply(multiply(dh, o, s), slope_tanh(tc), s), s);
      array di = multiply(multiply(dc, g, s), slope(i), s);
      array df = multiply(multiply(dc, before, s), slope(f), s);
      array dg = multiply(multiply(dc, i, s), slope_tanh(g), s);
      array d_o = multiply(multiply(dh, tc, s), slope(o), s);
      dx.insert(dx.begin(), concatenate({di, df, dg, d_o}, -1, s));
      cell_carry = multiply(dc, f, s);
      carry = matmul(dx.front(), w, s);
    } else {
      array h = step(in[1], t, s), dh = add(step(in[2], t, s), carry, s);
      array d = kind_ == Kind::relu ? astype(greater(h, array(0.0f, h.dtype()), s), h.dtype(), s)
                                    : slope_tanh(h);
      dx.insert(dx.begin(), multiply(dh, d, s));
      carry = matmul(dx.front(), w, s);
    }
  }
  Arrays outputs{stack(dx, 1, s)};
  if (kind_ == Kind::gru) outputs.push_back(stack(dq, 1, s));
  outputs.push_back(carry);
  if (kind_ == Kind::lstm) outputs.push_back(cell_carry);
  return outputs;
}

std::pair<Arrays, std::vector<int>> RecurrentVJP::vmap(const Arrays& inputs,
                                                       const std::vector<int>& axes) {
  Arrays in = inputs;
  int batches = fold(in, axes, backward_data(in.size()), stream());
  if (batches == 0) return Fused::vmap(inputs, axes);
  return unfold(make<RecurrentVJP>(stream(), kind_, in), batches, stream());
}

// ---- what the layers call ----

Arrays recurrent(Kind kind, const array& x, const array& w, const std::optional<array>& hidden,
                 const std::optional<array>& cell, const std::optional<array>& bias,
                 StreamOrDevice so) {
  auto fail = [](const std::string& why) { throw std::invalid_argument("[recurrent] " + why); };
  int gates = recurrent_gates(kind);
  if (w.ndim() != 2 || w.shape(0) != gates * w.shape(1)) {
    fail("the weight of " + std::to_string(gates) + " gates must be (" + std::to_string(gates) +
         " H, H), not of shape " + to_string(w.shape()) + ".");
  }
  int size = w.shape(1);
  if (x.ndim() < 2 || x.shape(-1) != gates * size) {
    fail("the projected inputs must be (..., L, " + std::to_string(gates * size) +
         "), not of shape " + to_string(x.shape()) + ".");
  }
  if (x.shape(-2) == 0) {
    fail("the sequence is empty: the projected shape is " + to_string(x.shape()) + ".");
  }
  Dtype t = promote_types(x.dtype(), w.dtype());
  Shape batch(x.shape().begin(), x.shape().end() - 2);
  for (const auto* state : {&hidden, &cell}) {
    if (!*state) continue;
    const array& v = **state;
    if (v.ndim() < 1 || v.shape(-1) != size) {
      fail("a state must have " + std::to_string(size) + " features, not the shape " +
           to_string(v.shape()) + ".");
    }
    t = promote_types(t, v.dtype());
    try {
      batch = broadcast_shapes(batch, Shape(v.shape().begin(), v.shape().end() - 1));
    } catch (const std::invalid_argument&) {
      fail("a state of shape " + to_string(v.shape()) + " does not fit sequences of shape " +
           to_string(x.shape()) + ".");
    }
  }
  if (bias) {
    if (bias->shape() != Shape{size}) {
      fail("the bias must be (" + std::to_string(size) + ",), not of shape " +
           to_string(bias->shape()) + ".");
    }
    t = promote_types(t, bias->dtype());
  }
  if (!issubdtype(t, inexact)) t = float32;
  Stream s = to_stream(so);
  bool composed = t == float64 || t == complex64;
  Dtype wide = composed ? t : float32;
  int count = 1;
  for (int n : batch) count *= n;

  Shape full = batch, state_shape = batch;
  full.insert(full.end(), {x.shape(-2), x.shape(-1)});
  state_shape.push_back(size);
  auto state = [&](const std::optional<array>& v) {
    if (!v) return zeros({count, size}, wide, s);
    return reshape(broadcast_to(astype(*v, wide, s), state_shape, s), {count, size}, s);
  };
  Arrays inputs{
      reshape(broadcast_to(astype(x, wide, s), full, s), {count, x.shape(-2), x.shape(-1)}, s),
      astype(w, wide, s), state(hidden)};
  if (kind == Kind::lstm) inputs.push_back(state(cell));
  if (kind == Kind::gru) {
    inputs.push_back(bias ? astype(*bias, wide, s) : zeros({size}, wide, s));
  }
  Arrays outputs = composed ? Recurrent(s, kind).compose(inputs) : make<Recurrent>(s, kind, inputs);
  full.back() = size;
  for (array& out : outputs) out = astype(reshape(out, full, s), t, s);
  return outputs;
}

}  // namespace mlx::core
