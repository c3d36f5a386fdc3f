// core/prim/norms.cpp
#include "core/prim/norms.h"

#include "mlx/fast.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

using Arrays = std::vector<array>;

// Half floats are normalised in float32 and rounded before the weight, as the kernels do.
Dtype wide(Dtype t) { return t == float64 ? float64 : float32; }

array scale_and_shift(array y, const Arrays& inputs, bool weight, bool bias, Stream s) {
  if (weight) y = multiply(y, inputs[1], s);
  if (bias) y = add(y, inputs[weight ? 2 : 1], s);
  return y;
}

/** The cotangents at argnums from a primitive that gives those of all inputs. */
Arrays pick(const Arrays& all, const std::vector<int>& argnums) {
  Arrays some;
  for (int a : argnums) some.push_back(all[a]);
  return some;
}

/** Inputs followed by the cotangent. */
Arrays with(const Arrays& primals, const array& cotangent) {
  Arrays in = primals;
  in.push_back(cotangent);
  return in;
}

template <class P, class... Args>
Arrays gradients(const Arrays& primals, const array& cotangent, Stream s, Args... args) {
  std::vector<Shape> shapes;
  std::vector<Dtype> dtypes;
  for (const auto& p : primals) {
    shapes.push_back(p.shape());
    dtypes.push_back(p.dtype());
  }
  return array::make_arrays(shapes, dtypes, std::make_shared<P>(s, args...),
                            with(primals, cotangent));
}

/** The last axis must stay the last; true if only x is batched. */
bool batch_x_only(Arrays& inputs, const std::vector<int>& axes, Stream s) {
  for (size_t i = 1; i < axes.size(); ++i) {
    if (axes[i] >= 0) return false;
  }
  if (axes[0] != 0) inputs[0] = moveaxis(inputs[0], axes[0], 0, s);
  return true;
}

void check_vector(const char* op, const char* what, const array& x, const array& w) {
  std::string head = std::string("[") + op + "] " + what + " must have ";
  if (w.ndim() != 1) {
    throw std::invalid_argument(head + "1 dimension but has " + std::to_string(w.ndim()) +
                                " dimensions.");
  }
  if (w.size() != static_cast<size_t>(x.shape(-1))) {
    throw std::invalid_argument(head + "the same size as the last dimension of x, whose shape is " +
                                to_string(x.shape()) + ", but has " + std::to_string(w.size()) +
                                " elements.");
  }
}

void check_input(const char* op, const array& x, Dtype t) {
  if (x.ndim() == 0) {
    throw std::invalid_argument(
        std::string("[") + op +
        "] Input must have at least 1 dimension but got input with 0 dimensions.");
  }
  if (!issubdtype(t, floating)) {
    throw std::invalid_argument(std::string("[") + op + "] Received unsupported type " +
                                dtype_to_string(t) + ".");
  }
}

}  // namespace

// ---- RMSNorm ----

Arrays RMSNorm::compose(const Arrays& inputs) {
  Stream s = stream();
  const array& in = inputs[0];
  array x = astype(in, wide(in.dtype()), s);
  array r = rsqrt(add(mean(square(x, s), -1, true, s), array(eps_, x.dtype()), s), s);
  array y = astype(multiply(x, r, s), in.dtype(), s);
  return {scale_and_shift(y, inputs, inputs.size() > 1, false, s)};
}

Arrays RMSNorm::vjp(const Arrays& primals, const Arrays& cotangents,
                    const std::vector<int>& argnums, const Arrays&) {
  return pick(gradients<RMSNormVJP>(primals, cotangents[0], stream(), eps_), argnums);
}

std::pair<Arrays, std::vector<int>> RMSNorm::vmap(const Arrays& inputs,
                                                  const std::vector<int>& axes) {
  Arrays in = inputs;
  if (!batch_x_only(in, axes, stream())) return Fused::vmap(inputs, axes);
  return {{array(in[0].shape(), in[0].dtype(), std::make_shared<RMSNorm>(stream(), eps_), in)},
          {0}};
}

Arrays RMSNormVJP::compose(const Arrays& inputs) {
  auto forward = [this](const Arrays& in) { return RMSNorm(stream(), eps_).compose(in); };
  Arrays primals(inputs.begin(), inputs.end() - 1);
  return mlx::core::vjp(ArrayFn(forward), primals, {inputs.back()}).second;
}

// ---- LayerNorm ----

Arrays LayerNorm::compose(const Arrays& inputs) {
  Stream s = stream();
  const array& in = inputs[0];
  array x = astype(in, wide(in.dtype()), s);
  array d = subtract(x, mean(x, -1, true, s), s);
  array v = mean(square(d, s), -1, true, s);
  array y = multiply(d, rsqrt(add(v, array(eps_, x.dtype()), s), s), s);
  return {scale_and_shift(astype(y, in.dtype(), s), inputs, weight_, bias_, s)};
}

Arrays LayerNorm::vjp(const Arrays& primals, const Arrays& cotangents,
                      const std::vector<int>& argnums, const Arrays&) {
  return pick(gradients<LayerNormVJP>(primals, cotangents[0], stream(), eps_, weight_, bias_),
              argnums);
}

std::pair<Arrays, std::vector<int>> LayerNorm::vmap(const Arrays& inputs,
                                                    const std::vector<int>& axes) {
  Arrays in = inputs;
  if (!batch_x_only(in, axes, stream())) return Fused::vmap(inputs, axes);
  auto p = std::make_shared<LayerNorm>(stream(), eps_, weight_, bias_);
  return {{array(in[0].shape(), in[0].dtype(), p, in)}, {0}};
}

Arrays LayerNormVJP::compose(const Arrays& inputs) {
  auto forward = [this](const Arrays& in) {
    return LayerNorm(stream(), eps_, weight_, bias_).compose(in);
  };
  Arrays primals(inputs.begin(), inputs.end() - 1);
  return mlx::core::vjp(ArrayFn(forward), primals, {inputs.back()}).second;
}

// ---- public functions ----

namespace fast {

array rms_norm(const array& x, const std::optional<array>& weight, float eps, StreamOrDevice s) {
  Dtype t = weight ? result_type(x, *weight) : x.dtype();
  check_input("rms_norm", x, t);
  Stream stream = to_stream(s);
  Arrays inputs{astype(x, t, stream)};
  if (weight) {
    check_vector("rms_norm", "(*weight)", x, *weight);
    inputs.push_back(astype(*weight, t, stream));
  }
  return array(x.shape(), t, std::make_shared<RMSNorm>(stream, eps), inputs);
}

array layer_norm(const array& x, const std::optional<array>& weight,
                 const std::optional<array>& bias, float eps, StreamOrDevice s) {
  Dtype t = x.dtype();
  if (weight) t = promote_types(t, weight->dtype());
  if (bias) t = promote_types(t, bias->dtype());
  check_input("layer_norm", x, t);
  Stream stream = to_stream(s);
  Arrays inputs{astype(x, t, stream)};
  if (weight) {
    check_vector("layer_norm", "weight", x, *weight);
    inputs.push_back(astype(*weight, t, stream));
  }
  if (bias) {
    check_vector("layer_norm", "bias", x, *bias);
    inputs.push_back(astype(*bias, t, stream));
  }
  auto p = std::make_shared<LayerNorm>(stream, eps, weight.has_value(), bias.has_value());
  return array(x.shape(), t, p, inputs);
}

}  // namespace fast

}  // namespace mlx::core
